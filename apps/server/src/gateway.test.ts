import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { findPlanted } from '../test/planted.ts';
import { gatewayRoutes } from './gateway-routes.ts';

const messages = [{ role: 'user' as const, content: 'Say hello' }];

test("OpenAI's client is answered with the person's own key, and the usage is counted", async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const { data, response } = await app.openai(ada).chat.completions.create({ model: 'gpt-4o-mini', messages }).withResponse();
  expect(data.choices[0]?.message.content).toBeTruthy();
  expect(response.headers.get('x-byok-key-source')).toBe('user');
  expect(response.headers.get('x-byok-request-id')).toMatch(/^req_/);
  const upstream = app.provider.requests.at(-1);
  expect(upstream?.headers.authorization).toBe(`Bearer ${ada.secrets.openai}`);
  const [row] = await app.requests();
  expect(row).toMatchObject({
    state: 'done',
    status: 200,
    source: 'user',
    inputTokens: upstream?.truth?.inputTokens,
    outputTokens: upstream?.truth?.outputTokens,
    estimated: false,
  });
  expect(row?.costNanoUsd).toBeGreaterThan(0);
  expect(await app.keysOf(ada)).toMatchObject([{ totalRequests: 1, totalTokens: upstream?.truth?.totalTokens }]);
});

test("OpenAI's client streams, and does not see the usage event that it did not ask for", async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const chunks = [];
  for await (const chunk of await app.openai(ada).chat.completions.create({ model: 'gpt-4o-mini', messages, stream: true }))
    chunks.push(chunk);
  expect(chunks.length).toBeGreaterThan(2);
  expect(chunks.every((chunk) => chunk.choices.length > 0)).toBe(true);
  const [row] = await app.requests();
  expect(row).toMatchObject({
    state: 'done',
    streamed: true,
    estimated: false,
    outputTokens: app.provider.requests.at(-1)?.truth?.outputTokens,
  });
});

test("OpenAI's client gets the usage event that it asked for", async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const chunks = [];
  const stream = await app
    .openai(ada)
    .chat.completions.create({ model: 'gpt-4o-mini', messages, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) chunks.push(chunk);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: app.provider.requests.at(-1)?.truth?.totalTokens } });
});

test("Anthropic's client is answered with the person's own key, plain and streaming", async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { anthropic: 'good' } });
  const request = { model: 'claude-haiku-4-5', max_tokens: 100, messages };
  const plain = await app.anthropic(ada).messages.create(request);
  expect(plain.content[0]).toMatchObject({ type: 'text' });
  const streamed = await app.anthropic(ada).messages.stream(request).finalMessage();
  expect(streamed.usage.output_tokens).toBe(app.provider.requests.at(-1)?.truth?.outputTokens);
  expect(app.provider.requests.at(-1)?.headers['x-api-key']).toBe(ada.secrets.anthropic);
  expect(app.provider.requests.at(-1)?.headers.authorization).toBeUndefined();
  const rows = await app.requests();
  expect(rows).toMatchObject([
    { state: 'done', source: 'user', provider: 'anthropic', streamed: false },
    { state: 'done', source: 'user', provider: 'anthropic', streamed: true },
  ]);
  for (const [i, row] of rows.entries()) expect(row.totalTokens).toBe(app.provider.requests.at(i - 2)?.truth?.totalTokens);
});

test('a revoked key falls back to the platform key and tells its owner', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'revoked' } });
  const res = await app.chat(ada, 'hello');
  expect(res.status).toBe(200);
  expect(res.headers.get('x-byok-key-source')).toBe('platform');
  expect(res.headers.get('x-byok-fallback-reason')).toBe('bad_key');
  expect(res.headers.get('ratelimit')).toContain('"minute";r=99');
  expect(await app.keysOf(ada)).toMatchObject([{ status: 'invalid', isValid: false, totalRequests: 0 }]);
  expect(await app.requests()).toMatchObject([{ source: 'platform', fallbackReason: 'bad_key', keyId: null }]);
  expect((await app.app.notices.list(ada.id)).map((notice) => notice.kind).sort()).toEqual(['fallback_used', 'key_invalid']);
});

test("without a platform key the provider's own refusal is returned unchanged", async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'revoked' } });
  await expect(app.openai(ada).chat.completions.create({ model: 'gpt-4o-mini', messages })).rejects.toBeInstanceOf(
    OpenAI.AuthenticationError,
  );
  const again = await app.chat(ada, 'hello');
  expect(again.status).toBe(403);
  expect(await again.json()).toMatchObject({ error: { code: 'key_unusable' } });
  expect(again.headers.get('x-should-retry')).toBe('false');
});

test('the platform path admits exactly as many as the tier allows, and says how to go on', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const bob = await app.person({ tier: 'community' });
  const answers = await Promise.all(Array.from({ length: 40 }, () => app.chat(bob, 'hello')));
  expect(answers.filter((res) => res.status === 200)).toHaveLength(10);
  const refused = answers.find((res) => res.status === 429);
  expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused?.json()).toMatchObject({
    error: { code: 'limit_reached', message: expect.stringContaining('10 requests a minute') },
  });
  app.clock.advance(60_000);
  expect((await app.chat(bob, 'hello')).status).toBe(200);
});

test('the planted key and token are in no log, answer, error or file', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  const texts = [];
  for (const path of ['/v1/chat/completions', '/v1/messages', '/v1/nope', '/api/v1/api-keys', '/api/v1/api-keys/usage']) {
    texts.push(
      await (await app.fetch(ada, path)).text(),
      await (await app.fetch(ada, path, { json: { model: 'gpt-4o-mini', messages } })).text(),
    );
  }
  const written = Buffer.concat([app.everythingWritten(), Buffer.from(texts.join('\n'))]);
  for (const secret of [ada.secrets.openai, ada.secrets.anthropic, ada.token, app.platformSecrets.openai]) {
    expect(findPlanted(secret ?? '', written)).toEqual([]);
  }
  expect(written.length).toBeGreaterThan(10_000);
});

test('errors of both clients are those of their own provider', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  const stranger = { ...ada, token: 'byok_nothing' };
  await expect(app.openai(stranger).models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  await expect(app.anthropic(stranger).messages.create({ model: 'claude-haiku-4-5', max_tokens: 5, messages })).rejects.toBeInstanceOf(
    Anthropic.AuthenticationError,
  );
});

test('a base URL with /v1 missing or doubled is told how it ends, in the shape of the provider, whoever asks', async () => {
  await using app = await testApp();
  const [openaiSays, anthropicSays] = ["OpenAI's base URL ends in /v1: http://byok.test/v1", "Anthropic's base URL does not end in /v1"];
  const lacking = [...new Set(gatewayRoutes.map(({ route }) => route.path.replace('{id}', 'some-id').slice('/v1'.length)))];
  expect(lacking).toContain('/chat/completions');
  for (const path of [...lacking, ...lacking.map((one) => `/v1/v1${one}`)]) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      const res = await app.fetch(null, path, { method });
      const anthropic = path.includes('/messages');
      const { error, type } = (await res.json()) as { error: { message: string; code?: string }; type?: string };
      expect([res.status, type], `${method} ${path}`).toEqual([404, anthropic ? 'error' : undefined]);
      expect(error.message, `${method} ${path}`).toContain(anthropic ? anthropicSays : openaiSays);
    }
  }
  const nothing = (await (await app.fetch(null, '/v1/v1/nothing')).json()) as { error: { message: string } };
  expect(nothing.error.message).toContain(anthropicSays);
  const [openai, anthropic] = [new OpenAI({ baseURL: app.url, apiKey: 'x' }), new Anthropic({ baseURL: `${app.url}/v1`, apiKey: 'x' })];
  await expect(openai.chat.completions.create({ model: 'gpt-4o-mini', messages })).rejects.toThrow(openaiSays);
  await expect(openai.models.list()).rejects.toThrow(openaiSays);
  await expect(anthropic.messages.create({ model: 'claude-haiku-4-5', max_tokens: 5, messages })).rejects.toThrow(anthropicSays);
  await expect(anthropic.models.list()).rejects.toThrow(anthropicSays);
  expect(app.provider.requests).toEqual([]);
  // What only begins alike is a page, as before.
  expect((await app.fetch(null, '/chat')).headers.get('content-type')).toContain('text/html');
});

test('an SDK below any other path is told its base URL too, and pages, REST and tRPC are left alone', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person();
  const saying = async (path: string, method = 'POST') => {
    const res = await app.fetch(ada, path, { method });
    return [res.status, ((await res.json()) as { error?: { message: string } }).error?.message];
  };
  for (const before of ['/foo', '/openai/v1', '/V1', '/', '/api', '/api/v1', '/v1/chat', '/v1/openai']) {
    const baseUrl = expect.stringContaining("OpenAI's base URL ends in /v1: http://byok.test/v1");
    expect(await saying(`${before}/chat/completions`), before).toEqual([404, baseUrl]);
    if (before !== '/api/v1') expect(await saying(`${before}/models`, 'GET'), before).toEqual([404, baseUrl]);
    const anthropics = expect.stringContaining("Anthropic's base URL does not end in /v1");
    expect(await saying(`${before}/messages`), before).toEqual([404, anthropics]);
  }
  expect(await saying('/v1/chat/completions', 'GET')).toEqual([404, expect.stringContaining('POST is what it takes.')]);
  expect(await saying('/v1/nothing')).toEqual([404, 'There is no route POST /v1/nothing here.']);
  for (const path of ['/api/v1/agents/general/messages', '/trpc/models'])
    expect(JSON.stringify(await saying(path)), path).not.toContain('base URL');
  expect((await app.fetch(null, '/admin/models')).headers.get('content-type')).toContain('text/html');
});

test('what is served on own keys alone says so, whatever the operator has', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  for (const [tier, code, advice] of [
    ['premium', 'no_key', 'Add yours in Settings'],
    ['community', 'plan_required', 'With a plan that includes them'],
  ] as const) {
    const res = await app.fetch(await app.person({ tier }), '/v1/responses/resp_1');
    const { error } = (await res.json()) as { error: { code: string; message: string } };
    expect([res.status, error.code, error.message]).toEqual([403, code, expect.stringContaining('own OpenAI key only')]);
    expect(error.message).toContain(advice);
  }
});

test("a provider's key sent as a token is told what it is, on every door, and is kept nowhere", async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const keys = [ada.secrets.openai ?? '', app.newSecret('openai'), app.newSecret('anthropic')];
  const answers: string[] = [];
  for (const key of keys) {
    for (const [path, header] of [
      ['/v1/chat/completions', { authorization: `Bearer ${key}` }],
      ['/v1/messages', { 'x-api-key': key }],
      ['/api/v1/api-keys', { authorization: `Bearer ${key}` }],
      ['/trpc/keys.list', { authorization: key }],
    ] as const) {
      const res = await app.fetch(null, path, { method: path.startsWith('/v1/') ? 'POST' : 'GET', headers: header });
      const text = await res.text();
      expect([res.status, text], path).toEqual([401, expect.stringContaining("This is a provider's key. Store it in Settings > API Keys")]);
      answers.push(text);
    }
  }
  const written = Buffer.concat([app.everythingWritten(), Buffer.from(answers.join('\n'))]);
  for (const key of keys) expect(findPlanted(key, written)).toEqual([]);
});

test('a provider that tells absurd numbers of tokens does not spoil its user’s page: they count as unknown', async () => {
  await using app = await testApp();
  const most = Number.MAX_SAFE_INTEGER;
  const usage = { prompt_tokens: most, completion_tokens: most, total_tokens: most };
  const ada = await app.person({ keys: { openai: { status: 200, body: { model: 'gpt-4o-mini', choices: [], usage } } } });
  for (let i = 0; i < 2; i += 1) expect((await app.chat(ada, 'Hi')).status).toBe(200);
  const keys = await app.fetch(ada, '/api/v1/api-keys');
  const report = await app.fetch(ada, '/api/v1/api-keys/usage?days=1');
  expect([keys.status, report.status]).toEqual([200, 200]);
  expect(await report.json()).toMatchObject({ totals: { requests: 2, unmeasuredRequests: 2 } });
});
