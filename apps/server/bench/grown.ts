/** Gateways on databases that are full already. */
import { type Child, startChild } from './child.ts';
import { newSecrets } from './config.ts';
import { mb, seconds, whole } from './figures.ts';
import type { GatewayArgs } from './gateway.ts';
import { tokenOf } from './people.ts';
import type { SeedSize } from './seed.ts';
import type { Seeded } from './seeding.ts';
import { type Stage, say } from './stage.ts';
import type { Peer } from './turns.ts';

export interface Grown extends Peer, AsyncDisposable {
  process: Child<{ port: number }>;
  users: number;
  /** Size of the database when it was seeded. */
  bytes: number;
  /** Requests that it has been sent. */
  asked: number;
}

interface Growing extends SeedSize {
  name: string;
  /** Makes every commit take this much longer. */
  commitDelayMs?: number;
}

/** Seeds a database, and starts a gateway on it. */
export async function grow(stage: Stage, { name, users, rows, commitDelayMs = 0 }: Growing): Promise<Grown> {
  const place = { folder: stage.folder(), secrets: newSecrets() };
  const { tookMs, bytes } = await seeded({ ...place, users, rows });
  if (tookMs > 5_000) say(`  ${name}: ${mb(bytes)}, seeded in ${seconds(tookMs)}`);
  const args: GatewayArgs = { ...place, upstreamPort: stage.upstream.ready.port, seeded: true, commitDelayMs };
  const process = await startChild<{ port: number }>('gateway.ts', stage.cores.server, args);
  const end = () => process[Symbol.asyncDispose]();
  return { name, process, credential: tokenOf(0), users, bytes, asked: 0, [Symbol.asyncDispose]: end };
}

/** On any core: nothing is measured meanwhile. */
async function seeded(args: object): Promise<Seeded> {
  await using seeding = await startChild<Seeded>('seeding.ts', null, args);
  return seeding.ready;
}

/** One after the other. */
export async function growAll(stage: Stage, all: readonly Growing[]): Promise<{ grown: Grown[] } & AsyncDisposable> {
  const grown: Grown[] = [];
  for (const one of all) grown.push(await grow(stage, one));
  return {
    grown,
    async [Symbol.asyncDispose]() {
      for (const one of grown) await one[Symbol.asyncDispose]();
    },
  };
}

/** The figures are worth nothing if the work was not done: every answer has its row. */
export async function checkRows({ name, process: gateway, asked }: Pick<Grown, 'name' | 'process' | 'asked'>): Promise<void> {
  const { all, done } = await gateway.call<{ all: number; done: number }>('rows');
  const isWhole = all === asked && done === asked;
  const sentence = `${name}: ${whole(asked)} requests were sent, ${whole(all)} are on disk, ${whole(done)} of them done.`;
  say(isWhole ? `  ${sentence}` : `  ${sentence} These must be equal.`);
  if (!isWhole) process.exitCode = 1;
}
