/** Gateways on databases that are full already. */
import { rmSync, statfsSync } from 'node:fs';
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
export async function grow(stage: Stage, { name, users, rows, busyEvery = 0, mixed = false, commitDelayMs = 0 }: Growing): Promise<Grown> {
  const place = { folder: stage.folder(), secrets: newSecrets() };
  const { tookMs, bytes } = await seeded({ ...place, users, rows, busyEvery, mixed });
  if (tookMs > 5_000) say(`  ${name}: ${mb(bytes)}, seeded in ${seconds(tookMs)}`);
  const args: GatewayArgs = { ...place, upstreamPort: stage.upstream.ready.port, seeded: true, commitDelayMs };
  const gateway = await startChild<{ port: number }>('gateway.ts', stage.cores.server, args);
  return {
    ...{ name, process: gateway, credential: tokenOf(0), users, bytes, asked: 0 },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      // Gigabytes, and the next part needs as many.
      rmSync(place.folder, { recursive: true, force: true });
    },
  };
}

/** On any core: nothing is measured meanwhile. */
async function seeded(args: object): Promise<Seeded> {
  await using seeding = await startChild<Seeded>('seeding.ts', null, args);
  return seeding.ready;
}

/** One after the other, as long as there is room for them. */
export async function growAll(stage: Stage, all: readonly Growing[]): Promise<{ grown: Grown[] } & AsyncDisposable> {
  const grown: Grown[] = [];
  for (const one of all) {
    const [needed, free] = [bytesFor(one), freeBytes(stage.folder())];
    if (needed < free) grown.push(await grow(stage, one));
    else say(`  ${one.name} are left out: they need ${mb(needed)} on this disk, and ${mb(free)} are free.`);
  }
  return {
    grown,
    async [Symbol.asyncDispose]() {
      for (const one of grown) await one[Symbol.asyncDispose]();
    },
  };
}

/** What a user and a request take with their indexes and sums, with some room for what is measured. */
const bytesFor = ({ users, rows }: SeedSize): number => users * 1_500 + rows * 500 + 500_000_000;

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

type Counted = Pick<Grown, 'name' | 'process' | 'asked'>;

/** The figures are worth nothing if the work was not done: every answer has its row. */
export async function checkRows({ tally }: Stage, { name, process: gateway, asked }: Counted): Promise<void> {
  const { all, done } = await gateway.call<{ all: number; done: number }>('rows');
  tally.sent += asked;
  tally.done += done;
  if (all === asked && done === asked) return;
  say(`  ${name}: ${whole(asked)} requests were sent; ${whole(all)} are on disk, ${whole(done)} of them done. These must be equal.`);
  process.exitCode = 1;
}
