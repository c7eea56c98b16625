/**
 * Servers that take turns under the same load, in short windows: a machine that slows down slows all of them, and what is compared was
 * measured within the same few seconds.
 */
import type { Child } from './child.ts';
import type { Target } from './client.ts';
import type { Measured, Window } from './load.ts';
import type { Crowd } from './people.ts';
import { bodyOf, headersFor, path, type Shape } from './shapes.ts';
import type { Stage } from './stage.ts';

export interface Peer {
  name: string;
  process: Child<{ port: number }>;
  /** What its requests carry: a gateway token or the provider key. */
  credential: string;
  headers?: Record<string, string>;
  crowd?: Crowd;
}

export interface Turn extends Measured {
  /** The server's own, all threads, in microseconds a request. */
  serverCpuUs: number;
  /** How much of their core, or of the busier one of their cores, load and upstream took. */
  othersBusy: number;
}

export type Round<P extends Peer = Peer> = ReadonlyMap<P, Turn>;

export async function takeTurns<P extends Peer>(
  rounds: number,
  peers: readonly P[],
  take: (peer: P) => Promise<Turn>,
): Promise<Round<P>[]> {
  const all: Round<P>[] = [];
  for (let i = 0; i < rounds; i += 1) {
    const round = new Map<P, Turn>();
    for (const peer of peers) round.set(peer, await take(peer));
    all.push(round);
  }
  return all;
}

/** One window. @throws if a request failed: what is measured then is not the work */
export async function turn(stage: Stage, peer: Peer, shape: Shape, how: Partial<Window> = {}): Promise<Turn> {
  const { connections, ms, warmUpMs } = stage.plan;
  const { crowd } = peer;
  const window: Window = { target: targetOf(peer, shape), ...(crowd && { crowd }), connections, ms, warmUpMs, ...how };
  const [before, upstreamBefore] = [await peer.process.used(), await stage.upstream.used()];
  const startMs = performance.now();
  const measured = await stage.load.call<Measured>({ window });
  const wallUs = (performance.now() - startMs) * 1_000;
  const [after, upstreamAfter] = [await peer.process.used(), await stage.upstream.used()];
  if (measured.failed > 0) throw new Error(`${peer.name} failed ${measured.failed} of ${measured.requests} requests.`);
  const others = [measured.cpuUsPerRequest * measured.requests, upstreamAfter.cpuUs - upstreamBefore.cpuUs];
  return {
    ...measured,
    serverCpuUs: (after.cpuUs - before.cpuUs) / measured.requests,
    othersBusy: (stage.cores.load === stage.cores.upstream ? sum(others) : Math.max(...others)) / wallUs,
  };
}

export function targetOf({ process, credential, headers }: Peer, shape: Shape): Target {
  const { port } = process.ready;
  return { port, method: 'POST', path, headers: { ...headersFor(credential), ...headers }, body: bodyOf(shape) };
}

export function at<P extends Peer>(round: Round<P>, peer: P): Turn {
  const found = round.get(peer);
  if (!found) throw new Error(`${peer.name} has had no turn.`);
  return found;
}

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
