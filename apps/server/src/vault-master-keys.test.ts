import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDb } from '@synthstack/core/db';
import { createKeyring } from '@synthstack/core/keyring';
import { testDb, testOnSqlite } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { failure, masterKeys, vaultStage } from '../test/vault.ts';
import { newDataKey } from './conversations-sealing.ts';

const one = createKeyring({ current: masterKeys.one });
const two = createKeyring({ current: masterKeys.two });
const both = createKeyring({ current: masterKeys.two, previous: [masterKeys.one] });

test('the first start makes a canary, the next ones open it', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db, { keyring: one });
  const rows = await db.orm.select().from(db.tables.masterKey);
  expect(rows).toMatchObject([{ id: one.sealingKeyId, seals: 0 }]);
  await Promise.all([stage.vault.openCanaries(), stage.anotherVault(one).openCanaries()]);
  expect(await db.orm.select().from(db.tables.masterKey)).toEqual(rows);
});

test('another master key is refused by its id and changes nothing, also where nothing was sealed yet', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db, { keyring: one });
  for (const sealed of [false, true]) {
    if (sealed) await stage.stored('ada');
    const before = await db.orm.select().from(db.tables.masterKey);
    const error = await failure(stage.anotherVault(two).openCanaries());
    expect(error).toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining(`sealed with ${one.sealingKeyId}; given: ${two.sealingKeyId}`),
    });
    for (const key of Object.values(masterKeys)) expect(String(error)).not.toContain(key.slice(0, 8));
    expect(await db.orm.select().from(db.tables.masterKey)).toEqual(before);
  }
});

test('a new key beside the former one is welcome and gets a canary of its own', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db, { keyring: one });
  const { row } = await stage.stored('ada');
  const vault = stage.anotherVault(both);
  await vault.openCanaries();
  expect((await db.orm.select().from(db.tables.masterKey)).map(({ id }) => id).sort()).toEqual([one.sealingKeyId, two.sealingKeyId].sort());
  expect(vault.use(row, (secret) => secret.hint)).toBe(row.keyHint);
  // The new key alone does not open what is still sealed with the old one, and the old one alone has a canary to open.
  expect(await failure(stage.anotherVault(two).openCanaries())).toMatchObject({ code: 'invalid_config' });
  await stage.anotherVault(one).openCanaries();
});

test('conversations alone keep the former key needed', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db, { keyring: one });
  await stage.anotherVault(both).openCanaries();
  await stage.anotherVault(two).openCanaries();
  const now = new Date();
  await db.orm.insert(db.tables.user).values({ id: 'ada', name: 'Ada', email: 'ada@example.com', createdAt: now, updatedAt: now });
  const { sealed } = newDataKey(one, { userId: 'ada', id: 'c1' });
  const row = { id: 'c1', userId: 'ada', agent: 'general', title: Buffer.alloc(1), createdAt: now, updatedAt: now };
  await db.orm.insert(db.tables.conversation).values({ ...row, ...sealed });
  const refused = { code: 'invalid_config', message: expect.stringContaining(one.sealingKeyId) };
  expect(await failure(stage.anotherVault(two).openCanaries())).toMatchObject(refused);
  await stage.anotherVault(both).openCanaries();
});

test('a canary that was changed is refused; accept-loss starts with either fault and deletes nothing', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db, { keyring: one });
  await stage.stored('ada');
  await db.orm.update(db.tables.masterKey).set({ canary: Buffer.alloc(22) });
  expect(await failure(stage.vault.openCanaries())).toMatchObject({
    code: 'invalid_config',
    message: expect.stringContaining('was changed'),
  });
  await stage.vault.openCanaries('accept-loss');
  await stage.anotherVault(two).openCanaries('accept-loss');
  expect(await db.orm.select().from(db.tables.providerKey)).toHaveLength(1);
  await stage.vault.openCanaries();
  expect(await stage.vault.list('ada')).toMatchObject([{ status: 'valid' }]);
});

test('an id that someone wrote into the database is not repeated', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db, { keyring: one });
  await stage.stored('ada');
  await db.orm.update(db.tables.providerKey).set({ masterKeyId: 'mk_<script>alert(1)</script>' });
  const error = await failure(stage.vault.openCanaries());
  expect(error).toMatchObject({ code: 'invalid_config', message: expect.stringContaining('(a malformed id)') });
  expect(String(error)).not.toContain('script');
});

testOnSqlite('a start with the wrong master key leaves the database file byte for byte', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'byok-vault-'));
  const open = () => openDb({ url: `file:${join(folder, 'byok.db')}` });
  const db = await open();
  await using stage = await vaultStage(db, { keyring: one });
  await stage.stored('ada');
  await db.close();
  const before = await readFile(join(folder, 'byok.db'));
  const again = await open();
  await using refused = await vaultStage(again, { keyring: two }).catch((error: unknown) => ({
    error,
    [Symbol.asyncDispose]: async () => {},
  }));
  expect(refused).toMatchObject({ error: { code: 'invalid_config' } });
  await again.close();
  expect((await readFile(join(folder, 'byok.db'))).equals(before)).toBe(true);
  await rm(folder, { recursive: true });
});
