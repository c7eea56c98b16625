/** What both parts of the benchmark stand on: how much is measured, on which cores, in which folder, before which upstream. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Child, endChildren, startChild } from './child.ts';

export interface Plan {
  rounds: number;
  /** Of one window. */
  ms: number;
  /** Passes at the beginning of each window before anything is counted. */
  warmUpMs: number;
  /** The first seconds of a server are its compiler's: they are not counted. */
  firstMs: number;
  connections: number;
  users: readonly number[];
  rows: readonly number[];
  streams: readonly number[];
  /** How often each question of a page is asked. */
  pageTimes: number;
  /** Until what opening streams has left behind is over. */
  settleMs: number;
  /** How long open streams are listened to. */
  listenMs: number;
}

export const thorough = {
  ...{ rounds: 7, ms: 2_000, warmUpMs: 300, firstMs: 8_000, settleMs: 2_000, listenMs: 10_000 },
  users: [10, 10_000, 1_000_000],
  rows: [0, 1_000_000, 10_000_000],
  streams: [1, 100, 1_000, 5_000],
  pageTimes: 200,
} as const satisfies Omit<Plan, 'connections'>;

export const quick = {
  ...{ rounds: 3, ms: 700, warmUpMs: 200, firstMs: 1_500, settleMs: 700, listenMs: 2_000 },
  users: [10, 10_000],
  rows: [0, 100_000],
  streams: [1, 100, 1_000],
  pageTimes: 50,
} as const satisfies Omit<Plan, 'connections'>;

/** The server under test has a core of its own; null: this system leaves no choice. */
export interface Cores {
  server: number | null;
  upstream: number | null;
  load: number | null;
}

export interface Stage extends AsyncDisposable {
  plan: Plan;
  cores: Cores;
  upstream: Child<{ port: number }>;
  load: Child<unknown>;
  /** Requests that this gateway was sent, and those of them that are on its disk as done. */
  tally: { sent: number; done: number };
  /** An empty folder on the disk, which goes away with the benchmark. */
  folder(): string;
}

export async function setStage(plan: Plan): Promise<Stage> {
  const cores = coresOf(availableParallelism());
  const root = temporaryFolder();
  const upstream = await startChild<{ port: number }>('upstream.ts', cores.upstream);
  const load = await startChild('load.ts', cores.load);
  return {
    ...{ plan, cores, upstream, load },
    tally: { sent: 0, done: 0 },
    folder: () => mkdtempSync(join(root, 'data-')),
    async [Symbol.asyncDispose]() {
      await load[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

function coresOf(count: number): Cores {
  if (count === 1) return { server: null, upstream: null, load: null };
  return { server: 0, upstream: 1, load: count > 2 ? 2 : 1 };
}

/** Not the system's folder for temporary files: that may be memory. */
function temporaryFolder(): string {
  const cache = join(import.meta.dirname, '../../../node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) {
    const pid = /^bench-(\d+)$/.exec(name)?.[1];
    // A benchmark that was killed could not clean up behind itself, and gigabytes may lie there.
    if (pid !== undefined && !isAlive(Number(pid))) remove(join(cache, name));
  }
  const folder = join(cache, `bench-${process.pid}`);
  mkdirSync(folder);
  process.once('exit', () => {
    // They must not write there any more.
    endChildren();
    remove(folder);
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  return folder;
}

const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export const say = (line = ''): void => void process.stdout.write(`${line}\n`);
