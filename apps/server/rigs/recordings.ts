/** Streams to be cut in pieces: what the scripted provider sends on each route, and by hand what providers and proxies may send as well. */
import type { ProviderId } from '@synthstack/core';
import { startProvider } from '../test/provider.ts';

export interface Recording {
  name: string;
  provider: ProviderId;
  path: string;
  /** The question, as its client sends it. */
  json: Record<string, unknown>;
  /** What the provider sends: an event each, with the blank line that ends it, or a comment. */
  events: readonly Buffer[];
  /** The event that our own asking for usage has brought, which the client must not see. */
  dropped: number | null;
  usage: { input: number; output: number; total: number } | null;
  /** The official SDK can read it: not all that is legal is understood by everybody. */
  forSdk: boolean;
}

export const bytesOf = ({ events }: Recording): Buffer => Buffer.concat(events);
/** What the client must get, byte for byte. */
export const wantedOf = ({ events, dropped }: Recording): Buffer => Buffer.concat(events.filter((_, i) => i !== dropped));

const messages = [{ role: 'user', content: 'Say hello' }];
const include = { stream_options: { include_usage: true } };
const chat = { model: 'gpt-4o-mini', messages, stream: true };
const completion = { model: 'gpt-3.5-turbo-instruct', prompt: 'Hi', stream: true };
const response = { model: 'gpt-4o-mini', input: 'Hi', stream: true };
const message = { model: 'claude-haiku-4-5', max_tokens: 50, messages, stream: true };

export async function recordings(): Promise<Recording[]> {
  return [...(await recorded()), ...handmade()];
}

// What the scripted provider sends

async function recorded(): Promise<Recording[]> {
  await using provider = await startProvider({ openai: { otherwise: 'good' }, anthropic: { otherwise: 'good' } });
  const all: Recording[] = [];

  async function record(name: string, path: string, json: Recording['json'], more: { asked?: boolean; crlf: boolean }): Promise<void> {
    provider.next({ crlf: more.crlf, text: 'Ahoi! Schöne Grüße, 海と空 🌊, and a "quote".' });
    const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-x', 'anthropic-version': '2023-06-01' };
    const res = await fetch(provider.url + path, {
      method: 'POST',
      headers,
      body: JSON.stringify({ ...json, ...(more.asked === false && include) }),
    });
    const events = eventsOf(Buffer.from(await res.arrayBuffer()));
    const truth = provider.requests.at(-1)?.truth;
    const usage = truth && { input: truth.inputTokens, output: truth.outputTokens, total: truth.totalTokens };
    const dropped = more.asked === false ? events.findIndex((event) => event.includes('"choices":[],"usage":{')) : null;
    all.push({
      ...{ path, json, events, dropped },
      name: more.crlf ? `${name}, CR LF` : name,
      provider: path === '/v1/messages' ? 'anthropic' : 'openai',
      usage: usage ?? null,
      forSdk: true,
    });
  }

  for (const crlf of [false, true]) {
    await record('chat, usage asked for by the client', '/v1/chat/completions', { ...chat, ...include }, { crlf });
    await record('chat, usage asked for by us', '/v1/chat/completions', chat, { asked: false, crlf });
    await record('completion, usage asked for by the client', '/v1/completions', { ...completion, ...include }, { crlf });
    await record('completion, usage asked for by us', '/v1/completions', completion, { asked: false, crlf });
    await record('response', '/v1/responses', response, { crlf });
    await record('response that ends early', '/v1/responses', { ...response, max_output_tokens: 16 }, { crlf });
    await record('message', '/v1/messages', message, { crlf });
  }
  return all;
}

/** Cut after each blank line, in bytes. */
export function eventsOf(bytes: Buffer): Buffer[] {
  return bytes
    .toString('latin1')
    .split(/(?<=\n\r?\n)/)
    .map((event) => Buffer.from(event, 'latin1'));
}

// By hand

const usage = { input: 11, output: 7, total: 18 };
const told = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
const base = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o-mini-2024-07-18' };
const delta = (content: string, more: object = {}) => ({
  ...base,
  choices: [{ index: 0, delta: { content }, finish_reason: null }],
  ...more,
});
const usageOnly = { ...base, choices: [], usage: told };
const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const done = 'data: [DONE]\n\n';
/** The same event, its data on several lines: JSON may be broken between any two of its marks. */
const onLines = (value: unknown): string =>
  `${JSON.stringify(value, null, 1)
    .split('\n')
    .map((line) => `data: ${line}\n`)
    .join('')}\n`;

function handmade(): Recording[] {
  return [...oddChats(), ...oddOthers()];
}

interface Odd {
  name: string;
  events: string[];
  /** Which event tells the usage and nothing else. */
  usageAt?: number;
  forSdk?: boolean;
}

function oddChats(): Recording[] {
  const odd: Odd[] = [
    {
      name: 'comments',
      events: [': hello\n\n', ': again\n', data(delta('Ahoi')), `: inside\n${data(delta('!'))}`, data(usageOnly), ':\n\n', done],
      usageAt: 4,
    },
    {
      name: 'data on several lines',
      events: [onLines(delta('Ahoi')), onLines(delta(' und "hallo"')), onLines(usageOnly), done],
      usageAt: 2,
    },
    { name: 'an event of 9 kB', events: [data(delta('a')), data(delta('long '.repeat(1_800))), data(usageOnly), done], usageAt: 2 },
    {
      name: 'letters of several bytes',
      events: [data(delta('Grüße €')), data(delta('海と空と鍵')), data(delta('👩‍👩‍👧‍👦🏳️‍🌈')), data(usageOnly), done],
      usageAt: 3,
    },
    { name: 'usage first', events: [data(usageOnly), data(delta('Ahoi')), done], usageAt: 0 },
    { name: 'usage in the middle', events: [data(delta('Ahoi')), data(usageOnly), data(delta('!')), done], usageAt: 1 },
    { name: 'usage beside the last word', events: [data(delta('Ahoi')), data(delta('!', { usage: told })), done] },
    {
      name: 'usage in every chunk',
      events: [data(delta('A', { usage: { ...told, completion_tokens: 1, total_tokens: 12 } })), data(delta('hoi', { usage: told })), done],
    },
    {
      name: 'usage in words of the text',
      events: [data(delta('"choices":[],"usage":{"prompt_tokens":1}')), data(usageOnly), done],
      usageAt: 1,
    },
    {
      name: 'no space after the colon',
      events: [`data:${JSON.stringify(delta('Ahoi'))}\n\n`, `data:${JSON.stringify(usageOnly)}\n\n`, 'data:[DONE]\n\n'],
      usageAt: 1,
    },
    {
      name: 'names, ids and times',
      events: [`id: 1\nretry: 5\n${data(delta('Ahoi'))}`, `id: 2\n${data(usageOnly)}`, `id: 3\n${done}`],
      usageAt: 1,
    },
    {
      name: 'both line ends',
      events: [data(delta('Ahoi')), data(delta('!')).replaceAll('\n', '\r\n'), data(usageOnly), done.replaceAll('\n', '\r\n')],
      usageAt: 2,
    },
    { name: 'more after the end', events: [data(delta('Ahoi')), data(usageOnly), done, ': bye\n\n'], usageAt: 1 },
    {
      name: 'an event that is no JSON',
      events: [data(delta('Ahoi')), 'data: {"choices":[{\n\n', data(usageOnly), done],
      usageAt: 2,
      forSdk: false,
    },
  ];
  return odd.flatMap(({ name, events, usageAt = null, forSdk = true }) => {
    const shared = {
      provider: 'openai' as const,
      path: '/v1/chat/completions',
      events: events.map((event) => Buffer.from(event)),
      usage,
      forSdk,
    };
    const asked = { ...shared, name: `chat: ${name}`, json: { ...chat, ...include }, dropped: null };
    return usageAt === null ? [asked] : [asked, { ...shared, name: `chat: ${name}, asked for by us`, json: chat, dropped: usageAt }];
  });
}

function oddOthers(): Recording[] {
  const named = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const start = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-haiku-4-5',
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
  const word = (text: string) => named('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
  const whole = [
    named('message_start', { message: { ...start, usage: { input_tokens: 9, cache_read_input_tokens: 2, output_tokens: 1 } } }),
    ': a comment\n\n',
    named('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    named('ping', {}),
    word('Grüße 海'),
    `id: 5\n${word('👩‍👩‍👧‍👦')}`,
    named('content_block_stop', { index: 0 }),
    named('message_delta', { delta: {}, usage: { output_tokens: 5 } }),
    named('message_delta', {
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { input_tokens: 9, cache_read_input_tokens: 2, output_tokens: 7 },
    }),
    named('message_stop', {}),
  ].map((event) => Buffer.from(event));
  const shared = { provider: 'anthropic' as const, path: '/v1/messages', json: message, dropped: null, usage, forSdk: true };
  const crlf = whole.map((event) => Buffer.from(event.toString().replaceAll('\n', '\r\n')));
  return [
    { ...shared, name: 'message: comments, ids, letters of several bytes', events: whole },
    { ...shared, name: 'message: the same, CR LF', events: crlf },
  ];
}
