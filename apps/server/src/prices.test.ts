import type { AdminPrice, PriceList, ProviderView } from '@synthstack/core';
import { type TestDb, testDb } from '@synthstack/core/testing';
import { expect, test, vi } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { call } from '../test/chat.ts';
import { manualClock } from '../test/clock.ts';
import { createAudit } from './audit.ts';
import { createPriceBook } from './prices.ts';
import { readPriceList } from './prices-list.ts';
import { openai } from './providers/openai.ts';

const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 10, 23, 12);
const nextGpt = { provider: 'openai' as const, model: 'gpt-next', inputUsdPerMillion: 2, outputUsdPerMillion: 8 };
const listOf = (...prices: object[]) => readPriceList(JSON.stringify({ prices }), 'prices.json');
const fromFile = { source: 'import', actor: 'cli' } as const;

async function bookOn(db: TestDb | Awaited<ReturnType<TestDb['reopen']>>, clock = manualClock(startMs)) {
  const audit = createAudit({ db, clock });
  const book = createPriceBook({ db, clock, audit: audit.entry });
  await book.fresh();
  return { book, audit, clock };
}

test("an administrator's price comes before a list's, and a list's before the release's, each from when it says", async () => {
  await using db = await testDb();
  const { book, audit } = await bookOn(db);
  const released = openai.price('gpt-4o');
  const inputAt = (atMs: number) => book.price('openai', 'gpt-4o', atMs)?.input;
  expect(book.price('openai', 'gpt-4o')).toBe(released);

  const listed = { ...nextGpt, model: 'gpt-4o', inputUsdPerMillion: 5, validFrom: '2026-11-01' };
  expect(await book.take(listOf(listed), fromFile)).toMatchObject([{ model: 'gpt-4o', before: released, after: { input: 5_000_000 } }]);
  expect([inputAt(Date.UTC(2026, 9, 31)), inputAt(Date.UTC(2026, 10, 1))]).toEqual([released?.input, 5_000_000]);

  const typed = { ...listed, inputUsdPerMillion: 7, validFrom: '2026-11-10T12:00:00+01:00' };
  await book.set('ada', typed);
  const fromMs = Date.UTC(2026, 10, 10, 11);
  expect([inputAt(fromMs - 1), inputAt(fromMs)]).toEqual([5_000_000, 7_000_000]);
  expect(book.find('openai', 'gpt-4o', startMs)?.source).toBe('admin');
  await book.set('ada', { ...typed, inputUsdPerMillion: 8 });
  expect([inputAt(fromMs - 1), inputAt(fromMs)]).toEqual([5_000_000, 8_000_000]);

  await book.remove('ada', { provider: 'openai', model: 'gpt-4o' });
  expect(inputAt(startMs)).toBe(5_000_000);
  await expect(book.remove('ada', { provider: 'openai', model: 'gpt-4o' })).rejects.toMatchObject({ code: 'not_found' });
  const entries = await audit.list({ limit: 10 });
  expect(entries.map(({ action, actor, subject, detail }) => [action, actor, subject, detail.source, detail.before, detail.after])).toEqual(
    [
      ['price.changed', 'ada', 'platform', 'admin', '8 / 8', 'removed'],
      ['price.changed', 'ada', 'platform', 'admin', '7 / 8', '8 / 8'],
      ['price.changed', 'ada', 'platform', 'admin', '5 / 8', '7 / 8'],
      ['price.changed', 'cli', 'platform', 'import', undefined, undefined],
    ],
  );
});

test('a dated name goes by its model, unless the list has one of its own for it', async () => {
  await using db = await testDb();
  const { book } = await bookOn(db);
  await book.set('ada', nextGpt);
  await book.set('ada', { ...nextGpt, model: 'gpt-4o' });
  for (const model of ['gpt-next', 'gpt-next-2027-01-31', 'gpt-next-20270131', 'gpt-next-latest', 'gpt-4o-2024-08-06'])
    expect(book.price('openai', model)?.input, model).toBe(2_000_000);
  for (const model of ['gpt-next-mini', 'gpt-nex', 'gpt-4o-mini-2024-07-18', 'gpt-4o-mini'])
    expect(book.price('openai', model), model).toEqual(openai.price(model));
  expect(book.price('anthropic', 'gpt-next')).toBeNull();
});

test("a list stores only what is not the release's, leaves alone what it does not name, and the last one counts", async () => {
  await using db = await testDb();
  const { book, audit } = await bookOn(db);
  const released = openai.priceList.periods('gpt-4.1');
  const asReleased = { provider: 'openai' as const, model: 'gpt-4.1', periods: released };
  expect(await book.take([asReleased], fromFile)).toEqual([]);
  expect([await book.rows(), await audit.list({ limit: 1 })]).toEqual([[], []]);

  await book.set('ada', { ...nextGpt, model: 'gpt-own' });
  const two = listOf(nextGpt, { ...nextGpt, model: 'gpt-4.1' });
  expect(await book.take([...two], fromFile)).toHaveLength(2);
  expect(await book.take([...two], fromFile)).toEqual([]);
  expect(await book.take([asReleased], { source: 'url', actor: 'system' })).toMatchObject([
    { model: 'gpt-4.1', before: { input: 2_000_000 } },
  ]);
  expect((await book.rows()).map(({ model, source }) => `${model} ${source}`).sort()).toEqual(['gpt-next import', 'gpt-own admin']);
  expect(book.find('openai', 'gpt-4.1', startMs)?.source).toBe('release');
});

test('thousands of models are taken over at once, and another process knows them with its next look', async () => {
  await using db = await testDb();
  const [{ book }, other] = [await bookOn(db), await db.reopen()];
  try {
    const { book: theirs } = await bookOn(other);
    let heard = 0;
    theirs.whenChanged(() => {
      heard += 1;
    });
    const many = listOf(...Array.from({ length: 3_000 }, (_, i) => ({ ...nextGpt, model: `gpt-next-${i}x` })));
    expect(await book.take(many, fromFile)).toHaveLength(3_000);
    await vi.waitFor(async () => {
      await theirs.fresh();
      expect(theirs.price('openai', 'gpt-next-2999x')?.output).toBe(8_000_000);
    });
    expect(heard).toBe(1);
    await book.remove('ada', nextGpt).catch(() => undefined);
    await theirs.fresh();
    expect(heard).toBe(1);
  } finally {
    await other.close();
  }
});

const unknownAnswer = (model: string) => {
  const usage = { prompt_tokens: 1_000, completion_tokens: 10, total_tokens: 1_010 };
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: { object: 'chat.completion', model, choices: [], usage },
  };
};
const list = (app: TestApp, who: Person, query = {}) => call<PriceList>(app, who, 'admin.prices.list', query);

test('an administrator prices a model that waits: it is priced with its sums, and can be chosen and asked for on the platform key at once', async () => {
  await using app = await testApp({ platform: { openai: unknownAnswer('gpt-next-2026-11-01') } });
  const boss = await app.person({ admin: true });
  const ada = await app.person({ keys: { openai: unknownAnswer('gpt-next-2026-11-01') } });
  const bob = await app.person();
  for (const _ of [1, 2]) expect((await app.chat(ada, 'hello', { model: 'gpt-next' })).status).toBe(200);
  expect((await app.chat(bob, 'hello', { model: 'gpt-next' })).status).toBe(403);
  expect(await app.keysOf(ada)).toMatchObject([{ estimatedCostUsd: 0, unpricedRequests: 2 }]);
  const { prices, waitingRequests } = await list(app, boss);
  const [waiting] = prices;
  expect([waitingRequests, waiting?.source, waiting?.price, waiting?.waitingRequests]).toEqual([2, null, null, 2]);
  expect(await list(app, boss, { show: 'waiting', search: 'OPENAI next' })).toMatchObject({ total: 1, waitingRequests: 2 });

  const res = await app.fetch(boss, '/api/v1/admin/prices', { json: nextGpt });
  expect(res.status).toBe(200);
  expect(await res.json()).toMatchObject({
    price: { model: 'gpt-next', source: 'admin', price: { inputUsdPerMillion: 2 }, overrides: [{ validFrom: null }] },
  });
  const cost = 1_000 * 2_000 + 10 * 8_000;
  await vi.waitFor(async () =>
    expect((await app.keysOf(ada))[0]).toMatchObject({ estimatedCostUsd: (2 * cost) / 1e9, unpricedRequests: 0 }),
  );
  expect((await app.requests()).filter(({ costNanoUsd }) => costNanoUsd === cost)).toHaveLength(2);
  expect((await list(app, boss)).waitingRequests).toBe(0);

  expect((await app.chat(bob, 'hello', { model: 'gpt-next' })).status).toBe(200);
  const { providers } = (await (await app.fetch(bob, '/api/v1/api-keys/providers')).json()) as { providers: ProviderView[] };
  expect(providers[0]?.models[0]).toEqual({ id: 'gpt-next', inputUsdPerMillion: 2, outputUsdPerMillion: 8 });

  await call(app, boss, 'admin.prices.set', { ...nextGpt, inputUsdPerMillion: 100 });
  expect((await app.requests()).filter(({ costNanoUsd }) => costNanoUsd === cost)).toHaveLength(3);
  expect((await app.fetch(boss, '/api/v1/admin/prices/openai/gpt-next', { method: 'DELETE' })).status).toBe(204);
  expect((await app.fetch(boss, '/api/v1/admin/prices/openai/gpt-next', { method: 'DELETE' })).status).toBe(404);
  expect((await app.chat(bob, 'hello', { model: 'gpt-next' })).status).toBe(403);
  expect((await app.requests()).filter(({ costNanoUsd }) => costNanoUsd === cost)).toHaveLength(3);
});

test('a request from before a price holds goes on waiting, and one after it is priced', async () => {
  await using app = await testApp();
  const [boss, ada] = [await app.person({ admin: true }), await app.person({ keys: { openai: unknownAnswer('gpt-next') } })];
  await app.chat(ada, 'hello', { model: 'gpt-next' });
  const validFrom = new Date(app.clock.now() + dayMs).toISOString();
  const { price } = await call<{ price: AdminPrice }>(app, boss, 'admin.prices.set', { ...nextGpt, validFrom });
  expect([price.source, price.overrides.map((one) => one.validFrom)]).toEqual([null, [validFrom]]);
  app.clock.advance(dayMs);
  await app.chat(ada, 'hello', { model: 'gpt-next' });
  await app.app.repricing.run();
  expect((await app.requests()).map(({ costNanoUsd }) => costNanoUsd)).toEqual([null, 2_080_000]);
  expect(await list(app, boss, { search: 'gpt-next' })).toMatchObject({ prices: [{ source: 'admin', waitingRequests: 1 }] });
});

test('what another process imports holds at the next request, and prices what waits although nobody asks', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: unknownAnswer('gpt-next') } });
  await app.chat(ada, 'hello', { model: 'gpt-next' });
  const { db } = app.app;
  const elsewhere = createPriceBook({ db, clock: app.clock, audit: createAudit({ db, clock: app.clock }).entry });
  await elsewhere.take(listOf(nextGpt), fromFile);
  app.clock.advance(10_000);
  await vi.waitFor(async () => expect((await app.keysOf(ada))[0]).toMatchObject({ unpricedRequests: 0 }));
  await elsewhere.take(listOf({ ...nextGpt, inputUsdPerMillion: 3 }), fromFile);
  await vi.waitFor(async () => {
    await app.chat(ada, 'hello', { model: 'gpt-next' });
    expect((await app.requests()).at(-1)?.costNanoUsd).toBe(3_080_000);
  });
});

test.each([
  [{ ...nextGpt, inputUsdPerMillion: -1 }, 'inputUsdPerMillion'],
  [{ ...nextGpt, model: '' }, 'model'],
  [{ ...nextGpt, source: 'url' }, 'source'],
  [{ ...nextGpt, validFrom: 'tomorrow' }, 'validFrom'],
])('a price that cannot be is refused by its field: %o', async (json, field) => {
  await using app = await testApp();
  const boss = await app.person({ admin: true });
  const res = await app.fetch(boss, '/api/v1/admin/prices', { json });
  expect([res.status, Object.keys(((await res.json()) as { errors: object }).errors)]).toEqual([400, [field]]);
  expect(await app.app.prices.rows()).toEqual([]);
});
