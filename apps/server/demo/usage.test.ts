import type { ProviderId } from '@synthstack/core';
import { testDb } from '@synthstack/core/testing';
import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Habit, writeUsage } from './usage.ts';

const habits: readonly Habit[] = [
  {
    provider: 'openai',
    route: '/v1/chat/completions',
    model: 'gpt-4o-mini',
    share: 3,
    input: 500,
    output: 100,
    cached: 0.5,
    reasoning: 0.2,
  },
  { provider: 'openai', route: '/v1/chat/completions', model: 'nobody-knows-its-price', share: 1, input: 500, output: 100 },
  { provider: 'anthropic', route: '/v1/messages', model: 'claude-haiku-4-5', share: 2, input: 900, output: 100, cached: 0.8, streamed: 1 },
];
const endMs = Date.UTC(2026, 10, 4, 15, 30);
const story = {
  ...{ endMs, days: 3, seed: 7 },
  people: ['ada', 'bob'].map((userId) => ({
    ...{ userId, tokenIds: ['laptop'], aDay: 20, habits },
    payerAt: (provider: ProviderId) =>
      ({ tier: 'premium', keyId: provider === 'openai' ? `${userId}-key` : null, reason: 'invalid' }) as const,
  })),
};

test('every sum equals its rows', async () => {
  await using db = await testDb();
  const count = await writeUsage({ db, ...story });
  const { request, usageUser, usageTotal, usageUserDay, keyTotals } = db.tables;
  const rows = await db.orm.select().from(request);
  expect(rows).toHaveLength(count);
  expect(count).toBeGreaterThan(60);
  for (const row of rows) {
    expect(row.startedAt).toBeGreaterThanOrEqual(endMs - 4 * 86_400_000);
    expect(row.endedAt).toBeLessThanOrEqual(endMs);
    expect(row.state).not.toBe('open');
  }
  const answered = rows.filter((row) => row.status === 200);
  const total = (of: typeof rows, name: 'totalTokens' | 'costNanoUsd' | 'cacheWriteTokens') =>
    of.reduce((sum, row) => sum + (row[name] ?? 0), 0);
  for (const table of [usageUser, usageTotal, usageUserDay]) {
    const [sums] = await db.orm
      .select({
        requests: sql`sum(${table.requests})`.mapWith(Number),
        totalTokens: sql`sum(${table.totalTokens})`.mapWith(Number),
        cacheWriteTokens: sql`sum(${table.cacheWriteTokens})`.mapWith(Number),
        costNanoUsd: sql`sum(${table.costNanoUsd})`.mapWith(Number),
        unpricedRequests: sql`sum(${table.unpricedRequests})`.mapWith(Number),
      })
      .from(table);
    expect(sums).toEqual({
      requests: answered.length,
      totalTokens: total(answered, 'totalTokens'),
      cacheWriteTokens: total(answered, 'cacheWriteTokens'),
      costNanoUsd: total(answered, 'costNanoUsd'),
      unpricedRequests: answered.filter((row) => row.costNanoUsd === null).length,
    });
  }
  for (const sums of await db.orm.select().from(keyTotals)) {
    const own = answered.filter((row) => row.userId === sums.owner && row.source === 'user');
    expect(sums).toMatchObject({ provider: 'openai', requests: own.length, totalTokens: total(own, 'totalTokens') });
  }
});

test('the same seed tells the same story, another one another', async () => {
  const told = async (seed: number) => {
    await using db = await testDb();
    await writeUsage({ db, ...story, days: 1, seed });
    return (await db.orm.select().from(db.tables.request).orderBy(db.tables.request.id)).map(({ bootId: _, ...row }) => row);
  };
  const first = await told(1);
  expect(await told(1)).toEqual(first);
  expect(await told(2)).not.toEqual(first);
});
