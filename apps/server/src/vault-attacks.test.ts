import { randomBytes, randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Db } from '@synthstack/core/db';
import { createKeyring } from '@synthstack/core/keyring';
import { testDb, testDialect, testOnSqlite } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { findPlanted } from '../test/planted.ts';
import { bytesOf, failure, masterKeys, member, vaultStage } from '../test/vault.ts';

test('no sealed key opens in the place of another, among 50 users and 2 providers', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const users = Array.from({ length: 50 }, (_, i) => `user${i}`);
  await Promise.all(users.flatMap((user) => [stage.stored(user, 'openai'), stage.stored(user, 'anthropic')]));
  const rows = (await Promise.all(users.map((user) => stage.vault.sealedOf(user)))).flat();
  expect(rows).toHaveLength(100);
  let refused = 0;
  for (const row of rows) {
    expect(stage.vault.use(row, (secret) => secret.hint)).toBe(row.keyHint);
    for (const other of rows) {
      if (other.id === row.id) continue;
      expect(() => stage.vault.use({ ...row, sealed: other.sealed }, () => 1)).toThrow(expect.objectContaining({ code: 'key_unusable' }));
      refused += 1;
    }
  }
  expect(refused).toBe(9_900);
});

test('rows and columns that someone swaps in the database show as unreadable; put back, they are as before', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { row: a } = await stage.stored('ada', 'openai');
  const { row: b } = await stage.stored('bob', 'openai');
  const { row: c } = await stage.stored('ada', 'anthropic');
  const { providerKey } = db.tables;
  const before = await Promise.all([stage.vault.list('ada'), stage.vault.list('bob')]);
  const changes: Partial<typeof providerKey.$inferInsert>[] = [
    { encryptedBlob: b.sealed.encryptedBlob },
    { nonce: randomBytes(12) },
    { encryptedBlob: c.sealed.encryptedBlob },
    { encryptedBlob: a.sealed.encryptedBlob.subarray(0, -1) },
    { encryptedBlob: Buffer.alloc(0) },
    { nonce: Buffer.alloc(0) },
    { masterKeyId: 'mk_0123456789abcdef' },
    { masterKeyId: "'; drop table provider_key; --" },
    { id: randomUUID() },
    { owner: 'mallory' },
    { position: 1, owner: 'bob' },
  ];
  for (const change of changes) {
    await db.orm.update(providerKey).set(change).where(eq(providerKey.id, a.id));
    const owner = change.owner ?? 'ada';
    const shown = (await stage.vault.list(owner)).filter((key) => key.keyHint === a.keyHint);
    expect(shown, inspect(change)).toMatchObject([
      { status: 'unreadable', isValid: false, lastError: expect.stringContaining('cannot be opened') },
    ]);
    const [row] = (await stage.vault.sealedOf(owner)).filter((key) => key.keyHint === a.keyHint);
    expect(() => row && stage.vault.use(row, () => 1), inspect(change)).toThrow(expect.objectContaining({ code: 'key_unusable' }));
    const right = { id: a.id, owner: 'ada', position: 0, ...a.sealed };
    await db.orm.update(providerKey).set(right).where(eq(providerKey.keyHint, a.keyHint));
  }
  // Everything of the row but its place: a wholesale swap of two users' secrets, and of two providers' of one user.
  for (const other of [b, c]) {
    await db.orm
      .update(providerKey)
      .set({ nonce: Buffer.alloc(12) })
      .where(eq(providerKey.id, other.id));
    await db.orm
      .update(providerKey)
      .set({ ...other.sealed })
      .where(eq(providerKey.id, a.id));
    await db.orm
      .update(providerKey)
      .set({ ...a.sealed })
      .where(eq(providerKey.id, other.id));
    expect((await stage.vault.sealedOf(other.owner)).find((key) => key.id === other.id)?.status).toBe('unreadable');
    expect((await stage.vault.sealedOf('ada')).find((key) => key.id === a.id)?.status).toBe('unreadable');
    await db.orm
      .update(providerKey)
      .set({ nonce: Buffer.alloc(12) })
      .where(eq(providerKey.id, other.id));
    await db.orm
      .update(providerKey)
      .set({ ...a.sealed })
      .where(eq(providerKey.id, a.id));
    await db.orm
      .update(providerKey)
      .set({ ...other.sealed })
      .where(eq(providerKey.id, other.id));
  }
  expect(await Promise.all([stage.vault.list('ada'), stage.vault.list('bob')])).toEqual(before);
});

test('the keys of users are nowhere in the database, and in nothing that the vault says', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const said: unknown[] = [];
  const planted: string[] = [];
  const ada = member('ada');
  for (const state of ['good', 'revoked', 'no_credit', 'down', 'permission_error'] as const) {
    const apiKey = stage.newKey('anthropic', state);
    planted.push(apiKey);
    said.push(
      await stage.vault.check(ada, { provider: 'anthropic', apiKey }),
      await stage.vault.save(ada, { provider: 'anthropic', apiKey }),
    );
    stage.clock.advance(minuteMs);
  }
  // OpenAI repeats head and tail of a key that it refuses.
  const revoked = stage.newKey('openai', 'revoked');
  const { id } = await stage.vault.save(ada, { provider: 'openai', apiKey: revoked });
  const refused = [`${revoked}\n${revoked}`, `byok_${revoked}`, `${revoked}é`];
  said.push(await stage.vault.test(ada, id), await stage.vault.list('ada'), await stage.vault.sealedOf('ada'));
  for (const apiKey of refused) said.push(await failure(stage.vault.save(ada, { provider: 'openai', apiKey })));
  await db.commit([{ sql: 'alter table audit rename to away', params: [] }]);
  said.push(await failure(stage.vault.save(ada, { provider: 'openai', apiKey: revoked })));
  await db.commit([{ sql: 'alter table away rename to audit', params: [] }]);
  await stage.vault.report((await stage.vault.sealedOf('ada'))[0] ?? never(), 'bad_key');
  said.push(await stage.audit.list({ limit: 100 }), await stage.notices.list('ada'));
  const words = Buffer.from(
    `${said.map((one) => inspect(one, { depth: 9, showHidden: true, maxStringLength: null })).join()}${JSON.stringify(said)}`,
  );
  const tables = await Promise.all(Object.values(db.tables).map((table) => db.orm.select().from(table)));
  const rows = Buffer.from(
    JSON.stringify(tables, (_, value) => (value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value)),
    'latin1',
  );
  for (const secret of [...planted, revoked]) {
    // The control: the provider did get it, so it was in this process and would have been found.
    expect(findPlanted(secret, Buffer.from(inspect(stage.provider.requests, { depth: 9, maxArrayLength: null })))).not.toEqual([]);
    expect(findPlanted(secret, words)).toEqual([]);
    expect(findPlanted(secret, rows)).toEqual([]);
    if (testDialect === 'sqlite') expect(findPlanted(secret, bytesOf(db.folder))).toEqual([]);
  }
});

testOnSqlite(
  'a day after a key was replaced, or once it is removed, nothing of its ciphertext is left in the file and the WAL',
  async () => {
    await using db = await testDb();
    await using stage = await vaultStage(db);
    const left = (blob: Buffer) => {
      const bytes = bytesOf(db.folder);
      const pieces = Array.from({ length: blob.length - 7 }, (_, i) => blob.subarray(i, i + 8));
      return pieces.filter((piece) => bytes.includes(piece)).length;
    };
    await Promise.all(Array.from({ length: 30 }, (_, i) => stage.stored(`user${i}`)));
    const { row: first } = await stage.stored('ada');
    expect(left(first.sealed.encryptedBlob)).toBeGreaterThan(50);
    const { row: second } = await stage.stored('ada');
    expect(left(first.sealed.encryptedBlob)).toBeGreaterThan(50);
    // Only one is kept.
    const { row: third } = await stage.stored('ada');
    expect(left(first.sealed.encryptedBlob)).toBe(0);
    expect(left(second.sealed.encryptedBlob)).toBeGreaterThan(50);
    stage.clock.advance(24 * 60 * minuteMs);
    await stage.vault.forgetRetired();
    expect(left(second.sealed.encryptedBlob)).toBe(0);
    expect(left(third.sealed.encryptedBlob)).toBeGreaterThan(50);
    const { row: fourth } = await stage.stored('ada');
    await stage.vault.remove(member('ada'), fourth.id);
    for (const { sealed } of [third, fourth]) expect(left(sealed.encryptedBlob)).toBe(0);
  },
);

test('many replacements at once share the cleaning of the files, and one that fails is made up for', async () => {
  await using db = await testDb();
  const gate = Promise.withResolvers<void>();
  let rounds = 0;
  let fails = false;
  const counted: Db = {
    ...db,
    async scrub() {
      rounds += 1;
      await gate.promise;
      if (fails) throw new Error('another process is reading');
      await db.scrub();
    },
  };
  await using stage = await vaultStage(counted);
  const users = Array.from({ length: 40 }, (_, i) => `user${i}`);
  await Promise.all(users.map((user) => stage.stored(user)));
  expect(rounds).toBe(0);
  const replaced = Promise.all(users.map((user) => stage.stored(user)));
  while ((await stage.audit.list({ limit: 100 })).length < 80) await turn();
  gate.resolve();
  await replaced;
  // The first to come, and all others, unless all were on disk at once.
  expect([1, 2]).toContain(rounds);
  rounds = 0;
  fails = true;
  await stage.stored('user0');
  fails = false;
  await stage.vault.runRechecks();
  await stage.vault.runRechecks();
  expect(rounds).toBe(2);
});

test('without its master key every key is unreadable, and with it again all are as before', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { apiKey, row } = await stage.stored('ada');
  await stage.stored('ada', 'anthropic', 'revoked');
  const before = await stage.vault.list('ada');
  const without = stage.anotherVault(createKeyring({ current: masterKeys.two }));
  await without.openCanaries('accept-loss');
  expect((await without.list('ada')).map((key) => [key.id, key.status, key.isValid])).toEqual(
    before.map((key) => [key.id, 'unreadable', false]),
  );
  expect((await without.sealedOf('ada')).map((key) => key.status)).toEqual(['unreadable', 'unreadable']);
  stage.clock.advance(10 * 24 * 60 * minuteMs);
  expect(await without.runRechecks()).toBe(0);
  expect(await stage.vault.list('ada')).toEqual(before);
  expect(stage.vault.use(row, (secret) => secret.expose())).toBe(apiKey);
  // What was entered again in the meantime needs the new key; both together open everything.
  const again = await without.save(member('ada'), { provider: 'anthropic', apiKey: stage.newKey('anthropic') });
  const both = stage.anotherVault(createKeyring({ current: masterKeys.two, previous: [masterKeys.one] }));
  await both.openCanaries();
  expect((await both.list('ada')).map((key) => key.status)).toEqual(['valid', 'valid']);
  expect((await stage.vault.list('ada')).find((key) => key.id === again.id)?.status).toBe('unreadable');
});

const minuteMs = 60_000;

function never(): never {
  throw new Error('There is no key.');
}
