import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, watch } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@synthstack/core';
import { atomically, openDb } from '@synthstack/core/db';
import { createKeyring, type Keyring } from '@synthstack/core/keyring';
import { expect, test } from 'vitest';
import { findPlanted } from '../test/planted.ts';
import { failure, masterKeys, vaultStage } from '../test/vault.ts';
import { type BackupParts, backUpBeforeMigrating, makeBackup, readBackup, restoreBackup, troubleOf } from './backup.ts';
import { startBoot } from './boot.ts';

const one = createKeyring({ current: masterKeys.one });
const two = createKeyring({ current: masterKeys.two });
const both = createKeyring({ current: masterKeys.two, previous: [masterKeys.one] });

/** A folder with a database that has three people's keys in it, open, and a folder for what is restored. */
async function place() {
  const folder = await mkdtemp(join(tmpdir(), 'byok-backup-'));
  const [database, elsewhere, file] = [join(folder, 'data/byok.db'), join(folder, 'elsewhere/byok.db'), join(folder, 'kept/one.backup')];
  const db = await openDb({ url: `file:${database}` });
  const stage = await vaultStage(db, { keyring: one });
  const keys = await Promise.all(['ada', 'bob', 'eve'].map((owner) => stage.stored(owner)));
  const parts = (keyring: Keyring = one, path = database): BackupParts => {
    return { database: path, keyring, version: '0.1.0', nowMs: () => Date.UTC(2026, 10, 23, 12) };
  };
  let isOpen = true;
  async function close(): Promise<void> {
    if (!isOpen) return;
    isOpen = false;
    await stage[Symbol.asyncDispose]();
    await db.close();
  }
  return {
    ...{ folder, database, elsewhere, file, db, stage, keys, parts, close },
    async [Symbol.asyncDispose]() {
      await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const filesIn = (folder: string) => (existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : []);

test('a backup that is made while others write has all that was there when it began, and is restored elsewhere as it was', async () => {
  await using here = await place();
  const { db, stage, keys, parts, file, elsewhere } = here;
  const { setting } = db.tables;
  let [written, isOver] = [0, false];
  const fill = (i: number) => db.orm.insert(setting).values({ key: `s${i}`, value: 'v'.repeat(3_000), updatedAt: new Date(0) });
  for (; written < 400; written += 1) await fill(written);
  const before = written;
  const load = (async () => {
    for (; !isOver; written += 1) await fill(written);
  })();
  const told: number[] = [];
  const manifest = await makeBackup(parts(), file, { told: (done, total) => told.push(done / total) });
  isOver = true;
  await load;
  expect(written).toBeGreaterThan(before);
  expect(told.at(-1)).toBe(1);
  expect(manifest).toMatchObject({ format: 1, version: '0.1.0', madeAt: '2026-11-23T12:00:00.000Z', masterKeyIds: [one.sealingKeyId] });
  expect(manifest.rows.provider_key).toBe(3);
  expect(manifest.rows.setting).toBeGreaterThanOrEqual(before);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(filesIn(join(file, '..'))).toEqual(['one.backup']);
  expect(readBackup(file, parts())).toEqual(manifest);

  const restored = await restoreBackup(parts(one, elsewhere), file);
  expect(restored).toEqual({ manifest, former: null });
  expect(statSync(elsewhere).mode & 0o777).toBe(0o600);
  expect(filesIn(join(elsewhere, '..'))).toEqual(['byok.db']);
  const again = await openDb({ url: `file:${elsewhere}` });
  await using other = await vaultStage(again, { keyring: one });
  for (const { apiKey, row } of keys) {
    const [key] = await other.vault.sealedOf(row.owner);
    expect(key && other.vault.use(key, (secret) => secret.expose())).toBe(apiKey);
  }
  const rows = await again.orm.select({ key: setting.key }).from(setting);
  expect(rows).toHaveLength(manifest.rows.setting ?? -1);
  // None is missing among those that are there: it is one moment, and not several.
  expect(new Set(rows.map(({ key }) => key))).toEqual(new Set(Array.from({ length: rows.length }, (_, i) => `s${i}`)));
  expect(await other.audit.verify()).toMatchObject({ brokenAt: null });
  expect(await stage.audit.verify()).toMatchObject({ brokenAt: null });
  await again.close();
});

test('nothing of a stored key is in a backup; the control is found', async () => {
  await using here = await place();
  await makeBackup(here.parts(), here.file);
  const bytes = readFileSync(here.file);
  for (const { apiKey } of here.keys) expect(findPlanted(apiKey, bytes)).toEqual([]);
  for (const key of Object.values(masterKeys)) expect(findPlanted(key, bytes)).toEqual([]);
  const control = `sk-proj-${randomBytes(36).toString('base64url')}`;
  await here.db.orm.insert(here.db.tables.setting).values({ key: 'control', value: control, updatedAt: new Date(0) });
  await makeBackup(here.parts(), `${here.file}.2`);
  expect(findPlanted(control, readFileSync(`${here.file}.2`))).not.toEqual([]);
});

test('a backup that was cut off or changed anywhere is refused, and nothing is put in its place', async () => {
  await using here = await place();
  const { file, parts, elsewhere } = here;
  await makeBackup(parts(), file);
  const whole = readFileSync(file);
  const { database } = readBackup(file, parts());
  const spoilt = join(here.folder, 'spoilt');
  const refused = async (bytes: Buffer, why: string) => {
    writeFileSync(spoilt, bytes);
    const error = await failure(restoreBackup(parts(one, elsewhere), spoilt));
    expect(error, why).toMatchObject({ code: expect.stringMatching(/^(storage_unavailable|invalid_config)$/) });
    expect(filesIn(join(elsewhere, '..')), why).toEqual([]);
  };
  for (const part of [0, 1, 100, database.bytes - 1, database.bytes, database.bytes + 10, whole.length - 1])
    await refused(whole.subarray(0, part), `cut at ${part}`);
  await refused(whole.subarray(1), 'without its first byte');
  await refused(Buffer.concat([whole, Buffer.from('x')]), 'with a byte more');
  await refused(readFileSync(here.database), 'a bare database');
  const places = [0, 30, 100, Math.floor(database.bytes / 2), database.bytes - 1];
  // Of the end, every byte: line ends, manifest, seal, length, checksum, mark.
  for (let at = database.bytes; at < whole.length; at += 7) places.push(at);
  for (const at of places) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await refused(bytes, `byte ${at}`);
  }
  writeFileSync(spoilt, whole);
  await restoreBackup(parts(one, elsewhere), spoilt);
  expect(existsSync(elsewhere)).toBe(true);
});

test('somebody who puts a database of their own into a backup, with all its sums right, has no seal for it', async () => {
  await using here = await place();
  const theirs = await openDb({ url: `file:${join(here.folder, 'theirs/byok.db')}` });
  await theirs.close();
  const forged = join(here.folder, 'forged.backup');
  await makeBackup({ ...here.parts(two), database: join(here.folder, 'theirs/byok.db') }, forged);
  const error = await failure(restoreBackup(here.parts(one, here.elsewhere), forged));
  expect(error).toMatchObject({ code: 'invalid_config', message: expect.stringContaining(two.sealingKeyId) });
  for (const key of Object.values(masterKeys)) expect(String(error)).not.toContain(key.slice(0, 8));
  // The id of a key that is here is not enough: the seal has to open.
  const text = readFileSync(forged).toString('latin1').replaceAll(two.sealingKeyId, one.sealingKeyId);
  writeFileSync(forged, text, 'latin1');
  expect(await failure(restoreBackup(here.parts(one, here.elsewhere), forged))).toMatchObject({ code: 'storage_unavailable' });
});

test('a key that does not open the data makes no backup and restores none; a former one beside the new does both', async () => {
  await using here = await place();
  const { file, parts, elsewhere, folder } = here;
  expect(await failure(makeBackup(parts(two), file))).toMatchObject({
    code: 'invalid_config',
    message: expect.stringContaining(one.sealingKeyId),
  });
  expect(filesIn(join(folder, 'kept'))).toEqual([]);
  await makeBackup(parts(), file);
  expect(await failure(restoreBackup(parts(two, elsewhere), file))).toMatchObject({ code: 'invalid_config' });
  expect(filesIn(join(elsewhere, '..'))).toEqual([]);
  await restoreBackup(parts(both, elsewhere), file);
  await makeBackup(parts(both), `${file}.2`);
  // The key is lost: what is not sealed is still worth having.
  await restoreBackup({ ...parts(two, join(folder, 'lost.db')), acceptLoss: true }, file);
});

test('a newer database than the program is refused', async () => {
  await using here = await place();
  await here.db.commit([{ sql: "insert into migration (name, applied_at) values ('9999_future', 'x')", params: [] }]);
  await makeBackup({ ...here.parts(), version: '9.0.0' }, here.file);
  const error = await failure(restoreBackup(here.parts(one, here.elsewhere), here.file));
  expect(error).toMatchObject({ code: 'invalid_config', message: expect.stringMatching(/version 9\.0\.0.*9999_future/) });
});

test('a database that is there is never overwritten: without force it is refused, in use it is refused, with force it is kept', async () => {
  await using here = await place();
  const { file, parts, database, folder } = here;
  await makeBackup(parts(), file);
  expect(await failure(makeBackup(parts(), file))).toMatchObject({ code: 'conflict', message: expect.stringContaining('--force') });
  await makeBackup(parts(), file, { force: true });
  const later = await here.stage.stored('ada');
  expect(await failure(restoreBackup(parts(), file))).toMatchObject({ code: 'conflict', message: expect.stringContaining('--force') });
  expect(await failure(restoreBackup(parts(), file, { force: true }))).toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('uses'),
  });
  expect((await here.stage.vault.sealedOf('ada'))[0]?.id).toBe(later.row.id);
  await here.close();
  const former = `${database}.former-2026-11-23T12-00-00Z`;
  expect(await restoreBackup(parts(), file, { force: true })).toMatchObject({ former });
  expect(filesIn(join(folder, 'data'))).toEqual(['byok.db', 'byok.db.former-2026-11-23T12-00-00Z']);
  for (const [path, id] of [
    [database, here.keys[0]?.row.id],
    [former, later.row.id],
  ]) {
    const db = await openDb({ url: `file:${path}` });
    expect((await db.orm.select().from(db.tables.providerKey)).map((row) => row.id)).toContain(id);
    await db.close();
  }
  // What is no database at all is kept too.
  writeFileSync(database, 'a letter');
  await restoreBackup({ ...parts(), nowMs: () => 0 }, file, { force: true });
  expect(readFileSync(`${database}.former-1970-01-01T00-00-00Z`, 'utf8')).toBe('a letter');
});

test('several restores at once, or one after the other in the same second, keep the database that was there before the first', async () => {
  await using here = await place();
  const { file, parts, folder } = here;
  await makeBackup(parts(), file);
  const later = await here.stage.stored('ada');
  await here.close();
  const restored = await Promise.allSettled([1, 2, 3].map(() => restoreBackup(parts(), file, { force: true })));
  await restoreBackup(parts(), file, { force: true });
  expect(restored.map(({ status }) => status)).toContain('fulfilled');
  const found: string[] = [];
  for (const name of filesIn(join(folder, 'data'))) {
    const db = await openDb({ url: `file:${join(folder, 'data', name)}` });
    const ids = (await db.orm.select().from(db.tables.providerKey)).map(({ id }) => id);
    if (ids.includes(later.row.id)) found.push(name);
    await db.close();
  }
  expect(found).not.toEqual([]);
});

test('at every moment of a restore a whole database is in its place', async () => {
  await using here = await place();
  const { file, parts, database } = here;
  await makeBackup(parts(), file);
  await here.close();
  const before = statSync(database).ino;
  // Names change one at a time, and the folder tells of each: none of them is the database's own without another taking its place.
  const over = new AbortController();
  const changed: string[] = [];
  const watching = (async () => {
    try {
      for await (const { eventType, filename } of watch(join(database, '..'), { signal: over.signal }))
        if (eventType === 'rename') changed.push(filename ?? '');
    } catch {
      return;
    }
  })();
  const { former } = await restoreBackup(parts(), file, { force: true });
  await new Promise((resolve) => setTimeout(resolve, 50));
  over.abort();
  await watching;
  expect(former === null ? null : statSync(former).ino).toBe(before);
  expect(changed.filter((name) => name === 'byok.db')).toHaveLength(1);
});

test('a backup never takes the place of the database that it is made of, or of its journal', async () => {
  await using here = await place();
  const { parts, database, folder } = here;
  const before = statSync(database).ino;
  symlinkSync(join(folder, 'data'), join(folder, 'also'));
  for (const file of [database, `${database}-wal`, `${database}-shm`, join(folder, 'also/byok.db')]) {
    const error = await failure(makeBackup(parts(), file, { force: true }));
    expect(error, file).toMatchObject({ code: 'conflict', message: expect.stringContaining('the database itself') });
  }
  expect(statSync(database).ino).toBe(before);
  expect((await here.stage.vault.sealedOf('ada')).length).toBe(1);
});

test('what killed processes have left half-made neither stands in the way nor stays', async () => {
  await using here = await place();
  const { file, parts, elsewhere, folder } = here;
  mkdirSync(join(folder, 'kept'));
  mkdirSync(join(folder, 'elsewhere'));
  const now = parts().nowMs() / 1_000;
  const left = (path: string, hours: number) => {
    writeFileSync(path, 'half');
    utimesSync(path, now, now - hours * 3_600);
  };
  // In a container every process has the same number.
  left(`${file}.${process.pid}.partial`, 0);
  left(`${elsewhere}.${process.pid}.restoring`, 0);
  left(`${file}.0123456789ab.byok-partial`, 30);
  left(`${file}.0123456789ab.byok-partial-journal`, 30);
  left(`${join(folder, 'kept/byok-2026-11-20T00-00-00Z.backup')}.0123456789ab.byok-partial`, 30);
  left(`${file}.ba9876543210.byok-partial`, 1);
  left(`${elsewhere}.0123456789ab.byok-restoring`, 30);
  left(join(folder, 'kept/letter.partial'), 30);
  await makeBackup(parts(), file);
  await restoreBackup(parts(one, elsewhere), file);
  const own = `one.backup.${process.pid}.partial`;
  expect(filesIn(join(folder, 'kept'))).toEqual(['letter.partial', 'one.backup', own, 'one.backup.ba9876543210.byok-partial'].sort());
  expect(filesIn(join(folder, 'elsewhere'))).toEqual(['byok.db', `byok.db.${process.pid}.restoring`]);
});

test('several processes that begin to change the tables in the same second each have their backup', async () => {
  await using here = await place();
  const files = await Promise.all([1, 2, 3].map(() => backUpBeforeMigrating(here.parts())));
  expect(new Set(files).size).toBe(3);
  for (const file of files) expect(readBackup(file, here.parts()).rows.provider_key).toBe(3);
});

test('in what is restored no process lives, and no e-mail waits that may have been sent since', async () => {
  await using here = await place();
  const { db, elsewhere } = here;
  const boot = await startBoot({ db, clock: here.stage.clock });
  const now = new Date(here.stage.clock.now());
  const mail = {
    kind: 'reset_password',
    address: 'ada@example.com',
    state: 'waiting' as const,
    dueAt: now,
    expiresAt: now,
    createdAt: now,
  };
  const sealed = one.seal('mail', ['m1', 'reset_password'], 'a link');
  await atomically(db, (tx, t) => [tx.insert(t.mailOutbox).values({ id: 'm1', ...mail, ...sealed })]);
  await makeBackup(here.parts(), here.file);
  await boot.stop();
  await restoreBackup(here.parts(one, elsewhere), here.file);
  const again = await openDb({ url: `file:${elsewhere}` });
  expect(await again.orm.select().from(again.tables.mailOutbox)).toMatchObject([{ state: 'uncertain', encryptedBlob: null, dueAt: null }]);
  const next = await startBoot({ db: again, clock: here.stage.clock });
  expect(await next.buryDead()).toEqual([boot.id]);
  await next.stop();
  await again.close();
});

test('what stands in the way is said in a sentence, and nothing half-made is left', async () => {
  await using here = await place();
  writeFileSync(join(here.folder, 'a-file'), '');
  const unwritable = await failure(makeBackup(here.parts(), join(here.folder, 'a-file/x.backup')));
  expect(unwritable).toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining('no such folder') });
  expect(await failure(makeBackup(here.parts(one, join(here.folder, 'nothing.db')), here.file))).toMatchObject({ code: 'not_found' });
  expect(await failure(restoreBackup(here.parts(one, here.elsewhere), join(here.folder, 'nothing')))).toMatchObject({
    code: 'storage_unavailable',
  });
  expect(filesIn(here.folder).filter((name) => /partial|restoring/.test(name))).toEqual([]);
  const of = (code: string) => troubleOf(new AppError('storage_unavailable', 'x', { cause: Object.assign(new Error('x'), { code }) }));
  expect(['ENOSPC', 'SQLITE_FULL', 'EACCES', 'SQLITE_CANTOPEN', 'EIO'].map(of)).toEqual([
    'full',
    'full',
    'unwritable',
    'unwritable',
    'other',
  ]);
  expect(troubleOf(unwritable)).toBe('unwritable');
});

test('a damaged database makes no backup', async () => {
  await using here = await place();
  await here.db.orm.insert(here.db.tables.setting).values({ key: 'x', value: 'needle'.repeat(2_000), updatedAt: new Date(0) });
  await here.close();
  const bytes = readFileSync(here.database);
  const at = bytes.indexOf('needleneedle');
  writeFileSync(here.database, Buffer.concat([bytes.subarray(0, at - 4_500), Buffer.alloc(5_000, 0xff), bytes.subarray(at + 500)]));
  const error = await failure(makeBackup(here.parts(), here.file));
  expect(error).toMatchObject({ code: 'storage_unavailable' });
  expect(existsSync(here.file)).toBe(false);
});
