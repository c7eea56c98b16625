import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { startSmtp } from '../test/smtp.ts';
import { failure, member, vaultStage } from '../test/vault.ts';
import { reminderDue } from './vault-expiry.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const ada = member('ada');

async function stageOf() {
  const db = await testDb();
  const stage = await vaultStage(db);
  const inDays = (days: number) => new Date(stage.clock.now() + days * dayMs).toISOString();
  const toldTo = async (user: string) => (await stage.notices.list(user)).map(({ data }) => data.days);
  const logOf = async (action: string) => (await stage.audit.list({ limit: 99 })).filter((entry) => entry.action === action);
  return {
    ...{ ...stage, db, inDays, toldTo, logOf },
    async [Symbol.asyncDispose]() {
      await stage[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
}

test('a date is set with the key or later, changed and removed; a new key begins without one, and a restored one has its own', async () => {
  await using stage = await stageOf();
  const { vault, inDays, logOf } = stage;
  const [first, second] = [inDays(30), inDays(60)];
  const old = await vault.save(ada, { provider: 'openai', apiKey: stage.newKey('openai'), expiresAt: first });
  expect(old).toMatchObject({ expiresAt: first, isExpired: false, status: 'valid' });
  expect(await vault.set(ada, { id: old.id, expiresAt: '2026-12-24T18:00:00+05:30' })).toMatchObject({
    expiresAt: '2026-12-24T12:30:00.000Z',
  });
  expect(await vault.set(ada, { id: old.id, isActive: false })).toMatchObject({ expiresAt: '2026-12-24T12:30:00.000Z', isActive: false });
  expect(await vault.set(ada, { id: old.id, expiresAt: null })).toMatchObject({ expiresAt: null, isActive: false });
  await vault.set(ada, { id: old.id, expiresAt: second });
  expect((await logOf('key.switched')).map(({ detail }) => detail.expiresAt)).toEqual([
    second,
    'never',
    undefined,
    '2026-12-24T12:30:00.000Z',
  ]);
  const { view } = await stage.stored('ada');
  expect(view.expiresAt).toBeNull();
  expect(await vault.restore(ada, old.id)).toMatchObject({ expiresAt: second });
});

test('an old key whose day has passed does not take the place of one that works, and nobody is asked', async () => {
  await using stage = await stageOf();
  const { vault, clock } = stage;
  const old = await vault.save(ada, { provider: 'openai', apiKey: stage.newKey('openai'), expiresAt: stage.inDays(1) });
  clock.advance(20 * 3_600_000);
  await stage.stored('ada');
  clock.advance(4 * 3_600_000);
  const [before, asked] = [await vault.list('ada'), stage.provider.requests.length];
  expect(await failure(vault.restore(ada, old.id))).toMatchObject({
    code: 'key_unusable',
    message: 'The date that you have set for the old key has passed. Nothing was changed; enter the key again to use it.',
  });
  expect(await vault.list('ada')).toEqual(before);
  expect(stage.provider.requests).toHaveLength(asked);
});

test('a day that is over, or too far away, is refused, and nobody is asked', async () => {
  await using stage = await stageOf();
  const { view } = await stage.stored('ada');
  const asked = stage.provider.requests.length;
  for (const expiresAt of [stage.inDays(0), stage.inDays(-1), stage.inDays(30 * 366)]) {
    const apiKey = stage.newKey('openai');
    for (const call of [stage.vault.set(ada, { id: view.id, expiresAt }), stage.vault.save(ada, { provider: 'openai', apiKey, expiresAt })])
      expect(await failure(call)).toMatchObject({ code: 'invalid_input', errors: { expiresAt: [expect.stringMatching(/^Choose a day/)] } });
  }
  expect(stage.provider.requests).toHaveLength(asked);
  expect(await stage.vault.list('ada')).toEqual([view]);
});

test('its owner is reminded 14 and 3 days before and on its last day, once each, however often and however many look', async () => {
  await using stage = await stageOf();
  const { vault, clock, inDays, toldTo, notices, logOf } = stage;
  const other = stage.anotherVault(stage.keyring);
  for (const [user, days] of [
    ['ada', 20],
    ['bob', 10],
    ['eve', 2],
    ['cat', 0.5],
  ] as const)
    await vault.save(member(user), { provider: 'openai', apiKey: stage.newKey('openai'), expiresAt: inDays(days) });
  await stage.stored('dan');
  const tellAt: Record<string, number[]> = {};
  for (let hour = 0; hour <= 21 * 24; hour += 6) {
    await Promise.all([vault.remindOfExpiry(), other.remindOfExpiry(), vault.remindOfExpiry()]);
    const told = (await toldTo('ada')).length;
    tellAt[told] ??= [hour / 24];
    clock.advance(6 * hourMs);
  }
  expect(await toldTo('ada')).toEqual(['0', '3', '14']);
  expect([tellAt[1], tellAt[2], tellAt[3]]).toEqual([[6], [17], [19]]);
  // Who sets a date ten days ahead knows that these are less than fourteen.
  expect(await toldTo('bob')).toEqual(['0', '3']);
  expect(await toldTo('eve')).toEqual(['0']);
  expect(await toldTo('cat')).toEqual([]);
  expect(await toldTo('dan')).toEqual([]);
  const [key] = await vault.list('ada');
  expect(key).toMatchObject({ isExpired: true, isActive: true, status: 'valid' });
  expect((await notices.list('ada'))[0]).toMatchObject({
    kind: 'key_expires',
    data: { keyId: key?.id, provider: 'openai', keyHint: key?.keyHint, until: key?.expiresAt, days: '0' },
  });
  expect((await logOf('key.expired')).map(({ actor, subject }) => [actor, subject])).toEqual(
    ['ada', 'bob', 'eve', 'cat'].map((subject) => ['system', subject]),
  );
});

test('who could not be told in time is told afterwards; another date begins anew, and a removed or replaced key is not spoken of', async () => {
  await using stage = await stageOf();
  const { vault, clock, inDays, toldTo, logOf } = stage;
  const keys = await Promise.all(
    ['ada', 'bob', 'eve', 'cat'].map((user) =>
      vault.save(member(user), { provider: 'openai', apiKey: stage.newKey('openai'), expiresAt: inDays(20) }),
    ),
  );
  const [adas, , eves] = keys;
  clock.advance(18 * dayMs);
  expect(await vault.remindOfExpiry()).toBe(4);
  await vault.set(ada, { id: adas?.id ?? '', expiresAt: inDays(20) });
  await vault.remove(member('eve'), eves?.id ?? '');
  await stage.stored('cat');
  clock.advance(2 * dayMs);
  expect(await vault.remindOfExpiry()).toBe(1);
  expect(await toldTo('ada')).toEqual(['3']);
  expect(await toldTo('bob')).toEqual(['-1', '3']);
  expect(await toldTo('eve')).toEqual(['3']);
  expect(await toldTo('cat')).toEqual(['3']);
  expect(await logOf('key.expired')).toMatchObject([{ subject: 'bob' }]);
  clock.advance(15 * dayMs);
  await vault.remindOfExpiry();
  expect(await toldTo('ada')).toEqual(['3', '3']);
});

test('a clock that runs ahead puts no key out of use for longer than it does, and one that is set back tells nothing twice', async () => {
  await using stage = await stageOf();
  const { vault, clock, inDays, toldTo } = stage;
  await vault.save(ada, { provider: 'openai', apiKey: stage.newKey('openai'), expiresAt: inDays(100) });
  clock.advance(101 * dayMs);
  await vault.remindOfExpiry();
  expect((await vault.list('ada'))[0]?.isExpired).toBe(true);
  clock.advance(-101 * dayMs);
  expect((await vault.list('ada'))[0]?.isExpired).toBe(false);
  expect(await vault.remindOfExpiry()).toBe(0);
  expect(await toldTo('ada')).toEqual(['-1']);
});

test('hundreds that end on the same day are all told, a page at a time', async () => {
  await using stage = await stageOf();
  const { vault, db, clock } = stage;
  const { row } = await stage.stored('ada');
  const { providerKey } = db.tables;
  const [one] = await db.orm.select().from(providerKey).where(eq(providerKey.id, row.id));
  if (!one) throw new Error('no row');
  const expiresAt = new Date(clock.now() + 10 * dayMs);
  for (let from = 0; from < 450; from += 50) {
    const some = Array.from({ length: 50 }, (_, i) => `u${from + i}`);
    await db.orm
      .insert(providerKey)
      .values(some.map((id, i) => ({ ...one, id, owner: id, nonce: Buffer.from(`${from + i}`.padStart(12)), expiresAt })));
  }
  expect(await vault.remindOfExpiry()).toBe(450);
  expect(await vault.remindOfExpiry()).toBe(0);
});

test('which reminder it is time for, to the millisecond', () => {
  const nowMs = Date.UTC(2026, 10, 2);
  const due = (days: number, ms = 0) => reminderDue(new Date(nowMs + days * dayMs + ms), nowMs);
  expect([due(14, 1), due(14), due(3, 1), due(3), due(1, 1), due(1), due(0, 1), due(0), due(-9)]).toEqual([
    null,
    14,
    14,
    3,
    3,
    0,
    0,
    -1,
    -1,
  ]);
});

test('our own checks pass over a key whose date has come, until it has another', async () => {
  await using stage = await stageOf();
  const { view } = await stage.stored('ada', 'openai', 'revoked');
  await stage.vault.set(ada, { id: view.id, expiresAt: stage.inDays(0.5) });
  stage.clock.advance(2 * dayMs);
  expect(await stage.vault.dueRechecks()).toEqual([]);
  await stage.vault.set(ada, { id: view.id, expiresAt: null });
  expect(await stage.vault.dueRechecks()).toHaveLength(1);
});

test('from the moment on, requests go to the platform or say why, and Test still asks', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const person = await app.person({ keys: { openai: 'good' } });
  const [key] = await app.keysOf(person);
  const expiresAt = new Date(app.clock.now() + hourMs).toISOString();
  const set = await app.fetch(person, `/api/v1/api-keys/${key?.id}`, { method: 'PATCH', json: { expiresAt } });
  expect(((await set.json()) as { key: unknown }).key).toMatchObject({ expiresAt, isExpired: false });
  app.clock.advance(hourMs - 1);
  expect((await app.chat(person, 'hello')).headers.get('x-byok-key-source')).toBe('user');
  app.clock.advance(1);
  const fallen = await app.chat(person, 'hello');
  expect(fallen.headers.get('x-byok-key-source')).toBe('platform');
  expect(fallen.headers.get('x-byok-fallback-reason')).toBe('inactive');
  await app.fetch(person, `/api/v1/api-keys/${key?.id}`, { method: 'PATCH', json: { fallback: false } });
  const refused = await app.chat(person, 'hello');
  expect(refused.status).toBe(403);
  expect(refused.headers.get('x-byok-fallback-reason')).toBe('inactive');
  expect(await refused.text()).toContain('the date that you have set for it has passed. Replace it, or change the date');
  expect(await app.app.vault.test({ userId: person.id, byok: true }, key?.id ?? '')).toMatchObject({ valid: true });
});

test('the server reminds by itself, in the page and by e-mail, also after a restart, but nobody who has switched it off', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: { SMTP_URL: smtp.url, MAIL_FROM: 'byok@example.com' } });
  const keys = { openai: 'good' } as const;
  const [ada, bob] = [await app.person({ keys }), await app.person({ keys })];
  await app.app.accounts.update(ada.id, { locale: 'de', timezone: 'Europe/Berlin' });
  await app.app.notices.preferences.set(bob.id, false, { kind: 'key_expires', page: false, email: false });
  const expiresAt = new Date(app.clock.now() + 14 * dayMs + hourMs / 2).toISOString();
  for (const person of [ada, bob]) {
    const [key] = await app.keysOf(person);
    await app.app.vault.set({ userId: person.id, byok: true }, { id: key?.id ?? '', expiresAt });
  }
  for (const round of [1, 2]) {
    app.clock.advance(hourMs);
    await app.app.tidying.idle();
    app.clock.advance(5_000);
    await app.app.post.idle();
    if (round === 1) await app.restart();
  }
  expect(smtp.received.map(({ to, headers }) => [to[0], headers.subject])).toEqual([
    [ada.email, 'Dein OpenAI-Schlüssel läuft in höchstens 14 Tagen ab'],
  ]);
  expect(smtp.received[0]?.text).toMatch(/Du hast gesetzt, dass dein Schlüssel \*{4}\.\.\.\S{4} bis .* (MEZ|MESZ|GMT\+[12]) gilt/);
  expect(await app.app.notices.unread({ owner: ada.id, reader: ada.id })).toBe(1);
  expect(await app.app.notices.unread({ owner: bob.id, reader: bob.id })).toBe(0);
});
