/** Limits, own keys, models and output of the tiers, as administrators change them and as requests feel it. */
import type { AdminTierLimits, AdminTierModels, LimitsView } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { createAudit } from './audit.ts';
import { createSettings } from './settings.ts';

const platform = { openai: 'good', anthropic: 'good' } as const;

async function stage(env: Record<string, string> = {}) {
  const clock = manualClock(Math.floor(Date.now() / 86_400_000) * 86_400_000 + 6 * 3_600_000);
  const app = await testApp({ platform, env, clock });
  const [boss, ada] = [await app.person({ admin: true }), await app.person({ tier: 'community' })];
  const json = async <T>(who: Person, path: string, body?: object): Promise<T> => {
    const res = await app.fetch(who, path, body ? { method: 'PATCH', json: body } : {});
    const answer = (await res.json()) as T & { detail?: string };
    if (!res.ok) throw Object.assign(new Error(answer.detail), { status: res.status });
    return answer;
  };
  return {
    ...{ app, boss, ada, json },
    limits: async (change: object, tier = 'community') =>
      (await json<{ limits: AdminTierLimits }>(boss, `/api/v1/admin/limits/${tier}`, change)).limits,
    models: async (change: object, tier = 'community') =>
      (await json<{ models: AdminTierModels }>(boss, `/api/v1/admin/models/${tier}`, change)).models,
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

/** The statuses of so many requests, one after the other. */
async function ask(app: TestApp, who: Person, times: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < times; i += 1) statuses.push((await app.chat(who, 'hello')).status);
  return statuses;
}
const times = (status: number, count: number) => new Array<number>(count).fill(status);

test('limits that are raised or lowered in the middle of a minute hold for the next request, and keep what is taken', async () => {
  await using on = await stage();
  const { app, ada } = on;
  expect(await ask(app, ada, 12)).toEqual([...times(200, 10), 429, 429]);
  const raised = await on.limits({ version: 0, requestsPerMinute: 15, requestsPerDay: 17 });
  expect(await ask(app, ada, 6)).toEqual([...times(200, 5), 429]);
  const answer = await app.chat(ada, 'hello');
  expect(answer.headers.get('ratelimit-policy')).toBe('"minute";q=15;w=60, "day";q=17;w=86400');
  expect(answer.headers.get('x-ratelimit-limit-requests')).toBe('15');
  expect(await answer.text()).toContain('15 requests a minute');
  const view = await on.json<LimitsView>(ada, '/api/v1/limits');
  expect([view.minute, view.day]).toMatchObject([
    { limit: 15, used: 15, remaining: 0 },
    { limit: 17, used: 15, remaining: 2 },
  ]);

  const lowered = await on.limits({ version: raised.version, requestsPerMinute: 5 });
  expect(await on.json<LimitsView>(ada, '/api/v1/limits')).toMatchObject({ minute: { limit: 5, used: 15, remaining: 0 } });
  app.clock.advance(60_000);
  expect(await ask(app, ada, 3)).toEqual([200, 200, 429]);
  expect(await (await app.chat(ada, 'hello')).text()).toContain('17 requests a day');

  const given = await on.limits({ version: lowered.version, requestsPerMinute: null, requestsPerDay: null });
  expect(given).toMatchObject({ requestsPerMinute: { value: 10, source: 'release' }, requestsPerDay: { value: 100, source: 'release' } });
  expect(await ask(app, ada, 9)).toEqual([...times(200, 8), 429]);
});

test('of 200 at once, exactly as many get a place as the limit allows that was set a moment ago', async () => {
  await using on = await stage();
  let version = 0;
  for (const limit of [37, 4]) {
    ({ version } = await on.limits({ version, requestsPerMinute: limit }));
    const all = await Promise.all(Array.from({ length: 200 }, async () => (await on.app.chat(on.ada, 'hello')).status));
    expect(all.filter((status) => status === 200)).toHaveLength(limit);
    on.app.clock.advance(60_000);
  }
});

test('a tier without places says so, and is not told to come again', async () => {
  await using on = await stage();
  await on.limits({ version: 0, requestsPerDay: 0 });
  const answer = await on.app.chat(on.ada, 'hello');
  expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([403, 'false']);
  expect(await answer.json()).toMatchObject({
    error: { code: 'plan_required', message: expect.stringContaining('(community) has no requests') },
  });
  expect(await on.app.requests()).toEqual([]);
});

test('own keys of a tier are used from the next request on, and no longer once it does not include them', async () => {
  await using on = await stage();
  const { app } = on;
  const eve = await app.person({ tier: 'premium', keys: { openai: 'good' } });
  const source = async (who: Person) => (await app.chat(who, 'hello')).headers.get('x-byok-key-source');
  expect(await source(eve)).toBe('user');
  const { version } = await on.limits({ version: 0, byok: false }, 'premium');
  const answer = await app.chat(eve, 'hello');
  expect([answer.headers.get('x-byok-key-source'), answer.headers.get('x-byok-fallback-reason')]).toEqual(['platform', 'plan']);
  const typed = { provider: 'openai', apiKey: app.newSecret('openai') };
  expect((await app.fetch(eve, '/api/v1/api-keys', { json: typed })).status).toBe(403);
  await on.limits({ version, byok: null }, 'premium');
  expect(await source(eve)).toBe('user');
  await on.limits({ version: 0, byok: true });
  expect((await app.fetch(on.ada, '/api/v1/api-keys', { json: typed })).status).toBe(201);
  expect(await source(on.ada)).toBe('user');
});

test('models and output of a tier are those that were set: in the lists, at the gate, in the body that goes out', async () => {
  await using on = await stage({ PLATFORM_MODELS_COMMUNITY: 'gpt-4o-mini,claude-haiku-4-5', PLATFORM_MAX_OUTPUT_COMMUNITY: '1000' });
  const { app, ada } = on;
  const listed = async () => (await on.json<{ data: { id: string }[] }>(ada, '/v1/models')).data.map(({ id }) => id);
  const asked = async (model: string) => {
    const answer = await app.chat(ada, 'hello', { model });
    return [answer.status, answer.headers.get('x-byok-output-cap')];
  };
  const [before] = (await on.json<{ models: AdminTierModels[] }>(on.boss, '/api/v1/admin/models')).models;
  expect(before).toMatchObject({
    ...{ tier: 'community', version: 0, changedBy: null },
    models: { value: ['gpt-4o-mini', 'claude-haiku-4-5'], source: 'environment' },
    maxOutputTokens: { value: 1_000, source: 'environment' },
  });
  expect([await listed(), await asked('gpt-4.1')]).toEqual([['gpt-4o-mini'], [403, null]]);

  const set = await on.models({ version: 0, models: ['gpt-4.1', 'gpt-4.1'], maxOutputTokens: 77 });
  expect(set).toMatchObject({
    models: { value: ['gpt-4.1'], source: 'setting', default: ['gpt-4o-mini', 'claude-haiku-4-5'], defaultSource: 'environment' },
    maxOutputTokens: { value: 77, source: 'setting', default: 1_000 },
    changedBy: expect.any(String),
  });
  expect([await listed(), await asked('gpt-4.1'), await asked('gpt-4o-mini')]).toEqual([['gpt-4.1'], [200, '77'], [403, null]]);
  expect(JSON.parse(app.provider.requests.at(-1)?.body.toString() ?? '')).toMatchObject({ max_completion_tokens: 77 });

  const none = await on.models({ version: set.version, models: [] });
  expect([await listed(), await asked('gpt-4.1')]).toEqual([[], [403, null]]);
  expect(await (await app.chat(ada, 'hello')).text()).toContain('None is for your plan.');
  const all = await on.models({ version: none.version, models: 'all' });
  expect(await listed()).toContain('gpt-4o');
  const given = await on.models({ version: all.version, models: null, maxOutputTokens: null });
  expect(given).toMatchObject({ models: { source: 'environment' }, maxOutputTokens: { value: 1_000, source: 'environment' } });
  expect(await listed()).toEqual(['gpt-4o-mini']);
});

test('what another process has set holds at the next request', async () => {
  await using on = await stage();
  const { db } = on.app.app;
  const elsewhere = createSettings({ db, clock: on.app.clock, audit: createAudit({ db, clock: on.app.clock }).entry });
  await elsewhere.change('cli', 'limits.community', 0, { requestsPerMinute: 2 });
  expect(await ask(on.app, on.ada, 3)).toEqual([200, 200, 429]);
});

test('of two administrators the later one is told, and what the first has set stays', async () => {
  await using on = await stage();
  await on.limits({ version: 0, requestsPerMinute: 20 });
  await expect(on.limits({ version: 0, requestsPerMinute: 30 })).rejects.toMatchObject({ status: 409 });
  expect(await on.json(on.boss, '/api/v1/admin/limits')).toMatchObject({ limits: [{ requestsPerMinute: { value: 20 } }, {}, {}, {}] });
  const tiers = await on.json<{ tiers: object[] }>(on.ada, '/api/v1/tiers');
  expect(tiers.tiers[0]).toEqual({ tier: 'community', requestsPerMinute: 20, requestsPerDay: 100, byok: false });
});

test.each([
  ['limits', { requestsPerMinute: -1 }, 'requestsPerMinute'],
  ['limits', { requestsPerMinute: 1.5 }, 'requestsPerMinute'],
  ['limits', { requestsPerDay: 10_000_001 }, 'requestsPerDay'],
  ['limits', { byok: 'yes' }, 'byok'],
  ['limits', { tierName: 'x' }, 'tierName'],
  ['models', { models: 'some' }, 'models'],
  ['models', { models: ['a b'] }, 'models.0'],
  ['models', { models: new Array(201).fill('gpt-4o') }, 'models'],
  ['models', { maxOutputTokens: 0 }, 'maxOutputTokens'],
])('%s %o is refused by its field, and nothing is set', async (what, change, field) => {
  await using on = await stage();
  const res = await on.app.fetch(on.boss, `/api/v1/admin/${what}/community`, { method: 'PATCH', json: { version: 0, ...change } });
  const { errors } = (await res.json()) as { errors: Record<string, string[]> };
  expect([res.status, Object.keys(errors)]).toEqual([400, [field]]);
  expect(on.app.app.settings.get('limits.community').version).toBe(0);
});
