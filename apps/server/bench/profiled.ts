/** Inside a server of the benchmark: where its event loop's time goes, by the kind of code that is at work. */
import { Session } from 'node:inspector/promises';
import { setTimeout as wait } from 'node:timers/promises';

export interface Profiled {
  /** CPU of the thread that serves, in microseconds, and of all others (the writer, the garbage collector's helpers). */
  mainUs: number;
  othersUs: number;
  /** By group, as parts of the main thread's time. */
  parts: Record<string, number>;
}

/** The first that fits a file's address counts. */
const groups: readonly [RegExp, string][] = [
  [/\/undici\//, 'undici: to the provider and back'],
  [/\/apps\/server\/src\/relay\//, 'ours: choosing, delivering (relay/)'],
  [/\/apps\/server\/src\/(gateway|http|body|json-weight|target|callers|generation|tokens)/, 'ours: framing, who calls (gateway, callers)'],
  [/\/apps\/server\/src\/providers\//, 'ours: reading answers (providers/)'],
  [/\/apps\/server\/src\/(meter|metrics|boot)|\/packages\/core\/src\/(db|money)/, 'ours: recording (meter, db)'],
  [/\/apps\/server\/src\/(vault|ports)|\/packages\/core\/src\//, 'ours: keys, sockets, the rest'],
  [/\/pino\/|\/sonic-boom\//, 'pino: the log line'],
  [/crypto/, 'crypto'],
  [/worker|message_?port/, 'handing batches to the writer'],
  [/^node:/, 'Node: http, streams, sockets'],
];

interface Node {
  id: number;
  callFrame: { functionName: string; url: string };
  children?: number[];
}

export async function profile(ms: number): Promise<Profiled> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 200 });
  const before = { main: process.threadCpuUsage(), all: process.cpuUsage() };
  await session.post('Profiler.start');
  await wait(ms);
  const main = process.threadCpuUsage(before.main);
  const all = process.cpuUsage(before.all);
  const { profile: taken } = await session.post('Profiler.stop');
  session.disconnect();
  const mainUs = main.user + main.system;
  return { mainUs, othersUs: all.user + all.system - mainUs, parts: partsOf(taken) };
}

function partsOf({ nodes, samples = [], timeDeltas = [] }: { nodes: Node[]; samples?: number[]; timeDeltas?: number[] }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)));
  const times: Record<string, number> = {};
  let busy = 0;
  samples.forEach((id, i) => {
    const group = groupOf(id, byId, parents);
    if (group === null) return;
    const time = timeDeltas[i] ?? 0;
    times[group] = (times[group] ?? 0) + time;
    busy += time;
  });
  return Object.fromEntries(Object.entries(times).map(([group, time]) => [group, time / busy]));
}

/** What runs inside of Node and V8 counts for whoever called it. null: nothing runs. */
function groupOf(id: number, byId: ReadonlyMap<number, Node>, parents: ReadonlyMap<number, number>): string | null {
  const { functionName } = byId.get(id)?.callFrame ?? { functionName: '(idle)' };
  if (functionName === '(idle)') return null;
  if (functionName === '(garbage collector)') return 'garbage collection';
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
    const url = byId.get(at)?.callFrame.url ?? '';
    if (url !== '' && !url.startsWith('wasm:')) return groups.find(([pattern]) => pattern.test(url))?.[1] ?? 'other';
  }
  return 'V8 and the system, without a caller';
}
