import { hash } from 'node:crypto';
import { must } from '@synthstack/core/db';
import { testDb, testDialect } from '@synthstack/core/testing';
import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { type AuditEntry, createAudit } from './audit.ts';
import { type AuditFilter, createAuditLog } from './audit-log.ts';

const startMs = 1_790_000_000_000;
const hourMs = 3_600_000;

/** An entry an hour. */
async function stage(entries: readonly AuditEntry[], windows: { windowRows?: number; mostWindows?: number } = {}) {
  const db = await testDb();
  const clock = manualClock(startMs);
  const audit = createAudit({ db, clock });
  for (const entry of entries) {
    await db.commit([audit.entry(entry)]);
    clock.advance(hourMs);
  }
  const log = createAuditLog({ db, ...windows });
  return {
    db,
    clock,
    audit,
    log,
    async all(filter: AuditFilter, limit = 2): Promise<number[]> {
      const found: number[] = [];
      for (let before: number | undefined; ; ) {
        const { rows, next } = await log.page(filter, limit, before);
        found.push(...rows.map(({ seq }) => seq));
        if (next === null) return found;
        before = next;
      }
    },
    async file(filter: AuditFilter, format: 'csv' | 'jsonl'): Promise<string> {
      let text = '';
      for await (const part of log.lines(filter, format)) text += part;
      return text;
    },
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

const many: AuditEntry[] = Array.from({ length: 24 }, (_, n) => ({
  actor: n % 3 ? 'ada' : 'root',
  subject: n % 2 ? 'ada' : 'bob',
  action: n % 4 ? 'key.saved' : 'plan.changed',
}));
const wanted = (fits: (entry: AuditEntry, n: number) => boolean) =>
  many.flatMap((entry, n) => (fits(entry, n) ? [n + 1] : [])).toReversed();

test('each filter, and all together, keep what they name, page by page', async () => {
  await using place = await stage(many, { windowRows: 3, mostWindows: 2 });
  expect(await place.all({})).toEqual(wanted(() => true));
  expect(await place.all({ actor: 'root' })).toEqual(wanted(({ actor }) => actor === 'root'));
  expect(await place.all({ subject: 'bob' })).toEqual(wanted(({ subject }) => subject === 'bob'));
  expect(await place.all({ action: 'plan.changed' })).toEqual(wanted(({ action }) => action === 'plan.changed'));
  const [fromMs, toMs] = [startMs + 5 * hourMs, startMs + 11 * hourMs];
  const inTime = (n: number) => n >= 5 && n < 11;
  expect(await place.all({ fromMs, toMs })).toEqual(wanted((_, n) => inTime(n)));
  expect(await place.all({ subject: 'ada', actor: 'ada', action: 'key.saved', fromMs, toMs })).toEqual(
    wanted(({ subject, actor, action }, n) => subject === 'ada' && actor === 'ada' && action === 'key.saved' && inTime(n)),
  );
  expect(await place.all({ subject: 'nobody' })).toEqual([]);
  expect(await place.all({ fromMs: startMs + 900 * hourMs })).toEqual([]);
  expect(await place.all({ toMs: startMs - 900 * hourMs })).toEqual([]);
});

test('a clock that was set back hides nothing from a range of time', async () => {
  await using place = await stage([]);
  const at = [0, 10, 11, 3, 4, 12, 40, 60];
  for (const hours of at) {
    const { db } = place;
    const { entry } = createAudit({ db, clock: manualClock(startMs + hours * hourMs) });
    await db.commit([entry({ actor: 'ada', subject: 'ada', action: 'key.saved' })]);
  }
  const found = await place.all({ fromMs: startMs + 3 * hourMs, toMs: startMs + 11 * hourMs });
  expect(found).toEqual([5, 4, 2]);
});

test('a file holds every row, oldest first, with which the chain can be computed anew; and no formula', async () => {
  const evil = { actor: '=HYPERLINK("http://evil")', subject: '+1', action: 'key.saved', detail: { name: '@SUM(1,2)\n"x"' } } as const;
  await using place = await stage([...many, evil], { windowRows: 4 });
  const lines = (await place.file({}, 'jsonl')).trimEnd().split('\n');
  let before = '0'.repeat(64);
  for (const [i, line] of lines.entries()) {
    const { seq, at, actor, subject, action, detail, prevHash, hash: own } = JSON.parse(line);
    const text = JSON.stringify([Date.parse(at), actor, subject, action, JSON.stringify(detail)]);
    expect([seq, prevHash, own]).toEqual([i + 1, before, hash('sha256', `${before} ${seq} ${text}`)]);
    before = own;
  }
  expect(lines.length).toBe(25);
  const csv = await place.file({ actor: evil.actor }, 'csv');
  expect(csv.split('\r\n')[0]).toBe('seq,at,actor,subject,action,detail,prev_hash,hash');
  expect(csv).toContain(`"'=HYPERLINK(""http://evil"")",'+1,key.saved,`);
  expect(await place.file({ subject: '' }, 'csv')).toBe('seq,at,actor,subject,action,detail,prev_hash,hash\r\n');
});

test('the chain is followed a page at a time, from where the last one ended', async () => {
  await using place = await stage(many);
  const { audit, db } = place;
  const first = await audit.follow(null);
  expect(first).toMatchObject({ brokenAt: null, done: true, head: { seq: 24 } });
  await db.commit([audit.entry({ actor: 'ada', subject: 'ada', action: 'key.saved' })]);
  expect(await audit.follow(first.head)).toMatchObject({ brokenAt: null, done: true, head: { seq: 25 } });
  expect(await audit.follow({ seq: 24, hash: 'f'.repeat(64) })).toMatchObject({ brokenAt: 25 });
  const { audit: table } = db.tables;
  await db.commit([must(db.orm.update(table).set({ actor: 'mallory' }).where(sql`${table.seq} = 7`))]);
  expect(await audit.follow(null)).toMatchObject({ brokenAt: 7, head: { seq: 6 }, done: true });
});

test('no page of it reads or sorts the whole table', async () => {
  await using place = await stage(many);
  const { db, log } = place;
  if (testDialect === 'postgres')
    for (const way of ['seqscan', 'bitmapscan']) await db.read({ sql: `set enable_${way} = off`, params: [] });
  for (const filter of [
    {},
    { actor: 'ada' },
    { subject: 'ada' },
    { action: 'key.saved' },
    { subject: 'ada', action: 'key.saved', fromMs: 1 },
  ])
    for (const { sql: text, params } of log.statementsOf(filter)) {
      const explain = db.dialect === 'sqlite' ? 'explain query plan ' : 'explain ';
      const lines = (await db.read({ sql: explain + text, params })).map((row) => String(row.at(db.dialect === 'sqlite' ? 3 : 0)));
      expect(lines.join(' | '), JSON.stringify(filter)).not.toMatch(/TEMP B-TREE|SCAN|Seq Scan|Sort/);
    }
  if (testDialect === 'postgres') for (const way of ['seqscan', 'bitmapscan']) await db.read({ sql: `reset enable_${way}`, params: [] });
});
