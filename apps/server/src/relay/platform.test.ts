/** What goes out on the platform's key, route by route, and what comes back: INTERFACE.md, "The platform's gate". */
import type { ProviderId } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../../test/app.ts';
import { ask, codeIn, readAll } from '../../test/asking.ts';
import { gatewayRoutes } from '../gateway-routes.ts';
import { openai } from '../providers/openai.ts';

const hello = [{ role: 'user', content: 'hello' }];
const sound = Buffer.from('ID3\0\r\n--x\xff\xfb'.repeat(100), 'latin1');

function form(fields: Record<string, string> = {}, fileName = 'speech.mp3'): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries({ model: 'gpt-4o-transcribe', ...fields })) data.append(name, value);
  data.append('file', new Blob([sound], { type: 'audio/mpeg' }), fileName);
  return data;
}

/** By hand: who has no key of their own is answered on the platform's (its status, and the places it takes), or has no key for it. */
const table: Readonly<Record<string, { json?: unknown; form?: true; status: number; places: number; rows: number } | 'no_key'>> = {
  'openai POST /v1/chat/completions': { json: { model: 'gpt-4o-mini', messages: hello }, status: 200, places: 1, rows: 1 },
  'openai POST /v1/responses': { json: { model: 'gpt-4o-mini', input: 'hello' }, status: 200, places: 1, rows: 1 },
  'openai GET /v1/responses/{id}': 'no_key',
  'openai DELETE /v1/responses/{id}': 'no_key',
  'openai POST /v1/responses/{id}/cancel': 'no_key',
  'openai GET /v1/responses/{id}/input_items': 'no_key',
  'openai POST /v1/embeddings': { json: { model: 'text-embedding-3-small', input: 'hello' }, status: 200, places: 1, rows: 1 },
  'openai POST /v1/completions': { json: { model: 'gpt-3.5-turbo-instruct', prompt: 'hello' }, status: 200, places: 1, rows: 1 },
  'openai POST /v1/moderations': { json: { input: 'hello' }, status: 200, places: 1, rows: 1 },
  'openai POST /v1/images/generations': {
    json: { model: 'gpt-image-1', prompt: 'a cat', background: 'opaque' },
    ...{ status: 200, places: 1, rows: 1 },
  },
  'openai POST /v1/audio/speech': {
    json: { model: 'gpt-4o-mini-tts', input: 'hello', voice: 'alloy', speed: 2 },
    status: 200,
    places: 1,
    rows: 1,
  },
  'openai POST /v1/audio/transcriptions': { form: true, status: 200, places: 1, rows: 1 },
  'openai GET /v1/models': { status: 200, places: 0, rows: 0 },
  'openai GET /v1/models/{id}': { status: 200, places: 0, rows: 0 },
  'anthropic POST /v1/messages': { json: { model: 'claude-haiku-4-5', max_tokens: 5, messages: hello }, status: 200, places: 1, rows: 1 },
  'anthropic POST /v1/messages/count_tokens': { json: { model: 'claude-haiku-4-5', messages: hello }, status: 200, places: 1, rows: 1 },
  'anthropic GET /v1/models': { status: 200, places: 0, rows: 0 },
  'anthropic GET /v1/models/{id}': { status: 200, places: 0, rows: 0 },
};
const idOf: Readonly<Record<ProviderId, string>> = { openai: 'gpt-4o-mini', anthropic: 'claude-haiku-4-5' };
const versioned = (provider: ProviderId): Record<string, string> => (provider === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {});
const platform = { openai: 'good', anthropic: 'good' } as const;
const rowsOf = async (app: TestApp, who: Person) => (await app.requests()).filter((row) => row.userId === who.id);

test('each route has its line, and goes out on the platform’s key, or not, as the line says', async () => {
  expect(gatewayRoutes.map(({ provider, route }) => `${provider.id} ${route.method} ${route.path}`).sort()).toEqual(
    Object.keys(table).sort(),
  );
  await using app = await testApp({ platform });
  for (const [name, line] of Object.entries(table)) {
    const [provider, method = '', path = ''] = name.split(' ') as [ProviderId, string?, string?];
    const who = await app.person({ tier: 'community' });
    const before = app.provider.requests.length;
    const res = await app.fetch(who, path.replace('{id}', idOf[provider]), {
      method,
      headers: versioned(provider),
      ...(line !== 'no_key' && line.json !== undefined && { json: line.json }),
      ...(line !== 'no_key' && line.form && { body: form() }),
    });
    const text = await res.text();
    const places = (await app.app.limits.view(who.id, 'community')).day.used;
    const rows = await rowsOf(app, who);
    if (line === 'no_key') {
      expect([name, res.status, codeIn(provider, text), places, rows.length]).toEqual([name, 403, 'plan_required', 0, 0]);
      expect(app.provider.requests.length).toBe(before);
      continue;
    }
    expect([name, res.status, places, rows.length], text).toEqual([name, line.status, line.places, line.rows]);
    expect(res.headers.get('x-byok-key-source'), name).toBe('platform');
    expect(res.headers.get('x-byok-request-id'), name).toMatch(/^req_/);
    expect(res.headers.has('ratelimit'), name).toBe(line.places > 0);
    expect(app.provider.requests.at(-1)?.key).toBe(app.platformSecrets[provider]);
    if (line.rows > 0) expect(rows, name).toMatchObject([{ source: 'platform', state: 'done', route: path }]);
  }
});

// Lists of models

const listOf = async (
  app: TestApp,
  who: Person,
  provider: ProviderId,
  path = '/v1/models',
): Promise<{ res: Response; body: Record<string, unknown> }> => {
  const res = await app.fetch(who, path, { headers: versioned(provider) });
  return { res, body: (await res.json()) as Record<string, unknown> };
};
const idsOf = (body: Record<string, unknown>) => (body.data as { id: string }[]).map(({ id }) => id);
const askedFor = (app: TestApp, provider: ProviderId) =>
  app.provider.requests.filter(
    (request) => request.path === '/v1/models' && request.provider === provider && request.key === app.platformSecrets[provider],
  );

test('the list is that of the provider, in its shape, without the models that have no price', async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  const own = await app.person({ keys: { openai: 'good' } });
  const { body: all } = await listOf(app, own, 'openai');
  const { res, body } = await listOf(app, who, 'openai');
  expect(body).toEqual({ object: 'list', data: (all.data as { id: string }[]).filter(({ id }) => openai.price(id) !== null) });
  expect(idsOf(all)).toContain('whisper-1');
  expect(idsOf(body)).not.toContain('whisper-1');
  expect(idsOf(body)).toEqual(expect.arrayContaining(['gpt-4o-mini', 'omni-moderation-latest', 'text-embedding-3-small']));
  expect(res.headers.get('content-type')).toBe('application/json');
  expect(res.headers.get('x-byok-fallback-reason')).toBeNull();

  const { body: page } = await listOf(app, who, 'anthropic', '/v1/models?limit=2&after_id=x');
  const ids = idsOf(page);
  expect(ids.length).toBeGreaterThan(10);
  expect(page).toEqual({ data: expect.any(Array), has_more: false, first_id: ids[0], last_id: ids.at(-1) });
  expect((page.data as unknown[])[0]).toMatchObject({ type: 'model', id: ids[0], display_name: expect.any(String) });
  expect(askedFor(app, 'anthropic')).toMatchObject([{ query: 'limit=1000' }]);
});

test("the operator's own trained models, whose names say whose they are, are in no list", async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  const data = ['gpt-4o-mini', 'ft:gpt-4o-mini-2024-07-18:acme::abc123', 'ft:gpt-3.5-turbo-0125:acme::x'].map((id) => ({
    id,
    object: 'model',
  }));
  app.provider.next({ status: 200, body: { object: 'list', data } }, { path: '/v1/models' });
  expect((await listOf(app, who, 'openai')).body).toEqual({ object: 'list', data: data.slice(0, 1) });
  const { res, body } = await listOf(app, who, 'openai', '/v1/models/ft:gpt-3.5-turbo-0125:acme::x');
  expect([res.status, codeIn('openai', JSON.stringify(body))]).toEqual([404, 'not_found']);
});

test('the official clients read both lists, and one model of each', async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  const ids: string[] = [];
  for await (const model of app.openai(who).models.list()) ids.push(model.id);
  for await (const model of app.anthropic(who).models.list({ limit: 2 })) ids.push(model.id);
  expect(ids).toEqual(expect.arrayContaining(['gpt-4o-mini', 'claude-haiku-4-5-20251001']));
  expect(await app.openai(who).models.retrieve('gpt-4o-mini')).toMatchObject({ id: 'gpt-4o-mini', object: 'model' });
  expect(await app.anthropic(who).models.retrieve('claude-haiku-4-5-20251001')).toMatchObject({ id: 'claude-haiku-4-5-20251001' });
  await expect(app.openai(who).models.retrieve('gpt-nothing')).rejects.toMatchObject({ status: 404, code: 'not_found' });
  await expect(app.anthropic(who).models.retrieve('claude-nothing')).rejects.toMatchObject({ status: 404 });
});

test('a tier sees the models that the operator lists for it, by their names in that list, and each of them can be asked for', async () => {
  await using app = await testApp({
    platform,
    env: { PLATFORM_MODELS_COMMUNITY: 'gpt-4.1-mini,claude-haiku-4-5,whisper-1,gpt-gone', PLATFORM_MODELS_SUBSCRIBER: 'gpt-4o' },
  });
  const [community, subscriber] = [await app.person({ tier: 'community' }), await app.person({ tier: 'subscriber' })];
  expect(idsOf((await listOf(app, community, 'openai')).body)).toEqual(['gpt-4.1-mini', 'whisper-1']);
  expect(idsOf((await listOf(app, community, 'anthropic')).body)).toEqual(['claude-haiku-4-5']);
  expect(idsOf((await listOf(app, subscriber, 'openai')).body)).toEqual(['gpt-4o']);
  expect((await listOf(app, subscriber, 'anthropic')).body).toEqual({ data: [], has_more: false, first_id: null, last_id: null });
  const message = { model: 'claude-haiku-4-5', max_tokens: 5, messages: hello };
  expect((await app.fetch(community, '/v1/messages', { json: message, headers: versioned('anthropic') })).status).toBe(200);
  expect((await listOf(app, community, 'anthropic', '/v1/models/claude-haiku-4-5')).body).toMatchObject({ id: 'claude-haiku-4-5' });
  for (const [provider, id] of [
    ['openai', 'gpt-4o'],
    ['openai', 'gpt-gone'],
    ['openai', 'claude-haiku-4-5'],
    ['anthropic', 'claude-haiku-4-5-20251001'],
    ['anthropic', 'claude-haiku'],
  ] as const) {
    const { res, body } = await listOf(app, community, provider, `/v1/models/${id}`);
    expect([res.status, codeIn(provider, JSON.stringify(body)), res.headers.get('x-byok-key-source')]).toEqual([
      404,
      'not_found',
      'platform',
    ]);
  }
  // All of this was one look at each provider.
  expect([askedFor(app, 'openai').length, askedFor(app, 'anthropic').length]).toEqual([1, 1]);
});

test('it is fetched once in five minutes, also if many ask at once, and one model is looked up in the same list', async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  const gate = app.provider.gate('head', { path: '/v1/models' });
  const asked = Array.from({ length: 20 }, () => listOf(app, who, 'openai'));
  await gate.reached;
  gate.open();
  const bodies = (await Promise.all(asked)).map(({ res, body }) => [res.status, idsOf(body).length]);
  expect(new Set(bodies.map(String)).size).toBe(1);
  await listOf(app, who, 'openai', '/v1/models/gpt-4o-mini');
  app.clock.advance(299_999);
  await listOf(app, who, 'openai');
  expect(askedFor(app, 'openai')).toHaveLength(1);
  app.clock.advance(1);
  await listOf(app, who, 'openai');
  expect(askedFor(app, 'openai')).toHaveLength(2);
  expect((await app.app.limits.view(who.id, 'community')).day.used).toBe(0);
  expect(await app.requests()).toEqual([]);
});

test.each([
  ['revoked', 503, 'platform_unavailable', null],
  ['no_credit', 503, 'platform_unavailable', null],
  ['forbidden', 503, 'platform_unavailable', null],
  ['rate_limited', 429, 'platform_busy', '7'],
  ['overloaded', 502, 'provider_unreachable', null],
  ['timed_out', 504, 'provider_timeout', null],
  ['reset', 502, 'provider_unreachable', null],
  ['invalid', 502, 'provider_unreachable', null],
  ['not a list', 502, 'provider_unreachable', null],
] as const)('a fetch that fails (%s) is told in our words, and is not kept', async (state, status, code, retryAfter) => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  for (const provider of ['openai', 'anthropic'] as const) {
    const script =
      state === 'not a list'
        ? { status: 200, body: { data: 'org-byokdemo' } }
        : { state, everywhere: true, headers: { 'retry-after': '7' } };
    app.provider.next(script, { path: '/v1/models', provider });
    const { res, body } = await listOf(app, who, provider);
    expect([state, res.status, codeIn(provider, JSON.stringify(body))]).toEqual([state, status, code]);
    expect(res.headers.get('x-byok-key-source')).toBe('platform');
    if (retryAfter) expect(res.headers.get('retry-after')).toBe(retryAfter);
    expect(JSON.stringify(body)).not.toMatch(/org-byokdemo|proj_/);
    expect((await listOf(app, who, provider)).res.status).toBe(200);
  }
  const told = await app.app.notices.list('administrators');
  expect(told.length > 0).toBe(status === 503);
});

test('whose own key works sees their own list, unfiltered; whose key does not sees the platform’s, and why', async () => {
  await using app = await testApp({ platform });
  const ada = await app.person({ keys: { openai: 'good' } });
  const mine = await listOf(app, ada, 'openai');
  expect([mine.res.headers.get('x-byok-key-source'), idsOf(mine.body).includes('whisper-1')]).toEqual(['user', true]);
  expect(app.provider.requests.at(-1)?.key).toBe(ada.secrets.openai);

  const eve = await app.person({ keys: { openai: 'revoked' } });
  for (const reason of ['bad_key', 'invalid']) {
    const { res, body } = await listOf(app, eve, 'openai');
    expect([res.status, res.headers.get('x-byok-key-source'), res.headers.get('x-byok-fallback-reason')]).toEqual([
      200,
      'platform',
      reason,
    ]);
    expect(idsOf(body)).not.toContain('whisper-1');
  }
  expect((await app.app.notices.list(eve.id)).map(({ kind }) => kind)).toContain('fallback_used');
  const lapsed = await app.person({ keys: { openai: 'good' }, until: new Date(app.clock.now() - 1) });
  expect((await listOf(app, lapsed, 'openai')).res.headers.get('x-byok-fallback-reason')).toBe('plan');
  expect(await app.requests()).toEqual([]);
});

/** What a key's state leads to, by hand: whose answer, why, and with which status. Own refusals come back as the provider sent them. */
test.each([
  ['a good key', { does: 'good' }, 'user', null, 200],
  ['a key that is switched off', { does: 'good', isActive: false }, 'platform', 'inactive', 200],
  ['a key that turns out to be dead', { does: 'revoked' }, 'platform', 'bad_key', 200],
  ['one without fallback', { does: 'revoked', fallback: false }, 'user', null, 401],
  ['a key that is off, without fallback', { does: 'good', isActive: false, fallback: false }, null, 'inactive', 403],
  ['no plan for it', { does: 'good', lapsed: true }, 'platform', 'plan', 200],
  ['a busy provider', { does: { state: 'rate_limited', everywhere: true } }, 'user', null, 429],
] as const)('lists of models and forms choose their key as all requests do: %s', async (_, key, source, reason, status) => {
  await using app = await testApp({ platform });
  const until = 'lapsed' in key ? { until: new Date(app.clock.now() - 1) } : {};
  const requests = [
    (who: Person) => app.fetch(who, '/v1/models'),
    (who: Person) => app.fetch(who, '/v1/models/gpt-4o-mini'),
    (who: Person) => post(app, who, form()),
  ];
  for (const request of requests) {
    const who = await app.person({ keys: { openai: key.does }, ...until });
    const [{ id } = { id: '' }] = await app.keysOf(who);
    const switches = { ...('isActive' in key && { isActive: key.isActive }), ...('fallback' in key && { fallback: key.fallback }) };
    if (Object.keys(switches).length > 0) await app.app.vault.set({ userId: who.id, byok: true }, { id, ...switches });
    const res = await request(who);
    expect([res.status, res.headers.get('x-byok-key-source'), res.headers.get('x-byok-fallback-reason')]).toEqual([status, source, reason]);
  }
});

test('another platform key has another list', async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  await listOf(app, who, 'openai');
  const second = app.newSecret('openai', { lacks: ['gpt-4o'] });
  await app.app.vault.save({ userId: 'platform', byok: true, actor: 'admin' }, { provider: 'openai', apiKey: second });
  expect(idsOf((await listOf(app, who, 'openai')).body)).not.toContain('gpt-4o');
});

// Forms

const post = (app: TestApp, who: Person, body: FormData | Buffer, headers: Record<string, string> = {}) =>
  app.fetch(who, '/v1/audio/transcriptions', { method: 'POST', body, headers });

test('the official client transcribes on the platform’s key: its fields and its file arrive, and its usage is counted', async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  const file = new File([sound], 'speech.mp3', { type: 'audio/mpeg' });
  const answer = await app.openai(who).audio.transcriptions.create({
    ...{ file, model: 'gpt-4o-transcribe', language: 'en', prompt: 'Grüße', include: ['logprobs'], response_format: 'json' },
    chunking_strategy: { type: 'server_vad', threshold: 0.5 },
  });
  expect(answer.text).toBeTruthy();
  const upstream = app.provider.requests.at(-1);
  const received = await new Response(new Uint8Array(upstream?.body ?? []), {
    headers: { 'content-type': upstream?.headers['content-type'] ?? '' },
  }).formData();
  expect(Object.fromEntries([...received].filter(([name]) => name !== 'file'))).toEqual({
    ...{ model: 'gpt-4o-transcribe', language: 'en', prompt: 'Grüße', 'include[]': 'logprobs', response_format: 'json' },
    ...{ 'chunking_strategy[type]': 'server_vad', 'chunking_strategy[threshold]': '0.5' },
  });
  const given = received.get('file') as File;
  expect([given.name, given.type, Buffer.from(await given.arrayBuffer()).equals(sound)]).toEqual(['speech.mp3', 'audio/mpeg', true]);
  expect(upstream?.headers['content-type']).toMatch(/boundary=byok-/);
  expect(await rowsOf(app, who)).toMatchObject([
    {
      ...{ state: 'done', source: 'platform', model: 'gpt-4o-transcribe', streamed: false, inputTokens: upstream?.truth?.inputTokens },
      costNanoUsd: expect.any(Number),
    },
  ]);
});

test('a transcription streams on the platform’s key, and its row says so', async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  const res = await post(app, who, form({ stream: 'true' }));
  expect(res.headers.get('content-type')).toContain('text/event-stream');
  expect(await res.text()).toContain('transcript.text.done');
  expect(await rowsOf(app, who)).toMatchObject([
    { state: 'done', streamed: true, outputTokens: app.provider.requests.at(-1)?.truth?.outputTokens },
  ]);
});

test.each([
  ['file_id', 'field_not_allowed', 400, form({ file_id: 'file-1' })],
  ['user', 'field_not_allowed', 400, form({ user: 'x' })],
  ['whisper-1', 'model_not_allowed', 403, form({ model: 'whisper-1' })],
  ['model[]', 'field_not_allowed', 400, form({ 'model[]': 'whisper-1' })],
  ['model[x]', 'field_not_allowed', 400, form({ 'model[x]': 'whisper-1' })],
  ['claude-haiku-4-5', 'wrong_provider', 400, form({ model: 'claude-haiku-4-5' })],
])('on the platform’s key, %s in a form is %s: nothing goes up, and no place is taken', async (_, code, status, body) => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  const res = await post(app, who, body);
  expect([res.status, codeIn('openai', await res.text())]).toEqual([status, code]);
  expect(app.provider.requests).toEqual([]);
  expect((await app.app.limits.view(who.id, 'community')).day.used).toBe(0);
  expect(await app.requests()).toEqual([]);
});

test('a form that cannot be read is refused on the platform’s key with what to do, and is the provider’s to judge on one’s own', async () => {
  await using app = await testApp({ platform });
  const [who, ada] = [await app.person({ tier: 'community' }), await app.person({ keys: { openai: 'good' } })];
  const cut = Buffer.from('--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt');
  const headers = { 'content-type': 'multipart/form-data; boundary=b' };
  const refused = await post(app, who, cut, headers);
  const text = await refused.text();
  expect([refused.status, codeIn('openai', text)]).toEqual([400, 'invalid_input']);
  expect(text).toContain('multipart/form-data');
  const own = await post(app, ada, cut, headers);
  expect([own.status, await own.json()]).toMatchObject([400, { error: { message: 'Could not parse multipart form' } }]);
  expect(app.provider.requests.at(-1)?.body.equals(cut)).toBe(true);
});

test('on one’s own key a form goes up byte for byte, and its row knows the model and that it streams', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const written = new Response(form({ model: 'whisper-1', anything: 'else' }, 'a/b.mp3'));
  const type = written.headers.get('content-type') ?? '';
  const body = Buffer.from(await written.arrayBuffer());
  expect(await (await post(app, ada, body, { 'content-type': type })).json()).toMatchObject({ usage: { type: 'duration' } });
  const upstream = app.provider.requests.at(-1);
  expect([upstream?.headers['content-type'], upstream?.body.equals(body)]).toEqual([type, true]);
  expect(await (await post(app, ada, form({ stream: 'true' }))).text()).toContain('transcript.text.done');
  expect(await app.requests()).toMatchObject([
    { source: 'user', model: 'whisper-1', streamed: false },
    { source: 'user', model: 'gpt-4o-transcribe', streamed: true, costNanoUsd: expect.any(Number) },
  ]);
});

test('a form falls back as JSON does, rebuilt', async () => {
  await using app = await testApp({ platform });
  const ada = await app.person({ keys: { openai: 'revoked' } });
  const res = await post(app, ada, form());
  expect([res.status, res.headers.get('x-byok-key-source'), res.headers.get('x-byok-fallback-reason')]).toEqual([
    200,
    'platform',
    'bad_key',
  ]);
  const [first, second] = app.provider.requests.slice(-2);
  expect([first?.key, second?.key]).toEqual([ada.secrets.openai, app.platformSecrets.openai]);
  expect([first?.headers['content-type'], second?.headers['content-type']]).toEqual([
    expect.not.stringContaining('byok-'),
    expect.stringContaining('boundary=byok-'),
  ]);
});

// Moderations, beta features

test('moderations on the platform’s key name their model, and cost nothing', async () => {
  await using app = await testApp({ platform });
  const who = await app.person({ tier: 'community' });
  expect((await app.openai(who).moderations.create({ input: 'hello' })).results).toHaveLength(1);
  expect(JSON.parse(app.provider.requests.at(-1)?.body.toString() ?? '')).toEqual({ input: 'hello', model: 'omni-moderation-latest' });
  expect(await rowsOf(app, who)).toMatchObject([{ state: 'done', totalTokens: 0, costNanoUsd: 0 }]);
});

for (const provider of ['openai', 'anthropic'] as const)
  test(`${provider}: an error in the middle of a stream on the platform’s key does not say whose account it is`, async () => {
    await using app = await testApp({ platform: { [provider]: { fault: 'error_event', afterChunks: 2, error: 'rate_limited' } } });
    const res = await ask(app, await app.person(), { provider, stream: true });
    const { text } = await readAll(res);
    expect(text).toContain('"error"');
    expect(text).not.toMatch(/organization|Rate limit/);
    expect(await app.requests()).toMatchObject([{ state: 'failed', errorCode: 'provider_error', source: 'platform' }]);
  });

test.each(['application/x-www-form-urlencoded', 'application/json; charset=utf-7', 'text/plain'])(
  'a body that a client calls %s goes out on the platform’s key as the JSON that was checked',
  async (type) => {
    await using app = await testApp({ platform: { openai: 'good' } });
    const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] });
    const headers = { 'content-type': type };
    await app.fetch(await app.person(), '/v1/chat/completions', { method: 'POST', headers, body });
    expect(app.provider.requests.at(-1)?.headers['content-type']).toBe('application/json');
  },
);

test('beta features pass on the platform’s key as far as the operator names them, and all on one’s own', async () => {
  await using app = await testApp({ platform, env: { PLATFORM_BETA_HEADERS: 'context-1m-2025-08-07, assistants=v2' } });
  const [who, ada] = [await app.person({ tier: 'community' }), await app.person({ keys: { anthropic: 'good' } })];
  const send = async (person: Person) => {
    const headers = { ...versioned('anthropic'), 'anthropic-beta': 'files-api-2025-04-14,context-1m-2025-08-07', 'openai-beta': 'other' };
    const json = { model: 'claude-haiku-4-5', max_tokens: 5, messages: hello };
    expect((await app.fetch(person, '/v1/messages', { json, headers })).status).toBe(200);
    const { headers: sent } = app.provider.requests.at(-1) ?? {};
    return [sent?.['anthropic-beta'], sent?.['openai-beta']];
  };
  expect(await send(who)).toEqual(['context-1m-2025-08-07', undefined]);
  expect(await send(ada)).toEqual(['files-api-2025-04-14,context-1m-2025-08-07', 'other']);
});
