import { must } from '@synthstack/core/db';
import { testDb } from '@synthstack/core/testing';
import { eq, sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { type AuditEntry, createAudit } from './audit.ts';

const saved = (subject: string, n = 1): AuditEntry => ({
  actor: subject,
  subject,
  action: 'key.saved',
  detail: { keyId: `k${n}`, "it's": 'ü "' },
});

async function stage(rows: number) {
  const db = await testDb();
  const clock = manualClock(1_790_000_000_000);
  const audit = createAudit({ db, clock });
  if (rows > 0) await db.commit(Array.from({ length: rows }, (_, i) => audit.entry(saved(i % 2 ? 'bob' : 'ada', i + 1))));
  return { db, clock, audit, table: db.tables.audit, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}

test('what was done is listed, newest first, by whom it is about, a page at a time', async () => {
  await using place = await stage(5);
  const { audit, db, clock } = place;
  clock.advance(1_000);
  await db.commit([audit.entry({ actor: 'root', subject: 'ada', action: 'account.disabled' })]);
  const [newest, ...older] = await audit.list({ subject: 'ada', limit: 2 });
  expect(newest).toEqual({
    seq: 6,
    at: new Date(1_790_000_001_000),
    actor: 'root',
    subject: 'ada',
    action: 'account.disabled',
    detail: {},
  });
  expect(older.map((row) => row.seq)).toEqual([5]);
  expect((await audit.list({ subject: 'ada', before: 5, limit: 10 })).map((row) => row.seq)).toEqual([3, 1]);
  expect((await audit.list({ limit: 10 })).map((row) => row.seq)).toEqual([6, 5, 4, 3, 2, 1]);
  expect(older[0]?.detail).toEqual({ keyId: 'k5', "it's": 'ü "' });
});

test('an empty chain is whole', async () => {
  await using place = await stage(0);
  expect(await place.audit.verify()).toEqual({ rows: 0, brokenAt: null, head: null });
});

test('an untouched chain is whole, and its head is a hash', async () => {
  await using place = await stage(4);
  const { head, ...report } = await place.audit.verify();
  expect(report).toEqual({ rows: 4, brokenAt: null });
  expect(head).toMatchObject({ seq: 4, hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(await place.audit.verify(head)).toMatchObject({ brokenAt: null });
});

test('changing any column of any row is found at its place', async () => {
  await using place = await stage(4);
  const { db, audit, table } = place;
  const changes = {
    seq: { seq: 77 },
    at: { at: 1 },
    actor: { actor: 'mallory' },
    subject: { subject: 'mallory' },
    action: { action: 'key.removed' },
    detail: { detail: '{}' },
    prevHash: { prevHash: 'f'.repeat(64) },
    hash: { hash: 'f'.repeat(64) },
  };
  for (const seq of [1, 2, 3, 4]) {
    const [before] = await db.orm.select().from(table).where(eq(table.seq, seq));
    if (!before) throw new Error('no row');
    for (const [column, change] of Object.entries(changes)) {
      await db.orm.update(table).set(change).where(eq(table.seq, seq));
      expect(await audit.verify(), `${column} of row ${seq}`).toMatchObject({ brokenAt: seq });
      await db.orm
        .update(table)
        .set(before)
        .where(eq(table.hash, 'hash' in change ? change.hash : before.hash));
      expect(await audit.verify(), `${column} of row ${seq}, put right`).toMatchObject({ rows: 4, brokenAt: null });
    }
  }
});

test('a row that is gone is found; the last one, with a head that was noted elsewhere', async () => {
  for (const seq of [1, 2, 3]) {
    await using place = await stage(4);
    const { db, audit, table } = place;
    await db.orm.delete(table).where(eq(table.seq, seq));
    expect(await audit.verify()).toMatchObject({ rows: 3, brokenAt: seq });
  }
  await using place = await stage(4);
  const { db, audit, table } = place;
  const { head } = await audit.verify();
  await db.orm.delete(table).where(eq(table.seq, 4));
  expect(await audit.verify(head)).toMatchObject({ rows: 3, brokenAt: 4 });
  await db.commit([audit.entry(saved('mallory'))]);
  expect(await audit.verify(head)).toMatchObject({ rows: 4, brokenAt: 4 });
});

test('a chain that was written anew from some row on is not the one of the noted head', async () => {
  await using place = await stage(4);
  const { db, audit, table } = place;
  const { head } = await audit.verify();
  await db.orm.delete(table).where(sql`${table.seq} > 1`);
  await db.commit([2, 3, 4].map((n) => audit.entry(saved('mallory', n))));
  expect(await audit.verify()).toMatchObject({ rows: 4, brokenAt: null });
  expect(await audit.verify(head)).toMatchObject({ brokenAt: 4 });
});

test('a list that fails leaves no row, and the next one goes on without a gap', async () => {
  await using place = await stage(1);
  const { db, audit } = place;
  const nobody = must(db.orm.delete(db.tables.plan).where(eq(db.tables.plan.userId, 'nobody')));
  await expect(db.commit([audit.entry(saved('ada')), nobody])).rejects.toMatchObject({ code: 'conflict' });
  await db.commit([audit.entry(saved('bob')), audit.entry(saved('bob'))]);
  expect(await audit.verify()).toMatchObject({ rows: 3, brokenAt: null });
});

test('200 writers at once leave one chain', async () => {
  await using place = await stage(0);
  const { db, audit } = place;
  await Promise.all(Array.from({ length: 200 }, (_, i) => db.commit([audit.entry(saved('ada', i)), audit.entry(saved('bob', i))])));
  expect(await audit.verify()).toMatchObject({ rows: 400, brokenAt: null });
});

test('a chain longer than a page is read to its end', async () => {
  await using place = await stage(1_100);
  const { db, audit, table } = place;
  expect(await audit.verify()).toMatchObject({ rows: 1_100, brokenAt: null });
  await db.orm.update(table).set({ actor: 'mallory' }).where(eq(table.seq, 1_050));
  expect(await audit.verify()).toMatchObject({ rows: 1_100, brokenAt: 1_050 });
});
