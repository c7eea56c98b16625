/**
 * Clients that leave: before the head, in the middle, exactly at the end. Each leaves one settled row, its upstream request ends with
 * it, and the program keeps nothing of it: no row open, no socket, no memory.
 */
import { Agent } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { ProviderId } from '@synthstack/core';
import { mb, ms, quantile } from '../bench/figures.ts';
import { type ReceivedRequest, startProvider } from '../test/provider.ts';
import { type BookedRequest, idOf, openBooks } from './books.ts';
import { ask, type Had, headersFor, isComplete, pathOf } from './client.ts';
import type { Person } from './people.ts';
import { createRandom, type Random } from './random.ts';
import { createReport, type Findings, machineIsBusy, type Rig } from './report.ts';
import type { Standing } from './server.ts';
import { type Stage, startStage } from './stage.ts';

const workers = 24;
const abortWithinMs = 250;
const keys = { openai: 'sk-proj-rig-own-4b1c9d2e', anthropic: 'sk-ant-rig-own-4b1c9d2e' };
const chunks = 30;
/** After a first third, which fills caches and pools, no more than this may stay: an answer that leaked would be 3 kB at least. */
const mayGrowBytes = 8 * 1_048_576;
/** Fewer leavers than these say nothing about memory, and times on a machine that is busy with tests say nothing at all. */
const enough = 5_000;
const warmUps = 200;

type Leaving = 'before the head' | 'in the middle' | 'at the end';

interface Leaver {
  tag: string;
  leaving: Leaving;
  had: Had;
  /** Whoever has seen no head knows no request id: they have a token of their own, which no other request used. */
  ownTokenId: string | null;
}

interface Upstream {
  seen: ReceivedRequest;
  /** From the client's leaving to the provider's hearing of it; null: its answer was sent wholly. */
  abortMs: number | null;
}

export const rig: Rig = {
  summary: 'clients that leave: one settled row each, upstream ends at once, nothing is kept',
  times: 10_000,
  unit: 'leavers',
  async run({ times, seed, say }) {
    const found = createReport();
    const watch = createWatch();
    await using provider = await startProvider({ record: false, onRequest: watch.onRequest });
    for (const key of Object.values(keys)) provider.key(key, 'good');
    const random = createRandom(seed);
    const plans = Array.from({ length: times }, () => planOf(random));
    const tokens = 1 + plans.filter(({ leaving }) => leaving === 'before the head').length;
    await using stage = await startStage({ ...provider, people: [{ tier: 'premium', keys, tokens }] });
    for (const key of Object.values(keys)) provider.key(key, { tokens: chunks * 2, chunks, chunkDelayMs: 5, firstByteDelayMs: 6 });
    const crowd: Crowd = { port: stage.port, watch, tokens: [...(stage.people[0]?.tokens ?? [])] };
    await warmUp(crowd);
    const all: Leaver[] = [];
    const standings: Standing[] = [];
    for (let third = 1; third <= 3; third += 1) {
      all.push(...(await leaveMany(crowd, plans.slice(all.length, Math.round((times * third) / 3)))));
      await quiet(stage, watch);
      standings.push(await stage.standing());
      say(`${all.length} leavers, ${mb(standings.at(-1)?.usedBytes ?? 0)} in use`);
    }
    const rows = audit(stage, all, { found, watch });
    auditEnd(found, { watch, standings, open: provider.openSockets(), times });
    tell(found, { all, rows, standings, watch });
    return found;
  },
};

// The provider's side

type Watch = ReturnType<typeof createWatch>;

/** Who is being answered, and when the provider heard that they had left. */
function createWatch() {
  const byTag = new Map<string, Upstream>();
  const leftAt = new Map<string, number>();
  const active = new Set<string>();

  return {
    active,
    byTag: byTag as ReadonlyMap<string, Upstream>,
    leaves: (tag: string): void => void leftAt.set(tag, performance.now()),
    onRequest(seen: ReceivedRequest): void {
      const tag = String(seen.headers['x-client-request-id']);
      if (!tag.startsWith('rig-')) return;
      const upstream: Upstream = { seen, abortMs: null };
      byTag.set(tag, upstream);
      active.add(tag);
      void seen.settled.then((how) => {
        active.delete(tag);
        const since = leftAt.get(tag);
        if (how === 'aborted' && since !== undefined) upstream.abortMs = performance.now() - since;
      });
    },
  };
}

/** Waits until the program says that nothing is under way. */
async function quiet(stage: Stage, watch: Watch): Promise<void> {
  for (let i = 0; i < 100; i += 1) {
    if (watch.active.size === 0 && (await stage.standing()).underWay === 0) return;
    await wait(50);
  }
}

// The clients

interface Crowd {
  port: number;
  watch: Watch;
  /** The first is everybody's, each other one is for one request. */
  tokens: Person['tokens'];
}

/** The first requests of a process are its compiler's. They stay to the end, and leave one row each. */
async function warmUp({ port, tokens }: Crowd): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const [token] = tokens;
  const one = (provider: ProviderId) =>
    ask({ port, path: pathOf[provider], headers: headersFor(provider, token?.secret ?? '', 'warm-up'), body: bodyOf(provider), agent })
      .over;
  for (let i = 0; i < warmUps; i += 20) await Promise.all(Array.from({ length: 20 }, (_, j) => one(j % 2 === 0 ? 'openai' : 'anthropic')));
  agent.destroy();
}

async function leaveMany(crowd: Crowd, plans: readonly LeavingPlan[]): Promise<Leaver[]> {
  const agent = new Agent({ keepAlive: true });
  const leavers: Leaver[] = [];
  const waiting = [...plans];
  const busy = Array.from({ length: workers }, async () => {
    for (let plan = waiting.pop(); plan; plan = waiting.pop()) leavers.push(await leaveOnce(crowd, plan, agent));
  });
  await Promise.all(busy);
  agent.destroy();
  return leavers;
}

interface LeavingPlan {
  leaving: Leaving;
  provider: ProviderId;
  /** So long after sending, or after so many events. */
  afterMs: number;
  afterEvents: number;
}

function planOf(random: Random): LeavingPlan {
  const part = random.next();
  return {
    leaving: part < 0.15 ? 'before the head' : part < 0.9 ? 'in the middle' : 'at the end',
    provider: random.pick(['openai', 'anthropic'] as const),
    afterMs: random.int(0, 9),
    afterEvents: random.int(1, chunks),
  };
}

let tags = 0;

async function leaveOnce({ port, watch, tokens }: Crowd, plan: LeavingPlan, agent: Agent): Promise<Leaver> {
  const { leaving, provider, afterEvents } = plan;
  const isEarly = leaving === 'before the head';
  const token = isEarly ? tokens.pop() : tokens[0];
  tags += 1;
  const tag = `rig-${tags}`;
  let seen: Buffer = Buffer.alloc(0);
  const asked = ask(
    { port, path: pathOf[provider], headers: headersFor(provider, token?.secret ?? '', tag), body: bodyOf(provider), agent },
    {
      data(chunk) {
        seen = Buffer.concat([seen, chunk]);
        if (leaving === 'at the end' ? isComplete(seen) : eventsIn(seen) >= afterEvents) leave();
      },
    },
  );
  function leave(): void {
    watch.leaves(tag);
    asked.leave();
  }
  if (isEarly) {
    await wait(plan.afterMs);
    leave();
  }
  return { tag, leaving, had: await asked.over, ownTokenId: isEarly ? (token?.id ?? '') : null };
}

function bodyOf(provider: ProviderId): string {
  const messages = [{ role: 'user', content: 'Tell me of the sea and its keys, please.' }];
  return JSON.stringify({
    ...(provider === 'openai' ? { model: 'gpt-4o-mini' } : { model: 'claude-haiku-4-5', max_tokens: 200 }),
    messages,
    stream: true,
  });
}

const eventsIn = (body: Buffer): number => body.toString('latin1').split('\n\n').length - 1;

// The audit

function audit(stage: Stage, all: readonly Leaver[], { found, watch }: { found: Findings; watch: Watch }): BookedRequest[] {
  using books = openBooks(stage.path);
  const rows = books.requests().slice(warmUps);
  const byId = Map.groupBy(rows, (row) => row.id);
  const byToken = Map.groupBy(rows, (row) => row.tokenId);
  let claimed = 0;
  const left: string[] = [];
  for (const leaver of all) {
    const { had, ownTokenId } = leaver;
    const mine = (ownTokenId === null ? byId.get(idOf(had.requestId ?? '')) : byToken.get(ownTokenId)) ?? [];
    claimed += mine.length;
    if (mine[0]?.errorCode === 'client_closed') left.push(leaver.tag);
    auditOne(leaver, mine, { found, upstream: watch.byTag.get(leaver.tag) });
  }
  // What a provider has just written to its end, it cannot take back; but that is rare, unless the machine is busy with tests.
  const goneOn = left.filter((tag) => watch.byTag.get(tag)?.seen.ended).length;
  const mayGoOn = left.length / (all.length < enough ? 2 : 20);
  found.promise(goneOn <= mayGoOn, `Of ${left.length} upstream requests whose client had left, ${goneOn} went on to their end.`);
  found.promise(claimed === rows.length, `There are ${rows.length} rows, and leavers for ${claimed}.`);
  for (const wrong of books.wrongSums()) found.promise(false, wrong);
  return rows;
}

interface Knowing {
  found: Findings;
  upstream: Upstream | undefined;
}

function auditOne({ tag, leaving, had, ownTokenId }: Leaver, rows: readonly BookedRequest[], { found, upstream }: Knowing): void {
  found.promise(ownTokenId !== null || had.status === 200, `${tag} was answered ${had.status}: ${had.body}`);
  // Who leaves before anything is sent upstream leaves nothing behind, and nobody can say when the last byte was sent.
  const isRight = upstream ? rows.length === 1 : rows.length <= 1;
  found.promise(isRight, `${tag}, who left ${leaving}, has ${rows.length} rows; upstream ${upstream ? 'was' : 'was not'} asked.`);
  const [row] = rows;
  if (!row) return;
  const truth = upstream?.seen.truth;
  const isWhole = row.state === 'done' && row.estimated === 0 && row.errorCode === null && row.totalTokens === truth?.totalTokens;
  const isLeft =
    row.state === 'failed' &&
    row.estimated === 1 &&
    row.errorCode === 'client_closed' &&
    row.inputTokens !== null &&
    row.outputTokens !== null;
  // Whoever leaves in the middle may do so when the end has passed the program already.
  const fits = had.complete ? isWhole : isLeft || (isWhole && upstream?.seen.ended === true);
  found.promise(
    fits,
    `${tag} left ${leaving}, with ${had.complete ? 'all' : 'a part'} of its answer (${JSON.stringify(truth)}): ${JSON.stringify(row)}`,
  );
}

interface End {
  watch: Watch;
  standings: readonly Standing[];
  /** Sockets that the provider sees. */
  open: number;
  times: number;
}

function auditEnd(found: Findings, { watch, standings, open, times }: End): void {
  const [first, last] = [standings[0], standings.at(-1)];
  if (!first || !last) throw new Error('There was no first third.');
  found.promise(watch.active.size === 0, `${watch.active.size} answers are still being given upstream.`);
  found.promise(last.underWay === 0, `${last.underWay} requests are still under way.`);
  found.promise(open === last.upstreamSockets, `The provider sees ${open} sockets, the program knows ${last.upstreamSockets}.`);
  found.promise(open <= workers, `${open} sockets are open for ${workers} clients at a time.`);
  const aborts = abortsMs(watch);
  // While others hold the processor, the slowest of thousands say what they do, not what we do.
  const judgedMs = machineIsBusy() ? quantile(aborts, 0.99) : (aborts.at(-1) ?? 0);
  found.promise(
    times < enough || judgedMs <= abortWithinMs,
    `An upstream request went on for ${ms(judgedMs)} ms after its client had left; ${abortWithinMs} are allowed.`,
  );
  const grownBytes = last.usedBytes - first.usedBytes;
  found.promise(times < enough || grownBytes <= mayGrowBytes, `Memory in use grew by ${mb(grownBytes)} from the first third to the last.`);
}

/** From each leaving to the provider's hearing of it. */
const abortsMs = (watch: Watch): number[] => [...watch.byTag.values()].flatMap(({ abortMs }) => abortMs ?? []).toSorted((a, b) => a - b);

interface Told {
  all: readonly Leaver[];
  rows: readonly BookedRequest[];
  standings: readonly Standing[];
  watch: Watch;
}

function tell(found: Findings, { all, rows, standings, watch }: Told): void {
  const aborts = abortsMs(watch);
  const unasked = all.filter(({ tag }) => !watch.byTag.has(tag));
  const ofUnasked = new Set(unasked.map(({ ownTokenId }) => ownTokenId));
  for (const leaving of ['before the head', 'in the middle', 'at the end'] as const)
    found.figure(`left ${leaving}`, all.filter((one) => one.leaving === leaving).length);
  found.figure('left before the provider was reached', unasked.length);
  found.figure('  of these with a row all the same', rows.filter((row) => ofUnasked.has(row.tokenId)).length);
  found.figure(
    'rows: estimated, whole',
    `${rows.filter((row) => row.estimated === 1).length}, ${rows.filter((row) => row.state === 'done').length}`,
  );
  found.figure('upstream aborted', aborts.length);
  found.figure(
    'leaving to abort upstream, p50, p99, most',
    `${[quantile(aborts, 0.5), quantile(aborts, 0.99), aborts.at(-1) ?? 0].map(ms).join(', ')} ms`,
  );
  found.figure('in use after each third', standings.map(({ usedBytes }) => mb(usedBytes)).join(', '));
  found.figure('RSS after each third', standings.map(({ rssBytes }) => mb(rssBytes)).join(', '));
  found.figure('sockets kept alive upstream at the end', standings.at(-1)?.upstreamSockets ?? 0);
}
