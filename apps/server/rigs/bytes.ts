/**
 * Streams cut in two at every byte, and byte by byte: what goes out is what came in, but for the one event that our own asking for
 * usage has brought; the usage is right; who closes at the end has had all; and what broke off raises an error in both official SDKs.
 */
import { hash } from 'node:crypto';
import { Agent } from 'node:http';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { providerOf } from '../src/providers/catalog.ts';
import { createTap } from '../src/relay/tap.ts';
import { type BookedRequest, idOf, openBooks } from './books.ts';
import { ask, headersFor, isComplete, type Question } from './client.ts';
import { beginStream, type Play, startPlayback } from './playback.ts';
import { createRandom, type Random } from './random.ts';
import { bytesOf, type Recording, recordings, wantedOf } from './recordings.ts';
import { createReport, type Findings, type Rig } from './report.ts';
import { type Stage, startStage } from './stage.ts';

const workers = 24;
const keys = { openai: 'sk-proj-rig-own-4b1c9d2e', anthropic: 'sk-ant-rig-own-4b1c9d2e' };
const sha256 = (bytes: Buffer): string => hash('sha256', bytes);

/** How an answer is played: cut at a byte, byte by byte, or broken off there, by a clean end or by a reset. */
type Way = 'cut' | 'drip' | 'end' | 'reset';

interface Case {
  recording: Recording;
  at: number;
  way: Way;
}

interface Scene {
  stage: Stage;
  found: Findings;
  random: Random;
  cases: Map<string, Case>;
  /** Of all cuts, how many are played over sockets, from 0 to 1; of the broken streams ten times as many, there being few. */
  part: number;
  say(line: string): void;
}

export const rig: Rig = {
  summary: 'streams cut at every byte: bytes out are bytes in, usage is right, broken streams raise errors in both SDKs',
  times: 100,
  unit: '% of all cases over sockets (in memory: always all)',
  async run({ times, seed, say }) {
    const found = createReport();
    const all = await recordings();
    found.figure('recordings', all.length);
    inMemory(all, found);
    say('in memory: done');
    const cases = new Map<string, Case>();
    await using provider = await startPlayback(player(cases));
    await using stage = await startStage({ ...provider, people: [{ tier: 'premium', keys }] });
    const scene: Scene = { stage, found, random: createRandom(seed), cases, part: Math.min(times, 100) / 100, say };
    await overSockets(scene, all);
    say('over sockets: done');
    await closedAtTheEnd(scene, all);
    await throughSdks(
      scene,
      all.filter(({ forSdk }) => forSdk),
    );
    return found;
  },
};

// In memory: each position

function inMemory(all: readonly Recording[], found: Findings): void {
  let cuts = 0;
  for (const recording of all) {
    const bytes = bytesOf(recording);
    const wanted = sha256(wantedOf(recording));
    for (let at = 0; at <= bytes.length; at += 1)
      passTap(recording, [bytes.subarray(0, at), bytes.subarray(at)], { found, wanted, how: `cut at ${at}` });
    const drips = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    passTap(recording, drips, { found, wanted, how: 'byte by byte' });
    cuts += bytes.length + 2;
  }
  found.figure('streams cut in memory', cuts);
}

interface Passing {
  found: Findings;
  wanted: string;
  how: string;
}

function passTap(recording: Recording, pieces: readonly Buffer[], { found, wanted, how }: Passing): void {
  const reader = providerOf(recording.provider)
    .routes.find(({ path }) => path === recording.path)
    ?.usage?.stream();
  if (!reader) throw new Error(`${recording.path} has no streams.`);
  const tap = createTap({ reader, dropUsageEvent: recording.dropped !== null });
  const passed: Buffer[] = [];
  for (const piece of pieces) {
    const { forward, held } = tap.push(piece);
    if (forward) passed.push(forward);
    if (held) passed.push(held);
  }
  const { usage: truth } = recording;
  const usage = reader.usage();
  const isRight = usage?.tokens.input === truth?.input && usage?.tokens.output === truth?.output && usage?.total === truth?.total;
  const isSame = tap.finished && sha256(Buffer.concat(passed)) === wanted;
  found.promise(isSame, `${recording.name}, ${how}, in memory: not the bytes that came in.`);
  found.promise(isRight, `${recording.name}, ${how}, in memory: the usage is ${JSON.stringify(usage)}.`);
}

// The provider

function player(cases: ReadonlyMap<string, Case>): Play {
  return async (tag, res) => {
    const one = cases.get(tag);
    if (!one) throw new Error(`Nobody knows ${tag}.`);
    const { recording, at, way } = one;
    const bytes = bytesOf(recording);
    beginStream(res);
    if (way === 'drip') {
      for (let i = 0; i < bytes.length && !res.destroyed; i += 1) {
        res.write(bytes.subarray(i, i + 1));
        await turn();
      }
    } else {
      res.flushHeaders();
      if (at > 0) res.write(bytes.subarray(0, at));
      // What is written in another turn of a socket without delay is a piece of its own, unless the reader is busy.
      await wait(2);
    }
    if (way === 'reset') res.socket?.resetAndDestroy();
    else res.end(way === 'cut' ? bytes.subarray(at) : undefined);
  };
}

let tags = 0;
function tagFor({ cases }: Scene, one: Case): string {
  tags += 1;
  cases.set(`rig-${tags}`, one);
  return `rig-${tags}`;
}

async function inParallel<T>(work: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...work];
  const busy = Array.from({ length: workers }, async () => {
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) await act(one);
  });
  await Promise.all(busy);
}

// Over sockets

async function overSockets(scene: Scene, all: readonly Recording[]): Promise<void> {
  const { stage, found, random, part, say } = scene;
  const positions = (recording: Recording) =>
    Array.from({ length: bytesOf(recording).length + 1 }, (_, at): Case => ({ recording, at, way: 'cut' }));
  const cuts = all.flatMap(positions).filter(() => random.chance(part));
  const drips = all.filter(({ events }) => events.length < 12 || part === 1).map((recording): Case => ({ recording, at: 0, way: 'drip' }));
  const work = [...cuts, ...drips];
  const byId = new Map<number, Case>();
  const agent = new Agent({ keepAlive: true });
  await inParallel(work, async (one) => {
    const { recording, at, way } = one;
    if (byId.size > 0 && byId.size % 10_000 === 0) say(`over sockets: ${byId.size} of ${work.length}`);
    const had = await ask({ ...questionOf(scene, one), agent }).over;
    byId.set(idOf(had.requestId ?? ''), one);
    const isSame = had.status === 200 && had.ended && sha256(had.body) === sha256(wantedOf(recording));
    found.promise(isSame, `${recording.name}, ${way} at ${at}: ${had.status}, not the bytes that came in.`);
  });
  agent.destroy();
  found.figure('streams cut in two over sockets', cuts.length);
  found.figure('streams byte by byte over sockets', drips.length);
  const rows = rowsOf(stage);
  found.promise(byId.size === work.length, `${work.length} streams have ${byId.size} ids.`);
  for (const [id, { recording, at, way }] of byId)
    found.promise(hasUsage(rows.get(id), recording), `${recording.name}, ${way} at ${at}: its row says ${JSON.stringify(rows.get(id))}.`);
}

function questionOf(scene: Scene, one: Case): Question {
  const { provider, path, json } = one.recording;
  const token = scene.stage.people[0]?.tokens[0]?.secret ?? '';
  return { port: scene.stage.port, path, headers: headersFor(provider, token, tagFor(scene, one)), body: JSON.stringify(json) };
}

function rowsOf(stage: Stage): Map<number, BookedRequest> {
  using books = openBooks(stage.path);
  return new Map(books.requests().map((row) => [row.id, row]));
}

function hasUsage(row: BookedRequest | undefined, { usage }: Recording): boolean {
  if (row?.state !== 'done' || row.estimated !== 0 || row.errorCode !== null) return false;
  return row.inputTokens === usage?.input && row.outputTokens === usage.output && row.totalTokens === usage.total;
}

// Who closes at the end

async function closedAtTheEnd(scene: Scene, all: readonly Recording[]): Promise<void> {
  const { stage, found } = scene;
  const ids = new Map<number, Recording>();
  await inParallel(all, async (recording) => {
    const one: Case = { recording, at: Math.floor(bytesOf(recording).length / 2), way: 'cut' };
    let seen: Buffer = Buffer.alloc(0);
    const asked = ask(questionOf(scene, one), {
      data(chunk) {
        seen = Buffer.concat([seen, chunk]);
        if (isComplete(seen)) asked.leave();
      },
    });
    const had = await asked.over;
    ids.set(idOf(had.requestId ?? ''), recording);
  });
  // Its row was settled before the end went out: there is nothing to wait for.
  const rows = rowsOf(stage);
  for (const [id, recording] of ids)
    found.promise(hasUsage(rows.get(id), recording), `${recording.name}, closed at its end: its row says ${JSON.stringify(rows.get(id))}.`);
  found.figure('streams closed by their client at the end', ids.size);
}

// The official SDKs

async function throughSdks(scene: Scene, all: readonly Recording[]): Promise<void> {
  const { found, random, part } = scene;
  const broken = all.flatMap((recording) => breaksOf(recording)).filter(() => random.chance(part * 10));
  const whole = all.map((recording): Case => ({ recording, at: bytesOf(recording).length, way: 'end' }));
  let raised = 0;
  await inParallel(broken, async (one) => {
    const error = await readBySdk(scene, one);
    if (error) raised += 1;
    found.promise(error !== null, `${one.recording.name}, broken off (${one.way}) after ${one.at} bytes: the SDK raised no error.`);
  });
  await inParallel(whole, async (one) => {
    const error = await readBySdk(scene, one);
    found.promise(error === null, `${one.recording.name}, whole: the SDK raised ${String(error)}.`);
  });
  found.figure('broken streams, errors in the SDK', `${broken.length}, ${raised}`);
  found.figure('whole streams without an error in the SDK', whole.length);
}

/** After each event but the last ones, and in the middle of each. */
function breaksOf(recording: Recording): Case[] {
  const cases: Case[] = [];
  let at = 0;
  for (const event of recording.events) {
    if (isComplete(event)) break;
    for (const way of ['end', 'reset'] as const)
      cases.push({ recording, at, way }, { recording, at: at + Math.ceil(event.length / 2), way });
    at += event.length;
  }
  for (const way of ['end', 'reset'] as const) cases.push({ recording, at, way });
  return cases;
}

/** @returns what it raised, or null */
async function readBySdk(scene: Scene, one: Case): Promise<unknown> {
  const { stage } = scene;
  const apiKey = stage.people[0]?.tokens[0]?.secret ?? '';
  const { path, json, provider } = one.recording;
  const quiet = { apiKey, maxRetries: 0, logLevel: 'off' as const, defaultHeaders: { 'x-client-request-id': tagFor(scene, one) } };
  const url = `http://127.0.0.1:${stage.port}`;
  try {
    const stream =
      provider === 'anthropic'
        ? await new Anthropic({ ...quiet, baseURL: url }).messages.create(json as never)
        : await openaiStream(new OpenAI({ ...quiet, baseURL: `${url}/v1` }), path, json);
    for await (const _ of stream as unknown as AsyncIterable<unknown>);
    return null;
  } catch (error) {
    return error;
  }
}

function openaiStream(client: OpenAI, path: string, json: Recording['json']): Promise<unknown> {
  if (path === '/v1/completions') return client.completions.create(json as never);
  return path === '/v1/responses' ? client.responses.create(json as never) : client.chat.completions.create(json as never);
}
