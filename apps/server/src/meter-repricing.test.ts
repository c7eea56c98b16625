import { AppError, costNanoUsd, type ModelPrice, noTokens, type ProviderId } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { createMeter, type OpenRequest, type Settlement } from './meter.ts';
import { createRepricing } from './meter-repricing.ts';
import { providerOf } from './providers/catalog.ts';

const beginMs = Date.UTC(2026, 8, 30, 20);
/** From here on `gpt-next` costs twice as much. */
const dearerMs = Date.UTC(2026, 9, 1);
const cheap: ModelPrice = {
  ...{ input: 1_333_333, cachedInput: 133_333, cacheWrite: 0, cacheWrite1h: 0, audioInput: 7, output: 9_999_999, audioOutput: 1 },
  tiers: [],
};
const dear: ModelPrice = { ...cheap, input: cheap.input * 2, output: cheap.output * 2 };
const listed = (provider: ProviderId, model: string, atMs: number) => providerOf(provider).price(model, atMs);
const nextRelease = (provider: ProviderId, model: string, atMs: number) =>
  model === 'gpt-next' ? (atMs < dearerMs ? cheap : dear) : listed(provider, model, atMs);

const models = ['gpt-next', 'gpt-next', 'gpt-never', 'claude-never', 'gpt-4o-mini', null] as const;

/** So many requests of some people, over some hours, with whatever can become of them. */
async function writeRequests(db: Db, count: number): Promise<void> {
  let nowMs = 0;
  const meter = createMeter({
    db,
    clock: { now: () => nowMs, after: () => () => undefined },
    boot: { id: 'boot', slot: 0 },
    price: listed,
  });
  const written: Promise<unknown>[] = [];
  for (let i = 0; i < count; i += 1) {
    nowMs = beginMs + i * 97_000;
    const model = models[i % models.length] ?? null;
    const source = i % 5 === 0 ? 'platform' : 'user';
    const request: OpenRequest = {
      ...{ id: meter.newId(), userId: `user-${i % 3}`, tokenId: null, route: '/v1/chat/completions', model, streamed: false, source },
      ...{ tier: i % 2 ? 'premium' : 'lifetime', provider: model?.startsWith('claude') ? 'anthropic' : 'openai' },
      ...{
        firstKeyId: 'key',
        keyId: source === 'user' ? `key-${i % 2}` : null,
        fallbackReason: null,
        keyPosition: 0,
        hold: null,
        slotAt: null,
        startedAt: nowMs,
      },
    };
    const tokens = { ...noTokens, input: 11 + i, cachedInput: i % 7, output: 3 * i + 1 };
    const usage = i % 13 === 0 ? null : { model: null, tokens, total: tokens.input + tokens.output };
    const left = i % 11 === 0;
    const ending: Settlement = left
      ? { state: 'failed', status: null, errorCode: 'client_closed', usage, estimated: true, firstByteAt: null }
      : { state: 'done', status: 200, errorCode: null, usage, estimated: false, firstByteAt: nowMs };
    written.push(meter.record(request), meter.settle(request, ending));
  }
  await Promise.all(written);
}

type Sum = { costNanoUsd: number; unpricedRequests: number };

/** Every sum, of whatever table, is what its rows add up to. @returns how many requests are unpriced, and what the others cost */
async function look(db: Db) {
  const { request, usageUser, usageTotal, usageUserDay, keyTotals } = db.tables;
  const rows = (await db.orm.select().from(request)).map((row) => ({
    ...row,
    model: row.model ?? '',
    keyId: row.keyId ?? '',
    owner: row.userId,
    bucket: Math.floor(row.startedAt / 900_000) * 900_000,
    day: Math.floor(row.startedAt / 86_400_000) * 86_400_000,
    costNanoUsd: row.costNanoUsd ?? 0,
    unpricedRequests: row.status === 200 && row.costNanoUsd === null ? 1 : 0,
  }));
  const total = (parts: readonly Sum[]) => ({
    costNanoUsd: parts.reduce((all, { costNanoUsd }) => all + costNanoUsd, 0),
    unpricedRequests: parts.reduce((all, { unpricedRequests }) => all + unpricedRequests, 0),
  });
  function expectSums<Name extends keyof (typeof rows)[number]>(
    sums: readonly (Sum & Record<Name, unknown>)[],
    names: readonly Name[],
    of: typeof rows,
  ): void {
    const keyOf = (one: Record<Name, unknown>) => JSON.stringify(names.map((name) => one[name]));
    const groups = Map.groupBy(of, keyOf);
    expect(sums.length).toBeGreaterThan(2);
    for (const sum of sums)
      expect({ costNanoUsd: sum.costNanoUsd, unpricedRequests: sum.unpricedRequests }, keyOf(sum)).toEqual(
        total(groups.get(keyOf(sum)) ?? []),
      );
    expect(total(sums)).toEqual(total(of));
  }
  expectSums(await db.orm.select().from(usageUser), ['userId', 'bucket', 'provider', 'model', 'source', 'keyId'], rows);
  expectSums(await db.orm.select().from(usageTotal), ['bucket', 'provider', 'model', 'source', 'tier'], rows);
  expectSums(await db.orm.select().from(usageUserDay), ['day', 'userId', 'source'], rows);
  expectSums(
    await db.orm.select().from(keyTotals),
    ['owner', 'provider'],
    rows.filter(({ source }) => source === 'user'),
  );
  return total(rows);
}

const silence = { info: () => undefined, error: () => undefined };
const after = { nowMs: () => Date.UTC(2026, 10, 1), log: silence };

test('requests of a model that had no price are priced once it has one, at what it cost when they were made, and so are all sums', async () => {
  await using db = await testDb();
  await writeRequests(db, 240);
  const before = await look(db);
  expect(await createRepricing({ db, price: listed, ...after }).run()).toBe(0);
  expect(await look(db)).toEqual(before);

  const { request } = db.tables;
  const waiting = (await db.orm.select().from(request)).filter((row) => row.model === 'gpt-next' && row.totalTokens !== null);
  expect(await createRepricing({ db, price: nextRelease, batchSize: 20, ...after }).run()).toBe(waiting.length);
  const rows = await db.orm.select().from(request);
  for (const row of rows.filter(({ model }) => model === 'gpt-next')) {
    const tokens = { ...noTokens, input: row.inputTokens ?? 0, cachedInput: row.cachedInputTokens ?? 0, output: row.outputTokens ?? 0 };
    expect(row.costNanoUsd).toBe(row.totalTokens === null ? null : costNanoUsd(tokens, row.startedAt < dearerMs ? cheap : dear));
  }
  for (const row of rows.filter(({ model }) => model?.endsWith('never'))) expect(row.costNanoUsd).toBeNull();
  const priced = await look(db);
  expect(priced.unpricedRequests).toBe(before.unpricedRequests - waiting.filter(({ status }) => status === 200).length);
  expect(waiting.some(({ startedAt }) => startedAt < dearerMs) && waiting.some(({ startedAt }) => startedAt >= dearerMs)).toBe(true);

  expect(await createRepricing({ db, price: nextRelease, ...after }).run()).toBe(0);
  expect(await look(db)).toEqual(priced);
});

test('a request costs what its model cost when it was made, not when it ended', async () => {
  await using db = await testDb();
  let nowMs = dearerMs - 1;
  const meter = createMeter({
    db,
    clock: { now: () => nowMs, after: () => () => undefined },
    boot: { id: 'boot', slot: 0 },
    price: nextRelease,
  });
  const request: OpenRequest = {
    ...{
      id: meter.newId(),
      userId: 'ada',
      tokenId: null,
      route: '/v1/chat/completions',
      model: 'gpt-next',
      streamed: false,
      source: 'user',
    },
    ...{
      tier: 'premium',
      provider: 'openai',
      firstKeyId: 'key',
      keyId: 'key',
      fallbackReason: null,
      keyPosition: 0,
      hold: null,
      slotAt: null,
      startedAt: nowMs,
    },
  };
  await meter.record(request);
  nowMs = dearerMs + 60_000;
  const usage = { model: null, tokens: { ...noTokens, input: 3_000 }, total: 3_000 };
  const settled = await meter.settle(request, { state: 'done', status: 200, errorCode: null, usage, estimated: false, firstByteAt: nowMs });
  expect(settled).toMatchObject({ answered: true, totalTokens: 3_000, costNanoUsd: costNanoUsd(usage.tokens, cheap) });
  expect(await db.orm.select().from(db.tables.request)).toMatchObject([{ costNanoUsd: settled.costNanoUsd }]);
});

test('ended half-way, by a disk that fails or by a stop, it leaves everything right and goes on from there', async () => {
  await using db = await testDb();
  await writeRequests(db, 240);
  const full = new AppError('storage_unavailable', 'The disk is full.');
  for (const good of [0, 1, 2]) {
    let left = good;
    const failing: Db = { ...db, commit: (list) => (left-- > 0 ? db.commit(list) : Promise.reject(full)) };
    await expect(createRepricing({ db: failing, price: nextRelease, batchSize: 7, ...after }).run()).rejects.toBe(full);
    await look(db);
  }
  const stopping: Db = {
    ...db,
    commit: (list) => {
      void repricing.stop();
      return db.commit(list);
    },
  };
  const repricing = createRepricing({ db: stopping, price: nextRelease, batchSize: 7, ...after });
  expect(await repricing.run()).toBe(7);
  await look(db);
  const { request } = db.tables;
  const waiting = (await db.orm.select().from(request)).filter((row) => row.model === 'gpt-next' && row.totalTokens !== null);
  const priced = waiting.filter(({ costNanoUsd: cost }) => cost !== null).length;
  expect(priced).toBe(4 * 7);
  expect(await createRepricing({ db, price: nextRelease, ...after }).run()).toBe(waiting.length - priced);
  await look(db);
});

test('two processes at once price each request once', async () => {
  await using db = await testDb();
  await writeRequests(db, 240);
  const other = await db.reopen();
  try {
    const runs = [db, other].map((one) => createRepricing({ db: one, price: nextRelease, batchSize: 9, ...after }).run());
    const done = await Promise.all(runs);
    const { request } = db.tables;
    const waiting = (await db.orm.select().from(request)).filter((row) => row.model === 'gpt-next' && row.totalTokens !== null);
    const priced = waiting.filter(({ costNanoUsd: cost }) => cost !== null);
    expect((done[0] ?? 0) + (done[1] ?? 0)).toBe(priced.length);
    expect(priced).toHaveLength(waiting.length);
    await look(db);
  } finally {
    await other.close();
  }
});

test('a model that stays unknown costs one look-up a run, however many of its requests wait', async () => {
  await using db = await testDb();
  await writeRequests(db, 240);
  const asked: string[] = [];
  let looks = 0;
  const counting = new Proxy(db.orm, {
    get(orm, name: keyof Db['orm']) {
      if (name === 'select') looks += 1;
      return Reflect.get(orm, name);
    },
  });
  const price = (_provider: ProviderId, model: string) => {
    asked.push(model);
    return null;
  };
  expect(await createRepricing({ db: { ...db, orm: counting }, price, ...after }).run()).toBe(0);
  expect(asked).toEqual(['claude-never', 'gpt-never', 'gpt-next']);
  expect(looks).toBe(asked.length + 1);
});

test('a start prices what waits, behind the back of nobody', async () => {
  await using app = await testApp();
  const usage = { prompt_tokens: 1_000, completion_tokens: 10, total_tokens: 1_010 };
  const body = { object: 'chat.completion', model: 'gpt-next', choices: [], usage };
  const ada = await app.person({ keys: { openai: { status: 200, headers: { 'content-type': 'application/json' }, body } } });
  expect((await app.chat(ada, 'hello', { model: 'gpt-next' })).status).toBe(200);
  expect(await app.keysOf(ada)).toMatchObject([{ estimatedCostUsd: 0, unpricedRequests: 1 }]);
  // As if the list of the next release had it.
  const { db } = app.app;
  for (const table of [db.tables.request, db.tables.usageUser, db.tables.usageTotal])
    await db.orm.update(table).set({ model: 'gpt-4o-mini' });
  await app.restart();
  const line = () => app.lines.find((one) => one.includes('prices are known by now'));
  while (!line()) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(line()).toContain('"requests":1');
  const cost = 1_000 * 150 + 10 * 600;
  expect(await app.requests()).toMatchObject([{ costNanoUsd: cost }]);
  expect(await app.keysOf(ada)).toMatchObject([{ estimatedCostUsd: cost / 1e9, unpricedRequests: 0 }]);
  expect((await app.app.meter.report(ada.id, { days: 1, timezone: 'UTC', groupBy: 'day' })).totals).toMatchObject({
    estimatedCostUsd: cost / 1e9,
    unpricedRequests: 0,
  });
});
