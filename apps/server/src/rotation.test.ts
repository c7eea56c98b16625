import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RotationView } from '@synthstack/core';
import { schema } from '@synthstack/core/db/schema';
import { createKeyring } from '@synthstack/core/keyring';
import { Secret } from '@synthstack/core/secret';
import { type TestDb, testDb, testOnSqlite } from '@synthstack/core/testing';
import { eq, getTableColumns, getTableName, is } from 'drizzle-orm';
import { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { expect, test, vi } from 'vitest';
import { testApp } from '../test/app.ts';
import { ask } from '../test/chat.ts';
import { startSmtp } from '../test/smtp.ts';
import { failure, masterKeys, member, vaultStage } from '../test/vault.ts';
import { codeAt, stepAt } from './auth/totp.ts';
import { newDataKey, openDataKey } from './conversations-sealing.ts';
import { createRotation, type RotationParts } from './rotation.ts';
import { sealedThings } from './sealed.ts';

const one = createKeyring({ current: masterKeys.one });
const two = createKeyring({ current: masterKeys.two });
const both = createKeyring({ current: masterKeys.two, previous: [masterKeys.one] });
const silent = { info: () => undefined, error: () => undefined };

type Stage = Awaited<ReturnType<typeof vaultStage>>;

/** Ten keys and three conversations under the first key, and the vault and rotation of a process that has both. */
async function sealedStage(db: TestDb) {
  const stage = await vaultStage(db, { keyring: one });
  const keys = await Promise.all(Array.from({ length: 10 }, (_, i) => stage.stored(`user-${i}`)));
  for (const id of ['c1', 'c2', 'c3']) await conversationOf(db, id);
  const vault = stage.anotherVault(both);
  await vault.openCanaries();
  return { stage, keys, vault };
}

async function conversationOf(db: TestDb, id: string): Promise<void> {
  const now = new Date();
  const [ada] = await db.orm.select().from(db.tables.user);
  if (!ada)
    await db.orm.insert(db.tables.user).values({ id: 'ada', name: 'Ada', email: 'ada@example.com', createdAt: now, updatedAt: now });
  const { key, sealed } = newDataKey(one, { userId: 'ada', id });
  const row = { id, userId: 'ada', agent: 'general', title: key.seal('title', `About ${id}`), createdAt: now, updatedAt: now };
  await db.orm.insert(db.tables.conversation).values({ ...row, ...sealed });
}

function rotationOf(db: TestDb, { stage, vault }: { stage: Stage; vault: Stage['vault'] }, more: Partial<RotationParts> = {}) {
  const { countSeal } = vault;
  return createRotation({
    ...{ db, keyring: both, countSeal, log: silent, pageRows: 3 },
    audit: stage.audit.entry,
    lastStart: async () => (await stage.audit.list({ action: 'master_key.rotation_started', limit: 1 }))[0],
    namesOf: async () => new Map([['root', 'Root']]),
    livingBoots: async () => [],
    ...more,
  });
}

const keysIn = async (db: TestDb) => (await db.orm.select().from(db.tables.providerKey)).map(({ masterKeyId }) => masterKeyId);

test('every table that holds something sealed is in the registry', () => {
  for (const dialect of ['sqlite', 'postgres'] as const) {
    const tables = schema(dialect);
    const sealedTables = Object.values(tables)
      .filter((table) => ['encryptedBlob', 'masterKeyId'].some((name) => name in getTableColumns(table as SQLiteTable)))
      .map((table) => getTableName(table));
    expect(
      sealedThings(tables)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(sealedTables.sort());
    expect(sealedTables).toContain('provider_key');
  }
  // Whatever is kept as bytes is sealed, or is known to be none of it.
  const known = ['master_key.canary', 'master_key.nonce', 'passkey.public_key', 'conversation.title', 'message.body'];
  // Sums, as columns of numbers.
  const isSums = (name: string) => /^usage_(day|people)_block\./.test(name);
  const names = Object.values(schema('sqlite')).flatMap((table) =>
    Object.values(getTableColumns(table as SQLiteTable))
      .filter((column) => column.getSQLType() === 'blob')
      .map((column) => `${getTableName(table)}.${column.name}`),
  );
  const registered = sealedThings(schema('sqlite')).flatMap(({ name }) => [`${name}.encrypted_blob`, `${name}.nonce`]);
  expect(names.filter((name) => !registered.includes(name) && !isSums(name)).sort()).toEqual(known.sort());
  expect(is(schema('sqlite').providerKey, SQLiteTable)).toBe(true);
});

test('everything is sealed anew, caches hear of it, the former key is let go with its canary and a word in the audit log', async () => {
  await using db = await testDb();
  const { stage, keys, vault } = await sealedStage(db);
  await using _end = stage;
  const before = await stage.generation();
  const rotation = rotationOf(db, { stage, vault });
  expect(await rotation.state()).toMatchObject({
    total: 13,
    done: 0,
    removable: [],
    formerKeys: [{ masterKeyId: one.sealingKeyId, rows: 13 }],
    lastStart: null,
  });
  const told: number[] = [];
  const view = await rotation.run('root', ({ done }) => told.push(done));
  expect(view).toMatchObject({ total: 13, done: 13, isRunning: false, unreadableRows: 0, error: null, removable: [one.sealingKeyId] });
  expect(view.formerKeys).toEqual([{ masterKeyId: one.sealingKeyId, rows: 0, isHere: true }]);
  expect(told.at(0)).toBe(0);
  expect(told.toSorted((a, b) => a - b)).toEqual(told);
  expect(await stage.generation()).toBeGreaterThan(before);
  const later = stage.anotherVault(two);
  for (const { apiKey, row } of keys) {
    const [now] = await later.sealedOf(row.owner);
    expect(now && later.use(now, (secret) => secret.expose())).toBe(apiKey);
    expect(now?.sealed.nonce).not.toEqual(row.sealed.nonce);
  }
  for (const row of await db.orm.select().from(db.tables.conversation))
    expect(openDataKey(two, row, row).open('title', row.title)).toBe(`About ${row.id}`);
  const canaries = await db.orm.select().from(db.tables.masterKey);
  expect(canaries.map(({ id, seals }) => [id, seals])).toEqual([[two.sealingKeyId, 13]]);
  const [entry] = await stage.audit.list({ subject: 'platform', limit: 1 });
  expect(entry).toMatchObject({ actor: 'root', action: 'master_key.rotated', detail: { from: one.sealingKeyId, to: two.sealingKeyId } });
  expect(await stage.audit.verify()).toMatchObject({ brokenAt: null });
  await later.openCanaries();
  expect(await failure(stage.anotherVault(one).openCanaries())).toMatchObject({ code: 'invalid_config' });
  // A second time there is nothing to do, and nothing is said.
  await rotation.run('root');
  expect((await stage.audit.list({ subject: 'platform', limit: 9 })).map(({ action }) => action)).toEqual([
    'master_key.rotated',
    'master_key.rotation_started',
  ]);
});

test('what is replaced, removed or judged while it is being sealed anew stays as it was made', async () => {
  await using db = await testDb();
  const { stage, keys, vault } = await sealedStage(db);
  await using _end = stage;
  const replacements = new Map<string, string>();
  const left = keys.map(({ row }) => row);
  // Between the reading of a page and its writing somebody replaces one of its keys, and removes another.
  const countSeal = async (seals: number) => {
    const [owner, gone] = [left.pop()?.owner, left.pop()];
    if (owner) replacements.set(owner, (await stage.stored(owner)).apiKey);
    if (gone) await stage.vault.remove(member(gone.owner), gone.id);
    return vault.countSeal(seals);
  };
  const view = await rotationOf(db, { stage, vault }, { countSeal, pageRows: 20 }).run('root');
  // What came under the old key from a process that should not be there is found by a further pass.
  expect(view).toMatchObject({ done: view.total, removable: [one.sealingKeyId] });
  const now = stage.anotherVault(two);
  expect(replacements.size).toBeGreaterThan(0);
  for (const [owner, apiKey] of replacements) {
    const [key, ...more] = await now.sealedOf(owner);
    expect(more).toEqual([]);
    expect(key && now.use(key, (secret) => secret.expose())).toBe(apiKey);
  }
});

test('what a request has learnt of a key that it read before counts afterwards', async () => {
  await using db = await testDb();
  const { stage, keys, vault } = await sealedStage(db);
  await using _end = stage;
  const [first, second] = keys;
  await rotationOf(db, { stage, vault }).run('root');
  if (!first || !second) throw new Error('no keys');
  expect(vault.use(first.row, (secret) => secret.expose())).toBe(first.apiKey);
  await vault.report(first.row, 'bad_key');
  expect(await vault.list(first.row.owner)).toMatchObject([{ status: 'invalid' }]);
  // A replaced one is another key.
  await vault.save(member(second.row.owner, 'x'), { provider: 'openai', apiKey: stage.newKey('openai') });
  await vault.report(second.row, 'bad_key');
  expect(await vault.list(second.row.owner)).toMatchObject([{ status: 'valid' }]);
});

test('ended anywhere, every row opens, and any number of processes bring it to its end together', async () => {
  await using db = await testDb();
  const { stage, keys, vault } = await sealedStage(db);
  await using _end = stage;
  let pages = 0;
  const first = rotationOf(
    db,
    { stage, vault },
    {
      pageRows: 2,
      countSeal: (seals) => {
        pages += 1;
        if (pages === 3) throw new Error('the machine lost its power');
        return vault.countSeal(seals);
      },
    },
  );
  await expect(first.run('root')).rejects.toThrow('power');
  expect(await first.state()).toMatchObject({ done: 4, total: 13, isRunning: false, lastStart: { by: 'Root', at: expect.any(String) } });
  for (const { apiKey, row } of keys) {
    const [now] = await vault.sealedOf(row.owner);
    expect(now && vault.use(now, (secret) => secret.expose())).toBe(apiKey);
  }
  const views = await Promise.all([1, 2, 3].map((pageRows) => rotationOf(db, { stage, vault }, { pageRows }).run('cli')));
  for (const view of views) expect(view).toMatchObject({ done: 13, total: 13, unreadableRows: 0, lastStart: { by: 'cli' } });
  expect(new Set(await keysIn(db))).toEqual(new Set([two.sealingKeyId]));
  const told = (await stage.audit.list({ subject: 'platform', limit: 9 })).filter(({ action }) => action === 'master_key.rotated');
  expect(told).toHaveLength(1);
});

test('a row whose key is lost or that was tampered with is left alone and named, and its key is not called removable', async () => {
  await using db = await testDb();
  const { stage, vault } = await sealedStage(db);
  await using _end = stage;
  const stranger = 'mk_00112233aabbccdd';
  await db.orm.update(db.tables.providerKey).set({ masterKeyId: stranger }).where(eq(db.tables.providerKey.owner, 'user-3'));
  await db.orm.update(db.tables.providerKey).set({ owner: 'eve' }).where(eq(db.tables.providerKey.owner, 'user-4'));
  const before = await db.orm.select().from(db.tables.providerKey).where(eq(db.tables.providerKey.owner, 'eve'));
  const view = await rotationOf(db, { stage, vault }).run('root');
  expect(view).toMatchObject({ total: 13, done: 11, unreadableRows: 1, removable: [] });
  expect(view.formerKeys.toSorted((a, b) => Number(b.isHere) - Number(a.isHere))).toEqual([
    { masterKeyId: one.sealingKeyId, rows: 1, isHere: true },
    { masterKeyId: stranger, rows: 1, isHere: false },
  ]);
  expect(await db.orm.select().from(db.tables.providerKey).where(eq(db.tables.providerKey.owner, 'eve'))).toEqual(before);
  expect(await db.orm.select().from(db.tables.masterKey)).toHaveLength(2);
});

test('it is refused while another server has not the new key', async () => {
  await using db = await testDb();
  const { stage, vault } = await sealedStage(db);
  await using _end = stage;
  const other = { host: 'there', pid: 4711, sealsWith: one.sealingKeyId };
  const rotation = rotationOf(db, { stage, vault }, { livingBoots: async () => [other] });
  const refused = { code: 'conflict', message: expect.stringContaining('4711 on there') };
  expect(await failure(rotation.run('cli'))).toMatchObject(refused);
  expect(await failure(rotation.start('root'))).toMatchObject(refused);
  expect(new Set(await keysIn(db))).toEqual(new Set([one.sealingKeyId]));
});

testOnSqlite('of what was sealed with the former key nothing is left in the files', async () => {
  await using db = await testDb();
  const { stage, keys, vault } = await sealedStage(db);
  await using _end = stage;
  const files = () => Buffer.concat(readdirSync(db.folder).map((name) => readFileSync(join(db.folder, name))));
  const left = () => keys.filter(({ row }) => files().includes(row.sealed.encryptedBlob)).length;
  expect(left()).toBe(10);
  await rotationOf(db, { stage, vault }).run('root');
  expect(left()).toBe(0);
});

const secondFactorCode = (secret: string, atMs: number) => {
  const bits = [...secret].map((sign) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(sign).toString(2).padStart(5, '0')).join('');
  return codeAt(Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))), stepAt(atMs));
};

const own = ({ id }: { id: string }) => ({ userId: id, byok: true });

test('an administrator starts it, and what every module has sealed opens with the new key alone', async () => {
  await using smtp = await startSmtp();
  const mail = { SMTP_URL: `${smtp.url}`, MAIL_FROM: 'byok@example.com' };
  await using app = await testApp({ env: { ENCRYPTION_KEY: masterKeys.one, ...mail } });
  const ada = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  const root = await app.person({ admin: true });
  const asked = await ask(app, ada, { content: 'hello' });
  await app.app.agents.idle();
  await app.app.vault.save({ userId: 'platform', byok: true }, { provider: 'openai', apiKey: app.newSecret('openai') });
  // The key that it replaces can be restored for a day.
  await app.app.vault.save(own(ada), { provider: 'anthropic', apiKey: app.newSecret('anthropic') });
  const { secret } = await app.app.auth.factors.begin(root.id, root.email);
  const path = `/reset-password?token=${'x'.repeat(40)}`;
  const expiresAt = new Date(app.clock.now() + 3_600_000);
  await app.app.db.commit(await app.app.mail.secretEntry({ userId: ada.id, kind: 'reset_password', secret: new Secret(path), expiresAt }));

  await app.restart({ ENCRYPTION_KEY: masterKeys.two, ENCRYPTION_KEY_PREVIOUS: masterKeys.one });
  const state = async () => (await (await app.fetch(root, '/api/v1/admin/rotation')).json()) as RotationView;
  const tables = ['provider_key', 'retired_key', 'conversation', 'two_factor', 'mail_outbox'].map((table) => ({
    table,
    total: expect.any(Number),
    done: 0,
  }));
  expect(await state()).toMatchObject({ masterKeyId: two.sealingKeyId, isRunning: false, total: 7, done: 0, tables });
  expect((await app.fetch(root, '/api/v1/admin/rotation', { json: {} })).status).toBe(200);
  await vi.waitFor(async () =>
    expect(await state()).toMatchObject({ isRunning: false, done: 7, removable: [one.sealingKeyId], error: null }),
  );

  await app.restart({ ENCRYPTION_KEY: masterKeys.two, ENCRYPTION_KEY_PREVIOUS: '' });
  expect((await app.chat(ada, 'hello')).headers.get('x-byok-key-source')).toBe('user');
  expect((await app.app.vault.platformKey('openai'))?.keyHint).toBeDefined();
  expect(await app.app.vault.list('platform')).toMatchObject([{ status: 'valid' }]);
  const [retired] = await app.app.db.orm.select().from(app.app.db.tables.retiredKey);
  expect(await app.app.vault.restore(own(ada), retired?.id ?? '')).toMatchObject({ status: 'valid', keyHint: retired?.keyHint });
  expect(await (await app.fetch(ada, `/api/v1/conversations/${asked.conversationId}`)).text()).toContain('hello');
  expect(await app.app.auth.factors.confirm({ userId: root.id, sessionId: null }, secondFactorCode(secret, app.clock.now()))).toHaveLength(
    10,
  );
  app.clock.advance(5_000);
  await app.app.post.idle();
  expect(smtp.received.some(({ text }) => text.includes('x'.repeat(40)))).toBe(true);
});
