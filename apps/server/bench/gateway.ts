/** This server with everything on: a real token, a sealed key, choice, and metering on the disk. */
import { randomBytes } from 'node:crypto';
import { startServer } from '../src/cli/serve.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/ports/log.ts';
import { argsOf, serveParent } from './child.ts';
import { providerKey } from './shapes.ts';

const { upstreamPort, folder } = argsOf<{ upstreamPort: number; folder: string }>();
const random = () => randomBytes(32).toString('hex');
const config = loadConfig({
  ENCRYPTION_KEY: random(),
  AUTH_SECRET: random(),
  PORT: '0',
  PUBLIC_URL: 'http://byok.bench',
  DATA_DIR: folder,
  OPENAI_BASE_URL: `http://127.0.0.1:${upstreamPort}/v1`,
});
// Lines are made as in production, and go where they cost no terminal.
const log = createLog({ level: 'info', format: 'json', write: () => undefined });
const { app, port } = await startServer(config, { log });
const { userId } = await app.accounts.add({ email: 'load@bench.example', password: random(), tier: 'premium', admin: false });
const key = await app.vault.save({ userId, byok: true }, { provider: 'openai', apiKey: providerKey });
if (key.status !== 'valid') throw new Error(`The key is ${key.status}: ${key.lastError}`);
const { secret: token } = await app.tokens.create(userId, { name: 'load', scopes: ['gateway'] });

/** How many requests are on disk, and how many of them are settled: to hold against what the load has counted. */
async function rows(): Promise<{ all: number; done: number }> {
  const states = await app.db.orm.select({ state: app.db.tables.request.state }).from(app.db.tables.request);
  return { all: states.length, done: states.filter(({ state }) => state === 'done').length };
}

serveParent({ port, token }, rows);
