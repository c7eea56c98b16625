/** Several keys of a provider, where the operator allows them: tried in their owner's order, each for its models, with totals of its own. */
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../../test/app.ts';
import type { Script } from '../../test/provider.ts';

const several = { OWN_KEYS_PER_PROVIDER: '3' };

async function add(app: TestApp, who: Person, script: Script, more: Record<string, unknown> = {}) {
  const apiKey = app.newSecret('openai', 'good');
  const res = await app.fetch(who, '/api/v1/api-keys', { json: { provider: 'openai', apiKey, ...more } });
  const body = (await res.json()) as { key: { id: string; position: number; name: string | null }; code: string; detail: string };
  app.provider.key(apiKey, script, 'openai');
  return { status: res.status, apiKey, ...body };
}
const change = (app: TestApp, who: Person, id: string, json: unknown) =>
  app.fetch(who, `/api/v1/api-keys/${id}`, { method: 'PATCH', json });
/** The keys that the provider saw since, each with the model that was asked for. */
const asked = (app: TestApp, names: Record<string, string>) =>
  app.provider.requests
    .filter(({ path }) => path === '/v1/chat/completions')
    .map(({ headers }) => names[String(headers.authorization).slice('Bearer '.length)] ?? 'platform');

test('a refused key and one without credit leave the request to the next, and then to the platform', async () => {
  await using app = await testApp({ env: several, platform: { openai: 'good' } });
  const ada = await app.person();
  const first = await add(app, ada, 'revoked', { name: 'work' });
  const second = await add(app, ada, 'no_credit');
  const third = await add(app, ada, 'good', { name: ' spare ' });
  expect([first.key, second.key, third.key].map(({ position, name }) => [position, name])).toEqual([
    [0, 'work'],
    [1, null],
    [2, 'spare'],
  ]);
  const names = { [first.apiKey]: '1', [second.apiKey]: '2', [third.apiKey]: '3' };
  const res = await app.chat(ada, 'hello');
  expect([res.status, res.headers.get('x-byok-key-source'), res.headers.get('x-byok-fallback-reason')]).toEqual([200, 'user', 'bad_key']);
  await res.text();
  expect(asked(app, names)).toEqual(['1', '2', '3']);
  expect(await app.requests()).toMatchObject([{ firstKeyId: first.key.id, keyId: third.key.id, source: 'user', fallbackReason: null }]);
  // Totals belong to the key that answered.
  expect((await app.keysOf(ada)).map(({ status, totalRequests }) => [status, totalRequests])).toEqual([
    ['invalid', 0],
    ['no_credit', 0],
    ['valid', 1],
  ]);
  app.provider.key(third.apiKey, 'revoked', 'openai');
  const fallen = await app.chat(ada, 'hello');
  expect([fallen.status, fallen.headers.get('x-byok-key-source'), fallen.headers.get('x-byok-fallback-reason')]).toEqual([
    200,
    'platform',
    'bad_key',
  ]);
  expect(asked(app, names)).toEqual(['1', '2', '3', '3', 'platform']);
});

test('the order is its owner’s, and a key replaces the one that is named', async () => {
  await using app = await testApp({ env: several });
  const ada = await app.person();
  const keys = [await add(app, ada, 'good'), await add(app, ada, 'good'), await add(app, ada, 'good')];
  const ids = keys.map(({ key }) => key.id);
  const [a = '', b = '', c = ''] = ids;
  const order = async () => (await app.keysOf(ada)).map(({ id, position }) => `${ids.indexOf(id)}@${position}`).join(' ');
  expect((await change(app, ada, c, { position: 0 })).status).toBe(200);
  expect(await order()).toBe('2@0 0@1 1@2');
  await change(app, ada, c, { position: 99 });
  expect(await order()).toBe('0@0 1@1 2@2');
  await change(app, ada, a, { position: 1, name: 'home' });
  expect(await order()).toBe('1@0 0@1 2@2');
  // Two tabs at once: each order is whole, and one of them stands.
  const both = await Promise.all([change(app, ada, a, { position: 0 }), change(app, ada, c, { position: 0 })]);
  expect(both.map(({ status }) => status)).toEqual([200, 200]);
  expect(await order()).toMatch(/^[02]@0 [02]@1 1@2$/);

  const full = await add(app, ada, 'good');
  expect(full).toMatchObject({ status: 409, code: 'conflict', detail: expect.stringContaining('You have 3 keys of OpenAI') });
  const before = (await app.keysOf(ada)).find(({ id }) => id === a);
  const replaced = await add(app, ada, 'good', { keyId: a });
  expect(replaced).toMatchObject({ status: 201, key: { position: before?.position, name: 'home' } });
  expect((await app.keysOf(ada)).some(({ id }) => id === a)).toBe(false);
  expect((await add(app, ada, 'good', { keyId: a })).status).toBe(404);
  const eve = await app.person();
  expect((await add(app, eve, 'good', { keyId: b })).status).toBe(404);
  expect((await change(app, eve, b, { position: 0 })).status).toBe(404);
  // A place that is free again is given again, and the new key comes last.
  await app.fetch(ada, `/api/v1/api-keys/${replaced.key.id}`, { method: 'DELETE' });
  expect((await add(app, ada, 'good')).key.position).toBe(2);
});

test('adding many at once gives as many as are allowed, each a place of its own', async () => {
  await using app = await testApp({ env: several });
  const ada = await app.person();
  const answers = await Promise.all(Array.from({ length: 8 }, () => add(app, ada, 'good')));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 409, 409, 409, 409, 409]);
  expect((await app.app.vault.sealedOf(ada.id)).map(({ position, rank }) => [position, rank])).toEqual([
    [0, 0],
    [1, 1],
    [2, 2],
  ]);
});

test('a key is for the models that its owner names', async () => {
  await using app = await testApp({ env: several, platform: { openai: 'good' } });
  const ada = await app.person();
  const mini = await add(app, ada, 'good');
  const rest = await add(app, ada, 'good');
  expect((await change(app, ada, mini.key.id, { models: ['gpt-4o-mini*', ' gpt-4.1 '] })).status).toBe(200);
  expect((await app.keysOf(ada)).map(({ models }) => models)).toEqual([['gpt-4o-mini*', 'gpt-4.1'], null]);
  const names = { [mini.apiKey]: 'mini', [rest.apiKey]: 'rest' };
  for (const model of ['gpt-4o-mini', 'gpt-4.1', 'gpt-4.1-mini', 'gpt-4o']) await (await app.chat(ada, 'hello', { model })).text();
  expect(asked(app, names)).toEqual(['mini', 'mini', 'rest', 'rest']);
  await change(app, ada, rest.key.id, { models: ['o3'] });
  const others = await app.chat(ada, 'hello', { model: 'gpt-4o' });
  expect([others.headers.get('x-byok-key-source'), others.headers.get('x-byok-fallback-reason')]).toEqual(['platform', 'model']);
  await change(app, ada, rest.key.id, { models: [] });
  expect((await app.chat(ada, 'hello', { model: 'gpt-4o' })).headers.get('x-byok-key-source')).toBe('user');
});

test('a spent key leaves the request to the next of one’s own', async () => {
  await using app = await testApp({ env: several, platform: { openai: 'good' } });
  const ada = await app.person();
  const first = await add(app, ada, 'good');
  const second = await add(app, ada, 'good');
  const names = { [first.apiKey]: '1', [second.apiKey]: '2' };
  const budget = (id: string) => app.fetch(ada, `/api/v1/api-keys/${id}/budget`, { method: 'PATCH', json: { limitUsd: 0.01, hard: true } });
  expect((await budget(first.key.id)).status).toBe(200);
  const dear = await app.chat(ada, 'hello', { model: 'gpt-5' });
  expect([dear.status, dear.headers.get('x-byok-key-source'), dear.headers.get('x-byok-fallback-reason')]).toEqual([200, 'user', 'budget']);
  await dear.text();
  expect(asked(app, names)).toEqual(['2']);
  expect((await app.keysOf(ada)).map(({ budget: of }) => of?.spentUsd)).toEqual([0, undefined]);
  await budget(second.key.id);
  const refused = await app.chat(ada, 'hello', { model: 'gpt-5' });
  expect([refused.status, asked(app, names).length]).toEqual([402, 1]);
});

test('where one is allowed, a new key takes the place of the old; what is beyond the number stays stored and is not used', async () => {
  await using app = await testApp({ env: several, platform: { openai: 'good' } });
  const ada = await app.person();
  const first = await add(app, ada, 'good', { name: 'work' });
  const second = await add(app, ada, 'good');
  await app.restart({ OWN_KEYS_PER_PROVIDER: '1' });
  const shown = async () => (await app.keysOf(ada)).map(({ id, isBeyond, name }) => [id, isBeyond, name]);
  expect(await shown()).toEqual([
    [first.key.id, false, 'work'],
    [second.key.id, true, null],
  ]);
  expect(await (await app.fetch(ada, '/api/v1/api-keys')).json()).toMatchObject({ perProvider: 1 });
  const names = { [first.apiKey]: '1', [second.apiKey]: '2' };
  app.provider.key(first.apiKey, 'revoked', 'openai');
  expect((await app.chat(ada, 'hello')).headers.get('x-byok-key-source')).toBe('platform');
  expect(asked(app, names)).toEqual(['1', 'platform']);
  // Moved to the front, the other one is the one.
  await change(app, ada, second.key.id, { position: 0 });
  expect((await app.chat(ada, 'hello')).headers.get('x-byok-key-source')).toBe('user');
  const third = await add(app, ada, 'good');
  expect(third).toMatchObject({ status: 201, key: { position: 0 } });
  expect(await shown()).toEqual([
    [third.key.id, false, null],
    [first.key.id, true, 'work'],
  ]);
});
