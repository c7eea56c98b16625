/** What commands other than `serve` begin and end with: the modules over the open database, and its closing. */
import type { createModules } from '../app.ts';
import { readEnvironment } from '../config.ts';
import { createLog } from '../ports/log.ts';

type Modules = Awaited<ReturnType<typeof createModules>>;

export async function withModules<T>(fn: (modules: Modules) => Promise<T>): Promise<T> {
  const { config } = readEnvironment({ makeSecrets: false });
  // Standard output is for data; what goes wrong is said by the command itself.
  const log = createLog({ level: config.logLevel, format: config.logFormat, write: (line) => process.stderr.write(line) });
  // Loaded when needed: help and wrong usage should not wait a second for it.
  const app = await import('../app.ts');
  const modules = await app.createModules(config, { log });
  try {
    return await fn(modules);
  } finally {
    await modules.outbound.close();
    await modules.db.close();
  }
}
