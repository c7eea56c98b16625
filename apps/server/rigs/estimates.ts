/**
 * How far the estimated usage of a cut stream is from what the provider would bill. First, streams that stand still when their client
 * leaves, so that all that was sent was read: there the truth is exact. Then streams that go on while their client leaves: what the
 * provider has written until it hears of it nobody here can know, and that error is told apart.
 */
import { Agent } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { median, quantile, table } from '../bench/figures.ts';
import { type BookedRequest, idOf, openBooks } from './books.ts';
import { ask, headersFor } from './client.ts';
import { type Dialogue, dialogueOf, isMeasured } from './dialogues.ts';
import { beginStream, type Play, startPlayback } from './playback.ts';
import { createRandom } from './random.ts';
import { createReport, type Findings, type Rig } from './report.ts';
import { type Stage, startStage } from './stage.ts';
import { textKinds } from './texts.ts';

const workers = 32;
/** Real models write 50 to 200 tokens a second. */
const eventEveryMs = 10;
const keys = { openai: 'sk-proj-rig-own-4b1c9d2e', anthropic: 'sk-ant-rig-own-4b1c9d2e' };
const goal = { median: 0.02, p99: 0.1 };
/** Beyond so many streams, one in ten is cut while it goes on. */
const oneGoingOnIn = 10;

interface Cut {
  tag: string;
  seed: number;
  /** Where its client leaves, from 0 to 1 of the answer; and so many events that is. */
  part: number;
  events: number;
  standsStill: boolean;
  requestId: string;
  /** What the provider had sent when it heard of it. */
  sentTokens: number;
  hadTokens: number;
}

/** What is kept of a dialogue, whose texts are large. */
type Kept = Pick<Dialogue, 'provider' | 'group' | 'kind' | 'inputTokens'>;
interface Estimated extends Cut, Kept {
  row: BookedRequest;
}

export const rig: Rig = {
  summary: `estimates of cut streams: OpenAI's total within ${goal.median * 100} % at the median, ${goal.p99 * 100} % at p99`,
  times: 10_000,
  unit: 'cut streams that stand still, and a tenth as many that go on',
  async run({ times, seed, say }) {
    const found = createReport();
    const cuts = new Map<string, Cut>();
    await using provider = await startPlayback(player(cuts));
    await using stage = await startStage({ ...provider, people: [{ tier: 'premium', keys }] });
    const still = plan({ count: times, seed, standsStill: true });
    const goingOn = plan({ count: Math.ceil(times / oneGoingOnIn), seed: seed + 1, standsStill: false });
    const kept = new Map<string, Kept>();
    for (const group of [still, goingOn]) {
      for (let at = 0; at < group.length; at += 1_000) {
        await leaveAll({ stage, cuts, kept }, group.slice(at, at + 1_000));
        say(`${Math.min(at + 1_000, group.length)} streams ${group === still ? 'that stood still' : 'that went on'}`);
      }
    }
    await settled(stage, still.length + goingOn.length);
    const rows = rowsOf(stage);
    const estimated = [...still, ...goingOn].flatMap((cut) => {
      const [row, dialogue] = [rows.get(idOf(cut.requestId)), kept.get(cut.tag)];
      const isEstimated = row?.estimated === 1 && row.errorCode === 'client_closed' && row.totalTokens !== null;
      found.promise(isEstimated, `The row of seed ${cut.seed} is no estimate: ${JSON.stringify(row)}`);
      return row && dialogue && isEstimated ? [{ ...cut, ...dialogue, row }] : [];
    });
    tellStill(
      found,
      estimated.filter(({ standsStill }) => standsStill),
    );
    tellGoingOn(
      found,
      estimated.filter(({ standsStill }) => !standsStill),
    );
    return found;
  },
};

function plan({ count, seed, standsStill }: { count: number; seed: number; standsStill: boolean }): Cut[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, i) => ({
    tag: `${standsStill ? 'still' : 'on'}-${i}`,
    seed: random.int(1, 2 ** 31),
    part: random.next(),
    events: 0,
    standsStill,
    requestId: '',
    sentTokens: 0,
    hadTokens: 0,
  }));
}

// Provider and clients

/** Dialogues that are under way. */
const underWay = new Map<string, Dialogue>();

function player(cuts: ReadonlyMap<string, Cut>): Play {
  return async (tag, res) => {
    const [cut, dialogue] = [cuts.get(tag), underWay.get(tag)];
    if (!cut || !dialogue) throw new Error(`Nobody knows ${tag}.`);
    let sent = 0;
    res.once('close', () => {
      cut.sentTokens = dialogue.events[sent - 1]?.tokens ?? 0;
    });
    beginStream(res);
    if (cut.standsStill) {
      sent = cut.events;
      res.write(
        dialogue.events
          .slice(0, sent)
          .map(({ text }) => text)
          .join(''),
      );
      return;
    }
    for (const { text } of dialogue.events) {
      if (res.destroyed) return;
      res.write(text);
      sent += 1;
      await wait(eventEveryMs);
    }
  };
}

interface Scene {
  stage: Stage;
  cuts: Map<string, Cut>;
  kept: Map<string, Kept>;
}

async function leaveAll(scene: Scene, group: readonly Cut[]): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const waiting = [...group];
  const busy = Array.from({ length: workers }, async () => {
    for (let cut = waiting.pop(); cut; cut = waiting.pop()) await leaveOne(scene, cut, agent);
  });
  await Promise.all(busy);
  agent.destroy();
}

async function leaveOne({ stage, cuts, kept }: Scene, cut: Cut, agent: Agent): Promise<void> {
  const dialogue = dialogueOf(cut.seed);
  const { provider, path, json, group, kind, inputTokens } = dialogue;
  // Not the last event: that one might end it. Streams that go on are cut early, for the sake of the clock.
  const last = Math.min(dialogue.events.length - 1, cut.standsStill ? Number.POSITIVE_INFINITY : 60);
  const first = dialogue.events.findIndex(({ tokens }) => tokens > 0) + 1;
  cut.events = Math.max(first, Math.ceil(cut.part * last));
  cuts.set(cut.tag, cut);
  kept.set(cut.tag, { provider, group, kind, inputTokens });
  underWay.set(cut.tag, dialogue);
  let seen = '';
  const token = stage.people[0]?.tokens[0]?.secret ?? '';
  const asked = ask(
    { port: stage.port, path, headers: headersFor(provider, token, cut.tag), body: JSON.stringify(json), agent },
    {
      data(chunk) {
        seen += chunk.toString('latin1');
        const had = seen.split('\n\n').length - 1;
        if (had < cut.events) return;
        cut.hadTokens = dialogue.events[had - 1]?.tokens ?? 0;
        asked.leave();
      },
    },
  );
  cut.requestId = (await asked.over).requestId ?? '';
  // The provider hears of it a moment later, and needs the dialogue until then.
  setTimeout(() => underWay.delete(cut.tag), 5_000).unref();
}

async function settled(stage: Stage, count: number): Promise<void> {
  for (let i = 0; i < 200; i += 1) {
    const rows = [...rowsOf(stage).values()];
    if (rows.length >= count && rows.every((row) => row.state !== 'open')) return;
    await wait(50);
  }
}

function rowsOf(stage: Stage): Map<number, BookedRequest> {
  using books = openBooks(stage.path);
  return new Map(books.requests().map((row) => [row.id, row]));
}

// What it tells

const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
const isOpenai = ({ provider }: Estimated): boolean => provider === 'openai';

/** Against the truth: of input, output and both, the error at the median and p99, its worst, and to which side it leans. */
function errorRow(
  name: string,
  all: readonly Estimated[],
  truthOf: (one: Estimated) => number,
  estimateOf: (one: Estimated) => number,
): string[] {
  const errors = all.map((one) => (estimateOf(one) - truthOf(one)) / Math.max(1, truthOf(one)));
  const sizes = errors.map(Math.abs).toSorted((a, b) => a - b);
  const worst = all[errors.findIndex((error) => Math.abs(error) === sizes.at(-1))];
  return [
    name,
    String(all.length),
    percent(median(sizes)),
    percent(quantile(sizes, 0.99)),
    percent(sizes.at(-1) ?? 0),
    percent(errors.reduce((a, b) => a + b, 0) / errors.length),
    String(worst?.seed),
  ];
}

const headline = ['', 'streams', 'median', 'p99', 'worst', 'mean, signed', 'seed of the worst'];
const input = ({ row }: Estimated): number => Number(row.inputTokens);
const output = ({ row }: Estimated): number => Number(row.outputTokens);
const total = ({ row }: Estimated): number => Number(row.totalTokens);

function tellStill(found: Findings, all: readonly Estimated[]): void {
  const trueTotal = ({ inputTokens, sentTokens }: Estimated) => inputTokens + sentTokens;
  const rows = [...Map.groupBy(all, ({ group }) => group)]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .flatMap(([group, some]) => [
      errorRow(`${group}: total`, some, trueTotal, total),
      errorRow('  input', some, ({ inputTokens }) => inputTokens, input),
      errorRow('  output', some, ({ sentTokens }) => sentTokens, output),
    ]);
  const openai = all.filter(isOpenai);
  const summary = errorRow('OpenAI: total', openai, trueTotal, total);
  found.section(`Streams that stand still when they are cut, against what was sent\n${table([headline, ...rows, summary])}`);
  const byKind = textKinds.filter(isMeasured).flatMap((kind) => {
    const some = all.filter((one) => one.kind === kind && !isOpenai(one));
    return some.length === 0 ? [] : [errorRow(kind, some, ({ sentTokens }) => sentTokens, output)];
  });
  found.section(
    `\nAnthropic's output, against a stand-in for the tokenizer that it does not publish, where one was measured\n${table([headline, ...byKind])}`,
  );
  const sizes = openai.map((one) => Math.abs(total(one) - trueTotal(one)) / trueTotal(one)).toSorted((a, b) => a - b);
  const [p50, p99] = [median(sizes), quantile(sizes, 0.99)];
  found.promise(
    p50 <= goal.median && p99 <= goal.p99,
    `OpenAI's estimates are ${percent(p50)} off at the median and ${percent(p99)} at p99.`,
  );
}

function tellGoingOn(found: Findings, all: readonly Estimated[]): void {
  const rows = (['openai', 'anthropic'] as const).flatMap((provider) => {
    const some = all.filter((one) => one.provider === provider);
    return some.length === 0
      ? []
      : [
          errorRow(`${provider}: against all that was sent`, some, ({ inputTokens, sentTokens }) => inputTokens + sentTokens, total),
          errorRow('  against what the client had', some, ({ inputTokens, hadTokens }) => inputTokens + hadTokens, total),
        ];
  });
  found.section(`\nStreams that go on while they are cut, an event every ${eventEveryMs} ms\n${table([headline, ...rows])}`);
}
