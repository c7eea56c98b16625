import { randomUUID } from 'node:crypto';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { createNotices } from './notices.ts';
import { createPlanEndings } from './plans-endings.ts';

const dayMs = 86_400_000;

async function stage() {
  const db = await testDb();
  const clock = manualClock(Date.UTC(2026, 10, 1));
  const notices = createNotices({ db, clock });
  const endings = createPlanEndings({ db, clock, notice: notices.entry });
  const { user, plan } = db.tables;
  async function person(inDays: number | null, more: Partial<typeof plan.$inferInsert> = {}): Promise<string> {
    const [id, at] = [randomUUID(), new Date(clock.now())];
    await db.orm.insert(user).values({ id, name: 'x', email: `${id}@example.com`, createdAt: at, updatedAt: at });
    const until = inDays === null ? null : new Date(clock.now() + inDays * dayMs);
    await db.orm.insert(plan).values({ userId: id, tier: 'premium', until, source: 'admin', updatedAt: at, ...more });
    return id;
  }
  const toldOf = async (id: string) => (await notices.list(id)).map(({ data }) => data.days);
  return { db, clock, notices, endings, person, toldOf, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}

test('of each end people are told 14 and 3 days before, once, however often somebody looks', async () => {
  await using place = await stage();
  const { clock, endings, person, toldOf, notices } = place;
  const [ada, bob, eve, cat] = [await person(20), await person(10), await person(2), await person(null)];
  for (let day = 0; day < 21; day += 1) {
    await endings.run();
    clock.advance(dayMs);
  }
  await endings.run();
  expect(await toldOf(ada)).toEqual(['3', '14']);
  expect(await toldOf(bob)).toEqual(['3', '14']);
  // There was no time for both.
  expect(await toldOf(eve)).toEqual(['3']);
  expect(await toldOf(cat)).toEqual([]);
  expect((await notices.list(ada))[0]).toMatchObject({ kind: 'plan_ends', data: { tier: 'premium', until: '2026-11-21T00:00:00.000Z' } });
});

test('a plan that was made longer ends anew; one that has lapsed, or is none, ends no more', async () => {
  await using place = await stage();
  const { db, clock, endings, person, toldOf, notices } = place;
  const [ada, lapsed, community] = [await person(3), await person(3, { state: 'lapsed' }), await person(3, { tier: 'community' })];
  expect(await endings.run()).toBe(1);
  await db.orm.update(db.tables.plan).set({ until: new Date(clock.now() + 13 * dayMs) });
  expect(await endings.run()).toBe(1);
  expect((await toldOf(ada)).sort()).toEqual(['14', '3']);
  for (const nobody of [lapsed, community]) expect(await toldOf(nobody)).toEqual([]);
  // Removing it does not bring it back.
  for (const { id } of await notices.list(ada)) await notices.remove(ada, id);
  expect(await endings.run()).toBe(0);
});

test('a thousand at once, by two who look at the same time', async () => {
  await using place = await stage();
  const { db, clock, endings, notices } = place;
  const { user, plan } = db.tables;
  const at = new Date(clock.now());
  const ids = Array.from({ length: 1_100 }, () => randomUUID());
  for (let from = 0; from < ids.length; from += 100) {
    const some = ids.slice(from, from + 100);
    await db.orm.insert(user).values(some.map((id) => ({ id, name: 'x', email: `${id}@example.com`, createdAt: at, updatedAt: at })));
    const until = new Date(clock.now() + 5 * dayMs);
    await db.orm
      .insert(plan)
      .values(some.map((userId) => ({ userId, tier: 'premium' as const, until, source: 'admin' as const, updatedAt: at })));
  }
  await Promise.all([endings.run(), endings.run()]);
  for (const id of [ids[0], ids[700], ids[1_099]]) expect(await notices.list(id ?? '')).toHaveLength(1);
  expect(await db.orm.select({ id: db.tables.notice.id }).from(db.tables.notice)).toHaveLength(1_100);
});
