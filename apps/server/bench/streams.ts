/** Streams that are open at the same time, a chunk a second on each: the memory that each takes, and how long a chunk is on its way. */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { ms, percent, table, whole } from './figures.ts';
import { checkRows, type Grown, grow } from './grown.ts';
import type { Heard, Left } from './listeners.ts';
import type { Measured } from './load.ts';
import type { Crowd } from './people.ts';
import { providerKey, shapes, slowShape } from './shapes.ts';
import { type Stage, say } from './stage.ts';
import { type Peer, targetOf, turn } from './turns.ts';

/** So many that nobody meets the limit of a user's requests at a time. */
const users = 100;
const crowd: Crowd = { users, active: users };
const slowDisk = { streams: 200, perSecond: 100, commitDelayMs: 20 };

export async function measureStreams(stage: Stage): Promise<void> {
  say('\nOpen streams, a chunk a second on each; a chunk is timed from where the upstream writes it to where the load reads it');
  const head = ['', 'RSS', 'kB a stream', 'CPU us/chunk', 'core', 'chunk p50 ms', 'p99 ms', 'upstream itself p50', 'p99'];
  const rows: string[][] = [];
  for (const streams of stage.plan.streams) {
    if (openFilesAllowed() < streams * 2 + 500)
      say(`  ${whole(streams)} streams are left out: this system allows ${openFilesAllowed()} open files.`);
    else rows.push(await rowOf(stage, streams));
  }
  say(table([head, ...rows]));
}

async function rowOf(stage: Stage, streams: number): Promise<string[]> {
  const direct: Peer = { name: 'the upstream itself', process: stage.upstream, credential: providerKey };
  const unloaded = await during(stage, direct, streams, () => listen(stage));
  await using gateway = await warmGateway(stage, `${whole(streams)} streams`, 0);
  const idle = await gateway.process.used();
  const { heard, cpuUs, rssBytes } = await during(stage, gateway, streams, async () => {
    const before = await gateway.process.used();
    const chunks = await listen(stage);
    const after = await gateway.process.used();
    return { heard: chunks, cpuUs: after.cpuUs - before.cpuUs, rssBytes: Math.max(before.rssBytes, after.rssBytes) };
  });
  gateway.asked += streams;
  await checkRows(stage, gateway);
  return [
    ...[gateway.name, `${whole(rssBytes / 1_048_576)} MB`, whole((rssBytes - idle.rssBytes) / 1_024 / streams)],
    ...[whole(cpuUs / heard.chunks), percent(cpuUs / 1_000 / stage.plan.listenMs), ms(heard.p50Ms), ms(heard.p99Ms)],
    ...[ms(unloaded.p50Ms), ms(unloaded.p99Ms)],
  ];
}

/** What an fsync of 20 ms does to a chunk that passes while others are being recorded. */
export async function measureSlowDisk(stage: Stage): Promise<void> {
  const { streams, perSecond, commitDelayMs } = slowDisk;
  say(`\nA slow disk: ${streams} open streams, and ${perSecond} requests a second beside them that are recorded meanwhile`);
  const rows: string[][] = [];
  for (const delayMs of [0, commitDelayMs]) {
    await using gateway = await warmGateway(stage, `${delayMs} ms added to each commit`, delayMs);
    const [heard, beside] = await during(stage, gateway, streams, () => Promise.all([listen(stage), requestsBeside(stage, gateway)]));
    gateway.asked += streams + beside.requests;
    await checkRows(stage, gateway);
    rows.push([gateway.name, ms(heard.p50Ms), ms(heard.p99Ms), ms(beside.p50Ms), ms(beside.p99Ms)]);
  }
  say(table([['', 'chunk p50 ms', 'p99 ms', 'request p50 ms', 'p99 ms'], ...rows]));
}

/** A fresh process, so that nothing is left of an earlier load, that has served for some seconds. */
async function warmGateway(stage: Stage, name: string, commitDelayMs: number): Promise<Grown> {
  const gateway = { ...(await grow(stage, { name, users, rows: 0, commitDelayMs })), crowd };
  const { requests } = await turn(stage, gateway, shapes.sse50, { connections: 16, perSecond: 100, ms: stage.plan.firstMs / 2 });
  gateway.asked += requests;
  await wait(stage.plan.settleMs);
  return gateway;
}

/** Opens streams, and ends them after the work. @throws if one of them did not come to its end */
async function during<T>(stage: Stage, peer: Peer, streams: number, work: () => Promise<T>): Promise<T> {
  const asking = peer.crowd && { crowd: peer.crowd };
  const open = { target: targetOf(peer, slowShape), ...asking, streams, overMs: Math.max(1_000, streams * 2) };
  await stage.load.call({ open });
  await wait(stage.plan.settleMs);
  const result = await work();
  await stage.upstream.call('finish');
  const { broken } = await stage.load.call<Left>({ leave: true });
  if (broken > 0) throw new Error(`${peer.name}: ${broken} of ${streams} streams broke off.`);
  return result;
}

const listen = (stage: Stage): Promise<Heard> => stage.load.call<Heard>({ listenMs: stage.plan.listenMs });

/** Exactly as long as the streams are listened to. */
function requestsBeside(stage: Stage, gateway: Peer): Promise<Measured> {
  const { perSecond } = slowDisk;
  const window = { target: targetOf(gateway, shapes.plain), crowd, connections: 64, perSecond };
  return stage.load.call<Measured>({ window: { ...window, ms: stage.plan.listenMs, warmUpMs: 0 } });
}

/** Node has raised the soft limit to the hard one; servers inherit it. Where it cannot be read, it is tried. */
function openFilesAllowed(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
