/** The usage of everybody: the same whether it is read from rows or from blocks, in every time zone, and who used the most. */
import type { AdminUsageQuery, AdminUsageReport, PeopleQuery, PeopleUsage } from '@synthstack/core';
import { PeopleQuery as People, AdminUsageQuery as Query, tierNames } from '@synthstack/core';
import { type TestDb, testDb, testOnSqlite } from '@synthstack/core/testing';
import { eq, sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { ending, meterOn, opening } from '../test/meter.ts';
import { createBlocks } from './meter-blocks.ts';
import { createPeopleUsage } from './meter-people.ts';
import { createPlatformUsage } from './meter-platform.ts';
import { createRepricing } from './meter-repricing.ts';

const dayMs = 86_400_000;
const quarterMs = 15 * 60_000;
const startMs = Date.UTC(2026, 9, 20);
const zones = ['Europe/Berlin', 'Asia/Kathmandu', 'America/St_Johns'];

/** The same numbers each time. */
function createRandom(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Twelve days of twenty people, over the end of summer time. */
async function stage(db: TestDb, prices: { price: Parameters<typeof createPlatformUsage>[0]['price'] } = { price: () => null }) {
  let nowMs = startMs + 12 * dayMs + 7 * 3_600_000;
  const clock = { now: () => nowMs, after: () => () => undefined };
  const { meter, at } = meterOn(db);
  const random = createRandom(11);
  const written: Promise<unknown>[] = [];
  const times = Array.from({ length: 300 }, () => startMs + random(12 * dayMs + 6 * 3_600_000)).sort((a, b) => a - b);
  for (const startedAt of times) {
    at(startedAt);
    const person = random(20);
    const source = random(3) === 0 ? 'platform' : 'user';
    const request = opening(meter, startedAt, {
      userId: `user${person}`,
      tier: tierNames[person % 4] ?? 'premium',
      model: ['gpt-4o-mini', 'gpt-4o', 'a-model-of-nobody', null][random(4)] ?? null,
      ...{ source, keyId: source === 'user' ? 'key' : null },
    } as const);
    written.push(meter.record(request), meter.settle(request, ending(random(5_000), random(900), random(9) === 0 ? { usage: null } : {})));
  }
  await Promise.all(written);
  const blocks = createBlocks({ db, clock });
  const platform = createPlatformUsage({ clock, blocks, ...prices });
  const people = createPeopleUsage({ db, clock, blocks });
  return {
    ...{ meter, at, clock, blocks },
    advance: (ms: number) => {
      nowMs += ms;
    },
    report: (query: Partial<AdminUsageQuery>): Promise<AdminUsageReport> => platform.platformReport(Query.parse(query)),
    people: (query: Partial<PeopleQuery>): Promise<PeopleUsage> => people.people(People.parse(query)),
    async csv(query: Partial<AdminUsageQuery>): Promise<string[][]> {
      const parts: string[] = [];
      for await (const part of platform.platformCsv(Query.parse(query))) parts.push(part);
      return parts
        .join('')
        .trimEnd()
        .split('\r\n')
        .map((line) => line.split(','));
    },
    rows: async () => (await db.orm.select().from(db.tables.request)).filter((row) => row.status === 200),
    blockDays: async () => (await db.orm.select().from(db.tables.usageDayBlock)).length,
  };
}

type Stage = Awaited<ReturnType<typeof stage>>;

const queries: Partial<AdminUsageQuery>[] = [
  ...zones.map((timezone) => ({ days: 9, timezone, seriesBy: 'tier' as const })),
  { hours: 30, timezone: 'Asia/Kathmandu', seriesBy: 'model' },
  { days: 5, timezone: 'Europe/Berlin', groupBy: 'hour', tier: 'premium', seriesBy: 'keySource' },
  {
    from: new Date(startMs + 5 * quarterMs).toISOString(),
    to: new Date(startMs + 8 * dayMs + 3 * quarterMs).toISOString(),
    timezone: 'America/St_Johns',
    keySource: 'user',
    seriesBy: 'provider',
  },
  { days: 12, timezone: 'Europe/Berlin', model: '' },
];

test('a report is the sum of its rows, in every zone, by tier, and the same from rows and from blocks', async () => {
  await using db = await testDb();
  const on = await stage(db);
  const rows = await on.rows();
  const before = await Promise.all(queries.map(on.report));
  for (const [i, report] of before.entries()) {
    const query = queries[i] ?? {};
    const mine = rows.filter(
      (row) =>
        [undefined, row.model ?? ''].includes(query.model) &&
        [undefined, row.source].includes(query.keySource) &&
        [undefined, row.tier].includes(query.tier),
    );
    const between = (from: string, to: string) => mine.filter((row) => row.startedAt >= Date.parse(from) && row.startedAt < Date.parse(to));
    const own = between(report.from, report.to);
    expect(report.totals.requests).toBe(own.length);
    expect(report.totals.totalTokens).toBe(own.reduce((sum, row) => sum + (row.totalTokens ?? 0), 0));
    expect(report.previous.requests).toBe(between(report.previousFrom, report.previousTo).length);
    for (const [k, period] of report.series.entries()) {
      const to = report.series[k + 1]?.start ?? report.to;
      expect(period.requests, `${period.start} ${query.timezone}`).toBe(
        own.filter((row) => row.startedAt >= Date.parse(period.start) && row.startedAt < Date.parse(to)).length,
      );
    }
    for (const tier of tierNames)
      expect(report.byTier.find((one) => one.tier === tier)?.requests ?? 0).toBe(own.filter((row) => row.tier === tier).length);
  }
  expect(before.some(({ totals }) => totals.requests > 50)).toBe(true);
  expect(await on.blocks.run()).toBe(12);
  expect(await Promise.all(queries.map(on.report))).toEqual(before);
});

test('people are ranked by what they used, page by page, the same from rows and from blocks', async () => {
  await using db = await testDb();
  const on = await stage(db);
  const rows = await on.rows();
  const asked: Partial<PeopleQuery>[] = [
    { days: 13, sort: 'requests' },
    { first: '2026-10-22', last: '2026-10-28', sort: 'tokens' },
    { days: 3, sort: 'tokens', keySource: 'platform' },
    { days: 13, sort: 'tokens', limit: 7, offset: 7 },
  ];
  /** Those who used the same stand in the order of their numbers, which they have only once they are in a block. */
  const ask = async () =>
    (await Promise.all(asked.map(on.people))).map(({ users, ...more }) => ({
      ...more,
      users: users.sort((a, b) => a.userId.localeCompare(b.userId)),
    }));
  const before = await Promise.all(asked.map(on.people));
  const sorted = await ask();
  for (const [i, { users, total, first, last }] of before.entries()) {
    const { sort, keySource, offset = 0, limit = 25 } = asked[i] ?? {};
    const own = rows.filter(
      (row) =>
        row.startedAt >= Date.parse(first) && row.startedAt < Date.parse(last) + dayMs && [undefined, row.source].includes(keySource),
    );
    const used = {
      requests: () => 1,
      tokens: (row: (typeof rows)[number]) => row.totalTokens ?? 0,
      cost: (row: (typeof rows)[number]) => row.costNanoUsd ?? 0,
    }[sort ?? 'cost'];
    const sums = new Map<string, number>();
    for (const row of own) sums.set(row.userId, (sums.get(row.userId) ?? 0) + used(row));
    const wanted = [...sums.values()].sort((a, b) => b - a).slice(offset, offset + limit);
    expect(total).toBe(sums.size);
    expect(users.map(({ userId }) => sums.get(userId))).toEqual(wanted);
    for (const user of users) expect(user.requests).toBe(own.filter((row) => row.userId === user.userId).length);
  }
  await on.blocks.run();
  expect(await ask()).toEqual(sorted);
  // A third of the days without their blocks.
  await db.orm.delete(db.tables.usagePeopleBlock).where(sql`${db.tables.usagePeopleBlock.day} % ${3 * dayMs} = 0`);
  expect(await ask()).toEqual(sorted);
});

test('pages of people follow each other without a gap', async () => {
  await using db = await testDb();
  const on = await stage(db);
  await on.blocks.run();
  const whole = await on.people({ days: 13, limit: 100 });
  const pages = await Promise.all([0, 6, 12, 18].map((offset) => on.people({ days: 13, limit: 6, offset })));
  expect(pages.flatMap(({ users }) => users)).toEqual(whole.users);
  expect((await on.people({ days: 13, offset: 500 })).users).toEqual([]);
});

async function add(on: Stage, startedAt: number, userId: string): Promise<void> {
  on.at(startedAt);
  const request = opening(on.meter, startedAt, { userId });
  await on.meter.record(request);
  await on.meter.settle(request, ending(100, 10));
}

test('a day that may still grow is put together anew, and one that cannot is left alone', async () => {
  await using db = await testDb();
  const on = await stage(db);
  expect(await on.blocks.run()).toBe(12);
  const { totals } = await on.report({ days: 12 });
  // It began yesterday, a minute before midnight, and ends only now.
  await add(on, startMs + 12 * dayMs - 60_000, 'late');
  on.advance(quarterMs);
  expect(await on.blocks.run()).toBe(1);
  expect((await on.report({ days: 12 })).totals.requests).toBe(totals.requests + 1);
  on.advance(2 * dayMs);
  await on.blocks.run();
  on.advance(3_600_000);
  const blocks = await db.orm.select().from(db.tables.usageDayBlock);
  expect(await on.blocks.run()).toBe(1);
  const after = await db.orm.select().from(db.tables.usageDayBlock);
  expect(after.filter((one, i) => one.builder !== blocks[i]?.builder)).toHaveLength(1);
});

test('what becomes priced later changes the sums of past days at once, and their blocks with them', async () => {
  await using db = await testDb();
  const price = () => ({
    input: 1_000_000,
    cachedInput: 0,
    cacheWrite: 0,
    cacheWrite1h: 0,
    audioInput: 0,
    output: 0,
    audioOutput: 0,
    tiers: [],
  });
  const on = await stage(db);
  await on.blocks.run();
  const before = await on.report({ days: 12 });
  expect(before.totals.unpricedRequests).toBeGreaterThan(20);
  const log = { info: () => undefined, error: () => undefined };
  await createRepricing({ db, price, nowMs: on.clock.now, log }).run();
  const priced = await on.report({ days: 12 });
  expect(priced.totals.unpricedRequests).toBeLessThan(before.totals.unpricedRequests);
  expect(priced.totals.estimatedCostUsd).toBeGreaterThan(before.totals.estimatedCostUsd);
  const ranked = await on.people({ days: 13 });
  expect(await on.blocks.run()).toBe(12);
  expect(await on.report({ days: 12 })).toEqual(priced);
  expect(await on.people({ days: 13 })).toEqual(ranked);
});

test('rows that change while a block of them is made leave no block', async () => {
  await using db = await testDb();
  const on = await stage(db);
  const { usageDayBlock } = db.tables;
  const running = on.blocks.run();
  await expect.poll(() => on.blockDays()).toBeGreaterThan(0);
  await db.orm.delete(usageDayBlock).where(eq(usageDayBlock.day, startMs));
  await running;
  // Either it was built before, and is gone, or it was not built.
  expect((await db.orm.select().from(usageDayBlock).where(eq(usageDayBlock.day, startMs))).length).toBe(0);
  expect(await on.blocks.run()).toBeGreaterThan(0);
  expect(await on.blockDays()).toBe(12);
});

test('two processes that put the same days together at once say the same afterwards', async () => {
  await using db = await testDb();
  const on = await stage(db);
  const before = await Promise.all([on.report({ days: 12 }), on.people({ days: 13 })]);
  await Promise.all([on.blocks.run(), createBlocks({ db, clock: on.clock }).run()]);
  await on.blocks.run();
  expect(await Promise.all([on.report({ days: 12 }), on.people({ days: 13 })])).toEqual(before);
  const numbers = (await db.orm.select().from(db.tables.usagePerson)).map(({ number }) => number).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});

test('the CSV has the same sums, a line for each period, model, key source and tier', async () => {
  await using db = await testDb();
  const on = await stage(db);
  const [head, ...lines] = await on.csv({ days: 12, timezone: 'Europe/Berlin' });
  expect(head?.join()).toBe(
    'period_start,provider,model,key_source,tier,requests,input_tokens,cached_input_tokens,cache_write_tokens,output_tokens,reasoning_tokens,total_tokens,estimated_cost_usd,unpriced_requests,unmeasured_requests',
  );
  const { totals } = await on.report({ days: 12, timezone: 'Europe/Berlin' });
  expect(lines.reduce((sum, line) => sum + Number(line[5]), 0)).toBe(totals.requests);
  expect(lines.reduce((sum, line) => sum + Number(line[11]), 0)).toBe(totals.totalTokens);
});

testOnSqlite('reports and rankings go along primary keys', async () => {
  await using db = await testDb();
  const plans: string[] = [];
  const spied = {
    ...db,
    async read(statement: { sql: string; params: readonly unknown[] }) {
      const plan = await db.read({ sql: `explain query plan ${statement.sql}`, params: statement.params });
      plans.push(...plan.map((row) => String(row[3])));
      return db.read(statement);
    },
  };
  const on = await stage(spied);
  await on.report({ days: 12 });
  await on.people({ days: 13 });
  await on.blocks.run();
  await on.report({ days: 12 });
  await on.people({ days: 13 });
  const tables = plans.filter((line) => /usage_/.test(line));
  expect(tables.length).toBeGreaterThan(20);
  for (const line of tables) expect(line).toMatch(/^SEARCH/);
  expect(plans.filter((line) => /TEMP B-TREE FOR ORDER/.test(line))).toEqual([]);
  expect(tables.find((line) => /usage_user_day USING .*day=\? AND user_id=\?/.test(line))).toBeDefined();
});

test('administrators see everybody by name, over REST as by tRPC; nobody else does', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const [boss, ada, eve] = [
    await app.person({ admin: true }),
    await app.person({ tier: 'community' }),
    await app.person({ keys: { openai: 'good' } }),
  ];
  for (const [who, times] of [
    [ada, 1],
    [eve, 3],
  ] as const)
    for (let i = 0; i < times; i += 1) await (await app.chat(who, 'hello')).text();
  const get = async <T>(path: string): Promise<T> => (await app.fetch(boss, path)).json() as Promise<T>;
  const report = await get<AdminUsageReport>('/api/v1/admin/usage?days=1&seriesBy=tier');
  expect(report).toMatchObject({
    totals: { requests: 4 },
    byTier: [
      { tier: 'premium', requests: 3 },
      { tier: 'community', requests: 1 },
    ],
  });
  expect(report.parts?.map(({ tier }) => tier).sort()).toEqual(['community', 'premium']);
  const people = await get<PeopleUsage>('/api/v1/admin/usage/users?days=1&sort=requests');
  expect(people).toMatchObject({
    total: 2,
    users: [
      { userId: eve.id, email: eve.email, requests: 3 },
      { userId: ada.id, requests: 1 },
    ],
  });
  const csv = await app.fetch(boss, '/api/v1/admin/usage.csv?days=1');
  expect([csv.headers.get('content-type'), (await csv.text()).split('\r\n').length]).toEqual(['text/csv; charset=utf-8', 4]);
  for (const path of [
    '/api/v1/admin/usage?days=0',
    '/api/v1/admin/usage/users?first=2026-01-01',
    '/api/v1/admin/usage.csv?timezone=Nowhere',
  ])
    expect((await app.fetch(boss, path)).status, path).toBe(400);
});
