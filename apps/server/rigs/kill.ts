/**
 * `kill -9` under load: the real program as a process, on one data folder that lives through all kills. What clients have seen is held
 * against what is on disk after each start: a complete answer has its settled row with the right counts, an answer that began has its
 * row, what the dead process left open is settled, and sums and limits are what the rows say.
 */
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { tiers } from '@synthstack/core';
import { quantile } from '../bench/figures.ts';
import { freePort, freshSecrets, type Place, place, type Running } from '../test/process.ts';
import { type ScriptedProvider, startProvider, type Truth } from '../test/provider.ts';
import { type BookedRequest, idOf, openBooks } from './books.ts';
import { ask, type Had, headersFor, pathOf } from './client.ts';
import { makePeople, type Person } from './people.ts';
import { createRandom, type Random } from './random.ts';
import { createReport, type Findings, type Rig } from './report.ts';

const slots = 32;
const minuteMs = 60_000;
const dayMs = 86_400_000;
const ownKeys = { openai: 'sk-proj-rig-own-4b1c9d2e', anthropic: 'sk-ant-rig-own-4b1c9d2e' };
const revokedKey = 'sk-proj-rig-revoked-4b1c9d2e';
const platformKeys = { openai: 'sk-proj-rig-platform-77aa01', anthropic: 'sk-ant-rig-platform-77aa01' };

/** A request as its client knows it. */
interface Sent {
  tag: string;
  person: Person;
  had: Had;
}

interface Stage {
  place: Place;
  provider: ScriptedProvider;
  port: number;
  people: Person[];
  random: Random;
  found: Findings;
  /** By tag: what the answer cost, as the provider knows it. */
  truths: Map<string, Truth>;
  /** When the provider was asked on its platform key, by user. */
  platformCalls: Map<string, { tag: string; at: number }[]>;
  startsMs: number[];
}

export const rig: Rig = {
  summary: 'kill -9 under load: each answer has its row, each row its right counts, sums and limits hold',
  times: 100,
  unit: 'kills',
  async run({ times, seed, say }) {
    const found = createReport();
    await using provider = await startProvider();
    const port = await freePort();
    await using folder = await place(environment(provider, port));
    const stage: Stage = {
      ...{ place: folder, provider, port, random: createRandom(seed), found, startsMs: [] },
      people: await seedPeople(folder, provider),
      truths: new Map(),
      platformCalls: new Map(),
    };
    const all: Sent[] = [];
    let atStart = 0;
    for (let kill = 1; kill <= times; kill += 1) {
      // Now and then it is killed before it is up.
      if (kill % 8 === 5) {
        await killAtStart(stage);
        atStart += 1;
      } else {
        const running = await start(stage);
        await audit(stage, all);
        all.push(...(await loadAndKill(stage, running)));
      }
      if (kill % 10 === 0) say(`${kill} kills, ${all.length} requests, ${found.broken.length} broken`);
    }
    const last = await start(stage);
    const rows = await audit(stage, all);
    const { code } = await last.stop('SIGTERM');
    found.promise(code === 0, `After the last kill, SIGTERM ended it with ${code}, not 0.`);
    tell(stage, all, rows, { times, atStart });
    return found;
  },
};

// The stage

function environment(provider: ScriptedProvider, port: number): Record<string, string> {
  return {
    ...freshSecrets(),
    PORT: String(port),
    PUBLIC_URL: 'http://byok.rig',
    OPENAI_BASE_URL: provider.openaiUrl,
    ANTHROPIC_BASE_URL: provider.anthropicUrl,
    PLATFORM_OPENAI_API_KEY: platformKeys.openai,
    PLATFORM_ANTHROPIC_API_KEY: platformKeys.anthropic,
    LOG_LEVEL: 'error',
    LOG_FORMAT: 'json',
  };
}

async function seedPeople({ folder, env }: Place, provider: ScriptedProvider): Promise<Person[]> {
  for (const key of [...Object.values(ownKeys), ...Object.values(platformKeys), revokedKey]) provider.key(key, 'good');
  const people = await makePeople({ ...env, DATA_DIR: join(folder, 'data') }, [
    ...Array.from({ length: 3 }, () => ({ tier: 'premium' as const, keys: ownKeys })),
    { tier: 'premium', keys: { openai: revokedKey } },
    ...Array.from({ length: 2 }, () => ({ tier: 'premium' as const })),
    ...Array.from({ length: 3 }, () => ({ tier: 'community' as const })),
  ]);
  const streaming = { tokens: 40, chunks: 16, chunkDelayMs: 3, firstByteDelayMs: 5 };
  for (const key of [...Object.values(ownKeys), ...Object.values(platformKeys)]) provider.key(key, streaming);
  provider.key(revokedKey, 'revoked');
  return people;
}

const isUp = /SynthStack BYOK \S+ is at /;

async function start(stage: Stage): Promise<Running> {
  const startedAt = performance.now();
  const running = stage.place.start(['serve']);
  await running.says(isUp);
  stage.startsMs.push(performance.now() - startedAt);
  return running;
}

async function killAtStart({ place: at, random }: Stage): Promise<void> {
  const running = at.start(['serve']);
  await wait(random.int(20, 700));
  await running.stop('SIGKILL');
}

// The load

async function loadAndKill(stage: Stage, running: Running): Promise<Sent[]> {
  const agent = new Agent({ keepAlive: true });
  const sent: Sent[] = [];
  let isOver = false;
  const busy = Array.from({ length: slots }, async () => {
    while (!isOver) {
      const one = await sendOne(stage, agent);
      sent.push(one);
      if (one.had.status === 429) await wait(20);
    }
  });
  await wait(stage.random.int(60, 900));
  isOver = true;
  await running.stop('SIGKILL');
  await Promise.all(busy);
  agent.destroy();
  harvest(stage, sent);
  return sent;
}

let tags = 0;

async function sendOne({ random, people, port }: Stage, agent: Agent): Promise<Sent> {
  const person = random.pick(people);
  const provider = random.pick(['openai', 'anthropic'] as const);
  const stream = random.chance(0.6);
  tags += 1;
  const tag = `rig-${tags}`;
  const body = JSON.stringify({
    model: provider === 'openai' ? 'gpt-4o-mini' : 'claude-haiku-4-5',
    max_tokens: random.int(1, 40),
    messages: [{ role: 'user', content: 'word '.repeat(random.int(1, 200)) }],
    ...(stream && { stream }),
    ...(stream && provider === 'openai' && random.chance(0.5) && { stream_options: { include_usage: true } }),
  });
  const headers = headersFor(provider, person.tokens[0]?.secret ?? '', tag);
  return { tag, person, had: await ask({ port, path: pathOf[provider], headers, body, agent }).over };
}

/** What the provider knows, by tag; then it forgets. */
function harvest({ provider, truths, platformCalls }: Stage, sent: readonly Sent[]): void {
  const byTag = new Map(sent.map((one) => [one.tag, one]));
  for (const { headers, truth, key, at } of provider.requests) {
    const tag = String(headers['x-client-request-id']);
    const person = byTag.get(tag)?.person;
    if (!person) continue;
    if (truth) truths.set(tag, truth);
    if (!isPlatformKey(key)) continue;
    const calls = platformCalls.get(person.id) ?? [];
    calls.push({ tag, at });
    platformCalls.set(person.id, calls);
  }
  provider.requests.length = 0;
}

const isPlatformKey = (key: string | undefined): boolean => Object.values(platformKeys).some((one) => one === key);

// The audit

/** After a start and before new load: what clients and provider know against what is on disk. */
async function audit(stage: Stage, sent: readonly Sent[]): Promise<BookedRequest[]> {
  const { found } = stage;
  using books = openBooks(join(stage.place.folder, 'data', 'byok.db'));
  const rows = books.requests();
  const byId = new Map(rows.map((row) => [row.id, row]));
  found.promise(byId.size === rows.length, 'An id stands twice in the table of requests.');
  for (const row of rows) found.promise(row.state !== 'open', `Row ${row.id} is still open after a start.`);
  for (const one of sent) auditOne(stage, one, byId);
  auditUnclaimed(stage, sent, rows);
  for (const wrong of books.wrongSums()) found.promise(false, wrong);
  auditWindows(stage, rows);
  for (const person of stage.people) await auditPlaces(stage, person, books);
  return rows;
}

const isBegun = ({ had }: Sent): boolean => had.status !== null && had.status < 300;

function auditOne(stage: Stage, sent: Sent, byId: ReadonlyMap<number, BookedRequest>): void {
  const { had, tag, person } = sent;
  const { found } = stage;
  if (!isBegun(sent)) {
    found.promise(had.status === null || had.status === 429, `${tag} was answered ${had.status}: ${had.body}`);
    return;
  }
  const row = byId.get(idOf(had.requestId ?? ''));
  found.promise(row !== undefined, `${tag} (${had.requestId}) began and has no row.`);
  if (!row) return;
  found.promise(row.userId === person.id && row.source === had.source, `${tag} has another's row: ${JSON.stringify(row)}`);
  found.promise(row.source === 'user' || row.slotAt !== null, `${tag} was answered on the platform's key without a place.`);
  const truth = stage.truths.get(tag);
  const isRight =
    row.state === 'done' &&
    row.estimated === 0 &&
    row.inputTokens === truth?.inputTokens &&
    row.outputTokens === truth.outputTokens &&
    row.totalTokens === truth.totalTokens;
  const isCut = row.state === 'failed' && row.errorCode === 'server_stopped';
  found.promise(isRight || isCut, `${tag} is neither answered nor cut by the kill: ${JSON.stringify(row)}`);
  found.promise(!had.complete || isRight, `${tag} was answered whole (${JSON.stringify(truth)}), and its row says ${JSON.stringify(row)}`);
}

/** A row that no client can name belongs to one whose connection broke before it had a head, and there are no more such rows than those. */
function auditUnclaimed({ found, people }: Stage, sent: readonly Sent[], rows: readonly BookedRequest[]): void {
  const claimed = new Set(sent.filter(isBegun).map(({ had }) => idOf(had.requestId ?? '')));
  for (const { id } of people) {
    const unclaimed = rows.filter((row) => row.userId === id && !claimed.has(row.id)).length;
    const lost = sent.filter(({ person, had }) => person.id === id && had.status === null).length;
    found.promise(unclaimed <= lost, `User ${id} has ${unclaimed} rows that no answer names, and lost only ${lost} requests.`);
  }
}

function auditWindows({ found, people }: Stage, rows: readonly BookedRequest[]): void {
  for (const { id, tier } of people) {
    const most = mostInAMinute(rows.filter((row) => row.userId === id && row.slotAt !== null).map((row) => Number(row.slotAt)));
    const limit = tiers[tier].requestsPerMinute;
    found.promise(most <= limit, `User ${id} (${tier}) took ${most} places in 60 s, of ${limit}.`);
  }
}

/** The most moments within any 60 seconds. */
export function mostInAMinute(moments: readonly number[]): number {
  const sorted = moments.toSorted((a, b) => a - b);
  let most = 0;
  for (let first = 0, end = 0; end < sorted.length; end += 1) {
    while ((sorted[end] ?? 0) - (sorted[first] ?? 0) >= minuteMs) first += 1;
    most = Math.max(most, end - first + 1);
  }
  return most;
}

/** What the program says of a person's places is what the rows say. Places leave with time, so the rows are asked for before and after. */
async function auditPlaces({ found, port }: Stage, person: Person, books: ReturnType<typeof openBooks>): Promise<void> {
  const beforeMs = Date.now();
  const res = await fetch(`http://127.0.0.1:${port}/api/v1/limits`, { headers: { authorization: `Bearer ${person.tokens[0]?.secret}` } });
  const view = (await res.json()) as { minute: { used: number }; day: { used: number } };
  const afterMs = Date.now();
  const [most, least] = [books.places(person.id, beforeMs - minuteMs - 1), books.places(person.id, afterMs - minuteMs)];
  const { used } = view.minute;
  found.promise(
    used >= least && used <= most,
    `User ${person.id}: ${used} places of the minute are taken, ${least} to ${most} by the rows.`,
  );
  const dayStart = (ms: number) => Math.floor(ms / dayMs) * dayMs;
  const ofDay = books.places(person.id, dayStart(beforeMs) - 1);
  const isSameDay = dayStart(beforeMs) === dayStart(afterMs);
  found.promise(
    !isSameDay || view.day.used === ofDay,
    `User ${person.id}: ${view.day.used} places of the day are taken, ${ofDay} by the rows.`,
  );
}

// What it tells

function tell(
  stage: Stage,
  all: readonly Sent[],
  rows: readonly BookedRequest[],
  { times, atStart }: { times: number; atStart: number },
): void {
  const { found, people, platformCalls, startsMs } = stage;
  const begun = all.filter(isBegun);
  const complete = begun.filter(({ had }) => had.complete);
  const recorded = new Set(begun.map(({ tag }) => tag));
  const most = (tier: Person['tier'], of: (person: Person) => number) => Math.max(...people.filter((one) => one.tier === tier).map(of));
  const bySlots = ({ id }: Person) =>
    mostInAMinute(rows.filter((row) => row.userId === id && row.slotAt !== null).map((row) => Number(row.slotAt)));
  const byCalls = ({ id }: Person) => mostInAMinute((platformCalls.get(id) ?? []).map(({ at }) => at));
  const sorted = startsMs.toSorted((a, b) => a - b);
  found.figure('kills under load, while starting', `${times - atStart}, ${atStart}`);
  found.figure('requests sent', all.length);
  found.figure('begun: 2xx head seen, with its id', begun.length);
  found.figure('of these complete: end seen', complete.length);
  found.figure('of these cut by the kill', begun.length - complete.length);
  found.figure('refused by the limits (429)', all.filter(({ had }) => had.status === 429).length);
  found.figure('lost: connection broken before a head', all.filter(({ had }) => had.status === null).length);
  found.figure('rows', rows.length);
  found.figure('rows settled at a start (server_stopped)', rows.filter((row) => row.errorCode === 'server_stopped').length);
  found.figure('places taken', rows.filter((row) => row.slotAt !== null).length);
  for (const tier of ['community', 'premium'] as const) {
    found.figure(`most places in 60 s, ${tier} (${tiers[tier].requestsPerMinute})`, most(tier, bySlots));
    found.figure(`most platform calls seen upstream in 60 s, ${tier}`, most(tier, byCalls));
  }
  found.figure(
    'platform calls upstream whose client saw no head',
    [...platformCalls.values()].flat().filter(({ tag }) => !recorded.has(tag)).length,
  );
  found.figure('start to first line, p50 and most', `${Math.round(quantile(sorted, 0.5))} ms, ${Math.round(sorted.at(-1) ?? 0)} ms`);
}
