/** Where the CPU of a request goes, here and in the bare pass-through, side by side. */
import { type Child, startChild } from './child.ts';
import { newSecrets } from './config.ts';
import { table } from './figures.ts';
import type { GatewayArgs } from './gateway.ts';
import type { Measured } from './load.ts';
import type { Profiled } from './profiled.ts';
import { providerKey, type Shape, shapes } from './shapes.ts';
import { type Stage, say } from './stage.ts';
import { type Peer, targetOf, turn } from './turns.ts';

type Costs = Map<string, number>;

export async function measureProfile(stage: Stage): Promise<void> {
  const upstreamPort = stage.upstream.ready.port;
  await using bare = await startChild<{ port: number }>('bare.ts', stage.cores.server, { upstreamPort });
  const args: GatewayArgs = { upstreamPort, folder: stage.folder(), secrets: newSecrets(), seeded: false };
  await using gateway = await startChild<{ port: number; token: string }>('gateway.ts', stage.cores.server, args);
  for (const shape of [shapes.plain, shapes.sse50]) {
    const yardstick = await costsOf(stage, { name: '(b)', process: bare, credential: providerKey }, shape, bare);
    const own = await costsOf(stage, { name: '(d)', process: gateway, credential: gateway.ready.token }, shape, gateway);
    say(
      `\n${shape.name}: CPU of a request by who is at work, in us. The profiler itself takes part, so the sums are higher than without it`,
    );
    const cell = (costs: Costs, name: string) => (costs.get(name) ?? 0).toFixed(1);
    const names = [...new Set([...own.keys(), ...yardstick.keys()])].sort((a, b) => (own.get(b) ?? 0) - (own.get(a) ?? 0));
    say(table([['', '(b)', '(d)'], ...names.map((name) => [name, cell(yardstick, name), cell(own, name)])]));
  }
}

async function costsOf(stage: Stage, peer: Peer, shape: Shape, server: Child<unknown>): Promise<Costs> {
  const { firstMs, ms } = stage.plan;
  await turn(stage, peer, shape, { ms: firstMs });
  const windowMs = 2 * ms;
  const window = { target: targetOf(peer, shape), connections: stage.plan.connections, ms: windowMs, warmUpMs: 0 };
  const [measured, { mainUs, othersUs, parts }] = await Promise.all([
    stage.load.call<Measured>({ window }),
    server.call<Profiled>({ profileMs: windowMs }),
  ]);
  const perRequest = mainUs / measured.requests;
  const costs: Costs = new Map(Object.entries(parts).map(([name, part]) => [name, part * perRequest]));
  costs.set("other threads: the writer, the collector's helpers", othersUs / measured.requests);
  costs.set('all', perRequest + othersUs / measured.requests);
  return costs;
}
