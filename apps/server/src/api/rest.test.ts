import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import {
  AccessToken,
  CreatedToken,
  KeyHistory,
  KeyList,
  KeyView,
  LimitsView,
  OneKey,
  type Problem,
  ProviderList,
  TokenList,
  UsageReport,
  Verdict,
} from '@synthstack/core';
import { afterAll, expect, test } from 'vitest';
import type { z } from 'zod';
import { type Person, password, type TestApp, testApp } from '../../test/app.ts';
import { doors } from './rest.ts';

interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what a client gets has no type yet
  body: any;
}

type Init = Parameters<TestApp['fetch']>[2];

const open: TestApp[] = [];
afterAll(() => Promise.all(open.map((app) => app[Symbol.asyncDispose]())));
let shared: Promise<TestApp> | undefined;
/** One server for all tests here that change nothing but what is their own person's. */
async function sharedApp(): Promise<TestApp> {
  shared ??= testApp({ platform: { openai: 'good' } });
  const app = await shared;
  if (!open.includes(app)) open.push(app);
  return app;
}

async function call(app: TestApp, who: Person | null, line: string, init: Init = {}): Promise<Answer> {
  const [method, path = ''] = line.split(' ');
  const res = await app.fetch(who, path, { ...init, ...(method && { method }) });
  const sent = await res.text();
  const isJson = sent !== '' && /json/.test(res.headers.get('content-type') ?? '');
  return { status: res.status, headers: res.headers, body: isJson ? JSON.parse(sent) : sent };
}

/** The value has the contract's shape, and not one field more. */
function hasShape<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  expect(schema.parse(value)).toEqual(value);
  return schema.parse(value);
}

function isProblem(answer: Answer, status: number, code: string): Problem {
  expect(answer, JSON.stringify(answer.body)).toMatchObject({ status, body: { type: 'about:blank', status, code } });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  const known = ['type', 'title', 'status', 'code', 'detail', 'errors'];
  expect(Object.keys(answer.body).filter((field) => !known.includes(field))).toEqual([]);
  for (const field of ['title', 'detail']) expect(answer.body[field]).toMatch(/\S/);
  return answer.body;
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test('the doors are those of INTERFACE.md', () => {
  expect(doors.map(({ method, path, status }) => `${method} ${path} ${status}`).sort()).toEqual(
    [
      'POST /api/v1/auth/token 200',
      'GET /api/v1/api-keys 200',
      'POST /api/v1/api-keys 201',
      'POST /api/v1/api-keys/check 200',
      'PATCH /api/v1/api-keys/{id} 200',
      'POST /api/v1/api-keys/{id}/test 200',
      'DELETE /api/v1/api-keys/{id} 204',
      'POST /api/v1/api-keys/former/{id}/restore 200',
      'DELETE /api/v1/api-keys/former/{id} 204',
      'GET /api/v1/api-keys/uses 200',
      'GET /api/v1/api-keys/history 200',
      'GET /api/v1/api-keys/providers 200',
      'PATCH /api/v1/api-keys/{id}/budget 200',
      'DELETE /api/v1/api-keys/{id}/budget 204',
      'GET /api/v1/api-keys/fallback-cap 200',
      'PATCH /api/v1/api-keys/fallback-cap 200',
      'GET /api/v1/api-keys/usage 200',
      'GET /api/v1/api-keys/usage/requests 200',
      'GET /api/v1/limits 200',
      'GET /api/v1/tokens 200',
      'POST /api/v1/tokens 201',
      'DELETE /api/v1/tokens/{id} 204',
      'GET /api/v1/agents 200',
      'GET /api/v1/conversations 200',
      'GET /api/v1/conversations/{id} 200',
      'PATCH /api/v1/conversations/{id} 200',
      'DELETE /api/v1/conversations/{id} 204',
      'DELETE /api/v1/conversations 204',
      'GET /api/v1/notices 200',
      'GET /api/v1/notices/unread 200',
      'POST /api/v1/notices/{id}/read 204',
      'POST /api/v1/notices/read 204',
      'DELETE /api/v1/notices/{id} 204',
      'GET /api/v1/notices/preferences 200',
      'PATCH /api/v1/notices/preferences/{kind} 200',
      'GET /api/v1/admin/notices 200',
      'POST /api/v1/admin/notices/{id}/read 204',
      'POST /api/v1/admin/notices/read 204',
      'DELETE /api/v1/admin/notices/{id} 204',
      'GET /api/v1/announcements 200',
      'POST /api/v1/announcements/{id}/close 204',
      'GET /api/v1/admin/announcements 200',
      'POST /api/v1/admin/announcements 201',
      'POST /api/v1/admin/announcements/{id}/withdraw 200',
      'GET /api/v1/admin/users 200',
      'POST /api/v1/admin/users 201',
      'GET /api/v1/admin/users/{id} 200',
      'PATCH /api/v1/admin/users/{id} 200',
      'DELETE /api/v1/admin/users/{id} 204',
      'POST /api/v1/admin/users/{id}/plan 200',
      'POST /api/v1/admin/users/{id}/reset-link 200',
      'POST /api/v1/admin/users/{id}/reset-factors 200',
      'POST /api/v1/admin/users/{id}/sign-out 200',
      'GET /api/v1/admin/audit 200',
      'GET /api/v1/admin/audit/verify 200',
      'GET /api/v1/admin/health 200',
      'GET /api/v1/admin/agents 200',
      'POST /api/v1/admin/agents 201',
      'PATCH /api/v1/admin/agents/{slug} 200',
      'GET /api/v1/tiers 200',
      'GET /api/v1/admin/limits 200',
      'PATCH /api/v1/admin/limits/{tier} 200',
      'GET /api/v1/admin/models 200',
      'PATCH /api/v1/admin/models/{tier} 200',
      'GET /api/v1/admin/platform-keys 200',
      'POST /api/v1/admin/platform-keys 201',
      'POST /api/v1/admin/platform-keys/check 200',
      'PATCH /api/v1/admin/platform-keys/{id} 200',
      'POST /api/v1/admin/platform-keys/{id}/test 200',
      'POST /api/v1/admin/platform-keys/environment/{provider}/test 200',
      'DELETE /api/v1/admin/platform-keys/{id} 204',
      'GET /api/v1/admin/usage 200',
      'GET /api/v1/admin/usage/users 200',
      'GET /api/v1/admin/prices 200',
      'POST /api/v1/admin/prices 200',
      'GET /api/v1/admin/rotation 200',
      'POST /api/v1/admin/rotation 200',
      'DELETE /api/v1/admin/prices/{provider}/{model} 204',
      'POST /api/v1/admin/agents/{slug}/reset 204',
      'GET /api/v1/admin/agents/{slug}/versions 200',
    ].sort(),
  );
});

test('a key is saved, listed, checked, switched, tested, replaced and deleted', async () => {
  const app = await sharedApp();
  const ada = await app.person();
  expect((await call(app, ada, 'GET /api/v1/api-keys')).body).toEqual({ keys: [], perProvider: 1 });
  const apiKey = app.newSecret('openai');
  const saved = await call(app, ada, 'POST /api/v1/api-keys', { json: { provider: 'openai', apiKey } });
  expect(saved.status).toBe(201);
  const { key } = hasShape(OneKey, saved.body);
  expect(Object.keys(saved.body.key).sort()).toEqual(Object.keys(KeyView.shape).sort());
  expect(key).toMatchObject({ provider: 'openai', keyHint: `****...${apiKey.slice(-4)}`, status: 'valid', isValid: true, isActive: true });
  expect(key).toMatchObject({ fallback: true, lastError: null, totalRequests: 0, totalTokens: 0, estimatedCostUsd: 0, lastUsedAt: null });
  expect(key.createdAt).toMatch(instant);
  expect(key.lastTestedAt).toMatch(instant);
  expect(hasShape(KeyList, (await call(app, ada, 'GET /api/v1/api-keys')).body)).toEqual({ keys: [key], perProvider: 1 });

  const revoked = { provider: 'anthropic', apiKey: app.newSecret('anthropic', 'revoked') };
  const checked = await call(app, ada, 'POST /api/v1/api-keys/check', { json: revoked });
  expect(checked.status).toBe(200);
  expect(hasShape(Verdict, checked.body)).toMatchObject({ valid: false, status: 'invalid', message: expect.stringMatching(/\S/) });
  expect((await call(app, ada, 'GET /api/v1/api-keys')).body.keys).toHaveLength(1);
  const savedInvalid = await call(app, ada, 'POST /api/v1/api-keys', { json: revoked });
  expect(savedInvalid).toMatchObject({ status: 201, body: { key: { status: 'invalid', isValid: false, lastError: expect.any(String) } } });

  const path = `/api/v1/api-keys/${key.id}`;
  const switched = await call(app, ada, `PATCH ${path}`, { json: { isActive: false, fallback: false } });
  expect(switched).toMatchObject({ status: 200, body: { key: { id: key.id, isActive: false, fallback: false } } });
  hasShape(OneKey, switched.body);
  expect((await call(app, ada, `PATCH ${path}`, { json: {} })).body.key).toEqual(switched.body.key);
  const tested = await call(app, ada, `POST ${path}/test`);
  expect(tested.status).toBe(200);
  expect(hasShape(Verdict, tested.body)).toMatchObject({ valid: true, status: 'valid' });

  const replaced = await call(app, ada, 'POST /api/v1/api-keys', { json: { provider: 'openai', apiKey: app.newSecret('openai') } });
  expect(replaced).toMatchObject({ status: 201, body: { key: { isActive: true, fallback: false } } });
  expect(replaced.body.key.id).not.toBe(key.id);
  expect((await call(app, ada, 'GET /api/v1/api-keys')).body.keys).toHaveLength(2);
  isProblem(await call(app, ada, `DELETE ${path}`), 404, 'not_found');
  expect(replaced.body.key.former).toMatchObject({ id: key.id, keyHint: key.keyHint });

  const restored = await call(app, ada, `POST /api/v1/api-keys/former/${key.id}/restore`);
  expect(hasShape(OneKey, restored.body).key).toMatchObject({ keyHint: key.keyHint, former: { id: replaced.body.key.id } });
  expect((await call(app, ada, `DELETE /api/v1/api-keys/former/${replaced.body.key.id}`)).status).toBe(204);
  isProblem(await call(app, ada, `POST /api/v1/api-keys/former/${replaced.body.key.id}/restore`), 404, 'not_found');
  const expiresAt = '2031-01-31T22:59:59.999Z';
  const dated = await call(app, ada, `PATCH /api/v1/api-keys/${restored.body.key.id}`, { json: { expiresAt } });
  expect(dated.body.key).toMatchObject({ expiresAt, isExpired: false, former: null });

  const removed = await call(app, ada, `DELETE /api/v1/api-keys/${restored.body.key.id}`);
  expect([removed.status, removed.body]).toEqual([204, '']);
  expect((await call(app, ada, 'GET /api/v1/api-keys')).body.keys).toMatchObject([{ provider: 'anthropic' }]);

  const history = hasShape(KeyHistory, (await call(app, ada, 'GET /api/v1/api-keys/history?provider=openai&limit=100')).body);
  const kinds = ['removed', 'switched', 'forgotten', 'restored', 'replaced', 'tested', 'switched', 'saved'];
  expect(history.events.map(({ kind }) => kind)).toEqual(kinds);
  expect(new Set(history.events.map(({ by, provider }) => `${by} ${provider}`))).toEqual(new Set(['you openai']));
  expect(history.events[1]).toMatchObject({ keyHint: key.keyHint, expiresAt, isActive: null });
  expect(history.events[6]).toMatchObject({ isActive: false, fallback: false, expiresAt: null });
  const page = hasShape(KeyHistory, (await call(app, ada, 'GET /api/v1/api-keys/history?limit=6')).body);
  const rest = hasShape(KeyHistory, (await call(app, ada, `GET /api/v1/api-keys/history?cursor=${page.nextCursor}`)).body);
  expect(rest.nextCursor).toBeNull();
  expect([...page.events, ...rest.events].filter(({ provider }) => provider === 'openai')).toEqual(history.events);
});

test('what cannot be a key is refused with the field named; nothing is stored, lost or sent to the provider', async () => {
  const app = await sharedApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const before = (await call(app, ada, 'GET /api/v1/api-keys')).body;
  const asked = app.provider.requests.length;
  const good = { provider: 'openai', apiKey: app.newSecret('openai') };
  const raw = JSON.stringify(good);
  const wrong: [name: string, body: unknown, fields: string[]][] = [
    ['unknown provider', { ...good, provider: 'mistral' }, ['provider']],
    ['provider of Object', { ...good, provider: 'constructor' }, ['provider']],
    ['no provider', { apiKey: good.apiKey }, ['provider']],
    ['provider null', { ...good, provider: null }, ['provider']],
    ['provider as a list', { ...good, provider: ['openai'] }, ['provider']],
    ['empty key', { ...good, apiKey: '' }, ['apiKey']],
    ['blank key', { ...good, apiKey: ' \n\t ' }, ['apiKey']],
    ['short key', { ...good, apiKey: 'sk-1234567890' }, ['apiKey']],
    ['10 kB key', { ...good, apiKey: `sk-${'x'.repeat(10_240)}` }, ['apiKey']],
    ['600 characters', { ...good, apiKey: `sk-${'x'.repeat(600)}` }, ['apiKey']],
    ['newline inside', { ...good, apiKey: `${good.apiKey.slice(0, 20)}\n${good.apiKey.slice(20)}` }, ['apiKey']],
    ['CR inside', { ...good, apiKey: `${good.apiKey.slice(0, 20)}\r${good.apiKey.slice(20)}` }, ['apiKey']],
    ['NUL inside', { ...good, apiKey: `${good.apiKey.slice(0, 20)}\0${good.apiKey.slice(20)}` }, ['apiKey']],
    ['space inside', { ...good, apiKey: `${good.apiKey.slice(0, 20)} ${good.apiKey.slice(20)}` }, ['apiKey']],
    ['umlaut inside', { ...good, apiKey: `${good.apiKey}ü` }, ['apiKey']],
    ["the other provider's", { ...good, apiKey: app.newSecret('anthropic') }, ['apiKey']],
    ["the other provider's, the other way", { provider: 'anthropic', apiKey: good.apiKey }, ['apiKey']],
    ['a gateway token', { ...good, apiKey: ada.token }, ['apiKey']],
    ['key as a number', { ...good, apiKey: 5 }, ['apiKey']],
    ['key as an object', { ...good, apiKey: { $ne: '' } }, ['apiKey']],
    ['key as a list', { ...good, apiKey: [good.apiKey] }, ['apiKey']],
    ['unknown field', { ...good, baseUrl: 'https://evil.example' }, ['baseUrl']],
    ['unknown fields', { ...good, userId: 'x', owner: 'platform' }, ['userId', 'owner']],
    ['__proto__', `{"__proto__":{"isAdmin":true},${raw.slice(1)}`, ['__proto__']],
    ['__proto__ instead', `{"__proto__":${raw}}`, ['provider']],
    ['constructor', `{"constructor":{},${raw.slice(1)}`, ['constructor']],
    ['everything wrong', { provider: 1, apiKey: 2, x: 3 }, ['provider', 'apiKey', 'x']],
    ['a list', [good], ['body']],
    ['null', 'null', ['body']],
    ['a text', JSON.stringify(raw), ['body']],
    ['no JSON', raw.slice(0, -1), ['body']],
    ['a form', 'provider=openai&apiKey=x', ['body']],
    ['a comment', `${raw} // x`, ['body']],
    ['nothing', '', ['provider', 'apiKey']],
    ['NUL outside', `${raw}\0`, ['body']],
  ];
  for (const [name, body, fields] of wrong) {
    for (const path of ['/api/v1/api-keys', '/api/v1/api-keys/check']) {
      const sent = typeof body === 'string' ? body : JSON.stringify(body);
      const answer = await call(app, ada, `POST ${path}`, { body: sent, headers: { 'content-type': 'application/json' } });
      const { errors } = isProblem(answer, 400, 'invalid_input');
      for (const field of fields) expect(Object.entries(errors ?? {}), name).toContainEqual([field, [expect.stringMatching(/\S/)]]);
      expect(JSON.stringify(answer.body), name).not.toContain(good.apiKey.slice(8, 20));
    }
  }
  expect((await call(app, ada, 'GET /api/v1/api-keys')).body).toEqual(before);
  expect(app.provider.requests).toHaveLength(asked);
  // None of it was counted as a check either.
  expect((await call(app, ada, 'POST /api/v1/api-keys/check', { json: { ...good, apiKey: ` ${good.apiKey}\r\n` } })).body.valid).toBe(true);
});

test('other doors name the field too', async () => {
  const app = await sharedApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const [{ id } = { id: '' }] = await app.keysOf(ada);
  const inPerson = { ...ada, token: (await app.app.auth.issueJwt(await app.app.auth.signIn(ada.email, password))).token };
  const wrong: [line: string, json: unknown, fields: string[]][] = [
    [`PATCH /api/v1/api-keys/${id}`, { isActive: 'false' }, ['isActive']],
    [`PATCH /api/v1/api-keys/${id}`, { isActive: 1, fallback: null }, ['isActive', 'fallback']],
    [`PATCH /api/v1/api-keys/${id}`, { status: 'valid' }, ['status']],
    [`PATCH /api/v1/api-keys/${id}`, { id }, ['id']],
    ['PATCH /api/v1/api-keys/1', { isActive: true }, ['id']],
    [`PATCH /api/v1/api-keys/${id}`, { expiresAt: '2031-01-31' }, ['expiresAt']],
    [`PATCH /api/v1/api-keys/${id}`, { expiresAt: '9999-12-31T23:59:59-14:00' }, ['expiresAt']],
    [`PATCH /api/v1/api-keys/${id}`, { expiresAt: '2020-01-01T00:00:00Z' }, ['expiresAt']],
    ['POST /api/v1/api-keys/former/1/restore', undefined, ['id']],
    ['GET /api/v1/api-keys/uses?days=32', undefined, ['days']],
    ['GET /api/v1/api-keys/uses?timezone=Mars/Olympus', undefined, ['timezone']],
    ['GET /api/v1/api-keys/uses?before=2026-02-30', undefined, ['before']],
    ['GET /api/v1/api-keys/history?limit=101', undefined, ['limit']],
    ['GET /api/v1/api-keys/history?cursor=-1', undefined, ['cursor']],
    ['GET /api/v1/api-keys/history?provider=mistral', undefined, ['provider']],
    ['GET /api/v1/api-keys/history?userId=1', undefined, ['userId']],
    ['PATCH /api/v1/api-keys/%00', { isActive: true }, ['id']],
    [`PATCH /api/v1/api-keys/${id}%2F..`, { isActive: true }, ['id']],
    ['POST /api/v1/api-keys/x/test', undefined, ['id']],
    [`POST /api/v1/api-keys/${id}/test`, { force: true }, ['force']],
    [`DELETE /api/v1/api-keys/${id}'--`, undefined, ['id']],
    [`PATCH /api/v1/api-keys/${id}`, { name: 'x'.repeat(61) }, ['name']],
    [`PATCH /api/v1/api-keys/${id}`, { models: ['*x'] }, ['models.0']],
    [`PATCH /api/v1/api-keys/${id}`, { models: 'gpt-4.1' }, ['models']],
    [`PATCH /api/v1/api-keys/${id}`, { position: -1 }, ['position']],
    [`PATCH /api/v1/api-keys/${id}`, { rank: 1 }, ['rank']],
    [`PATCH /api/v1/api-keys/${id}/budget`, { limitUsd: 0, hard: true }, ['limitUsd']],
    [`PATCH /api/v1/api-keys/${id}/budget`, { limitUsd: '5', hard: 1 }, ['limitUsd', 'hard']],
    [`PATCH /api/v1/api-keys/${id}/budget`, { limitUsd: 1e9, hard: true }, ['limitUsd']],
    [`PATCH /api/v1/api-keys/${id}/budget`, { limitUsd: 5, hard: true, spentUsd: 0 }, ['spentUsd']],
    ['PATCH /api/v1/api-keys/fallback-cap', { perDay: 1.5 }, ['perDay']],
    ['PATCH /api/v1/api-keys/fallback-cap', { perDay: -1 }, ['perDay']],
    ['PATCH /api/v1/api-keys/fallback-cap', {}, ['perDay']],
    ['POST /api/v1/tokens', {}, ['name']],
    ['POST /api/v1/tokens', { name: '  ' }, ['name']],
    ['POST /api/v1/tokens', { name: 'x', expiresAt: 'tomorrow' }, ['expiresAt']],
    ['POST /api/v1/tokens', { name: 'x', expiresAt: '2000-01-01T00:00:00Z' }, ['expiresAt']],
    ['POST /api/v1/tokens', { name: 'x', scopes: [] }, ['scopes']],
    ['POST /api/v1/tokens', { name: 'x', scopes: ['admin'] }, ['scopes.0']],
    ['DELETE /api/v1/tokens/x', undefined, ['id']],
    ['GET /api/v1/api-keys/usage?days=0', undefined, ['days']],
    ['GET /api/v1/api-keys/usage?days=367', undefined, ['days']],
    ['GET /api/v1/api-keys/usage?days=1.5', undefined, ['days']],
    ['GET /api/v1/api-keys/usage?days=', undefined, ['days']],
    ['GET /api/v1/api-keys/usage?days=99999999999999999999', undefined, ['days']],
    ['GET /api/v1/api-keys/usage?days=3&days=4', undefined, ['days']],
    ['GET /api/v1/api-keys/usage?days=3&from=2026-01-01T00:00:00Z', undefined, ['days']],
    ['GET /api/v1/api-keys/usage?from=2026-01-01T00:00:00Z', undefined, ['to']],
    ['GET /api/v1/api-keys/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', undefined, ['to']],
    ['GET /api/v1/api-keys/usage?from=yesterday&to=2026-01-01T00:00:00Z', undefined, ['from']],
    ['GET /api/v1/api-keys/usage?timezone=Mars/Olympus', undefined, ['timezone']],
    ['GET /api/v1/api-keys/usage?groupBy=week', undefined, ['groupBy']],
    ['GET /api/v1/api-keys/usage?groupBy=hour&days=90', undefined, ['groupBy']],
    ['GET /api/v1/api-keys/usage?userId=x', undefined, ['userId']],
    ['GET /api/v1/api-keys/usage?__proto__=x', undefined, ['__proto__']],
    ['GET /api/v1/api-keys/usage?toString=x', undefined, ['toString']],
    ['GET /api/v1/api-keys/usage.csv', undefined, ['from', 'to']],
    ['GET /api/v1/api-keys/usage.csv?from=2026-01-01T00:00:00Z&from=2026-01-02T00:00:00Z&to=2026-02-01T00:00:00Z', undefined, ['from']],
    ['GET /api/v1/api-keys/usage.csv?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z&userId=x', undefined, ['userId']],
  ];
  for (const [line, json, fields] of wrong) {
    const answer = await call(app, inPerson, line, json === undefined ? {} : { json });
    const { errors } = isProblem(answer, 400, 'invalid_input');
    for (const field of fields) expect(Object.keys(errors ?? {}), `${line} ${JSON.stringify(json)}`).toContain(field);
  }
  expect((await call(app, null, 'POST /api/v1/auth/token', { json: { email: 'x' } })).body.errors).toMatchObject({
    email: [expect.any(String)],
    password: [expect.any(String)],
  });
  expect(await app.keysOf(ada)).toMatchObject([{ id, isActive: true, fallback: true }]);
  expect(await app.app.tokens.list(ada.id)).toHaveLength(1);
});

test('a huge body is 413, another content type 415, another method 405 with Allow, nothing there 404', async () => {
  const app = await sharedApp();
  const ada = await app.person();
  const save = 'POST /api/v1/api-keys';
  const huge = JSON.stringify({ provider: 'openai', apiKey: 'x'.repeat(1_000_000) });
  isProblem(await call(app, ada, save, { body: huge, headers: { 'content-type': 'application/json' } }), 413, 'too_large');
  const streamed = await chunked(`${app.url}/api/v1/api-keys`, ada.token, huge);
  expect(streamed).toMatchObject({ status: 413, body: { code: 'too_large' } });
  const good = JSON.stringify({ provider: 'openai', apiKey: app.newSecret('openai') });
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json-patch+json',
    'application/jsonx',
    'text/json',
  ])
    isProblem(await call(app, ada, save, { body: good, headers: { 'content-type': type } }), 415, 'unsupported_media');
  const zipped = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  isProblem(await call(app, ada, save, { body: good, headers: zipped }), 415, 'unsupported_media');
  expect(await app.keysOf(ada)).toEqual([]);
  expect((await call(app, ada, save, { body: good, headers: { 'content-type': 'Application/JSON; charset=utf-8' } })).status).toBe(201);
  for (const [line, allow] of [
    ['PUT /api/v1/api-keys', 'GET, POST'],
    ['DELETE /api/v1/api-keys', 'GET, POST'],
    ['GET /api/v1/api-keys/check', 'POST'],
    ['POST /api/v1/api-keys/usage', 'GET'],
    ['POST /api/v1/api-keys/usage.csv', 'GET, HEAD'],
    ['DELETE /api/v1/api-keys/usage.csv', 'GET, HEAD'],
    ['OPTIONS /api/v1/limits', 'GET'],
    ['GET /api/v1/auth/token', 'POST'],
    ['POST /api/openapi.json', 'GET, HEAD'],
    ['POST /healthz', 'GET, HEAD'],
    ['PUT /', 'GET, HEAD'],
  ] as const) {
    const answer = await call(app, ada, line);
    isProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow'), line).toContain(allow.split(', ')[0] ?? '');
    for (const method of allow.split(', ')) expect(answer.headers.get('allow')?.split(', '), line).toContain(method);
  }
  for (const path of [
    '/api/v1',
    '/api/v1/',
    '/api/v1/api-keys/',
    '/api/v1/API-keys',
    '/api/v2/api-keys',
    '/api/v1/api-keys/x/test/y',
    '/api/nothing',
    '/api/v1//api-keys',
    '/api/v1/%61pi-keys',
    '/api/v1/api-keys;x=1',
    '/api/v1/api-keys/%zz/test',
  ])
    isProblem(await call(app, ada, `GET ${path}`), 404, 'not_found');
  const head = await call(app, ada, 'HEAD /api/v1/limits');
  expect([head.status, head.headers.get('content-type')]).toEqual([200, 'application/json']);
});

/** A body whose length is not said beforehand. */
function chunked(url: string, token: string, body: string): Promise<{ status: number | undefined; body: unknown }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const req = request(url, { method: 'POST', headers }, (res) => {
      text(res).then((sent) => resolve({ status: res.statusCode, body: JSON.parse(sent) }), reject);
    });
    req.on('error', reject);
    req.end(body);
  });
}

test('without a plan with own keys nothing is saved or checked; list, test, switch and delete work for who lapsed', async () => {
  const app = await sharedApp();
  const community = await app.person({ tier: 'community' });
  const lapsed = await app.person({ keys: { openai: 'good' }, until: new Date(app.clock.now() - 1_000) });
  const asked = app.provider.requests.length;
  for (const who of [community, lapsed]) {
    for (const path of ['/api/v1/api-keys', '/api/v1/api-keys/check']) {
      const answer = await call(app, who, `POST ${path}`, { json: { provider: 'anthropic', apiKey: app.newSecret('anthropic') } });
      isProblem(answer, 403, 'plan_required');
    }
  }
  expect(app.provider.requests).toHaveLength(asked);
  expect(await app.keysOf(community)).toEqual([]);
  const [{ id } = { id: '' }, ...others] = (await call(app, lapsed, 'GET /api/v1/api-keys')).body.keys;
  expect(others).toEqual([]);
  expect((await call(app, lapsed, `POST /api/v1/api-keys/${id}/test`)).status).toBe(200);
  expect((await call(app, lapsed, `PATCH /api/v1/api-keys/${id}`, { json: { fallback: false } })).status).toBe(200);
  expect((await call(app, lapsed, `DELETE /api/v1/api-keys/${id}`)).status).toBe(204);
});

test('the 6th test and the 21st check in a minute are 429 with Retry-After, and nothing is stored', async () => {
  const app = await sharedApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const [key] = await app.keysOf(ada);
  for (let i = 0; i < 5; i += 1) expect((await call(app, ada, `POST /api/v1/api-keys/${key?.id}/test`)).status).toBe(200);
  const sixth = await call(app, ada, `POST /api/v1/api-keys/${key?.id}/test`);
  isProblem(sixth, 429, 'limit_reached');
  expect(sixth.headers.get('retry-after')).toBe('60');
  const save = () => call(app, ada, 'POST /api/v1/api-keys', { json: { provider: 'anthropic', apiKey: app.newSecret('anthropic') } });
  // Saving the first key was one check, the tests were five.
  for (let i = 0; i < 14; i += 1) expect((await save()).status).toBe(201);
  const before = (await call(app, ada, 'GET /api/v1/api-keys')).body;
  const asked = app.provider.requests.length;
  app.clock.advance(10_000);
  const refused = await save();
  isProblem(refused, 429, 'limit_reached');
  expect(refused.headers.get('retry-after')).toBe('50');
  expect((await call(app, ada, 'GET /api/v1/api-keys')).body).toEqual(before);
  expect(app.provider.requests).toHaveLength(asked);
  app.clock.advance(50_000);
  expect((await save()).status).toBe(201);
});

test('a JWT is had for a password, holds what INTERFACE.md says, and ends with its session', async () => {
  const app = await sharedApp();
  const ada = await app.person();
  const signIn = (json: unknown) => call(app, null, 'POST /api/v1/auth/token', { json });
  const refused = [
    await signIn({ email: ada.email, password: 'not the password' }),
    await signIn({ email: 'nobody@example.com', password }),
  ];
  for (const answer of refused) isProblem(answer, 401, 'unauthenticated');
  expect(refused[0]?.body).toEqual(refused[1]?.body);
  const answer = await signIn({ email: ada.email.toUpperCase(), password });
  expect(answer.status).toBe(200);
  const { token, expiresAt } = hasShape(AccessToken, answer.body);
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'iss', 'sid', 'sub']);
  expect(claims.sub).toBe(ada.id);
  expect(Date.parse(expiresAt)).toBe(claims.exp * 1_000);
  expect(Math.abs(Date.parse(expiresAt) - app.clock.now() - 15 * 60_000)).toBeLessThan(1_001);
  expect((await call(app, null, 'GET /api/auth/jwks')).body.keys[0]).toMatchObject({ alg: 'EdDSA', crv: 'Ed25519' });
  const withJwt = { ...ada, token };
  expect((await call(app, withJwt, 'GET /api/v1/limits')).status).toBe(200);
  isProblem(await call(app, { ...ada, token: `${token.slice(0, -4)}AAAA` }, 'GET /api/v1/limits'), 401, 'unauthenticated');
  // Signing out deletes the session's row, wherever that happens.
  await app.app.auth.setPassword(ada.id, 'another horse battery');
  const gone = await call(app, withJwt, 'GET /api/v1/limits');
  isProblem(gone, 401, 'unauthenticated');
  expect(gone.headers.get('www-authenticate')).toBe('Bearer');
  expect((await call(app, ada, 'GET /api/v1/limits')).status).toBe(200);
});

test('a JWT is refused at the next request after its session has signed out', async () => {
  const app = await sharedApp();
  const ada = await app.person();
  const headers = { origin: 'http://byok.test' };
  const signedIn = await app.fetch(null, '/api/auth/sign-in/email', { json: { email: ada.email, password }, headers });
  const cookie = signedIn.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  const session = await app.app.auth.sessionOf({ cookie });
  if (!session) throw new Error('no session');
  const { token } = await app.app.auth.issueJwt(session);
  const withJwt = { ...ada, token };
  expect((await call(app, withJwt, 'GET /api/v1/api-keys')).status).toBe(200);
  expect((await app.fetch(null, '/api/auth/sign-out', { json: {}, headers: { ...headers, cookie } })).status).toBe(200);
  isProblem(await call(app, withJwt, 'GET /api/v1/api-keys'), 401, 'unauthenticated');
});

test('tokens: made with a JWT, shown once, used, revoked; a manage token makes none', async () => {
  const app = await sharedApp();
  const ada = await app.person();
  const session = await app.app.auth.signIn(ada.email, password);
  const inPerson = { ...ada, token: (await app.app.auth.issueJwt(session)).token };
  const expiresAt = new Date(app.clock.now() + 3_600_000).toISOString();
  const made = await call(app, inPerson, 'POST /api/v1/tokens', { json: { name: 'laptop', expiresAt, scopes: ['gateway', 'manage'] } });
  expect(made.status).toBe(201);
  const { token, secret } = hasShape(CreatedToken, made.body);
  expect(secret).toMatch(/^byok_[\w-]{43}$/);
  expect(token).toMatchObject({ name: 'laptop', prefix: secret.slice(0, 9), expiresAt, lastUsedAt: null, scopes: ['gateway', 'manage'] });
  const byDefault = await call(app, inPerson, 'POST /api/v1/tokens', { json: { name: 'plain' } });
  expect(byDefault.body.token).toMatchObject({ scopes: ['gateway'], expiresAt: null });
  const listed = await call(app, { ...ada, token: secret }, 'GET /api/v1/tokens');
  expect(hasShape(TokenList, listed.body).tokens.map(({ name }) => name)).toContain('laptop');
  expect(JSON.stringify(listed.body)).not.toContain(secret.slice(9));
  isProblem(await call(app, { ...ada, token: secret }, 'POST /api/v1/tokens', { json: { name: 'more' } }), 403, 'forbidden');
  const gatewayOnly = { ...ada, token: byDefault.body.secret };
  isProblem(await call(app, gatewayOnly, 'GET /api/v1/tokens'), 403, 'forbidden');
  const revoked = await call(app, inPerson, `DELETE /api/v1/tokens/${token.id}`);
  expect([revoked.status, revoked.body]).toEqual([204, '']);
  isProblem(await call(app, { ...ada, token: secret }, 'GET /api/v1/tokens'), 401, 'unauthenticated');
  isProblem(await call(app, inPerson, `DELETE /api/v1/tokens/${token.id}`), 404, 'not_found');
});

test('providers, limits and usage have the fields and figures of INTERFACE.md', async () => {
  const app = await sharedApp();
  const ada = await app.person({ keys: { anthropic: 'good' } });
  const { providers } = hasShape(ProviderList, (await call(app, ada, 'GET /api/v1/api-keys/providers')).body);
  expect(providers).toMatchObject([
    { id: 'openai', name: 'OpenAI', platform: true },
    { id: 'anthropic', name: 'Anthropic', platform: false },
  ]);
  expect(providers[0]?.models).toContainEqual({ id: 'gpt-4o-mini', inputUsdPerMillion: 0.15, outputUsdPerMillion: 0.6 });

  const from = new Date(app.clock.now() - 3_600_000).toISOString();
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  const message = { model: 'claude-haiku-4-5', max_tokens: 50, messages: [{ role: 'user' as const, content: 'hello' }] };
  await app.anthropic(ada).messages.create(message);
  const truths = app.provider.requests.slice(-2).map(({ truth }) => truth);
  const limits = hasShape(LimitsView, (await call(app, ada, 'GET /api/v1/limits')).body);
  expect(limits).toMatchObject({
    tier: 'premium',
    minute: { limit: 100, used: 1, remaining: 99 },
    day: { limit: 2_000, used: 1, remaining: 1_999 },
  });

  const report = hasShape(UsageReport, (await call(app, ada, 'GET /api/v1/api-keys/usage?days=2&timezone=Europe/Berlin&groupBy=day')).body);
  expect(report).toMatchObject({ timezone: 'Europe/Berlin', totals: { requests: 2, unpricedRequests: 0, unmeasuredRequests: 0 } });
  expect(report.totals.totalTokens).toBe(truths.reduce((sum, truth) => sum + (truth?.totalTokens ?? 0), 0));
  expect(report.totals.estimatedCostUsd).toBeGreaterThan(0);
  expect(report.series.reduce((sum, one) => sum + one.requests, 0)).toBe(2);
  expect(report.byProvider.map(({ provider, requests }) => `${provider} ${requests}`).sort()).toEqual(['anthropic 1', 'openai 1']);
  expect(report.byModel.map(({ provider, requests }) => `${provider} ${requests}`).sort()).toEqual(['anthropic 1', 'openai 1']);
  expect(report.byKeySource.map(({ keySource, requests }) => `${keySource} ${requests}`).sort()).toEqual(['platform 1', 'user 1']);
  expect([report.from, report.to, report.series[0]?.start].every((time) => instant.test(time ?? ''))).toBe(true);
  const to = new Date(app.clock.now() + 3_600_000).toISOString();
  const byHour = await call(app, ada, `GET /api/v1/api-keys/usage?from=${from}&to=${to}&groupBy=hour`);
  expect(hasShape(UsageReport, byHour.body)).toMatchObject({ timezone: 'UTC', totals: { requests: 2 } });
  expect((await call(app, ada, 'GET /api/v1/api-keys')).body.keys).toMatchObject([
    { totalRequests: 1, totalTokens: truths[1]?.totalTokens },
  ]);

  const csv = await call(app, ada, `GET /api/v1/api-keys/usage.csv?from=${from}&to=${to}`);
  expect([csv.status, csv.headers.get('content-type'), csv.headers.get('content-disposition')]).toEqual([
    200,
    'text/csv; charset=utf-8',
    'attachment; filename="usage.csv"',
  ]);
  const [head, ...rows] = (csv.body as string).split('\r\n');
  expect(head).toContain('request_id,started_at');
  expect(rows).toEqual([expect.stringMatching(/^req_.*,openai,.*,platform,/), expect.stringMatching(/^req_.*,anthropic,.*,user,/), '']);
  const bob = await app.person();
  expect((await call(app, bob, `GET /api/v1/api-keys/usage.csv?from=${from}&to=${to}`)).body).toBe(`${head}\r\n`);
});

test('REST and tRPC say the same, and what a query may write as text stays text for tRPC', async () => {
  const app = await sharedApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const trpc = async (name: string, input: unknown, isQuery = true): Promise<Answer> => {
    const query = isQuery && input !== undefined ? `?input=${encodeURIComponent(JSON.stringify(input))}` : '';
    return call(app, ada, `${isQuery ? 'GET' : 'POST'} /trpc/${name}${query}`, isQuery ? {} : { json: input });
  };
  const pairs: [name: string, path: string, input?: unknown][] = [
    ['keys.list', '/api/v1/api-keys'],
    ['keys.providers', '/api/v1/api-keys/providers'],
    ['usage.report', '/api/v1/api-keys/usage?days=5', { days: 5 }],
    ['usage.limits', '/api/v1/limits'],
    ['tokens.list', '/api/v1/tokens'],
  ];
  for (const [name, path, input] of pairs) {
    const [theirs, ours] = [await trpc(name, input), await call(app, ada, `GET ${path}`)];
    expect(theirs.status).toBe(200);
    expect(theirs.body.result.data, name).toEqual(ours.body);
    expect(theirs.headers.get('cache-control')).toBe('no-store');
  }
  for (const days of ['5', null, true, 5.5, [5]]) {
    const refused = await trpc('usage.report', { days });
    expect(refused, JSON.stringify(days)).toMatchObject({
      status: 400,
      body: { error: { data: { code: 'invalid_input', errors: { days: [expect.any(String)] } } } },
    });
  }
  const [{ id } = { id: '' }] = await app.keysOf(ada);
  expect(await trpc('keys.set', { id, isActive: 'false' }, false)).toMatchObject({
    status: 400,
    body: { error: { data: { errors: { isActive: [expect.any(String)] } } } },
  });
  const wrong = { provider: 'mistral', apiKey: 'x', more: 1 };
  const [theirs, ours] = [await trpc('keys.save', wrong, false), await call(app, ada, 'POST /api/v1/api-keys', { json: wrong })];
  expect(theirs.body.error.data.errors).toEqual(ours.body.errors);
  expect(theirs.body.error.message).toBe(ours.body.detail);
  expect(JSON.stringify(theirs.body)).not.toMatch(/stack|node_modules/);
  const form = await call(app, ada, 'POST /trpc/keys.save', {
    body: 'a=b',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  // tRPC calls this one text/plain.
  expect(form.status).toBe(415);
  expect(JSON.parse(form.body)).toMatchObject({ error: { data: { code: 'unsupported_media' } } });
  const multipart = new FormData();
  multipart.set('provider', 'openai');
  expect((await call(app, ada, 'POST /trpc/keys.save', { body: multipart })).status).toBe(400);
  expect(
    (await call(app, ada, 'POST /trpc/keys.save', { body: 'x'.repeat(70_000), headers: { 'content-type': 'application/json' } })).status,
  ).toBe(413);
  expect((await call(app, ada, 'POST /trpc/keys.nothing', { json: {} })).status).toBe(404);
  expect((await call(app, ada, 'GET /trpc/keys.save')).status).toBe(405);
  expect((await call(app, ada, 'POST /trpc/keys.save', { body: '{', headers: { 'content-type': 'application/json' } })).status).toBe(400);
});

interface Operation {
  operationId: string;
  summary: string;
  security: Record<string, string[]>[];
  parameters: { name: string; in: string; required: boolean; schema: object }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Schema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
interface Schema {
  type?: string;
  properties?: Record<string, object>;
  required?: string[];
  additionalProperties?: boolean;
}

test('the OpenAPI document describes every door, and the page shows it without a script', async () => {
  const app = await sharedApp();
  const { body: spec, status, headers } = await call(app, null, 'GET /api/openapi.json');
  expect([status, headers.get('content-type')]).toEqual([200, 'application/json']);
  expect(spec).toMatchObject({
    openapi: '3.1.0',
    info: { title: expect.any(String), version: '0.1.0' },
    servers: [{ url: 'http://byok.test' }],
  });
  const operations = Object.entries(spec.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })),
  );
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
    [
      'GET /api/v1/api-keys/usage.csv',
      'GET /api/v1/admin/usage.csv',
      'POST /api/v1/agents/{slug}/messages',
      'GET /api/v1/conversations/{id}/export',
      'GET /api/v1/admin/audit/export',
      'GET /api/v1/account/export',
      ...doors.map(({ method, path }) => `${method} ${path}`),
    ].sort(),
  );
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  for (const { path, method, summary, parameters, requestBody, responses, security, operationId } of operations) {
    const name = `${method} ${path}`;
    expect([summary, operationId], name).toEqual([expect.stringMatching(/\S/), expect.stringMatching(/^\w+(\.\w+)*$/)]);
    const inPath = parameters.filter((one) => one.in === 'path').map((one) => one.name);
    expect(inPath, name).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, id]) => id));
    for (const parameter of parameters) {
      expect(Object.keys(parameter.schema).length, `${name} ${parameter.name}`).toBeGreaterThan(0);
      if (parameter.in === 'path') expect(parameter.required, name).toBe(true);
    }
    if (requestBody) {
      expect(requestBody.required).toBe(true);
      const schema = requestBody.content['application/json']?.schema ?? {};
      expect(schema, name).toMatchObject({ type: 'object', additionalProperties: false });
      for (const [field, type] of Object.entries(schema.properties ?? {}))
        expect(Object.keys(type).length, `${name} ${field}`).toBeGreaterThan(0);
      for (const field of schema.required ?? []) expect(Object.keys(schema.properties ?? {}), name).toContain(field);
      for (const id of inPath) expect(Object.keys(schema.properties ?? {})).not.toContain(id);
    }
    const { default: problem, ...successes } = responses;
    expect(problem?.content?.['application/problem+json'], name).toBeDefined();
    expect(Object.keys(successes), name).toEqual([expect.stringMatching(/^20[014]$/)]);
    for (const { description, content } of Object.values(successes)) {
      expect(description, name).toMatch(/\S/);
      for (const { schema } of Object.values(content ?? {})) expect(Object.keys(schema).length, name).toBeGreaterThan(0);
    }
    for (const scheme of security.flatMap(Object.keys)) expect(spec.components.securitySchemes, name).toHaveProperty(scheme);
    expect(security.length, name).toBe(path === '/api/v1/auth/token' ? 0 : 1);
  }
  const bodies = operations.filter(({ requestBody }) => requestBody).map(({ method, path }) => `${method} ${path}`);
  const withBody = [
    'PATCH /api/v1/admin/agents/{slug}',
    'PATCH /api/v1/admin/users/{id}',
    'PATCH /api/v1/admin/limits/{tier}',
    'PATCH /api/v1/admin/models/{tier}',
    'PATCH /api/v1/admin/platform-keys/{id}',
    'PATCH /api/v1/api-keys/fallback-cap',
    'PATCH /api/v1/api-keys/{id}',
    'PATCH /api/v1/api-keys/{id}/budget',
    'PATCH /api/v1/conversations/{id}',
    'PATCH /api/v1/notices/preferences/{kind}',
    'POST /api/v1/admin/agents',
    'POST /api/v1/admin/agents/{slug}/reset',
    'POST /api/v1/admin/announcements',
    'POST /api/v1/admin/platform-keys',
    'POST /api/v1/admin/platform-keys/check',
    'POST /api/v1/admin/prices',
    'POST /api/v1/admin/users',
    'POST /api/v1/admin/users/{id}/plan',
    'POST /api/v1/agents/{slug}/messages',
    'POST /api/v1/api-keys',
    'POST /api/v1/api-keys/check',
    'POST /api/v1/auth/token',
    'POST /api/v1/tokens',
  ];
  expect(bodies.sort()).toEqual(withBody.sort());
  const usage = operations.find(({ path }) => path === '/api/v1/api-keys/usage')?.parameters ?? [];
  expect(usage.map(({ name, required }) => `${name} ${required}`).sort()).toEqual([
    'days false',
    'from false',
    'groupBy false',
    'hours false',
    'keySource false',
    'model false',
    'provider false',
    'seriesBy false',
    'timezone false',
    'to false',
  ]);

  const page = await call(app, null, 'GET /api/docs');
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.body).not.toMatch(/<script|javascript:|\son\w+=|style=/i);
  for (const { method, path } of doors) expect(page.body).toContain(`<b>${method}</b> <code>${path}</code>`);
  const nouns = [...page.body.matchAll(/<\/b> <code>\/api\/v1\/([\w-]+(?:\/usage(?:\.csv)?)?)/g)].map(([, noun]) => noun);
  expect([...new Set(nouns)]).toEqual([
    'auth',
    'api-keys',
    'api-keys/usage',
    'api-keys/usage.csv',
    'limits',
    'tiers',
    'tokens',
    'account',
    'agents',
    'conversations',
    'notices',
    'announcements',
    'admin',
    'admin/usage',
    'admin/usage.csv',
  ]);
  expect(page.body).toContain('<link rel="icon" href="/favicon.svg">');
  expect(page.body).toMatch(/an access token that you made in Settings .*also called a gateway token/);
  expect((await call(app, null, 'GET /api/docs.css')).headers.get('content-type')).toContain('text/css');
});
