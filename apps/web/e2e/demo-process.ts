/** The demo as a process of its own, and what its console tells a person. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileCache } from '../../server/test/compile-cache.ts';
import { until } from './stage.ts';

const program = join(import.meta.dirname, '../../server/demo/demo.ts');

export interface Demo extends AsyncDisposable {
  origin: string;
  /** Of everybody in it. */
  password: string;
}

export async function startDemo(): Promise<Demo> {
  const demo = spawn(process.execPath, [program], { cwd: tmpdir(), env: { ...compileCache, PATH: process.env.PATH ?? '', PORT: '0' } });
  let said = '';
  for (const stream of [demo.stdout, demo.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const exited = once(demo, 'exit');
  const told = await until(() => {
    if (demo.exitCode !== null) throw new Error(`The demo ended:\n${said}`);
    return said.includes('Ctrl-C') && /Open +(?<url>http:\S+)\s+Password +(?<password>\S+)/.exec(said)?.groups;
  }, 50_000).catch((error: unknown) => {
    demo.kill('SIGKILL');
    throw error;
  });
  return {
    origin: told.url ?? '',
    password: told.password ?? '',
    async [Symbol.asyncDispose]() {
      demo.kill('SIGTERM');
      await exited;
    },
  };
}
