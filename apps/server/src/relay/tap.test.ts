import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cpuMs } from '../../test/cpu.ts';
import { type Script, startProvider } from '../../test/provider.ts';
import { anthropic } from '../providers/anthropic.ts';
import { openai } from '../providers/openai.ts';
import type { Provider, StreamReader, Usage } from '../providers/provider.ts';
import { createTap, type TapOptions } from './tap.ts';

const user = [{ role: 'user', content: 'Say hello' }];
const chat = { model: 'gpt-4o-mini', messages: user, stream: true };
const routes = [
  { name: 'chat with usage', provider: openai, path: '/v1/chat/completions', json: { ...chat, stream_options: { include_usage: true } } },
  { name: 'chat without usage', provider: openai, path: '/v1/chat/completions', json: chat },
  {
    name: 'completions',
    provider: openai,
    path: '/v1/completions',
    json: { model: 'gpt-3.5-turbo-instruct', prompt: 'Hi', stream: true, stream_options: { include_usage: true } },
  },
  { name: 'responses', provider: openai, path: '/v1/responses', json: { model: 'gpt-4o-mini', input: 'Hi', stream: true } },
  {
    name: 'responses that end early',
    provider: openai,
    path: '/v1/responses',
    json: { model: 'gpt-4o-mini', input: 'Hi', stream: true, max_output_tokens: 16 },
  },
  {
    name: 'messages',
    provider: anthropic,
    path: '/v1/messages',
    json: { model: 'claude-haiku-4-5', max_tokens: 50, messages: user, stream: true },
  },
] as const;

interface Recording {
  name: string;
  provider: Provider;
  path: string;
  bytes: Buffer;
  outputTokens: number;
  totalTokens: number;
}

/** What the scripted provider really sends, in both line ends. */
async function record(): Promise<Recording[]> {
  await using provider = await startProvider({ openai: { otherwise: 'good' }, anthropic: { otherwise: 'good' } });
  const recordings: Recording[] = [];
  for (const crlf of [false, true]) {
    for (const { name, provider: to, path, json } of routes) {
      const how: Script = { crlf, tokens: 6 };
      provider.next(how);
      const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-x', 'anthropic-version': '2023-06-01' };
      const res = await fetch(provider.url + path, { method: 'POST', headers, body: JSON.stringify(json) });
      const bytes = Buffer.from(await res.arrayBuffer());
      const truth = provider.requests.at(-1)?.truth;
      recordings.push({
        name: crlf ? `${name}, CR LF` : name,
        provider: to,
        path,
        bytes,
        outputTokens: truth?.outputTokens ?? -1,
        totalTokens: truth?.totalTokens ?? -1,
      });
    }
  }
  return recordings;
}
const recordings = await record();

function readerOf({ provider, path }: Recording): StreamReader {
  const reader = provider.routes.find((route) => route.path === path)?.usage?.stream();
  if (!reader) throw new Error(`${path} has no stream.`);
  return reader;
}

interface Passed {
  forward: Buffer;
  held: Buffer;
  rest: Buffer;
  usage: Usage | null;
  finished: boolean;
}

function pass(chunks: Buffer[], options: TapOptions): Passed {
  const tap = createTap(options);
  const forward: Buffer[] = [];
  const held: Buffer[] = [];
  for (const chunk of chunks) {
    const passage = tap.push(chunk);
    if (passage.forward) {
      expect(tap.finished && held.length > 0).toBe(false);
      forward.push(passage.forward);
    }
    if (passage.held) held.push(passage.held);
  }
  return {
    forward: Buffer.concat(forward),
    held: Buffer.concat(held),
    rest: tap.rest() ?? Buffer.alloc(0),
    usage: options.reader.usage(),
    finished: tap.finished,
  };
}

function cutAt(bytes: Buffer, places: number[]): Buffer[] {
  const edges = [0, ...[...new Set(places)].sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
}

/** The event with empty choices and a usage, as a client that did not ask for it would have received the stream. */
function withoutUsageEvent(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('utf8').replace(/data: \{(?:(?!data: )[\s\S])*?"choices":\[\],"usage":\{[\s\S]*?\r?\n\r?\n/, ''));
}

for (const recording of recordings) {
  const { name, bytes } = recording;
  const isCrlf = name.endsWith('CR LF');

  test(`${name}: cut at every position, all bytes pass, the blank line at the end is held, and the usage is right`, () => {
    for (const dropUsageEvent of name.startsWith('chat') || name.startsWith('completions') ? [false, true] : [true]) {
      const wanted = dropUsageEvent ? withoutUsageEvent(bytes) : bytes;
      for (let place = 0; place <= bytes.length; place += 1) {
        const { forward, held, rest, usage, finished } = pass(cutAt(bytes, [place]), { reader: readerOf(recording), dropUsageEvent });
        if (!Buffer.concat([forward, held]).equals(wanted)) expect(Buffer.concat([forward, held]).toString()).toBe(wanted.toString());
        if (!finished || rest.length > 0 || held.toString() !== (isCrlf ? '\r\n' : '\n'))
          expect({ place, finished, rest, held: held.toString() }).toBe('ended');
        if (name.startsWith('chat without')) expect(usage).toBeNull();
        else if (usage?.tokens.output !== recording.outputTokens || usage.total !== recording.totalTokens)
          expect(usage).toBe(recording.totalTokens);
      }
    }
  });

  test(`${name}: in random pieces, and with any bound for one event, all bytes pass`, () => {
    const pieces = fc.array(fc.nat(bytes.length), { maxLength: 60 });
    fc.assert(
      fc.property(pieces, fc.boolean(), fc.constantFrom(8, 64, 400, 1_048_576), (places, dropUsageEvent, maxEventBytes) => {
        const { forward, held, rest, finished } = pass(cutAt(bytes, places), {
          reader: readerOf(recording),
          dropUsageEvent,
          maxEventBytes,
        });
        const out = Buffer.concat([forward, held, rest]);
        // Too large an event is not read, so the usage event may pass; the terminal events of these streams may too.
        if (maxEventBytes === 1_048_576) expect(finished).toBe(true);
        const right = [bytes, ...(dropUsageEvent ? [withoutUsageEvent(bytes)] : [])].some((wanted) => wanted.equals(out));
        if (!right) expect(out.toString()).toBe(bytes.toString());
      }),
      { numRuns: 60 },
    );
  });

  test(`${name}: cut off at any position, nothing is lost`, () => {
    for (let end = 0; end < bytes.length; end += 1) {
      const { forward, held, rest } = pass([bytes.subarray(0, end)], { reader: readerOf(recording), dropUsageEvent: false });
      if (!Buffer.concat([forward, held, rest]).equals(bytes.subarray(0, end))) expect(end).toBe('all bytes');
    }
  });
}

test('the recordings are what they should be', () => {
  expect(recordings).toHaveLength(12);
  expect(recordings.filter(({ bytes }) => bytes.includes('\r\n')).length).toBe(6);
  expect(recordings.filter(({ bytes }) => withoutUsageEvent(bytes).length < bytes.length)).toHaveLength(4);
});

const quiet = (): StreamReader & { seen: string[] } => {
  const seen: string[] = [];
  return {
    seen,
    event(name, data) {
      seen.push(`${name}|${data}`);
      return data === '[DONE]' ? 'terminal' : 'pass';
    },
    usage: () => null,
    text: () => '',
  };
};
const through = (chunks: (string | Buffer)[], more: Partial<TapOptions> = {}) => {
  const reader = quiet();
  const { forward, held, rest } = pass(
    chunks.map((chunk) => Buffer.from(chunk as string)),
    { reader, dropUsageEvent: false, ...more },
  );
  return { forward: forward.toString(), held: held.toString(), rest: rest.toString(), seen: reader.seen };
};

test('what follows the terminal event is held with its end', () => {
  expect(through(['data: [DONE]\n\n: later\n', 'more'])).toMatchObject({ forward: 'data: [DONE]\n', held: '\n: later\nmore' });
  expect(through(['data: [DONE]\r\n\r', '\n', 'more'])).toMatchObject({ forward: 'data: [DONE]\r\n', held: '\r\nmore' });
});

test('fields are read as the specification of event streams says, and comments are no events', () => {
  const { seen, forward } = through([
    ': hi\n\n',
    'event: a\ndata:1\ndata: 2\nid: 3\nretry: 4\n\n',
    'data\n\n',
    'nonsense\n\n',
    '\n\n',
    'data:  x\r\n\r\n',
  ]);
  expect(seen).toEqual(['a|1\n2', '|', '| x']);
  expect(forward).toHaveLength(76);
});

test('a reader that throws stops nothing', () => {
  const reader: StreamReader = {
    event() {
      throw new Error('malformed');
    },
    usage: () => null,
    text: () => '',
  };
  expect(through(['data: {"choices":[{\n\ndata: x\n\n'], { reader }).forward).toBe('data: {"choices":[{\n\ndata: x\n\n');
});

test('an event of 100 MB passes as it comes, unread, and what follows it is read again', () => {
  const reader = quiet();
  const tap = createTap({ reader, dropUsageEvent: false });
  const piece = Buffer.alloc(65_536, 'x');
  let passed = tap.push(Buffer.from('data: ')).forward?.length ?? 0;
  let mostKept = 0;
  for (let i = 0; i < 1_600; i += 1) {
    passed += tap.push(piece).forward?.length ?? 0;
    mostKept = Math.max(mostKept, 6 + (i + 1) * piece.length - passed);
  }
  const { forward, held } = tap.push(Buffer.from('\n\ndata: [DONE]\n\n'));
  expect(passed + (forward?.length ?? 0) + (held?.length ?? 0)).toBe(6 + 1_600 * 65_536 + 16);
  expect(mostKept).toBeLessThan(1_048_576 + 65_536 + 7);
  expect(reader.seen).toEqual(['|[DONE]']);
});

test('a long event that drips in byte by byte costs no more than its length', () => {
  const reader = quiet();
  const tap = createTap({ reader, dropUsageEvent: false });
  const event = Buffer.from(`data: ${'y'.repeat(300_000)}\n\n`);
  const before = cpuMs();
  for (const [i] of event.entries()) tap.push(event.subarray(i, i + 1));
  expect(reader.seen[0]).toHaveLength(300_001);
  // Copying all that was kept for each byte took half a minute.
  expect(cpuMs() - before).toBeLessThan(5_000);
});
