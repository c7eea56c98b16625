import { randomUUID } from 'node:crypto';
import { noticeKinds, userNoticeKinds } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { administrators, createNotices, type NoticeEntry } from './notices.ts';

const news = (userId: string, dedupe: string): NoticeEntry => ({ userId, kind: 'key_invalid', dedupe, data: { provider: 'openai' } });

/** Somebody who may have wishes. @returns their id */
async function person(db: Db, name: string): Promise<string> {
  const [id, at] = [randomUUID(), new Date(0)];
  await db.orm.insert(db.tables.user).values({ id, name, email: `${name}@example.com`, createdAt: at, updatedAt: at });
  return id;
}

async function stage() {
  const db = await testDb();
  const clock = manualClock(1_790_000_000_000);
  return { db, clock, notices: createNotices({ db, clock }), [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}

test('the same news is told once, and the list in which it comes again is written all the same', async () => {
  await using place = await stage();
  const { db, notices } = place;
  await db.commit([notices.entry(news('ada', 'a'))]);
  await db.commit([notices.entry(news('ada', 'a')), notices.entry(news('ada', 'b'))]);
  expect(await notices.list('ada')).toHaveLength(2);
});

test('everybody sees their own, newest first; administrators share theirs', async () => {
  await using place = await stage();
  const { db, clock, notices } = place;
  await db.commit([notices.entry(news('ada', 'a')), notices.entry(news('bob', 'b'))]);
  clock.advance(1_000);
  await db.commit([notices.entry(news('ada', 'c')), notices.entry({ ...news(administrators, 'd'), kind: 'platform_key_failed' })]);
  const [newest, oldest] = await notices.list('ada');
  expect(newest).toMatchObject({ kind: 'key_invalid', data: { provider: 'openai' }, createdAt: new Date(1_790_000_001_000), readAt: null });
  expect(oldest?.createdAt).toEqual(new Date(1_790_000_000_000));
  expect(await notices.list(administrators)).toMatchObject([{ kind: 'platform_key_failed' }]);
  expect(await notices.list('nobody')).toEqual([]);
});

test('a notice is read once, by its own reader only', async () => {
  await using place = await stage();
  const { db, clock, notices } = place;
  await db.commit([notices.entry(news('ada', 'a'))]);
  const [{ id } = { id: '' }] = await notices.list('ada');
  const foreign = await notices.markRead('bob', id).catch((error: unknown) => error);
  const random = await notices.markRead('bob', crypto.randomUUID()).catch((error: unknown) => error);
  expect(foreign).toMatchObject({ code: 'not_found' });
  expect(random).toEqual(foreign);
  expect(await notices.unread({ owner: 'ada', reader: 'ada' })).toBe(1);
  clock.advance(5_000);
  await notices.markRead('ada', id);
  clock.advance(5_000);
  await notices.markRead('ada', id);
  expect(await notices.list('ada')).toMatchObject([{ readAt: new Date(1_790_000_005_000) }]);
  expect(await notices.unread({ owner: 'ada', reader: 'ada' })).toBe(0);
});

test('a page after the other, each notice once, though many came in the same instant', async () => {
  await using place = await stage();
  const { db, clock, notices } = place;
  const reading = { owner: 'ada', reader: 'ada' };
  for (let batch = 0; batch < 5; batch += 1) {
    clock.advance(1_000);
    await db.commit(Array.from({ length: 15 }, (_, i) => notices.entry(news('ada', `${batch}-${i}`))));
  }
  const seen: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = await notices.page(reading, { cursor });
    seen.push(...page.notices.map(({ id }) => id));
    cursor = page.nextCursor ?? undefined;
    pages += 1;
  } while (cursor);
  expect(pages).toBe(3);
  expect(new Set(seen).size).toBe(75);
  expect(seen).toEqual((await notices.list('ada')).map(({ id }) => id));
});

test('what is removed is gone with what it said, and is not told again; what is read all at once is read', async () => {
  await using place = await stage();
  const { db, notices } = place;
  const reading = { owner: 'ada', reader: 'ada' };
  await db.commit([notices.entry(news('ada', 'a')), notices.entry(news('ada', 'b')), notices.entry(news('bob', 'c'))]);
  const [{ id } = { id: '' }] = await notices.list('ada');
  expect(await notices.remove('bob', id).catch((error: unknown) => error)).toMatchObject({ code: 'not_found' });
  await notices.remove('ada', id);
  await db.commit([notices.entry(news('ada', 'a')), notices.entry(news('ada', 'b'))]);
  expect((await notices.page(reading, {})).notices).toHaveLength(1);
  const [gone] = await db.orm.select().from(db.tables.notice).where(eq(db.tables.notice.id, id));
  expect(gone?.data).toEqual({});
  for (const verb of [notices.remove, notices.markRead])
    expect(await verb('ada', id).catch((error: unknown) => error)).toMatchObject({ code: 'not_found' });
  await notices.markAllRead('ada');
  expect(await notices.unread(reading)).toBe(0);
  expect(await notices.unread({ owner: 'bob', reader: 'bob' })).toBe(1);
});

test('a kind that somebody does not want on the page is neither shown nor counted, for them alone, and comes back', async () => {
  await using place = await stage();
  const { db, notices } = place;
  const [ada, bob] = [await person(db, 'ada'), await person(db, 'bob')];
  await db.commit([notices.entry(news(ada, 'a')), notices.entry(news(bob, 'b')), notices.entry(news(administrators, 'c'))]);
  const list = await notices.preferences.set(ada, false, { kind: 'key_invalid', page: false });
  expect(list.find(({ kind }) => kind === 'key_invalid')).toEqual({ kind: 'key_invalid', page: false, email: true });
  const seenBy = async (owner: string, reader: string) => [
    (await notices.page({ owner, reader }, {})).notices.length,
    await notices.unread({ owner, reader }),
  ];
  expect(await seenBy(ada, ada)).toEqual([0, 0]);
  expect(await seenBy(bob, bob)).toEqual([1, 1]);
  expect(await seenBy(administrators, ada)).toEqual([0, 0]);
  expect(await seenBy(administrators, bob)).toEqual([1, 1]);
  await notices.preferences.set(ada, false, { kind: 'key_invalid', page: true });
  expect(await seenBy(ada, ada)).toEqual([1, 1]);
});

test('every kind has its place among the wishes; those of administrators are theirs to choose; what cannot be is refused', async () => {
  await using place = await stage();
  const { db, notices } = place;
  const ada = await person(db, 'ada');
  const { preferences } = notices;
  const mine = await preferences.list(ada, false);
  expect(mine.map(({ kind }) => kind)).toEqual([...userNoticeKinds]);
  expect(mine.find(({ kind }) => kind === 'new_sign_in')).toEqual({ kind: 'new_sign_in', page: true, email: true });
  expect((await preferences.list(ada, true)).map(({ kind }) => kind)).toEqual([...noticeKinds]);
  const refused = (change: Promise<unknown>) => change.catch((error: unknown) => error);
  expect(await refused(preferences.set(ada, false, { kind: 'rotation_due', page: false }))).toMatchObject({ code: 'not_found' });
  expect(await refused(preferences.set(ada, true, { kind: 'mail_failed', email: true }))).toMatchObject({ code: 'invalid_input' });
  await preferences.set(ada, true, { kind: 'new_sign_in', email: false });
  await preferences.set(ada, true, { kind: 'new_sign_in', page: false });
  expect((await preferences.list(ada, true)).find(({ kind }) => kind === 'new_sign_in')).toMatchObject({ page: false, email: false });
});

test('what is three months old is forgotten', async () => {
  await using place = await stage();
  const { db, clock, notices } = place;
  await db.commit([notices.entry(news('ada', 'old'))]);
  clock.advance(90 * 86_400_000);
  await db.commit([notices.entry(news('ada', 'new'))]);
  expect(await notices.forgetOld()).toBe(0);
  clock.advance(1);
  expect(await notices.forgetOld()).toBe(1);
  expect(await notices.list('ada')).toHaveLength(1);
});
