/**
 * What the gateway costs beside a bare pass-through, in one run on one machine: `npx --yes pnpm@12.21.0 bench`, with `--quick` or
 * `--connections N`. The server under test has a core of its own; load and upstream share another. Peers take turns in short windows,
 * so that a machine that slows down slows all of them, and the ratio is taken in each round: the median of these counts.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Child, startChild } from './child.ts';
import type { Target } from './client.ts';
import { measureDisk } from './disk.ts';
import { mb, median, ms, ratio, table, whole } from './figures.ts';
import type { Measured, Window } from './load.ts';
import { bodyOf, path, providerKey, type Shape, shapes } from './shapes.ts';

/** A server under test. The letters are those of docs/performance.md: (a) is the upstream itself, (c) another gateway. */
interface Peer {
  name: string;
  process: Child<{ port: number; token?: string }>;
}

interface Turn extends Measured {
  /** The server's own, all threads. */
  serverCpuUs: number;
}

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, connections: { type: 'string', default: '64' } },
});
/** The first seconds of a server are its compiler's: they are not counted. */
const plan = flags.quick ? { rounds: 3, ms: 700, firstMs: 2_000 } : { rounds: 8, ms: 2_000, firstMs: 8_000 };
const connections = Number(flags.connections);
const warmUpMs = 300;
const cores = availableParallelism() > 1 ? { server: 0, others: 1 } : { server: null, others: null };
const say = (line = '') => void process.stdout.write(`${line}\n`);

const cache = join(import.meta.dirname, '../../../node_modules/.cache');
mkdirSync(cache, { recursive: true });
// Not the folder for temporary files: that may be memory.
const folder = mkdtempSync(join(cache, 'bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const disk = measureDisk(folder);
say(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.versions.node}, load average ${loadavg()[0]?.toFixed(2)}`);
say(`fdatasync of 4 kB: p50 ${ms(disk.p50Ms)} ms, p99 ${ms(disk.p99Ms)} ms`);
if ((loadavg()[0] ?? 0) > 0.5) say('Other programs are at work on this machine: only the CPU per request is worth reading.');

await using upstream = await startChild<{ port: number }>('upstream.ts', cores.others);
await using load = await startChild('load.ts', cores.others);
const upstreamPort = upstream.ready.port;
await using bare = await startChild<{ port: number }>('bare.ts', cores.server, { upstreamPort });
await using gateway = await startChild<{ port: number; token: string }>('gateway.ts', cores.server, { upstreamPort, folder });
const direct: Peer = { name: '(a) the upstream itself', process: upstream };
const yardstick: Peer = { name: '(b) bare pass-through', process: bare };
const own: Peer = { name: '(d) this gateway', process: gateway };
const peers = [yardstick, own];

let asked = 0;
for (const shape of Object.values(shapes)) await throughput(shape);
await latency('one client alone', { connections: 1 });
await latency('200 requests a second', { connections: 16, perSecond: 200 });
await counted();

/** As many requests as each will take. */
async function throughput(shape: Shape): Promise<void> {
  say(`\n${shape.name}, ${connections} connections, ${plan.rounds} rounds of ${plan.ms / 1_000} s each`);
  for (const peer of peers) await turn(peer, shape, { ms: plan.firstMs });
  const limit = await turn(direct, shape);
  const turns = await takeTurns(peers, (peer) => turn(peer, shape));
  const ratios = (peer: Peer) => turns.map((round) => at(round, peer).perSecond / at(round, yardstick).perSecond);
  const rows = await Promise.all(
    peers.map(async (peer) => {
      const mine = turns.map((round) => at(round, peer));
      const of = (pick: (one: Turn) => number) => median(mine.map(pick));
      const figures = [whole(of((one) => one.perSecond)), ms(of((one) => one.p50Ms)), ms(of((one) => one.p99Ms))];
      const { rssBytes } = await peer.process.used();
      return [peer.name, ...figures, whole(of((one) => one.serverCpuUs / one.requests)), mb(rssBytes), ratio(median(ratios(peer)))];
    }),
  );
  const { rssBytes } = await upstream.used();
  const limitRow = [
    direct.name,
    whole(limit.perSecond),
    ms(limit.p50Ms),
    ms(limit.p99Ms),
    whole(limit.serverCpuUs / limit.requests),
    mb(rssBytes),
    '',
  ];
  say(table([['', 'req/s', 'p50 ms', 'p99 ms', 'CPU us/req', 'RSS', 'to (b)'], limitRow, ...rows]));
  const spread = ratios(own).toSorted((x, y) => x - y);
  say(`  d/b ${ratio(median(spread))}, from ${ratio(spread[0] ?? Number.NaN)} to ${ratio(spread.at(-1) ?? Number.NaN)}`);
  say(`  The load itself takes ${whole(limit.cpuUsPerRequest)} us of CPU a request.`);
  const fastest = Math.max(...turns.flatMap((round) => [...round.values()]).map((one) => one.perSecond));
  if (limit.perSecond < fastest * 1.2)
    say('  Load and upstream are close to their own limit: the fastest peer may be faster than this shows.');
}

/** What is added to the upstream's own answer time, where nobody has to wait for anybody. */
async function latency(name: string, how: Pick<Window, 'connections' | 'perSecond'>): Promise<void> {
  say(`\nAdded latency, ${shapes.plain.name}, ${name}`);
  const all = [direct, ...peers];
  const turns = await takeTurns(all, (peer) => turn(peer, shapes.plain, how));
  const rows = all.map((peer) => {
    const of = (pick: (one: Turn) => number) => median(turns.map((round) => pick(at(round, peer))));
    const added = (pick: (one: Turn) => number) => median(turns.map((round) => pick(at(round, peer)) - pick(at(round, direct))));
    const [p50, p99] = [(one: Turn) => one.p50Ms, (one: Turn) => one.p99Ms];
    return [peer.name, ms(of(p50)), ms(of(p99)), ...(peer === direct ? ['', ''] : [ms(added(p50)), ms(added(p99))])];
  });
  say(table([['', 'p50 ms', 'p99 ms', 'added p50', 'added p99'], ...rows]));
}

/** The figures are worth nothing if the work was not done: every answer has its row. */
async function counted(): Promise<void> {
  const { all, done } = await gateway.call<{ all: number; done: number }>('rows');
  say(`\n${whole(asked)} requests were sent to (d); ${whole(all)} are on disk, ${whole(done)} of them done.`);
  if (all !== asked || done !== asked) {
    say('These must be equal.');
    process.exitCode = 1;
  }
}

type Round = ReadonlyMap<Peer, Turn>;

async function takeTurns(who: readonly Peer[], take: (peer: Peer) => Promise<Turn>): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let i = 0; i < plan.rounds; i += 1) {
    const round = new Map<Peer, Turn>();
    for (const peer of who) round.set(peer, await take(peer));
    rounds.push(round);
  }
  return rounds;
}

async function turn(peer: Peer, shape: Shape, how: Partial<Window> = {}): Promise<Turn> {
  const { port, token = providerKey } = peer.process.ready;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const target: Target = { port, method: 'POST', path, headers, body: bodyOf(shape) };
  const window: Window = { target, connections, ms: plan.ms, warmUpMs, ...how };
  const before = await peer.process.used();
  const measured = await load.call<Measured>(window);
  const after = await peer.process.used();
  if (measured.failed > 0) throw new Error(`${peer.name} failed ${measured.failed} of ${measured.requests} requests.`);
  if (peer.process === gateway) asked += measured.requests;
  return { ...measured, serverCpuUs: after.cpuUs - before.cpuUs };
}

function at(round: Round, peer: Peer): Turn {
  const found = round.get(peer);
  if (!found) throw new Error(`${peer.name} has had no turn.`);
  return found;
}
