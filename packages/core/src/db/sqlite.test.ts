import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { atomically, openDb } from './open.ts';

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'byok-sqlite-'));
  return { path, url: `file:${join(path, 'byok.db')}`, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
const setting = (key: string) => ({ key, value: 'v'.repeat(200), updatedAt: new Date(0) });

test('a write is synchronous to the disk, and the file is in WAL mode', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url });
  expect(await db.commit([{ sql: 'pragma synchronous', params: [] }])).toEqual([{ changes: 0, rows: [[2]] }]);
  expect(await db.commit([{ sql: 'pragma secure_delete', params: [] }])).toEqual([{ changes: 0, rows: [[1]] }]);
  expect(await db.read({ sql: 'pragma journal_mode', params: [] })).toEqual([['wal']]);
  await db.close();
});

test('the reading connection cannot write', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url });
  expect(() => db.read({ sql: 'delete from generation returning id', params: [] })).toThrow(/readonly|query_only|attempt to write/i);
  await db.close();
});

test('after scrub nothing of a deleted row is left in the files; before it, it was there', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url });
  const marker = 'needle-7f3a9c';
  const files = () =>
    ['', '-wal']
      .map((end) => (existsSync(`${place.path}/byok.db${end}`) ? readFileSync(`${place.path}/byok.db${end}`, 'latin1') : ''))
      .join('');
  await atomically(db, (tx, t) => [tx.insert(t.setting).values({ ...setting('x'), value: marker })]);
  expect(files()).toContain(marker);
  await atomically(db, (tx, t) => [tx.delete(t.setting).where(eq(t.setting.key, 'x'))]);
  await db.scrub();
  expect(files()).not.toContain(marker);
  await db.close();
});

test('while somebody reads for long, scrub says that it could not, soon, and no write waits for it', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url });
  const reader = new Database(join(place.path, 'byok.db'));
  reader.exec('begin; select * from generation');
  await atomically(db, (tx, t) => [tx.insert(t.setting).values(setting('a'))]);
  const startedAt = performance.now();
  await expect(db.scrub()).rejects.toThrow('somebody reads');
  await atomically(db, (tx, t) => [tx.insert(t.setting).values(setting('b'))]);
  expect(performance.now() - startedAt).toBeLessThan(4_000);
  reader.close();
  await db.scrub();
  await db.close();
});

test('a slow disk does not hold up the event loop', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url, commitDelayMs: 200 });
  let turns = 0;
  const write = atomically(db, (tx, t) => [tx.insert(t.setting).values(setting('a'))]).then(() => turns);
  const count = setInterval(() => turns++, 1);
  expect(await write).toBeGreaterThan(20);
  clearInterval(count);
  await db.close();
});

test('a full disk fails the write in a sentence, and the next one succeeds when there is room again', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url });
  const [pages] = await db.commit([{ sql: 'pragma page_count', params: [] }]);
  await db.commit([{ sql: `pragma max_page_count = ${pages?.rows[0]?.[0]}`, params: [] }]).catch(() => undefined);
  const big = { key: 'big', value: 'v'.repeat(2_000_000), updatedAt: new Date(0) };
  await expect(atomically(db, (tx, t) => [tx.insert(t.setting).values(big)])).rejects.toMatchObject({ code: 'storage_unavailable' });
  await db.commit([{ sql: 'pragma max_page_count = 1000000', params: [] }]);
  await atomically(db, (tx, t) => [tx.insert(t.setting).values(big)]);
  expect(await db.orm.select().from(db.tables.setting)).toHaveLength(1);
  await db.close();
});

test('a file that is no database is refused and not touched', async () => {
  await using place = await folder();
  await writeFile(join(place.path, 'byok.db'), 'this is not a database, it is a letter'.repeat(100));
  await expect(openDb({ url: place.url })).rejects.toMatchObject({ code: 'storage_unavailable' });
  expect(readFileSync(join(place.path, 'byok.db'), 'utf8')).toContain('it is a letter');
});

test('another process may write at the same time', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url });
  const other = new Database(join(place.path, 'byok.db'));
  other.exec('begin immediate');
  const write = atomically(db, (tx, t) => [tx.insert(t.setting).values(setting('a'))]);
  other.exec('update generation set value = 5');
  other.exec('commit');
  await write;
  expect(await db.orm.select().from(db.tables.generation)).toEqual([{ id: 1, value: 5 }]);
  other.close();
  await db.close();
});

test('damage inside a file is found, and not looked for in a file that is too large', async () => {
  await using place = await folder();
  const db = await openDb({ url: place.url });
  for (let i = 0; i < 200; i++)
    await atomically(db, (tx, t) => [tx.insert(t.setting).values({ ...setting(`k${i}`), value: randomText(i) })]);
  expect(await db.integrity()).toBeNull();
  await db.close();
  const path = join(place.path, 'byok.db');
  const bytes = readFileSync(path);
  const at = bytes.indexOf(randomText(100));
  await writeFile(path, Buffer.concat([bytes.subarray(0, at - 3_000), Buffer.alloc(4_000, 0xff), bytes.subarray(at + 1_000)]));
  const again = await openDb({ url: place.url, migrate: false });
  expect(await again.integrity()).not.toBeNull();
  expect(await again.integrity(4_096)).toBeNull();
  await again.close();
});

const randomText = (i: number): string => `text ${i} `.repeat(60);

test("a new database is its owner's alone, also in a folder that is open to all", async () => {
  await using place = await folder();
  chmodSync(place.path, 0o755);
  const db = await openDb({ url: place.url });
  for (const end of ['', '-wal', '-shm']) expect([end, statSync(`${place.path}/byok.db${end}`).mode & 0o777]).toEqual([end, 0o600]);
  await db.close();
});
