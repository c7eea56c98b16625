/**
 * What a slow disk does to streams: the time from the provider's writing of a chunk to the client's reading of it, with and without
 * 20 ms more for every commit, in turns. Provider and client are this process and share its clock; the program is another.
 */
import { Agent } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { median, ms, quantile, table } from '../bench/figures.ts';
import { openBooks } from './books.ts';
import { ask, headersFor, pathOf } from './client.ts';
import type { Person } from './people.ts';
import { beginStream, type Play, startPlayback } from './playback.ts';
import { createRandom, type Random } from './random.ts';
import { createReport, type Findings, type Rig } from './report.ts';
import { stageFolder, startServerProcess } from './stage.ts';

const commitDelayMs = 20;
const streams = 100;
const chunkEveryMs = 20;
/** Fewer streams than a full run's say whether it works, not how fast. */
const enough = 300;
const mayTakeMs = 5;
const ownKey = 'sk-proj-rig-own-4b1c9d2e';

export const rig: Rig = {
  summary: 'a disk whose commits take 20 ms more delays no chunk: under 5 ms from provider to client at the median',
  times: 400,
  unit: `streams in each of four turns, ${streams} at a time`,
  async run({ times, seed, say }) {
    const found = createReport();
    const random = createRandom(seed);
    await using provider = await startPlayback(stamping(random));
    await using folder = await stageFolder({ ...provider, people: [{ tier: 'premium', keys: { openai: ownKey } }] });
    const [person] = folder.people;
    if (!person) throw new Error('There is nobody to ask.');
    const turns: (Measured & { delayMs: number })[] = [];
    const isFull = times >= enough;
    for (const delayMs of isFull ? [0, commitDelayMs, 0, commitDelayMs] : [0, commitDelayMs]) {
      await using child = await startServerProcess({ env: folder.env, ...(delayMs > 0 && { commitDelayMs: delayMs }) });
      const turn = { port: child.ready.port, person, random };
      // The first streams of a process are its compiler's.
      if (isFull) await takeTurn(turn, streams);
      turns.push({ delayMs, ...(await takeTurn(turn, times)) });
      say(`a turn with ${delayMs} ms more for each commit`);
    }
    using books = openBooks(folder.path);
    const unsettled = books.requests().filter((row) => row.state !== 'done' || row.totalTokens !== 29);
    found.promise(unsettled.length === 0, `${unsettled.length} streams have no settled row.`);
    audit(found, turns, times);
    return found;
  },
};

/** Each chunk says when it was written. */
export function stamping(random: Random): Play {
  const chunk = (content: string) =>
    `data: {"id":"x","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`;
  const usage =
    'data: {"id":"x","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":20,"total_tokens":29}}\n\n';
  return async (_tag, res) => {
    beginStream(res);
    for (let left = random.int(20, 60); left > 0 && !res.destroyed; left -= 1) {
      res.write(chunk(`@${performance.now()}@`));
      await wait(chunkEveryMs);
    }
    res.end(`${usage}data: [DONE]\n\n`);
  };
}

interface Turn {
  port: number;
  person: Person;
  random: Random;
}

interface Measured {
  /** The way of each chunk of a stream that is under way: written after its client had seen the first. In ms, in rising order. */
  underWay: number[];
  /** And of those before, which wait until their request is on disk. */
  waiting: number[];
  /** From each question to the end of its answer. */
  whole: number[];
}

async function takeTurn({ port, person, random }: Turn, count: number): Promise<Measured> {
  const agent = new Agent({ keepAlive: true });
  const underWay: number[] = [];
  const waiting: number[] = [];
  const whole: number[] = [];
  const headers = headersFor('openai', person.tokens[0]?.secret ?? '', 'slow-disk');
  const body = JSON.stringify({ model: 'gpt-4o-mini', stream: true, messages: [{ role: 'user', content: 'Hello' }] });
  let left = count;
  const busy = Array.from({ length: Math.min(streams, count) }, async () => {
    // They begin and end at all times, so that there is always a commit under way.
    await wait(random.int(0, 1_000));
    while (left > 0) {
      left -= 1;
      const startedAt = performance.now();
      let firstAt: number | null = null;
      const { over } = ask(
        { port, path: pathOf.openai, headers, body, agent },
        {
          data(chunk) {
            const nowMs = performance.now();
            firstAt ??= nowMs;
            for (const [, stamp] of chunk.toString('latin1').matchAll(/@([\d.]+)@/g)) {
              const writtenAt = Number(stamp);
              (writtenAt < firstAt ? waiting : underWay).push(nowMs - writtenAt);
            }
          },
        },
      );
      const had = await over;
      if (!had.complete) throw new Error(`A stream was not answered whole: ${had.status} ${had.body}`);
      whole.push(performance.now() - startedAt);
    }
  });
  await Promise.all(busy);
  agent.destroy();
  return { underWay: underWay.toSorted((a, b) => a - b), waiting, whole };
}

function audit(found: Findings, turns: readonly (Measured & { delayMs: number })[], times: number): void {
  const rows = turns.map(({ delayMs, underWay, waiting, whole }) => [
    `commits take ${delayMs} ms more`,
    underWay.length.toLocaleString('en'),
    ...[0.5, 0.99, 0.999].map((part) => ms(quantile(underWay, part))),
    ms(median(waiting)),
    ms(median(whole)),
  ]);
  found.section(table([['', 'chunks', 'p50 ms', 'p99 ms', 'p99.9 ms', 'first chunk p50', 'whole stream p50'], ...rows]));
  for (const { delayMs, underWay } of turns) {
    const p50 = quantile(underWay, 0.5);
    found.promise(underWay.length >= times * 10, `Of ${times} streams, only ${underWay.length} chunks came while they were under way.`);
    found.promise(times < enough || p50 < mayTakeMs, `With ${delayMs} ms more for each commit, a chunk takes ${ms(p50)} ms at the median.`);
  }
}
