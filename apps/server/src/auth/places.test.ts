import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { authStage, password } from '../../test/auth.ts';
import { manualClock } from '../../test/clock.ts';
import { findPlanted } from '../../test/planted.ts';
import { createNotices } from '../notices.ts';
import { createPlaces } from './places.ts';

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
const newerFirefox = firefox.replaceAll('145', '146');
const safari =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1';

async function stage() {
  const db = await testDb();
  const clock = manualClock();
  const notices = createNotices({ db, clock });
  const auth = await authStage(db, { clock, notice: notices.entry });
  const places = createPlaces({ db, clock, notice: notices.entry });
  const ada = await auth.person('ada');
  let sessions = 0;
  /** As auth.ts does it, without a password's hash. */
  function come(address: string, userAgent: string): Promise<void> {
    clock.advance(1_000);
    return places.signedIn({ userId: ada.userId, sessionId: `session ${++sessions}`, address, userAgent });
  }
  const newsOf = async () => (await notices.list(ada.userId)).map(({ data }) => data).reverse();
  return {
    ...{ db, clock, notices, auth, places, ada, come, newsOf },
    async [Symbol.asyncDispose]() {
      await auth[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
}

test('a browser or a network that somebody never came with is news; the first of all, a newer version and a known pair are not', async () => {
  await using place = await stage();
  const { come, newsOf, clock } = place;
  await come('192.0.2.1', firefox);
  await come('192.0.2.1', newerFirefox);
  expect(await newsOf()).toEqual([]);
  await come('192.0.2.1', safari);
  const at = () => new Date(clock.now()).toISOString();
  expect(await newsOf()).toEqual([{ browser: 'Safari', system: 'iPhone', address: '192.0.2.1', at: at() }]);
  await come('198.51.100.7', firefox);
  expect((await newsOf())[1]).toMatchObject({ browser: 'Firefox', system: 'Linux', address: '198.51.100.7' });
  // Each is known by now, if not together.
  await come('198.51.100.7', safari);
  expect(await newsOf()).toHaveLength(2);
  await come('2001:db8::1', 'curl/8.5.0');
  expect((await newsOf())[2]).toEqual({ program: 'curl', address: '2001:db8::1', at: at() });
  await come('2001:db8::ffff', 'curl/8.6.0');
  await come('', '');
  expect((await newsOf()).slice(3)).toEqual([{ at: at() }]);
});

test('a script that comes from everywhere is told of some times a day, and what it calls itself is cut to a word', async () => {
  await using place = await stage();
  const { come, newsOf, clock } = place;
  await come('192.0.2.1', firefox);
  for (let i = 0; i < 40; i += 1) await come(`198.51.100.${i}`, firefox);
  expect(await newsOf()).toHaveLength(19);
  clock.advance(25 * 3_600_000);
  await come('203.0.113.5', `<b>${'x'.repeat(200)}`);
  await come('203.0.113.6', `agent-${'x'.repeat(200)} and more`);
  expect((await newsOf()).slice(19)).toMatchObject([{ address: '203.0.113.5' }, { program: `agent-${'x'.repeat(34)}` }]);
});

test('where nobody has been for half a year is new again', async () => {
  await using place = await stage();
  const { come, newsOf, clock, places } = place;
  await come('192.0.2.1', firefox);
  clock.advance(100 * 86_400_000);
  await come('198.51.100.1', firefox);
  clock.advance(81 * 86_400_000);
  expect(await places.forgetOld()).toBe(1);
  expect(await places.forgetOld()).toBe(0);
  await come('192.0.2.1', firefox);
  expect((await newsOf()).map(({ address }) => address)).toEqual(['198.51.100.1', '192.0.2.1']);
});

test('signing in as the page and as a program does both count; no token is in what is told, and a wrong password tells nothing', async () => {
  await using place = await stage();
  const { auth, ada, newsOf, db } = place;
  const page = auth.browser();
  await page.post('/sign-in/email', { email: ada.email, password }, { 'user-agent': firefox });
  expect(await newsOf()).toEqual([]);
  const thief = auth.browser();
  expect((await thief.post('/sign-in/email', { email: ada.email, password: 'wrong password' }, { 'user-agent': safari })).status).toBe(401);
  expect(await newsOf()).toEqual([]);
  await thief.post('/sign-in/email', { email: ada.email, password }, { 'user-agent': safari });
  expect(await newsOf()).toMatchObject([{ browser: 'Safari', address: '127.0.0.1' }]);
  place.clock.advance(1_000);
  await auth.auth.signIn(ada.email, password, { ip: '203.0.113.9', userAgent: 'python-httpx/0.28' });
  expect((await newsOf())[1]).toMatchObject({ program: 'python-httpx', address: '203.0.113.9' });
  const told = Buffer.from(JSON.stringify([await newsOf(), await db.orm.select().from(db.tables.signInPlace)]));
  for (const { token } of await db.orm.select().from(db.tables.session)) expect(findPlanted(token, told)).toEqual([]);
});

test('who was signed in before any of this was written down is not told of where they already are; and who is told nothing gets in', async () => {
  await using place = await stage();
  const { auth, ada, newsOf, db, come } = place;
  await auth.browser().post('/sign-in/email', { email: ada.email, password }, { 'user-agent': firefox });
  await db.orm.delete(db.tables.signInPlace);
  await come('127.0.0.1', firefox);
  expect(await newsOf()).toEqual([]);
  await db.orm.delete(db.tables.signInPlace);
  await come('127.0.0.1', safari);
  expect(await newsOf()).toMatchObject([{ browser: 'Safari' }]);
  await db.commit([{ sql: 'alter table sign_in_place rename to away', params: [] }]);
  expect((await auth.browser().post('/sign-in/email', { email: ada.email, password })).status).toBe(200);
  expect(auth.errors).toHaveLength(1);
});
