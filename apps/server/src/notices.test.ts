import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { administrators, createNotices, type NoticeEntry } from './notices.ts';

const news = (userId: string, dedupe: string): NoticeEntry => ({ userId, kind: 'key_invalid', dedupe, data: { provider: 'openai' } });

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
