import { expect, test } from 'vitest';
import { all, anthropicKey, chat, failure, hello, last, message, openaiKey, post, stage } from './stage.ts';

test('chat answers plainly, its usage agrees with its text and with the truth', async () => {
  await using app = await stage();
  const answer = await app.openai.chat.completions.create(chat);
  const content = answer.choices[0]?.message.content ?? '';
  expect(answer.model).toBe('gpt-4o-mini-2024-07-18');
  expect(answer.usage?.completion_tokens).toBe(Math.ceil(content.length / 4));
  const { truth } = last(app.provider);
  expect(truth).toMatchObject({ inputTokens: answer.usage?.prompt_tokens, outputTokens: answer.usage?.completion_tokens });
  expect(truth?.totalTokens).toBe(answer.usage?.total_tokens);
});

test('chat streams; usage comes only when asked for, then every chunk carries the field', async () => {
  await using app = await stage();
  const bare = await all(await app.openai.chat.completions.create({ ...chat, stream: true }));
  expect(bare.some((chunk) => 'usage' in chunk)).toBe(false);
  const full = await all(await app.openai.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }));
  expect(full.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  expect(full.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: last(app.provider).truth?.outputTokens } });
  expect(full.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('Sure, here is a short answer.');
  expect(full.at(-2)?.choices[0]?.finish_reason).toBe('stop');
});

test('the Messages API answers plainly and in a stream, with the same usage', async () => {
  await using app = await stage();
  app.provider.key(anthropicKey, { text: 'four by four', usage: { cachedInputTokens: 1000, cacheWriteTokens: 50 } });
  const plain = await app.anthropic.messages.create(message);
  expect(plain).toMatchObject({
    model: 'claude-haiku-4-5-20251001',
    stop_reason: 'end_turn',
    content: [{ type: 'text', text: 'four by four' }],
  });
  expect(plain.usage).toMatchObject({ cache_read_input_tokens: 1000, cache_creation_input_tokens: 50, output_tokens: 3 });
  const truth = last(app.provider).truth;
  expect(truth?.inputTokens).toBe(plain.usage.input_tokens + 1050);
  const events = await all(await app.anthropic.messages.create({ ...message, stream: true }));
  const kinds = events.map(({ type }) => type);
  expect(kinds[0]).toBe('message_start');
  expect(kinds.slice(-3)).toEqual(['content_block_stop', 'message_delta', 'message_stop']);
  expect(events.find(({ type }) => type === 'message_delta')).toMatchObject({ usage: { output_tokens: 3, cache_read_input_tokens: 1000 } });
  expect(last(app.provider).truth).toEqual(truth);
  expect((await app.anthropic.messages.stream(message).finalMessage()).usage.output_tokens).toBe(3);
  expect((await app.anthropic.messages.countTokens({ model: message.model, messages: hello })).input_tokens).toBe(plain.usage.input_tokens);
});

test('with iterations, the truth is their sum and the top level counts the messages only', async () => {
  await using app = await stage();
  const iterations = [
    { type: 'compaction', inputTokens: 900, outputTokens: 70 },
    { type: 'message', inputTokens: 100, outputTokens: 30 },
  ] as const;
  app.provider.key(anthropicKey, { iterations });
  const { usage } = await app.anthropic.messages.create(message);
  expect(usage).toMatchObject({ input_tokens: 100, output_tokens: 30, iterations: [{ input_tokens: 900 }, { input_tokens: 100 }] });
  expect(last(app.provider).truth).toMatchObject({ inputTokens: 1000, outputTokens: 100, totalTokens: 1100 });
});

test('scripts steer length, chunks, reasoning and cached tokens', async () => {
  await using app = await stage();
  app.provider.key(openaiKey, { chunks: 50, usage: { cachedInputTokens: 128, reasoningTokens: 64 } });
  const chunks = await all(await app.openai.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }));
  expect(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length).toBe(50);
  expect(chunks.at(-1)?.usage).toMatchObject({
    completion_tokens: 114,
    prompt_tokens_details: { cached_tokens: 128 },
    completion_tokens_details: { reasoning_tokens: 64 },
  });
  app.provider.key(openaiKey, { tokens: 5000, chunks: 10 });
  const few = await all(await app.openai.chat.completions.create({ ...chat, stream: true }));
  expect(few.filter((chunk) => chunk.choices[0]?.delta.content).length).toBe(10);
  const cut = await app.openai.chat.completions.create({ ...chat, max_completion_tokens: 20 });
  expect(cut).toMatchObject({ usage: { completion_tokens: 20 }, choices: [{ finish_reason: 'length' }] });
});

test('the same seed and order give the same bytes', async () => {
  await using one = await stage({ seed: 7 });
  await using two = await stage({ seed: 7 });
  const body = { ...chat, stream: true };
  expect(await (await post(one.provider, '/v1/chat/completions', body)).text()).toBe(
    await (await post(two.provider, '/v1/chat/completions', body)).text(),
  );
});

test('responses answer, stream, and are kept per key', async () => {
  await using app = await stage();
  const other = 'sk-other-000000000000';
  app.provider.key(other, 'good');
  const made = await app.openai.responses.create({ model: 'gpt-4o', input: 'hello' });
  expect(made).toMatchObject({ status: 'completed', output_text: 'Sure, here is a short answer.' });
  expect(last(app.provider).truth?.totalTokens).toBe(made.usage?.total_tokens);
  expect((await app.openai.responses.retrieve(made.id)).id).toBe(made.id);
  expect((await app.openai.responses.inputItems.list(made.id)).data).toHaveLength(1);
  expect(await failure(app.openai.withOptions({ apiKey: other }).responses.retrieve(made.id))).toMatchObject({ status: 404 });
  expect(await failure(app.openai.responses.cancel(made.id))).toMatchObject({ status: 400 });
  await app.openai.responses.delete(made.id);
  expect(await failure(app.openai.responses.retrieve(made.id))).toMatchObject({ status: 404 });
  const unkept = await app.openai.responses.create({ model: 'gpt-4o', input: 'hello', store: false });
  expect(await failure(app.openai.responses.retrieve(unkept.id))).toMatchObject({ status: 404 });
  const queued = await app.openai.responses.create({ model: 'gpt-4o', input: 'hello', background: true });
  expect((await app.openai.responses.cancel(queued.id)).status).toBe('cancelled');
  const events = await all(await app.openai.responses.create({ model: 'gpt-4o', input: 'hello', stream: true }));
  expect(events[0]?.type).toBe('response.created');
  expect(events.at(-1)).toMatchObject({ type: 'response.completed', response: { usage: { output_tokens: 8 } } });
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i));
});

test('the other routes of OpenAI answer its SDK', async () => {
  await using app = await stage();
  const { openai } = app;
  expect((await openai.models.retrieve('gpt-4')).owned_by).toBe('openai');
  expect((await openai.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'hello' })).usage?.completion_tokens).toBe(8);
  const texts = await all(
    await openai.completions.create({
      model: 'gpt-3.5-turbo-instruct',
      prompt: 'hello',
      stream: true,
      stream_options: { include_usage: true },
    }),
  );
  expect(texts.at(-1)?.usage?.completion_tokens).toBe(8);
  const vectors = await openai.embeddings.create({ model: 'text-embedding-3-small', input: ['a', 'b'], dimensions: 8 });
  expect(vectors.data.map(({ embedding }) => embedding.length)).toEqual([8, 8]);
  expect((await openai.moderations.create({ input: 'hello' })).results[0]?.flagged).toBe(false);
  expect((await openai.images.generate({ model: 'gpt-image-1', prompt: 'a key' })).usage?.output_tokens).toBe(272);
  const sound = await openai.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'hello' });
  expect((await sound.arrayBuffer()).byteLength).toBe(4096);
  const file = new File([new Uint8Array(32_000)], 'a.wav');
  expect(await openai.audio.transcriptions.create({ model: 'gpt-4o-transcribe', file })).toMatchObject({
    usage: { type: 'tokens', input_tokens: 20 },
  });
});

test.each([
  ['/v1/chat/completions', { ...chat, stream_options: { include_usage: true } }, /only allowed when 'stream'/],
  ['/v1/chat/completions', { ...chat, colour: 'red' }, /Unrecognized request argument supplied: colour/],
  ['/v1/responses', { model: 'gpt-4o', messages: hello }, /Unknown parameter: 'messages'/],
  ['/v1/chat/completions', { model: 'gpt-4o' }, /Missing required parameter: 'messages'/],
  ['/v1/chat/completions', { messages: hello }, /you must provide a model parameter/],
  ['/v1/chat/completions', '{"model":', /could not parse the JSON body/],
  ['/v1/chat/completions', { ...chat, model: 'gpt-5', max_tokens: 5 }, /Use 'max_completion_tokens' instead/],
  ['/v1/messages', { model: message.model, messages: hello }, /max_tokens: Field required/],
  ['/v1/messages', { ...message, colour: 'red' }, /colour: Extra inputs are not permitted/],
  ['/v1/messages', '{"model":', /not valid JSON/],
] as const)('%s refuses with 400 what the real one refuses (%#)', async (path, body, text) => {
  await using app = await stage();
  const res = await post(app.provider, path, body);
  expect(res.status).toBe(400);
  expect(await res.text()).toMatch(text);
});

test('Anthropic wants a known version; 2026-10-21 refuses sampling parameters, 2023-06-01 takes them', async () => {
  await using app = await stage();
  const said = async (version: string | undefined, body: unknown) => {
    const headers = { 'x-api-key': anthropicKey, ...(version ? { 'anthropic-version': version } : {}) };
    const res = await fetch(`${app.provider.url}/v1/messages`, { method: 'POST', headers, body: JSON.stringify(body) });
    return `${res.status} ${((await res.json()) as { error?: { message: string } }).error?.message ?? ''}`;
  };
  expect(await said(undefined, message)).toBe('400 anthropic-version: header is required');
  expect(await said('2024-10-22', message)).toBe('400 anthropic-version: "2024-10-22" is not a valid version');
  expect(await said('2023-06-01', { ...message, temperature: 0.2 })).toBe('200 ');
  for (const name of ['temperature', 'top_p', 'top_k']) {
    expect(await said('2026-10-21', { ...message, [name]: 1 })).toBe(`400 ${name}: Extra inputs are not permitted`);
  }
});

test('both of Anthropic credential headers work, and x-api-key wins', async () => {
  await using app = await stage();
  const get = async (headers: Record<string, string>) =>
    (await fetch(`${app.provider.url}/v1/models`, { headers: { 'anthropic-version': '2023-06-01', ...headers } })).status;
  expect(await get({ 'x-api-key': anthropicKey })).toBe(200);
  expect(await get({ authorization: `Bearer ${anthropicKey}` })).toBe(200);
  expect(await get({ 'x-api-key': 'sk-ant-unknown', authorization: `Bearer ${anthropicKey}` })).toBe(401);
});

test('answers carry the headers of the real ones, cookies included', async () => {
  await using app = await stage();
  const one = (await post(app.provider, '/v1/chat/completions', chat)).headers;
  for (const name of ['x-request-id', 'openai-organization', 'openai-processing-ms', 'openai-version', 'x-ratelimit-limit-requests'])
    expect(one.get(name)).toBeTruthy();
  const two = (await post(app.provider, '/v1/messages', message)).headers;
  for (const name of ['request-id', 'anthropic-organization-id', 'anthropic-ratelimit-tokens-reset']) expect(two.get(name)).toBeTruthy();
  for (const headers of [one, two]) expect([headers.get('server'), headers.getSetCookie().length]).toEqual(['cloudflare', 2]);
});
