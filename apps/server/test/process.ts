/** The program as a process of its own, in a folder of its own, with no environment but what a test gives it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileCache } from './compile-cache.ts';

const main = join(import.meta.dirname, '../src/main.ts');

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

export type Env = Record<string, string>;

export interface Running {
  child: ChildProcessWithoutNullStreams;
  /** All that was printed so far. */
  said(): string;
  /** Resolves when what it prints matches. Rejects when it ends before. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  ended: Promise<Ended>;
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

export interface Place extends AsyncDisposable {
  folder: string;
  /** What every command here gets: fresh secrets, and no port of anybody else's. */
  env: Env;
  /** Everything that any process printed here. */
  printed(): string;
  run(args: readonly string[], options?: { env?: Env; input?: string }): Promise<Ended>;
  start(args: readonly string[], env?: Env): Running;
}

/** @param env  instead of fresh secrets */
export async function place(env: Env = freshSecrets()): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'byok-process-'));
  const children = new Set<Running>();
  let printed = '';

  function start(args: readonly string[], own: Env = env): Running {
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, env: { ...compileCache, ...own } });
    const said = { out: '', err: '' };
    let onText = () => {};
    for (const [name, stream] of [
      ['out', child.stdout],
      ['err', child.stderr],
    ] as const) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
        printed += text;
        onText();
      });
    }
    const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...said })));
    const running: Running = {
      child,
      said: () => said.out + said.err,
      says: (pattern) =>
        new Promise((resolve, reject) => {
          const look = () => {
            const found = pattern.exec(said.out + said.err);
            if (found) resolve(found);
          };
          onText = look;
          look();
          ended.then(({ code }) => reject(new Error(`It ended with ${code} and never said ${pattern}:\n${said.out}${said.err}`)));
        }),
      ended,
      stop(signal = 'SIGTERM') {
        child.kill(signal);
        return ended;
      },
    };
    children.add(running);
    ended.then(() => children.delete(running));
    return running;
  }

  return {
    folder,
    env,
    printed: () => printed,
    start,
    run(args, options = {}) {
      const running = start(args, options.env);
      running.child.stdin.end(options.input ?? '');
      return running.ended;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...children].map((running) => running.stop('SIGKILL')));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function freshSecrets(): Env {
  return { ENCRYPTION_KEY: randomBytes(32).toString('hex'), AUTH_SECRET: randomBytes(32).toString('hex') };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
