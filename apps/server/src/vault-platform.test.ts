/** The platform's keys in the hands of administrators: which one the next request uses, who hears of it, and that nobody ever sees one. */
import type { PlatformKeys, PlatformKeyView, Verdict } from '@synthstack/core';
import { testDialect } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { type TestAppOptions, testApp } from '../test/app.ts';
import { findPlanted } from '../test/planted.ts';
import type { Script } from '../test/provider.ts';
import { bytesOf } from '../test/vault.ts';

const base = '/api/v1/admin/platform-keys';

async function stage(platform: NonNullable<TestAppOptions['platform']> = { openai: 'good' }) {
  const app = await testApp({ platform });
  const [boss, ada] = [await app.person({ admin: true }), await app.person({ tier: 'community' })];
  /** Everything that was ever answered. */
  const said: string[] = [];
  async function call<T>(method: string, path = '', json?: object): Promise<{ status: number; body: T }> {
    const res = await app.fetch(boss, `${base}${path}`, { method, ...(json && { json }) });
    const text = await res.text();
    said.push(text, JSON.stringify([...res.headers]));
    return { status: res.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
  }
  async function put(script: Script = 'good', then: Script = script) {
    const apiKey = app.newSecret('openai', script);
    const { body } = await call<{ key: PlatformKeyView }>('POST', '', { provider: 'openai', apiKey });
    app.provider.key(apiKey, then, 'openai');
    return { apiKey, key: body.key };
  }
  return {
    ...{ app, boss, ada, said, call, put },
    /** The one of OpenAI, as the page shows it. */
    shown: async () => (await call<{ platformKeys: PlatformKeys[] }>('GET')).body.platformKeys[0],
    /** The secret that the next request is sent with. */
    async sent(): Promise<string | undefined> {
      await (await app.chat(ada, 'hello')).arrayBuffer();
      const { headers } = app.provider.requests.at(-1) ?? { headers: {} };
      return String((headers as Record<string, unknown>).authorization).replace('Bearer ', '');
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

test("a stored key comes before the environment's from the next request on; switched off or removed, the environment's is used again", async () => {
  await using on = await stage();
  const { app } = on;
  const ofEnvironment = app.platformSecrets.openai;
  expect(await on.shown()).toMatchObject({
    ...{ provider: 'openai', name: 'OpenAI', stored: null, used: 'environment' },
    environment: { keyHint: expect.stringMatching(/^\*{4}\.\.\..{4}$/), variable: 'PLATFORM_OPENAI_API_KEY' },
  });
  expect(await on.sent()).toBe(ofEnvironment);
  const { apiKey, key } = await on.put();
  expect(await on.shown()).toMatchObject({ stored: { id: key.id, status: 'valid', isActive: true }, used: 'stored' });
  expect(await on.sent()).toBe(apiKey);
  await on.call('PATCH', `/${key.id}`, { isActive: false });
  expect([(await on.shown())?.used, await on.sent()]).toEqual(['environment', ofEnvironment]);
  await on.call('PATCH', `/${key.id}`, { isActive: true });
  expect(await on.sent()).toBe(apiKey);
  expect((await on.call('DELETE', `/${key.id}`)).status).toBe(204);
  expect([(await on.shown())?.stored, await on.sent()]).toEqual([null, ofEnvironment]);
});

test('without one in the environment a stored key opens the platform to a provider, and its removal closes it, at the next request', async () => {
  await using on = await stage({});
  expect(await on.shown()).toMatchObject({ stored: null, environment: null, used: null });
  expect((await on.app.chat(on.ada, 'hello')).status).toBe(403);
  const { apiKey, key } = await on.put();
  expect(await on.sent()).toBe(apiKey);
  await on.call('DELETE', `/${key.id}`);
  expect((await on.app.chat(on.ada, 'hello')).status).toBe(403);
});

test('a key is checked before it is stored; one that is refused is stored as such and not used', async () => {
  await using on = await stage();
  const { key } = await on.put('revoked');
  expect(key).toMatchObject({ status: 'invalid', isValid: false, lastError: expect.any(String) });
  expect([(await on.shown())?.used, await on.sent()]).toEqual(['environment', on.app.platformSecrets.openai]);
  const again = await on.put();
  expect(again.key.id).not.toBe(key.id);
  expect(await on.sent()).toBe(again.apiKey);
});

test('tests say what the provider says, of the stored key and of the one in the environment', async () => {
  await using on = await stage({ openai: 'revoked' });
  const { key, apiKey } = await on.put('good', 'revoked');
  expect((await on.call<Verdict>('POST', '/environment/openai/test')).body).toMatchObject({ valid: false, status: 'invalid' });
  expect((await on.call('POST', '/environment/anthropic/test')).status).toBe(404);
  expect((await on.call<Verdict>('POST', `/${key.id}/test`)).body).toMatchObject({ valid: false, status: 'invalid' });
  expect((await on.shown())?.stored).toMatchObject({ status: 'invalid' });
  on.app.provider.key(apiKey, 'good', 'openai');
  expect((await on.call<Verdict>('POST', `/${key.id}/test`)).body).toMatchObject({ valid: true });
  expect((await on.shown())?.used).toBe('stored');
});

test('administrators are told of a stored key that fails, and the audit log says who did what to which', async () => {
  await using on = await stage({});
  const { key } = await on.put('good', 'revoked');
  expect((await on.app.chat(on.ada, 'hello')).status).toBe(503);
  const [notice] = await on.app.app.notices.list('administrators');
  expect(notice).toMatchObject({ kind: 'platform_key_failed', data: { provider: 'openai', reason: 'bad_key', keyHint: key.keyHint } });
  const second = await on.put();
  await on.call('PATCH', `/${second.key.id}`, { isActive: false });
  await on.call('DELETE', `/${second.key.id}`);
  const entries = await on.app.app.audit.list({ subject: 'platform', limit: 9 });
  expect(entries.map(({ actor, action }) => [actor === on.boss.id, action])).toEqual([
    [true, 'key.removed'],
    [true, 'key.switched'],
    [true, 'key.replaced'],
    [true, 'key.saved'],
  ]);
});

test("a user's key cannot be had by this door, and the platform's by no user's", async () => {
  await using on = await stage();
  const eve = await on.app.person({ keys: { openai: 'good' } });
  const [own] = await on.app.keysOf(eve);
  for (const [method, path, json] of [
    ['PATCH', '', { isActive: false }],
    ['POST', '/test'],
    ['DELETE', ''],
  ] as const)
    expect((await on.call(method, `/${own?.id}${path}`, json)).status).toBe(404);
  const { key } = await on.put();
  for (const method of ['PATCH', 'DELETE'])
    expect(
      (await on.app.fetch(eve, `/api/v1/api-keys/${key.id}`, { method, ...(method === 'PATCH' && { json: { isActive: false } }) })).status,
    ).toBe(404);
  expect((await on.call('PATCH', `/${key.id}`, { isActive: true, fallback: false })).status).toBe(400);
});

test('of several saves at once one key remains, and it is the one that is used', async () => {
  await using on = await stage({});
  const all = await Promise.all(Array.from({ length: 12 }, () => on.put()));
  const stored = (await on.shown())?.stored;
  const kept = all.find(({ key }) => key.id === stored?.id);
  expect(await on.sent()).toBe(kept?.apiKey);
});

test("the platform's keys are nowhere in the database, the logs and the answers, whatever was done with them", async () => {
  await using on = await stage();
  const planted: string[] = [];
  for (const script of ['good', 'revoked', 'no_credit', 'down'] as const) {
    const { apiKey, key } = await on.put(script);
    planted.push(apiKey);
    await on.call('POST', '/check', { provider: 'openai', apiKey });
    await on.call('POST', `/${key.id}/test`);
    await on.call('GET');
    await (await on.app.chat(on.ada, 'hello')).arrayBuffer();
    on.app.clock.advance(61_000);
  }
  const [first = ''] = planted;
  for (const apiKey of [`${first}\n${first}`, `byok_${first}`, `${first}é`]) await on.call('POST', '', { provider: 'openai', apiKey });
  await on.call('POST', '', { provider: first, apiKey: first });
  await on.call('POST', '/environment/openai/test');
  await on.call('DELETE', `/${(await on.shown())?.stored?.id}`);
  const { db } = on.app.app;
  const tables = await Promise.all(Object.values(db.tables).map((table) => db.orm.select().from(table)));
  const rows = Buffer.from(
    JSON.stringify(tables, (_, value) => (value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value)),
    'latin1',
  );
  for (const secret of [...planted, on.app.platformSecrets.openai ?? '']) {
    // The control: the provider did get it.
    expect(findPlanted(secret, Buffer.from(JSON.stringify(on.app.provider.requests)))).not.toEqual([]);
    expect(findPlanted(secret, Buffer.from(on.said.join()))).toEqual([]);
    expect(findPlanted(secret, on.app.everythingWritten())).toEqual([]);
    expect(findPlanted(secret, rows)).toEqual([]);
    if (testDialect === 'sqlite') expect(findPlanted(secret, bytesOf(on.app.folder))).toEqual([]);
  }
});
