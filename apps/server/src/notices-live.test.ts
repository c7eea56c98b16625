import { randomUUID } from 'node:crypto';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { createNotices } from './notices.ts';
import { createNoticesLive, type NoticesLiveParts } from './notices-live.ts';
import { createSessionWatch } from './session-watch.ts';

/** Sessions have their users' names. @param isGone  of those that have ended */
async function stage({ isGone = () => false, ...more }: Partial<NoticesLiveParts> & { isGone?(sessionId: string): boolean } = {}) {
  const db = await testDb();
  const clock = manualClock(1_790_000_000_000);
  const notices = createNotices({ db, clock });
  const watchSession = createSessionWatch({ clock, session: async (id) => (isGone(id) ? null : { userId: id }) });
  const live = createNoticesLive({ db, clock, watchSession, ...more });

  async function listen(userId: string, isAdmin = false) {
    const leaving = new AbortController();
    const heard: string[] = [];
    let end = '';
    const stream = await live.open({ userId, sessionId: userId, isAdmin }, leaving.signal);
    const listening = (async () => {
      try {
        for await (const { changedAt } of stream) heard.push(changedAt);
        end = 'completed';
      } catch (error) {
        end = error instanceof Error ? error.name : 'error';
      }
    })();
    return { heard, leave: () => leaving.abort(), ended: listening.then(() => end) };
  }
  const tell = (userId: string) => db.commit([notices.entry({ userId, kind: 'key_invalid', dedupe: randomUUID(), data: {} })]);
  /** The looks of that time, each at its end. */
  async function pass(ms: number): Promise<void> {
    for (let goneMs = 0; goneMs < ms; goneMs += 2_000) {
      clock.advance(2_000);
      // A look reads once, and hands on in the turns that follow.
      await db.orm.select().from(db.tables.generation);
      for (let turn = 0; turn < 20; turn += 1) await new Promise((next) => setImmediate(next));
    }
  }
  return { db, clock, live, listen, tell, pass, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}

test('whoever listens hears of their own notices once, whoever wrote them; administrators of theirs as well', async () => {
  await using place = await stage();
  const { listen, tell, pass, live } = place;
  const [ada, bob, root] = [await listen('ada'), await listen('bob'), await listen('root', true)];
  await tell('ada');
  await tell('ada');
  await pass(4_000);
  expect([ada.heard.length, bob.heard.length, root.heard.length]).toEqual([1, 0, 0]);
  await tell('administrators');
  await pass(60_000);
  expect([ada.heard.length, bob.heard.length, root.heard.length]).toEqual([1, 0, 1]);
  live.changed('ada');
  await pass(2_000);
  expect([ada.heard.length, bob.heard.length, root.heard.length]).toEqual([2, 0, 1]);
  ada.leave();
  expect(await ada.ended).toBe('completed');
  expect(live.streams()).toBe(2);
});

test('with the session ends the listening, at the end of the server it breaks off, and nobody holds more than ten', async () => {
  let holds = true;
  await using place = await stage({ isGone: (id) => !holds && id === 'ada', mostStreams: 12 });
  const { listen, pass, live } = place;
  const ada = await listen('ada');
  const bobs = await Promise.all(Array.from({ length: 10 }, () => listen('bob')));
  expect(await listen('bob').catch((error: unknown) => error)).toMatchObject({ code: 'limit_reached' });
  await listen('eve');
  expect(await listen('cat').catch((error: unknown) => error)).toMatchObject({ code: 'limit_reached' });
  holds = false;
  await pass(32_000);
  expect(await ada.ended).toBe('completed');
  live.stop();
  expect(await bobs[0]?.ended).toBe('AbortError');
  expect(live.streams()).toBe(0);
  expect(await listen('bob').catch((error: unknown) => error)).toMatchObject({ code: 'draining' });
});
