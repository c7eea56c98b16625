/** A process of the benchmark and its parent: how one is started on a core of its own, told what to do, and asked what it used. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Used {
  /** User and system time of all threads since the start, in microseconds. */
  cpuUs: number;
  rssBytes: number;
}

export interface Child<Ready> extends AsyncDisposable {
  ready: Ready;
  used(): Promise<Used>;
  /** What the process's own `answer` makes of it. */
  call<Result>(question: unknown): Promise<Result>;
}

type Question = { id: number; used: true } | { id: number; call: unknown };
type Answer = { ready: unknown } | { id: number; result: unknown } | { id: number; broken: string };

const running = new Set<ChildProcess>();

/** For an end in a hurry: none of them gets to run any more, but where it has an end of its own to put things in order. */
export function endChildren(): void {
  for (const child of running) child.kill('SIGTERM');
}

const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0;

/** @param core  where it runs, with all its threads, if this system can say so */
export async function startChild<Ready>(file: string, core: number | null, args: unknown = {}): Promise<Child<Ready>> {
  const command = [process.execPath, join(import.meta.dirname, file), JSON.stringify(args)];
  const [program = '', ...rest] = canPin && core !== null ? ['taskset', '-c', String(core), ...command] : command;
  const child = spawn(program, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  running.add(child);
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  const ready = Promise.withResolvers<Ready>();
  let next = 0;

  child.on('message', (message: Answer) => {
    if ('ready' in message) return ready.resolve(message.ready as Ready);
    const one = waiting.get(message.id);
    waiting.delete(message.id);
    if ('result' in message) one?.resolve(message.result);
    else one?.reject(new Error(`${file}: ${message.broken}`));
  });
  let ended: Error | null = null;
  void exited.then(([code, signal]) => {
    running.delete(child);
    ended = new Error(`${file} has ended with ${signal ?? `code ${code}`}.`);
    ready.reject(ended);
    for (const one of waiting.values()) one.reject(ended);
  });

  function ask<Result>(question: { used: true } | { call: unknown }): Promise<Result> {
    const id = next++;
    return new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      waiting.set(id, { resolve: (result) => resolve(result as Result), reject });
      child.send({ id, ...question });
    });
  }

  return {
    ready: await ready.promise,
    used: () => ask({ used: true }),
    call: (question) => ask({ call: question }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

interface Serving {
  answer?(question: unknown): Promise<unknown>;
  /** What counts as used here; this process's own unless given. */
  used?(): Used;
}

/** The other end: tells that it is ready, and answers until it is ended. */
export function serveParent(ready: unknown, { answer = async () => null, used = ownUse }: Serving = {}): void {
  const send = (message: Answer) => void process.send?.(message);
  process.on('message', (question: Question) => {
    if ('used' in question) {
      send({ id: question.id, result: used() });
      return;
    }
    answer(question.call).then(
      // Nothing to tell is told too: JSON has no undefined.
      (result) => send({ id: question.id, result: result ?? null }),
      (error: unknown) => send({ id: question.id, broken: error instanceof Error ? error.message : String(error) }),
    );
  });
  endWithParent();
  send({ ready });
}

/** A parent that was killed leaves nobody behind. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit(0));
}

function ownUse(): Used {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssBytes: process.memoryUsage.rss() };
}

export const argsOf = <Args>(): Args => JSON.parse(process.argv[2] ?? '{}') as Args;
