/**
 * What a slow disk does to streams: the time from the provider's writing of a chunk to the client's reading of it, with and without
 * 20 ms more for every commit, in turns. Provider and client are this process and share its clock; the program is another.
 */
import { Agent, createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { median, ms, quantile, table } from '../bench/figures.ts';
import { openBooks } from './books.ts';
import { ask, headersFor, pathOf } from './client.ts';
import type { Person } from './people.ts';
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
    const provider = await startStampingProvider(random);
    try {
      await using folder = await stageFolder({ ...provider, people: [{ tier: 'premium', keys: { openai: ownKey } }] });
      const [person] = folder.people;
      if (!person) throw new Error('There is nobody to ask.');
      const turns: (Measured & { delayMs: number })[] = [];
      for (const delayMs of [0, commitDelayMs, 0, commitDelayMs]) {
        await using child = await startServerProcess({ env: folder.env, ...(delayMs > 0 && { commitDelayMs: delayMs }) });
        await takeTurn({ port: child.ready.port, person, random }, streams);
        turns.push({ delayMs, ...(await takeTurn({ port: child.ready.port, person, random }, times)) });
        say(`a turn with ${delayMs} ms more for each commit`);
      }
      using books = openBooks(folder.path);
      found.promise(
        books.requests().every((row) => row.state === 'done'),
        'Not every stream has its settled row.',
      );
      audit(found, turns, times);
    } finally {
      provider.close();
    }
    return found;
  },
};

/** Each chunk says when it was written. */
async function startStampingProvider(random: Random) {
  const server: Server = createServer((req, res) => {
    req.resume();
    if (req.method === 'GET') return void res.writeHead(200, { 'content-type': 'application/json' }).end('{"object":"list","data":[]}');
    const chunks = random.int(20, 60);
    const say = (content: string) =>
      res.write(
        `data: {"id":"x","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`,
      );
    void req.on('end', async () => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let i = 0; i < chunks && !res.destroyed; i += 1) {
        say(`@${i},${performance.now()}@`);
        await wait(chunkEveryMs);
      }
      res.write(
        'data: {"id":"x","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":20,"total_tokens":29}}\n\n',
      );
      res.end('data: [DONE]\n\n');
    });
  });
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    openaiUrl: `${url}/v1`,
    anthropicUrl: url,
    close(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}

interface Turn {
  port: number;
  person: Person;
  random: Random;
}

interface Measured {
  /** The way of each first chunk, which waits until its request is on disk, and of each other one, in ms, in rising order. */
  first: number[];
  chunks: number[];
  /** From each question to the end of its answer. */
  whole: number[];
}

async function takeTurn({ port, person, random }: Turn, count: number): Promise<Measured> {
  const agent = new Agent({ keepAlive: true });
  const first: number[] = [];
  const chunks: number[] = [];
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
      const { over } = ask(
        { port, path: pathOf.openai, headers, body, agent },
        {
          data(chunk) {
            const nowMs = performance.now();
            for (const [, i, stamp] of chunk.toString('latin1').matchAll(/@(\d+),([\d.]+)@/g))
              (i === '0' ? first : chunks).push(nowMs - Number(stamp));
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
  return { first, chunks: chunks.toSorted((a, b) => a - b), whole };
}

function audit(found: Findings, turns: readonly (Measured & { delayMs: number })[], times: number): void {
  const rows = turns.map(({ delayMs, first, chunks, whole }) => [
    `commits take ${delayMs} ms more`,
    chunks.length.toLocaleString('en'),
    ...[0.5, 0.99, 0.999].map((part) => ms(quantile(chunks, part))),
    ms(median(first)),
    ms(median(whole)),
  ]);
  found.section(table([['', 'chunks', 'p50 ms', 'p99 ms', 'p99.9 ms', 'first chunk, p50 ms', 'whole stream, p50 ms'], ...rows]));
  for (const { delayMs, chunks } of turns) {
    const p50 = quantile(chunks, 0.5);
    found.promise(chunks.length >= times * 19, `Of ${times} streams, only ${chunks.length} chunks arrived.`);
    found.promise(times < enough || p50 < mayTakeMs, `With ${delayMs} ms more for each commit, a chunk takes ${ms(p50)} ms at the median.`);
  }
}
