/** The load: windows of fixed length against one target, as many requests as it will take or so many a second; and open streams. */
import { serveParent } from './child.ts';
import { type Connection, openConnection, type Target } from './client.ts';
import { quantile } from './figures.ts';
import { createListeners, type Opening } from './listeners.ts';
import { type Crowd, oneOf, tokenOf } from './people.ts';

export interface Window {
  target: Target;
  /** Each request is somebody's of these; without it all are the target's own. */
  crowd?: Crowd;
  connections: number;
  ms: number;
  /** Passes before anything is counted. */
  warmUpMs: number;
  /** So many a second, whether or not they are answered; without it each connection asks again as soon as it is answered. */
  perSecond?: number;
}

export interface Measured {
  requests: number;
  failed: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** The load's own CPU. */
  cpuUsPerRequest: number;
}

export type LoadCall = { window: Window } | { open: Opening } | { listenMs: number } | { leave: true };

async function run({ target, crowd, connections, ms, warmUpMs, perSecond }: Window): Promise<Measured> {
  const open = await Promise.all(Array.from({ length: connections }, () => openConnection(target)));
  const startMs = performance.now() + warmUpMs;
  const endMs = startMs + ms;
  const cpu = process.cpuUsage();
  const latencies: number[] = [];
  let all = 0;
  let failed = 0;

  function ask(connection: Connection, dueMs: number): Promise<void> {
    return new Promise((resolve) => {
      connection.ask(
        (status) => {
          const nowMs = performance.now();
          all += 1;
          if (status !== 200) failed += 1;
          else if (nowMs >= startMs && nowMs < endMs) latencies.push(nowMs - dueMs);
          resolve();
        },
        crowd && tokenOf(oneOf(crowd, Math.random())),
      );
    });
  }

  // One failure makes the window worthless: there is no point in going on.
  const isOver = (nowMs: number) => nowMs >= endMs || failed > 0;
  if (perSecond === undefined) await Promise.all(open.map((connection) => untilOver(isOver, (nowMs) => ask(connection, nowMs))));
  else await atRate({ perSecond, endMs, open, ask });
  const { user, system } = process.cpuUsage(cpu);
  for (const connection of open) connection.close();
  latencies.sort((a, b) => a - b);
  return {
    requests: all,
    failed,
    perSecond: (latencies.length / ms) * 1_000,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpuUsPerRequest: (user + system) / all,
  };
}

/** In callbacks, not in a loop of awaits: what it costs is taken from what is measured. */
function untilOver(isOver: (nowMs: number) => boolean, once: (nowMs: number) => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const next = () => {
      const nowMs = performance.now();
      if (isOver(nowMs)) resolve();
      else void once(nowMs).then(next);
    };
    next();
  });
}

interface Rate {
  perSecond: number;
  endMs: number;
  open: readonly Connection[];
  ask(connection: Connection, dueMs: number): Promise<void>;
}

/** A request that finds every connection busy waits, and its waiting counts: otherwise a slow server would be asked less. */
async function atRate({ perSecond, endMs, open, ask }: Rate): Promise<void> {
  const idle = [...open];
  const due: number[] = [];
  const allIdle = Promise.withResolvers<void>();
  let isOver = false;

  function pump(): void {
    for (let connection = idle.at(-1); connection && due.length > 0; connection = idle.at(-1)) {
      const free = connection;
      idle.pop();
      void ask(free, due.shift() ?? 0).then(() => {
        idle.push(free);
        pump();
      });
    }
    if (isOver && idle.length === open.length) allIdle.resolve();
  }

  for (let atMs = performance.now(); atMs < endMs; atMs += 1_000 / perSecond) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
    // The timer's own lateness is not the server's.
    due.push(performance.now());
    pump();
  }
  isOver = true;
  pump();
  await allIdle.promise;
}

const listeners = createListeners();

async function answer(call: LoadCall): Promise<unknown> {
  if ('window' in call) return run(call.window);
  if ('open' in call) return listeners.open(call.open);
  if ('listenMs' in call) return listeners.listen(call.listenMs);
  return listeners.leave();
}

serveParent({}, { answer: (call) => answer(call as LoadCall) });
