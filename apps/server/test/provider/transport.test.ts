import { text as readText } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { Answer } from '../provider.ts';
import { all, anthropicKey, chat, failure, last, message, openaiKey, post, stage } from './stage.ts';

test('a stream whose first event is an error raises it in both SDKs, also in mid-stream', async () => {
  await using app = await stage();
  for (const afterChunks of [0, 3]) {
    const script: Answer = { state: 'sse_error', afterChunks };
    app.provider.next([script, script, script]);
    const one = await app.openai.chat.completions.create({ ...chat, stream: true });
    expect(await failure(all(one))).toMatchObject({ code: 'server_is_overloaded' });
    const two = await app.openai.responses.create({ model: 'gpt-4o', input: 'hello', stream: true });
    expect(await failure(all(two))).toMatchObject({ code: 'server_is_overloaded' });
    const three = await app.anthropic.messages.create({ ...message, stream: true });
    expect(await failure(all(three))).toMatchObject({ type: 'overloaded_error' });
  }
});

test.each(['gzip', 'br'] as const)('%s comes though identity was asked, plain and streaming', async (encoding) => {
  await using app = await stage();
  app.provider.key(openaiKey, encoding);
  const plain = await post(app.provider, '/v1/chat/completions', chat, { 'accept-encoding': 'identity' });
  expect([plain.headers.get('content-encoding'), await plain.json()]).toMatchObject([encoding, { object: 'chat.completion' }]);
  const chunks = await all(await app.openai.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }));
  expect(chunks.at(-1)?.usage?.completion_tokens).toBe(8);
});

test.each(['refuse', 'reset', 'reset_after_head', 'truncated'] as const)('%s fails a plain answer in both SDKs', async (state) => {
  await using app = await stage();
  app.provider.next([state, state]);
  expect(await failure(app.openai.chat.completions.create(chat))).toBeInstanceOf(Error);
  expect(await failure(app.anthropic.messages.create(message))).toBeInstanceOf(Error);
  expect(await Promise.all(app.provider.requests.map(({ settled }) => settled))).toEqual(['cut', 'cut']);
});

test.each(['reset_mid_stream', 'reset_mid_event', 'truncated'] as const)('%s breaks a stream in both SDKs', async (fault) => {
  await using app = await stage();
  app.provider.next([
    { fault, afterChunks: 4 },
    { fault, afterChunks: 4 },
  ]);
  const one = app.openai.chat.completions.create({ ...chat, stream: true });
  expect(await failure(one.then(all))).toBeInstanceOf(Error);
  const two = app.anthropic.messages.create({ ...message, stream: true });
  expect(await failure(two.then(all))).toBeInstanceOf(Error);
  expect(last(app.provider)).toMatchObject({ aborted: false, ended: false });
});

test('a cleanly closed cut stream raises no error in either SDK', async () => {
  await using app = await stage();
  app.provider.next(['close_early', { state: 'close_early', afterChunks: 4 }]);
  expect(await all(await app.openai.chat.completions.create({ ...chat, stream: true }))).toHaveLength(2);
  const events = await all(await app.anthropic.messages.create({ ...message, stream: true }));
  expect(events.map(({ type }) => type)).not.toContain('message_stop');
  expect(await last(app.provider).settled).toBe('ended');
});

test('malformed events stand between good ones, and the terminal event still comes', async () => {
  await using app = await stage();
  app.provider.key(openaiKey, 'malformed');
  expect(await failure(app.openai.chat.completions.create({ ...chat, stream: true }).then(all))).toBeInstanceOf(SyntaxError);
  const body = await (await post(app.provider, '/v1/chat/completions', { ...chat, stream: true })).text();
  expect(body).toContain('nonsense without a colon');
  expect(body.endsWith('data: [DONE]\n\n')).toBe(true);
});

test('one line is as long as asked for, and still an event', async () => {
  await using app = await stage();
  app.provider.key(openaiKey, { state: 'long_line', lineBytes: 1_000_000 });
  app.provider.key(anthropicKey, { state: 'long_line', lineBytes: 1_000_000 });
  const chunks = await all(await app.openai.chat.completions.create({ ...chat, stream: true }));
  expect(chunks[1]?.choices[0]?.delta.content?.length).toBeGreaterThan(999_000);
  const lines = (await (await post(app.provider, '/v1/messages', { ...message, stream: true })).text()).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeGreaterThan(999_000);
});

test('an endless stream ends when the client leaves, and the provider knows', async () => {
  await using app = await stage();
  app.provider.key(openaiKey, 'endless');
  let count = 0;
  for await (const _ of await app.openai.chat.completions.create({ ...chat, stream: true })) if (++count === 100) break;
  expect(await last(app.provider).settled).toBe('aborted');
  expect(last(app.provider)).toMatchObject({ aborted: true, ended: false });
});

test.each(['silent', 'silent_after_head', 'stall'] as const)('%s keeps the client waiting until it gives up', async (state) => {
  await using app = await stage();
  app.provider.next(state);
  const leave = new AbortController();
  const asked = app.openai.chat.completions.create({ ...chat, stream: true }, { signal: leave.signal });
  const outcome = failure(asked.then(all));
  await app.provider.received(1);
  leave.abort();
  await outcome;
  expect(await last(app.provider).settled).toBe('aborted');
});

test('drip and CRLF change the framing, not the content', async () => {
  await using app = await stage();
  app.provider.key(openaiKey, { drip: true, crlf: true });
  const chunks = await all(await app.openai.chat.completions.create({ ...chat, stream: true }));
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('Sure, here is a short answer.');
});

test('a gate holds the head, and steps a stream chunk by chunk', async () => {
  await using app = await stage();
  const gate = app.provider.gate('head');
  let answered = false;
  const res = post(app.provider, '/v1/chat/completions', { ...chat, stream: true }).finally(() => {
    answered = true;
  });
  await gate.reached;
  expect(answered).toBe(false);
  await gate.step();
  const { body } = await res;
  await gate.step();
  expect(last(app.provider).chunks).toBe(1);
  await gate.step(2);
  expect(last(app.provider).chunks).toBe(3);
  gate.open();
  expect(await readText(body as NonNullable<typeof body>)).toContain('[DONE]');
  expect(await last(app.provider).settled).toBe('ended');
});

test('a gate before the end holds the last byte, and a client that leaves frees it', async () => {
  await using app = await stage();
  const gate = app.provider.gate(3, { provider: 'anthropic' });
  await app.openai.chat.completions.create(chat);
  const leave = new AbortController();
  const outcome = failure(app.anthropic.messages.create({ ...message, stream: true }, { signal: leave.signal }).then(all));
  await gate.reached;
  expect(last(app.provider).chunks).toBe(3);
  leave.abort();
  await outcome;
  expect(await last(app.provider).settled).toBe('aborted');
  await gate.step();
});
