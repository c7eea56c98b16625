/** Budgets by themselves: what is set aside, what comes back, and that no order of events ever spends more than the limit. */
import { randomUUID } from 'node:crypto';
import { nanoUsdPerUsd } from '@synthstack/core';
import { type Db, statement } from '@synthstack/core/db';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { createRandom, type Random } from '../rigs/random.ts';
import { type ManualClock, manualClock } from '../test/clock.ts';
import { createAudit } from './audit.ts';
import { type Budgets, createBudgets, type Hold, monthOf } from './budgets.ts';
import { createNotices } from './notices.ts';

const noon = Date.UTC(2026, 10, 20, 12);
const place = { owner: 'ada', provider: 'openai', position: 0 } as const;
const key = { id: randomUUID(), ...place };

function budgetsOn(db: Db, clock: ManualClock = manualClock(noon)): Budgets {
  const audit = createAudit({ db, clock });
  const notices = createNotices({ db, clock });
  const log = { error: (_: unknown, message: string, cause: unknown) => expect.fail(`${message} ${cause}`) };
  return createBudgets({ db, clock, log, audit: audit.entry, notice: notices.entry });
}

async function withKey(db: Db): Promise<void> {
  const sealed = { encryptedBlob: Buffer.alloc(1), nonce: Buffer.alloc(12), masterKeyId: 'mk' };
  const times = { createdAt: new Date(noon), updatedAt: new Date(noon) };
  await db.orm.insert(db.tables.providerKey).values({ ...key, keyHint: '****...abc1', ...sealed, status: 'valid', ...times });
}

async function boot(db: Db, id: string, slot: number): Promise<void> {
  await db.orm.insert(db.tables.boot).values({ id, slot, host: 'here', pid: 1, startedAt: noon, heartbeatAt: noon });
}

async function standing(db: Db) {
  const { budget, reservation } = db.tables;
  const [row] = await db.orm.select().from(budget);
  const held = (await db.orm.select().from(reservation)).reduce((sum, one) => sum + one.amountNanoUsd, 0);
  return {
    spent: row?.spentNanoUsd ?? -1,
    reserved: row?.reservedNanoUsd ?? -1,
    limit: row?.limitNanoUsd ?? -1,
    period: row?.period,
    held,
  };
}

let lastId = 0;
const paying = (hold: Hold | null = null, startedAt = noon) => {
  lastId += 1;
  return { id: lastId, userId: 'ada', provider: 'openai', keyPosition: 0, source: 'user', hold, startedAt } as const;
};
const isHeld = (answer: Awaited<ReturnType<Budgets['reserve']>>): answer is Hold => answer !== null && 'amountNanoUsd' in answer;

interface Round {
  db: Db;
  budgets: Budgets;
  bootId: string;
  random: Random;
  /** The chance of being killed while under way. */
  killed: number;
}

/** One request: sets aside, waits, then costs anything up to that, or nothing, or is never heard of again. @returns what it cost; null: refused */
async function live({ db, budgets, bootId, random, killed }: Round, amount: number): Promise<number | null> {
  const request = paying();
  const hold = await budgets.reserve(request, bootId, amount);
  if (!isHeld(hold)) return null;
  for (let turns = random.int(0, 5); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
  if (random.chance(killed)) return 0;
  const cost = random.pick([0, amount, random.int(0, amount)]);
  const closed = { ...request, hold, costNanoUsd: cost, answered: true };
  await db.commit(budgets.settlement(closed));
  return cost;
}

test('of 1,000 requests at once exactly as many are let through as fit, and all that they did not need comes back', async () => {
  await using db = await testDb();
  await withKey(db);
  await boot(db, 'here', 0);
  const budgets = budgetsOn(db);
  await budgets.set('ada', key, { limitUsd: 1, hard: true });
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => budgets.reserve(paying(), 'here', nanoUsdPerUsd / 10)));
  expect(answers.filter(isHeld)).toHaveLength(10);
  expect(await standing(db)).toMatchObject({ spent: 0, reserved: nanoUsdPerUsd, held: nanoUsdPerUsd });
  const refused = answers.find((one) => one !== null && !isHeld(one));
  expect(refused).toMatchObject({ limitNanoUsd: nanoUsdPerUsd, leftNanoUsd: 0, thenPlatform: false, resetsAt: new Date('2026-12-01') });
});

test('whatever ends in whatever order, in two processes and with kills, what is spent and set aside never exceeds the limit', async () => {
  for (const seed of [1, 2, 3]) {
    await using db = await testDb();
    const other = await db.reopen();
    await withKey(db);
    await boot(db, 'here', 0);
    await boot(db, 'there', 1);
    const random = createRandom(seed);
    const rounds = [db, other].map((one, i) => ({
      db: one,
      budgets: budgetsOn(one),
      bootId: i ? 'there' : 'here',
      random,
      killed: i ? 0.05 : 0,
    }));
    await rounds[0]?.budgets.set('ada', key, { limitUsd: 2, hard: true });
    let watching = true;
    const worst: number[] = [];
    const watch = (async () => {
      while (watching) {
        const { spent, reserved } = await standing(db);
        worst.push(spent + reserved);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const costs = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => live(rounds[i % 2] as Round, random.int(1, nanoUsdPerUsd / 20))),
    );
    watching = false;
    await watch;
    const limit = 2 * nanoUsdPerUsd;
    const spent = costs.reduce((sum: number, cost) => sum + (cost ?? 0), 0);
    expect(Math.max(...worst), `seed ${seed}`).toBeLessThanOrEqual(limit);
    expect(costs.filter((cost) => cost === null).length, `seed ${seed}`).toBeGreaterThan(0);
    const before = await standing(db);
    expect(before, `seed ${seed}`).toMatchObject({ spent, reserved: before.held });
    // What the killed had set aside comes back once nobody can end it any more.
    await rounds[0]?.budgets.releaseDead();
    expect((await standing(db)).held).toBe(before.held);
    await db.commit([statement(db.orm.delete(db.tables.boot))]);
    await rounds[0]?.budgets.releaseDead();
    expect(await standing(db)).toMatchObject({ spent, reserved: 0, held: 0 });
    await other.close();
  }
}, 120_000);

test('a new month begins anew, and what began in the old one counts there', async () => {
  await using db = await testDb();
  await withKey(db);
  const clock = manualClock(Date.UTC(2026, 10, 30, 23, 59, 59));
  const budgets = budgetsOn(db, clock);
  await budgets.set('ada', key, { limitUsd: 1, hard: true });
  const old = paying(null, clock.now());
  const hold = await budgets.reserve(old, 'here', nanoUsdPerUsd);
  expect(isHeld(hold)).toBe(true);
  expect(isHeld(await budgets.reserve(paying(), 'here', 1))).toBe(false);
  clock.advance(1_000);
  expect((await budgets.viewsOf('ada'))(place)).toMatchObject({ spentUsd: 0, reservedUsd: 0, resetsAt: '2027-01-01T00:00:00.000Z' });
  expect(isHeld(await budgets.reserve(paying(), 'here', nanoUsdPerUsd))).toBe(true);
  expect(await standing(db)).toMatchObject({ spent: 0, reserved: nanoUsdPerUsd, period: monthOf(clock.now()), held: 2 * nanoUsdPerUsd });
  if (isHeld(hold)) await db.commit(budgets.settlement({ ...old, hold, costNanoUsd: nanoUsdPerUsd, answered: true }));
  expect(await standing(db)).toMatchObject({ spent: 0, reserved: nanoUsdPerUsd, held: nanoUsdPerUsd });
});

test('what was under way when a budget was set counts; an answer of which nobody knows the cost counts as what was set aside', async () => {
  await using db = await testDb();
  await withKey(db);
  const budgets = budgetsOn(db);
  const before = paying();
  expect(budgets.settlement({ ...before, costNanoUsd: 5, answered: true })).toEqual([]);
  await budgets.set('ada', key, { limitUsd: 1, hard: false });
  await db.commit(budgets.settlement({ ...before, costNanoUsd: 5, answered: true }));
  expect(await standing(db)).toMatchObject({ spent: 5, reserved: 0 });
  // A soft one sets nothing aside, and what it cannot know it does not count.
  expect(await budgets.reserve(paying(), 'here', 7)).toBeNull();
  expect(budgets.settlement({ ...paying(), costNanoUsd: null, answered: true })).toEqual([]);
  await budgets.set('ada', key, { limitUsd: 1, hard: true });
  const unmeasured = paying();
  const hold = await budgets.reserve(unmeasured, 'here', 7);
  if (!isHeld(hold)) throw new Error('There is room.');
  await db.commit(budgets.settlement({ ...unmeasured, hold, costNanoUsd: null, answered: true }));
  expect(await standing(db)).toMatchObject({ spent: 12, reserved: 0, held: 0 });
  const failed = paying();
  const other = await budgets.reserve(failed, 'here', 7);
  if (!isHeld(other)) throw new Error('There is room.');
  await budgets.release({ ...failed, hold: other });
  expect(await standing(db)).toMatchObject({ spent: 12, reserved: 0, held: 0 });
});

test('a budget that is gone, or another one in its place, owes nothing for what was set aside in it', async () => {
  await using db = await testDb();
  await withKey(db);
  const budgets = budgetsOn(db);
  await budgets.set('ada', key, { limitUsd: 1, hard: true });
  const request = paying();
  const hold = await budgets.reserve(request, 'here', 100);
  if (!isHeld(hold)) throw new Error('There is room.');
  await budgets.remove('ada', key);
  await budgets.set('ada', key, { limitUsd: 1, hard: true });
  await db.commit(budgets.settlement({ ...request, hold, costNanoUsd: 40, answered: true }));
  expect(await standing(db)).toMatchObject({ spent: 40, reserved: 0, held: 0 });
  await budgets.remove('ada', key);
  expect((await budgets.viewsOf('ada'))(place)).toBeNull();
  await expect(budgets.set('ada', { ...key, id: randomUUID() }, { limitUsd: 1, hard: true })).rejects.toMatchObject({ code: 'conflict' });
});
