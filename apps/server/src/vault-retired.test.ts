import { testDb, testDialect, testOnSqlite } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { findPlanted } from '../test/planted.ts';
import { bytesOf, failure, member, vaultStage } from '../test/vault.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const ada = member('ada');
const lapsed = { userId: 'ada', byok: false };
const nobody = '00000000-0000-4000-8000-000000000000';

test('a replaced key can be restored for 24 hours: checked again, sealed anew, and the other one takes its place', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { apiKey: first, view: old, row } = await stage.stored('ada');
  await stage.vault.set(ada, { id: old.id, fallback: false });
  const { apiKey: second, view: present } = await stage.stored('ada');
  expect(present.former).toEqual({ id: old.id, keyHint: old.keyHint, until: '2026-11-03T12:00:00.000Z' });
  expect(old.former).toBeNull();
  stage.clock.advance(dayMs - 1);
  const asked = stage.provider.requests.length;
  const restored = await stage.vault.restore(ada, old.id);
  expect(stage.provider.requests.slice(asked).map(({ key }) => key)).toEqual([first]);
  expect(restored).toMatchObject({ keyHint: old.keyHint, status: 'valid', isActive: true, fallback: false });
  expect(restored.former).toMatchObject({ id: present.id, keyHint: present.keyHint, until: '2026-11-04T11:59:59.999Z' });
  const [now] = await stage.vault.sealedOf('ada');
  expect(now && stage.vault.use(now, (secret) => secret.expose())).toBe(first);
  expect(now?.id).not.toBe(row.id);
  expect(now?.sealed.nonce.equals(row.sealed.nonce)).toBe(false);
  expect(now?.sealed.encryptedBlob.equals(row.sealed.encryptedBlob)).toBe(false);
  expect((await stage.audit.list({ limit: 1 }))[0]).toMatchObject({
    ...{ actor: 'ada', subject: 'ada', action: 'key.restored' },
    detail: { keyId: restored.id, provider: 'openai', keyHint: old.keyHint, status: 'valid', replaces: present.id, restores: old.id },
  });
  // And back again.
  await stage.vault.restore(ada, present.id);
  const [last] = await stage.vault.sealedOf('ada');
  expect(last && stage.vault.use(last, (secret) => secret.expose())).toBe(second);
});

test('after 24 hours it is gone for good, whoever asks first, and the log says so', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view: old } = await stage.stored('ada');
  const { view: present } = await stage.stored('ada');
  await stage.stored('bob');
  stage.clock.advance(dayMs - 1);
  expect(await stage.vault.forgetRetired()).toBe(0);
  stage.clock.advance(1);
  // Also before anybody has deleted it.
  expect((await stage.vault.list('ada'))[0]?.former).toBeNull();
  expect(await failure(stage.vault.restore(ada, old.id))).toMatchObject({ code: 'not_found' });
  expect(await Promise.all([stage.vault.forgetRetired(), stage.vault.forgetRetired()])).toContain(1);
  expect(await db.orm.select().from(db.tables.retiredKey)).toEqual([]);
  const gone = (await stage.audit.list({ limit: 9 })).filter(({ action }) => action === 'key.forgotten');
  expect(gone).toMatchObject([{ actor: 'system', subject: 'ada', detail: { keyId: old.id, provider: 'openai', keyHint: old.keyHint } }]);
  expect((await stage.vault.sealedOf('ada')).map(({ id }) => id)).toEqual([present.id]);
});

test('a clock that is set back does not keep an old key for longer than it may', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  await stage.stored('ada');
  await stage.stored('ada');
  stage.clock.advance(-50 * 60_000);
  expect(await stage.vault.forgetRetired()).toBe(0);
  stage.clock.advance(-365 * dayMs);
  expect(await stage.vault.forgetRetired()).toBe(1);
});

test('only the last one is kept, and removing the key removes both', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view: first } = await stage.stored('ada');
  const { view: second } = await stage.stored('ada');
  const { view: third } = await stage.stored('ada');
  const { view: other } = await stage.stored('ada', 'anthropic');
  expect((await stage.vault.list('ada')).map((key) => key.former?.id)).toEqual([undefined, second.id]);
  expect(await failure(stage.vault.restore(ada, first.id))).toMatchObject({ code: 'not_found' });
  await stage.vault.remove(ada, third.id);
  expect(await db.orm.select().from(db.tables.retiredKey)).toEqual([]);
  expect(await failure(stage.vault.restore(ada, second.id))).toMatchObject({ code: 'not_found' });
  expect((await stage.vault.list('ada')).map(({ id }) => id)).toEqual([other.id]);
});

test('an old key that does not work any more is not restored, and nothing is changed', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { apiKey, view: old } = await stage.stored('ada');
  const { view: present } = await stage.stored('ada');
  const before = await stage.vault.list('ada');
  for (const [script, code, sentence] of [
    ['revoked', 'key_unusable', 'OpenAI does not accept the old key any more. Nothing was changed.'],
    [
      { state: 'no_credit', everywhere: true },
      'key_unusable',
      'The account of the old key has no credit left at OpenAI. Nothing was changed.',
    ],
    ['down', 'provider_unreachable', 'OpenAI could not be asked whether the old key still works. Nothing was changed; try again later.'],
  ] as const) {
    stage.provider.key(apiKey, script, 'openai');
    expect(await failure(stage.vault.restore(ada, old.id))).toMatchObject({ code, message: sentence });
    expect(await stage.vault.list('ada')).toEqual(before);
  }
  stage.provider.key(apiKey, 'good', 'openai');
  expect(await failure(stage.vault.restore(lapsed, old.id))).toMatchObject({ code: 'plan_required' });
  for (const who of [member('bob'), { ...member('platform'), actor: 'root' }]) {
    for (const call of [stage.vault.restore, stage.vault.forget])
      expect(await failure(call(who, old.id))).toEqual(await failure(call(who, nobody)));
  }
  expect(await failure(stage.vault.restore(ada, present.id))).toMatchObject({ code: 'not_found' });
  expect((await stage.vault.restore(ada, old.id)).status).toBe('valid');
});

test('restoring counts as a check of the provider, as saving does', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view: old } = await stage.stored('ada');
  await stage.stored('ada');
  const typed = { provider: 'anthropic' as const, apiKey: stage.newKey('anthropic') };
  for (let i = 0; i < 20; i += 1) await stage.vault.save(ada, typed);
  expect(await failure(stage.vault.restore(ada, old.id))).toMatchObject({ code: 'limit_reached' });
});

test('its owner can have it deleted at once, also while their plan has lapsed', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view: old, row } = await stage.stored('ada');
  await stage.stored('ada');
  await stage.vault.forget(lapsed, old.id);
  expect((await stage.vault.list('ada'))[0]?.former).toBeNull();
  expect(await failure(stage.vault.forget(ada, old.id))).toMatchObject({ code: 'not_found' });
  expect((await stage.audit.list({ limit: 1 }))[0]).toMatchObject({ actor: 'ada', action: 'key.forgotten', detail: { keyId: old.id } });
  if (testDialect === 'sqlite') expect(bytesOf(db.folder).includes(row.sealed.encryptedBlob.subarray(0, 8))).toBe(false);
});

test('two tabs: of restoring, replacing and removing at once each leaves a whole state, and no key is in two places', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const acts = {
    restore: (user: string, old: string) => stage.vault.restore(member(user, `${user}1`), old).then(() => undefined),
    again: (user: string, old: string) => stage.vault.restore(member(user, `${user}2`), old).then(() => undefined),
    replace: (user: string) => stage.stored(user).then(() => undefined),
    forget: (user: string, old: string) => stage.vault.forget(member(user), old),
    remove: (user: string, _old: string, present: string) => stage.vault.remove(member(user), present),
  };
  const names = Object.keys(acts) as (keyof typeof acts)[];
  const pairs = names.flatMap((one) => names.filter((other) => other > one).map((other) => [one, other] as const));
  for (const pair of [...pairs, ...pairs.map(([a, b]) => [b, a] as const)]) {
    const user = pair.join('-');
    const { view: old } = await stage.stored(user);
    const { view: present } = await stage.stored(user);
    const ends = await Promise.allSettled(pair.map((name) => acts[name](user, old.id, present.id)));
    for (const end of ends)
      if (end.status === 'rejected') expect(end.reason, user).toMatchObject({ code: expect.stringMatching(/^(not_found|conflict)$/) });
    expect(
      ends.some(({ status }) => status === 'fulfilled'),
      user,
    ).toBe(true);
    const keys = await stage.vault.sealedOf(user);
    for (const key of keys)
      expect(
        stage.vault.use(key, (secret) => secret.hint),
        user,
      ).toBe(key.keyHint);
    const formers = await db.orm.select().from(db.tables.retiredKey).where(eq(db.tables.retiredKey.owner, user));
    const hints = [...keys, ...formers].map(({ keyHint }) => keyHint);
    expect(new Set(hints).size, user).toBe(hints.length);
    // An old key is there only beside a present one.
    expect(formers.length, user).toBeLessThanOrEqual(keys.length);
    stage.clock.advance(61_000);
  }
  expect(await stage.audit.verify()).toMatchObject({ brokenAt: null });
});

test('a key of the platform, and one that cannot be opened, is not kept when it is replaced', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  await stage.stored('platform');
  await stage.stored('platform');
  const { view } = await stage.stored('ada');
  await db.orm
    .update(db.tables.providerKey)
    .set({ nonce: Buffer.alloc(12) })
    .where(eq(db.tables.providerKey.id, view.id));
  expect((await stage.stored('ada')).view.former).toBeNull();
  expect(await db.orm.select().from(db.tables.retiredKey)).toEqual([]);
});

test('what somebody swaps between old keys in the database does not open', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { retiredKey } = db.tables;
  const { view: adas } = await stage.stored('ada');
  const { row: bobs } = await stage.stored('bob');
  for (const user of ['ada', 'bob']) await stage.stored(user);
  await db.orm
    .update(retiredKey)
    .set({ nonce: Buffer.alloc(12) })
    .where(eq(retiredKey.id, bobs.id));
  await db.orm.update(retiredKey).set(bobs.sealed).where(eq(retiredKey.id, adas.id));
  const asked = stage.provider.requests.length;
  expect(await failure(stage.vault.restore(ada, adas.id))).toMatchObject({ code: 'key_unusable' });
  expect(stage.provider.requests).toHaveLength(asked);
});

testOnSqlite('the server deletes it after a day by itself, also after a restart, and nothing of it is left in the files', async () => {
  await using app = await testApp();
  const person = await app.person({ keys: { openai: 'good' } });
  const apiKey = app.newSecret('openai');
  const [old] = await app.app.vault.sealedOf(person.id);
  await app.app.vault.save({ userId: person.id, byok: true }, { provider: 'openai', apiKey });
  const blob = old?.sealed.encryptedBlob ?? Buffer.alloc(0);
  const pieces = Array.from({ length: blob.length - 7 }, (_, i) => blob.subarray(i, i + 8));
  const left = () => {
    const bytes = bytesOf(app.folder);
    return pieces.filter((piece) => bytes.includes(piece)).length;
  };
  expect(left()).toBeGreaterThan(50);
  await app.restart();
  expect((await app.keysOf(person))[0]?.former?.id).toBe(old?.id);
  app.clock.advance(dayMs);
  await expect.poll(() => app.app.db.orm.select().from(app.app.db.tables.retiredKey)).toEqual([]);
  await expect.poll(left).toBe(0);
  expect(findPlanted(person.secrets.openai ?? '', app.everythingWritten())).toEqual([]);
  expect(findPlanted(apiKey, app.everythingWritten())).toEqual([]);
  const [present] = await app.app.vault.sealedOf(person.id);
  expect(present && app.app.vault.use(present, (secret) => secret.expose())).toBe(apiKey);
});
