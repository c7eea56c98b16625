import { hash } from 'node:crypto';
import type { Db } from '@synthstack/core/db';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { authStage, knownHash, password, publicUrl } from '../test/auth.ts';
import { createAccounts } from './accounts.ts';
import { createAudit } from './audit.ts';
import { createPlans } from './plans.ts';

async function accountsStage(db: Db) {
  const stage = await authStage(db);
  const { auth, clock } = stage;
  const audit = createAudit({ db, clock });
  const plans = createPlans({ db, clock, audit: audit.entry });
  return { ...stage, audit, plans, accounts: createAccounts({ db, clock, auth, plans, publicUrl, audit: audit.entry }) };
}

const root = { name: 'Root', email: 'Root@Example.com', password };
const tokenOf = (link: string | null) => new URL(link ?? '').searchParams.get('token') ?? '';

test('the link that the console prints makes the first administrator, once', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const { accounts } = stage;
  expect(await accounts.needsSetUp()).toBe(true);
  const link = await accounts.setUpLink();
  expect(link).toMatch(/^http:\/\/byok\.test\/setup\?token=[A-Za-z0-9_-]{43}$/);
  const token = tokenOf(link);
  const stored = await db.orm.select().from(db.tables.setting);
  expect(stored).toMatchObject([{ key: 'setup_token', value: hash('sha256', token) }]);

  const { userId } = await accounts.setUp({ token, ...root });
  const asBrowser = { timezone: null, locale: null, hasPassword: true };
  expect(await accounts.me(userId)).toEqual({ id: userId, email: 'root@example.com', name: 'Root', isAdmin: true, ...asBrowser });
  expect(await stage.auth.signIn('root@example.com', password)).toMatchObject({ userId });
  expect(await db.orm.select().from(db.tables.setting)).toEqual([]);
  expect(await accounts.needsSetUp()).toBe(false);
  expect(await accounts.setUpLink()).toBeNull();
  await expect(accounts.setUp({ token, ...root, email: 'eve@example.com' })).rejects.toMatchObject({ code: 'conflict' });
  // Whose server it is may use their own keys on it.
  expect(await stage.plans.of(userId)).toMatchObject({ tier: 'lifetime', byok: true });
  expect(await stage.audit.list({ limit: 5 })).toMatchObject([
    { actor: userId, subject: userId, action: 'plan.changed', detail: { tier: 'lifetime' } },
    { actor: userId, subject: userId, action: 'account.created', detail: { role: 'admin' } },
  ]);
});

test('a wrong or older link, or the stored hash itself, makes nobody', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const { accounts } = stage;
  await expect(accounts.setUp({ token: '', ...root })).rejects.toMatchObject({ code: 'forbidden' });
  const older = tokenOf(await accounts.setUpLink());
  const newer = tokenOf(await accounts.setUpLink());
  for (const token of [older, `${newer}x`, newer.slice(1), newer.toLowerCase(), '', 'x', hash('sha256', newer), 'null', '%'])
    await expect(accounts.setUp({ token, ...root })).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('newest'),
    });
  // A stranger's call ends before anything is hashed, or even looked at.
  await expect(accounts.setUp({ token: older, ...root, password: 'short' })).rejects.toMatchObject({ code: 'forbidden' });
  expect(await db.orm.select().from(db.tables.user)).toEqual([]);
  await accounts.setUp({ token: newer, ...root });
});

test('of many who open the link at once, one becomes the administrator', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const token = tokenOf(await stage.accounts.setUpLink());
  const outcomes = await Promise.allSettled(
    Array.from({ length: 12 }, (_, i) =>
      stage.accounts.setUp({ token, ...root, email: i % 2 ? 'same@example.com' : `root${i}@example.com` }),
    ),
  );
  expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
  for (const one of outcomes)
    if (one.status === 'rejected')
      expect(one.reason).toMatchObject({ code: 'conflict', message: expect.stringContaining('set up already') });
  expect(await db.orm.select().from(db.tables.user)).toHaveLength(1);
  expect(await db.orm.select().from(db.tables.account)).toHaveLength(1);
});

test('a set-up that fails leaves the link as it was', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const token = tokenOf(await stage.accounts.setUpLink());
  for (const wrong of [{ password: 'short' }, { email: 'nothing' }, { name: '  ' }])
    await expect(stage.accounts.setUp({ token, ...root, ...wrong })).rejects.toMatchObject({ code: 'invalid_input' });
  await db.commit([{ sql: 'alter table account rename to away', params: [] }]);
  await expect(stage.accounts.setUp({ token, ...root })).rejects.toMatchObject({ code: 'storage_unavailable' });
  await db.commit([{ sql: 'alter table away rename to account', params: [] }]);
  expect(await db.orm.select().from(db.tables.user)).toEqual([]);
  await stage.accounts.setUp({ token, ...root });
});

test('a link is worth nothing once there is an administrator, whoever made them; other users leave it as it is', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const token = tokenOf(await stage.accounts.setUpLink());
  const elsewhere = await db.reopen();
  await using cli = await accountsStage(elsewhere);
  await cli.accounts.add({ email: 'bob@example.com', password: await knownHash(), tier: 'community', admin: false });
  expect(await stage.accounts.needsSetUp()).toBe(true);
  await cli.accounts.add({ email: 'ada@example.com', password: await knownHash(), tier: 'community', admin: true });
  await elsewhere.close();
  await expect(stage.accounts.setUp({ token, ...root })).rejects.toMatchObject({ code: 'conflict' });

  await db.orm.delete(db.tables.user);
  const late = stage.accounts.setUp({ token, ...root });
  // While its password is hashed, somebody else is added.
  await stage.accounts.add({ email: 'ada@example.com', password: await knownHash(), tier: 'community', admin: true });
  await expect(late).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('set up already') });
  expect(await stage.accounts.list()).toHaveLength(1);
});

test('an account is added with its plan, listed, and found by its address', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const { accounts } = stage;
  const secret = await knownHash();
  const ada = await accounts.add({ email: 'Ada@Example.com', password: secret, tier: 'premium', admin: false });
  stage.clock.advance(1_000);
  const bob = await accounts.add({
    email: 'bob@example.com',
    name: 'Bob',
    password: secret,
    tier: 'community',
    admin: true,
    actor: ada.userId,
  });
  expect(await accounts.byEmail(' ADA@example.com ')).toMatchObject({
    id: ada.userId,
    email: 'ada@example.com',
    name: 'Ada',
    isAdmin: false,
  });
  expect(await accounts.list()).toMatchObject([
    { id: ada.userId, isAdmin: false, plan: { tier: 'premium', byok: true }, disabledAt: null },
    { id: bob.userId, isAdmin: true, plan: null, name: 'Bob' },
  ]);
  expect(await stage.auth.signIn('ada@example.com', password)).toMatchObject({ userId: ada.userId });
  const again = accounts.add({ email: 'ADA@example.com', password: secret, tier: 'lifetime', admin: true });
  await expect(again).rejects.toMatchObject({ code: 'conflict', message: 'There is already an account with this e-mail address.' });
  expect(await stage.plans.of(ada.userId)).toMatchObject({ tier: 'premium' });
  await expect(accounts.byEmail('nobody@example.com')).rejects.toMatchObject({ code: 'not_found' });
  await expect(accounts.me('nobody')).rejects.toMatchObject({ code: 'not_found' });
  expect((await stage.audit.list({ limit: 9 })).map(({ actor, subject, action }) => [actor, subject, action])).toEqual([
    [ada.userId, bob.userId, 'account.created'],
    ['cli', ada.userId, 'plan.changed'],
    ['cli', ada.userId, 'account.created'],
  ]);
});

test('of many who add the same address at once, one succeeds and nothing is half there', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const secret = await knownHash();
  const add = () => stage.accounts.add({ email: 'ada@example.com', password: secret, tier: 'premium', admin: false });
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, add));
  expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
  for (const one of outcomes)
    if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'conflict', message: expect.stringContaining('already') });
  for (const table of [db.tables.user, db.tables.account, db.tables.plan]) expect(await db.orm.select().from(table)).toHaveLength(1);
});

test('people change their name, time zone and language, one by one, and it is written down that they did', async () => {
  await using db = await testDb();
  await using stage = await accountsStage(db);
  const [ada, eve] = [await stage.person('ada'), await stage.person('eve')];
  const before = await stage.accounts.me(eve.userId);
  const changed = await stage.accounts.update(ada.userId, { name: 'Ada Lovelace', timezone: 'Europe/Berlin', locale: 'de' });
  expect(changed).toEqual({
    ...{ id: ada.userId, email: 'ada@example.com', isAdmin: false },
    ...{ name: 'Ada Lovelace', timezone: 'Europe/Berlin', locale: 'de', hasPassword: true },
  });
  expect(await stage.accounts.update(ada.userId, { timezone: null })).toEqual({ ...changed, timezone: null });
  expect(await stage.accounts.me(ada.userId)).toEqual({ ...changed, timezone: null });
  expect(await stage.accounts.me(eve.userId)).toEqual(before);
  expect(await stage.audit.list({ limit: 5 })).toMatchObject([
    { actor: ada.userId, subject: ada.userId, action: 'account.changed', detail: { fields: 'timezone' } },
    { actor: ada.userId, subject: ada.userId, action: 'account.changed', detail: { fields: 'locale, name, timezone' } },
  ]);
  await expect(stage.accounts.update('nobody', { name: 'Nobody' })).rejects.toMatchObject({ code: 'conflict' });
  expect(await stage.audit.list({ limit: 5 })).toHaveLength(2);
});
