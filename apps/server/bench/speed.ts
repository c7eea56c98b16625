/** What this gateway costs beside a bare pass-through and beside another gateway. */
import { type Child, startChild } from './child.ts';
import { newSecrets } from './config.ts';
import { mb, median, ms, percent, ratio, spread, table, whole } from './figures.ts';
import type { GatewayArgs } from './gateway.ts';
import { checkRows } from './grown.ts';
import type { Window } from './load.ts';
import type { PortkeyReady } from './portkey.ts';
import { providerKey, type Shape, shapes } from './shapes.ts';
import { type Stage, say } from './stage.ts';
import { at, type Peer, type Round, type Turn, takeTurns, turn } from './turns.ts';

/** The letters are those of docs/performance.md. */
interface Field {
  stage: Stage;
  /** (a) */
  direct: Peer;
  /** (b) */
  yardstick: Peer;
  /** (c), unless it cannot be had */
  other: Peer | null;
  /** (d) */
  own: Peer;
}

export async function measureSpeed(stage: Stage): Promise<void> {
  const upstreamPort = stage.upstream.ready.port;
  await using bare = await startChild<{ port: number }>('bare.ts', stage.cores.server, { upstreamPort });
  const args: GatewayArgs = { upstreamPort, folder: stage.folder(), secrets: newSecrets(), seeded: false };
  await using gateway = await startChild<{ port: number; token: string }>('gateway.ts', stage.cores.server, args);
  await using portkey = await startChild<PortkeyReady>('portkey.ts', stage.cores.server, { folder: stage.folder() });
  const field: Field = {
    stage,
    direct: { name: '(a) the upstream itself', process: stage.upstream, credential: providerKey },
    yardstick: { name: '(b) bare pass-through', process: bare, credential: providerKey },
    other: await otherGateway(stage, portkey),
    own: { name: '(d) this gateway', process: gateway, credential: gateway.ready.token },
  };
  let asked = 0;
  const take = async (peer: Peer, shape: Shape, how: Partial<Window> = {}) => {
    const taken = await turn(stage, peer, shape, how);
    if (peer === field.own) asked += taken.requests;
    return taken;
  };
  for (const shape of Object.values(shapes)) await throughput(field, shape, take);
  await latency(field, 'one client alone', { connections: 1 }, take);
  await latency(field, '200 requests a second', { connections: 16, perSecond: 200 }, take);
  await checkRows(stage, { ...field.own, process: gateway, asked });
}

type Take = (peer: Peer, shape: Shape, how?: Partial<Window>) => Promise<Turn>;

/** (c), or a sentence on why it is left out. */
async function otherGateway(stage: Stage, { ready, ...rest }: Child<PortkeyReady>): Promise<Peer | null> {
  if ('why' in ready) {
    say(`\n(c) @portkey-ai/gateway is left out: ${ready.why}.`);
    return null;
  }
  const headers = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `http://127.0.0.1:${stage.upstream.ready.port}/v1` };
  const peer: Peer = { name: '(c) @portkey-ai/gateway', process: { ...rest, ready }, credential: providerKey, headers };
  try {
    await turn(stage, peer, shapes.plain, { connections: 1, ms: 100 });
    return peer;
  } catch (error) {
    say(`\n(c) @portkey-ai/gateway is left out: ${error instanceof Error ? error.message : error}`);
    return null;
  }
}

const contenders = ({ yardstick, other, own }: Field): Peer[] => [yardstick, ...(other ? [other] : []), own];

/** As many requests as each will take. */
async function throughput(field: Field, shape: Shape, take: Take): Promise<void> {
  const { stage, direct } = field;
  const { plan } = stage;
  say(`\n${shape.name}, ${plan.connections} connections, ${plan.rounds} rounds of ${plan.ms / 1_000} s each`);
  const peers = contenders(field);
  for (const peer of peers) await take(peer, shape, { ms: plan.firstMs });
  const limit = await take(direct, shape);
  const turns = await takeTurns(plan.rounds, peers, (peer) => take(peer, shape));
  const head = ['', 'req/s', 'p50 ms', 'p99 ms', 'CPU us/req', 'RSS', 'to (b)', 'CPU to (b)', 'the others'];
  const rows = peers.map((peer) => rowOf(field, turns, peer));
  say(table([head, await limitRow(field, limit), ...(await Promise.all(rows))]));
  sayRatios(field, turns);
  sayLimit(limit, turns);
}

async function rowOf({ yardstick }: Field, turns: readonly Round[], peer: Peer): Promise<string[]> {
  const of = (pick: (one: Turn) => number) => median(turns.map((round) => pick(at(round, peer))));
  const against = (pick: (one: Turn) => number) => median(turns.map((round) => pick(at(round, peer)) / pick(at(round, yardstick))));
  const [speed, cpu] = [(one: Turn) => one.perSecond, (one: Turn) => one.serverCpuUs];
  const { rssBytes } = await peer.process.used();
  return [
    ...[peer.name, whole(of(speed)), ms(of((one) => one.p50Ms)), ms(of((one) => one.p99Ms)), whole(of(cpu)), mb(rssBytes)],
    ...[ratio(against(speed)), ratio(against(cpu)), percent(of((one) => one.othersBusy))],
  ];
}

async function limitRow({ direct }: Field, limit: Turn): Promise<string[]> {
  const { rssBytes } = await direct.process.used();
  const { perSecond, p50Ms, p99Ms, serverCpuUs, othersBusy } = limit;
  return [direct.name, whole(perSecond), ms(p50Ms), ms(p99Ms), whole(serverCpuUs), mb(rssBytes), '', '', percent(othersBusy)];
}

function sayRatios({ yardstick, other, own }: Field, turns: readonly Round[]): void {
  const speeds = (to: Peer) => turns.map((round) => at(round, own).perSecond / at(round, to).perSecond);
  say(`  d/b ${spread(speeds(yardstick))}${other ? `, d/c ${spread(speeds(other))}` : ''}`);
}

function sayLimit(limit: Turn, turns: readonly Round[]): void {
  say(`  The load itself takes ${whole(limit.cpuUsPerRequest)} us of CPU a request.`);
  const fastest = Math.max(...turns.flatMap((round) => [...round.values()]).map((one) => one.perSecond));
  if (limit.perSecond > fastest * 1.2) return;
  say('  Load and upstream are close to their own limit: the fastest may be faster than this shows. "CPU to (b)" does not depend on it.');
}

/** What is added to the upstream's own answer time, where nobody has to wait for anybody. */
async function latency(field: Field, name: string, how: Partial<Window>, take: Take): Promise<void> {
  const { stage, direct } = field;
  say(`\nAdded latency, ${shapes.plain.name}, ${name}`);
  const all = [direct, ...contenders(field)];
  const turns = await takeTurns(stage.plan.rounds, all, (peer) => take(peer, shapes.plain, how));
  const rows = all.map((peer) => {
    const of = (pick: (one: Turn) => number) => median(turns.map((round) => pick(at(round, peer))));
    const added = (pick: (one: Turn) => number) => median(turns.map((round) => pick(at(round, peer)) - pick(at(round, direct))));
    const [p50, p99] = [(one: Turn) => one.p50Ms, (one: Turn) => one.p99Ms];
    return [peer.name, ms(of(p50)), ms(of(p99)), ...(peer === direct ? ['', ''] : [ms(added(p50)), ms(added(p99))])];
  });
  say(table([['', 'p50 ms', 'p99 ms', 'added p50', 'added p99'], ...rows]));
}
