import { spawnSync } from 'node:child_process';
import { eq, sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { testDb, testDialect, testOnSqlite, testPlace } from '../../test/db.ts';
import { migrations } from './migrations/index.ts';
import { atomically, must, openDb } from './open.ts';

const now = new Date(1_700_000_000_000);
const notice = (id: string) => ({ id, userId: 'ada', kind: 'test', dedupe: id, data: { a: 'ü' }, createdAt: now });

test('what is written comes back as the same values', async () => {
  await using db = await testDb();
  const key = {
    id: 'k1',
    owner: 'ada',
    provider: 'openai' as const,
    keyHint: '****...abc1',
    encryptedBlob: Buffer.from([0, 1, 255]),
    nonce: Buffer.alloc(12, 7),
    masterKeyId: 'mk',
    status: 'valid' as const,
    createdAt: now,
    updatedAt: now,
  };
  await atomically(db, (tx, t) => [tx.insert(t.providerKey).values(key)]);
  const [row] = await db.orm.select().from(db.tables.providerKey);
  expect(row).toMatchObject({ ...key, isActive: true, fallback: true, position: 0, retryAt: null });
  expect(Buffer.isBuffer(row?.nonce)).toBe(true);
});

test('a list is written as a whole or not at all', async () => {
  await using db = await testDb();
  const { notice: table } = db.tables;
  await atomically(db, (tx) => [tx.insert(table).values(notice('a'))]);
  const twice = atomically(db, (tx) => [tx.insert(table).values(notice('b')), tx.insert(table).values(notice('a'))]);
  await expect(twice).rejects.toMatchObject({ code: 'conflict' });
  expect(await db.orm.select({ id: table.id }).from(table)).toEqual([{ id: 'a' }]);
});

test('a statement that must change a row undoes its list when it changes none', async () => {
  await using db = await testDb();
  const { notice: table } = db.tables;
  const change = atomically(db, (tx) => [
    tx.insert(table).values(notice('a')),
    must(tx.update(table).set({ kind: 'other' }).where(eq(table.id, 'nobody'))),
  ]);
  await expect(change).rejects.toMatchObject({ code: 'conflict' });
  expect(await db.orm.select().from(table)).toEqual([]);
});

test('lists of one burst fail and succeed on their own', async () => {
  await using db = await testDb();
  const { notice: table } = db.tables;
  const ids = Array.from({ length: 100 }, (_, i) => `n${i % 60}`);
  const outcomes = await Promise.allSettled(ids.map((id) => atomically(db, (tx) => [tx.insert(table).values(notice(id))])));
  expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(60);
  expect(await db.orm.select().from(table)).toHaveLength(60);
});

test('a single write through drizzle is on disk when it resolves, and can return its row', async () => {
  await using db = await testDb();
  const { notice: table } = db.tables;
  const [row] = await db.orm.insert(table).values(notice('a')).returning();
  expect(row).toMatchObject({ id: 'a', data: { a: 'ü' }, createdAt: now });
  const updated = await db.orm.update(table).set({ kind: 'seen' }).where(eq(table.id, 'a')).returning({ kind: table.kind });
  expect(updated).toEqual([{ kind: 'seen' }]);
});

test('SHA-256 inside a statement is the same on both engines', async () => {
  await using db = await testDb();
  await atomically(db, (tx, t) => [tx.insert(t.setting).values({ key: 'x', value: '', updatedAt: now })]);
  const [result] = await atomically(db, (tx, t) => [
    tx
      .update(t.setting)
      .set({ key: db.sha256(sql`'abc'`) })
      .returning({ key: t.setting.key }),
  ]);
  expect(result?.rows).toEqual([['ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad']]);
});

test('opening a database again leaves its rows, and two openings at once migrate once', async () => {
  await using db = await testDb();
  await atomically(db, (tx, t) => [tx.insert(t.notice).values(notice('a'))]);
  const [one, two] = await Promise.all([db.reopen(), db.reopen()]);
  expect(await two.orm.select().from(two.tables.notice)).toHaveLength(1);
  expect(await two.orm.select().from(two.tables.generation)).toHaveLength(1);
  await one.close();
  if (testDialect === 'sqlite') await two.close();
});

test('an empty database gets its tables, and two openings at once make them once', async () => {
  await using place = await testPlace(false);
  const [one, two] = await Promise.all([openDb(place.options), openDb(place.options)]);
  expect(await one.orm.select().from(one.tables.generation)).toHaveLength(1);
  expect(await two.orm.select().from(two.tables.notice)).toEqual([]);
  const names = await two.read({ sql: 'select name from migration order by name', params: [] });
  expect(names.flat()).toEqual(migrations.map(({ name }) => name));
  await one.close();
  if (testDialect === 'sqlite') await two.close();
});

test('a database of a newer version is refused in a sentence', async () => {
  await using db = await testDb();
  await db.commit([{ sql: "insert into migration (name, applied_at) values ('9999_future', 'x')", params: [] }]);
  await expect(db.reopen()).rejects.toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining('9999_future') });
});

// The script looks at both engines by itself.
testOnSqlite('schema.ts has no change without a migration', async () => {
  const script = new URL('../../scripts/migration.ts', import.meta.url).pathname;
  const run = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect(run.stdout + run.stderr).toContain('The migrations agree');
});
