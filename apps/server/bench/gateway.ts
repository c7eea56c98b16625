/** This server with everything on: a real token, a sealed key, choice, and metering on the disk. */
import { count, eq, gte } from 'drizzle-orm';
import { hashPassword } from '../src/auth.ts';
import { startServer } from '../src/cli/serve.ts';
import { idAt } from '../src/meter.ts';
import { createLog } from '../src/ports/log.ts';
import { argsOf, serveParent } from './child.ts';
import { benchConfig, random, type Secrets } from './config.ts';
import { tokenOf } from './people.ts';
import { profile } from './profiled.ts';
import { providerKey } from './shapes.ts';

export interface GatewayArgs {
  upstreamPort: number;
  folder: string;
  secrets: Secrets;
  /** The folder has a database with people in it (seed.ts); else one person is added. */
  seeded: boolean;
  /** Makes every commit take this much longer. */
  commitDelayMs?: number;
}

const { seeded, commitDelayMs, ...place } = argsOf<GatewayArgs>();
// Lines are made as in production, and go where they cost no terminal.
const log = createLog({ level: 'info', format: 'json', write: () => undefined });
const startedMs = Date.now();
const { app, port } = await startServer(benchConfig(place), { log, ...(commitDelayMs && { commitDelayMs }) });
const token = seeded ? tokenOf(0) : await addPerson();

async function addPerson(): Promise<string> {
  const { userId } = await app.accounts.add({ email: 'load@bench.example', password: random(), tier: 'premium', admin: false });
  const key = await app.vault.save({ userId, byok: true }, { provider: 'openai', apiKey: providerKey });
  if (key.status !== 'valid') throw new Error(`The key is ${key.status}: ${key.lastError}`);
  return (await app.tokens.create(userId, { name: 'load', scopes: ['gateway'] })).secret;
}

/** How many requests of this process are on disk, and how many of them are settled: to hold against what the load has counted. */
async function rows(): Promise<{ all: number; done: number }> {
  const { request } = app.db.tables;
  const states = await app.db.orm
    .select({ state: request.state, rows: count() })
    .from(request)
    .where(gte(request.id, idAt(startedMs)))
    .groupBy(request.state);
  const all = states.reduce((sum, one) => sum + Number(one.rows), 0);
  return { all, done: Number(states.find(({ state }) => state === 'done')?.rows ?? 0) };
}

/** A person's cookie, as their browser would have it after signing in. */
async function signIn(userId: string, admin = false): Promise<string> {
  const { user, account } = app.db.tables;
  if (admin) await app.db.orm.update(user).set({ role: 'admin' }).where(eq(user.id, userId));
  const password = random();
  await app.db.orm
    .update(account)
    .set({ password: await hashPassword(password) })
    .where(eq(account.userId, userId));
  const [person] = await app.db.orm.select({ email: user.email }).from(user).where(eq(user.id, userId));
  const answer = await fetch(`http://127.0.0.1:${port}/api/auth/sign-in/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: app.config.publicUrl },
    body: JSON.stringify({ email: person?.email, password }),
  });
  if (!answer.ok) throw new Error(`Cannot sign in: ${await answer.text()}`);
  return answer.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
}

type Question = 'rows' | 'blocks' | { profileMs: number } | { signIn: string; admin?: true };

function answer(question: Question): Promise<unknown> {
  if (question === 'rows') return rows();
  if (question === 'blocks') return app.blocks.run();
  return 'signIn' in question ? signIn(question.signIn, question.admin) : profile(question.profileMs);
}
serveParent({ port, token }, { answer: (question) => answer(question as Question) });
