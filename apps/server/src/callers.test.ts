import type { IncomingHttpHeaders } from 'node:http';
import { atomically, bumpGeneration, type Db } from '@synthstack/core/db';
import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { authStage, knownHash, password } from '../test/auth.ts';
import { createCallers } from './callers.ts';
import { createPlans } from './plans.ts';
import { createTokens } from './tokens.ts';

const day = 86_400_000;
const bearer = (credential: string): IncomingHttpHeaders => ({ authorization: `Bearer ${credential}` });
const simple = { name: 'laptop', scopes: ['gateway' as const] };
const refused = { code: 'unauthenticated' };

async function callersStage(db: Db) {
  const stage = await authStage(db);
  const { auth, clock } = stage;
  const [plans, tokens] = [createPlans({ db, clock }), createTokens({ db, clock })];
  const callers = createCallers({ db, clock, tokens, auth, plans });
  return {
    ...{ ...stage, plans, tokens, callers },
    /** Ada, with premium and a gateway token. */
    async ada() {
      const ada = await stage.person('ada');
      await plans.set(ada.userId, { tier: 'premium', source: 'cli' });
      return { ...ada, ...(await tokens.create(ada.userId, simple)) };
    },
    async page(email: string) {
      const page = stage.browser();
      await page.post('/sign-in/email', { email, password });
      return page;
    },
    /** A session of its own, and an access token for it. */
    async session(email: string) {
      const session = await auth.signIn(email, password);
      return { ...session, jwt: (await auth.issueJwt(session)).token };
    },
  };
}

test('a gateway token, an access token and a cookie all name the same user, each in its own way', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const { callers } = stage;
  const ada = await stage.ada();
  const [{ jwt, sessionId }, page] = [await stage.session(ada.email), await stage.page(ada.email)];
  const plan = { tier: 'premium', plan: 'premium', state: 'active', lapsed: false, until: null, renews: false, source: 'cli', byok: true };
  const user = { userId: ada.userId, isAdmin: false, plan };
  const token = { ...user, via: 'token', tokenId: ada.token.id, sessionId: null, scopes: ['gateway'] };
  const everything = ['gateway', 'manage'];
  for (let round = 0; round < 2; round += 1) {
    expect(await callers.identify(bearer(ada.secret))).toEqual(token);
    expect(await callers.identify({ 'x-api-key': ada.secret })).toEqual(token);
    expect(await callers.identify({ ...bearer(ada.secret), 'x-api-key': ada.secret })).toEqual(token);
    expect(await callers.identify({ authorization: `bearer  ${ada.secret}` })).toEqual(token);
    expect(await callers.identify(bearer(jwt))).toEqual({
      ...user,
      via: 'jwt',
      tokenId: null,
      sessionId: sessionId,
      scopes: everything,
    });
  }
  expect(await callers.identifyPage(page.headers)).toMatchObject({ ...user, via: 'cookie', tokenId: null, scopes: everything });
  expect(await callers.identifyPage({})).toBeNull();
  expect(await callers.identifyPage(bearer(ada.secret))).toBeNull();
  await expect(callers.identify(page.headers)).rejects.toMatchObject(refused);
});

test('none, a bad one and two different credentials are told apart', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const { callers } = stage;
  const ada = await stage.ada();
  await callers.identify(bearer(ada.secret));
  const bad: IncomingHttpHeaders[] = [
    {},
    { authorization: '' },
    { authorization: 'Bearer ' },
    { authorization: ada.secret.slice(5) },
    { authorization: `Basic ${Buffer.from(`ada:${ada.secret}`).toString('base64')}` },
    { authorization: `Bearer${ada.secret}` },
    bearer(`${ada.secret}, ${ada.secret}`),
    bearer('byok_'),
    bearer(`byok_${'A'.repeat(43)}`),
    bearer('x'.repeat(100_000)),
    bearer('sk-ant-api03-something'),
    bearer('\0'),
    { 'x-api-key': `${ada.secret}, ${ada.secret}` },
  ];
  for (const headers of bad) await expect(callers.identify(headers)).rejects.toMatchObject(refused);
  const two: IncomingHttpHeaders[] = [
    { ...bearer(ada.secret), 'x-api-key': 'eyJ.eyJ.x' },
    { ...bearer('eyJ.eyJ.x'), 'x-api-key': ada.secret },
    { ...bearer(ada.secret), 'x-api-key': 'sk-real-openai-key' },
    { authorization: 'Basic YTpi', 'x-api-key': ada.secret },
  ];
  for (const headers of two) await expect(callers.identify(headers)).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(callers.identify(bearer('sk-a-provider-key-sent-by-mistake'))).rejects.toThrow(/^(?!.*sk-a-provider).*$/);
});

test('a lapsed plan, an expired token and an expired access token count at once, though everything is cached', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const ada = await stage.ada();
  const { jwt } = await stage.session(ada.email);
  const until = new Date(stage.clock.now() + 10_000);
  await stage.plans.set(ada.userId, { tier: 'premium', until, source: 'cli' });
  const { secret } = await stage.tokens.create(ada.userId, { ...simple, expiresAt: new Date(stage.clock.now() + 60_000).toISOString() });
  const plan = async () => (await stage.callers.identify(bearer(secret))).plan;
  expect(await plan()).toMatchObject({ tier: 'premium', byok: true });
  stage.clock.advance(9_999);
  expect(await plan()).toMatchObject({ tier: 'premium', byok: true });
  stage.clock.advance(1);
  expect(await plan()).toMatchObject({ tier: 'community', plan: 'premium', state: 'lapsed', lapsed: true, until, byok: false });
  stage.clock.advance(50_000);
  await expect(stage.callers.identify(bearer(secret))).rejects.toMatchObject(refused);
  await stage.callers.identify(bearer(jwt));
  stage.clock.advance(15 * 60_000);
  await expect(stage.callers.identify(bearer(jwt))).rejects.toMatchObject(refused);
});

test('signing out, a new password and disabling end an access token at the next request', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const ada = await stage.ada();
  const [{ jwt }, page] = [await stage.session(ada.email), await stage.page(ada.email)];
  const jwtOfPage = async () => {
    const session = await stage.auth.sessionOf(page.headers);
    return (await stage.auth.issueJwt(session ?? { userId: '', sessionId: '' })).token;
  };
  const first = await jwtOfPage();
  expect(await stage.callers.identify(bearer(first))).toMatchObject({ userId: ada.userId });
  await page.post('/sign-out');
  await expect(stage.callers.identify(bearer(first))).rejects.toMatchObject(refused);
  expect(await stage.callers.identify(bearer(jwt))).toMatchObject({ userId: ada.userId });

  await page.post('/sign-in/email', { email: ada.email, password });
  const second = await jwtOfPage();
  expect(await stage.callers.identify(bearer(second))).toMatchObject({ userId: ada.userId });
  await page.post('/change-password', { currentPassword: password, newPassword: 'a brand new password' });
  for (const old of [second, jwt]) await expect(stage.callers.identify(bearer(old))).rejects.toMatchObject(refused);
  const third = await jwtOfPage();
  expect(await stage.callers.identify(bearer(third))).toMatchObject({ userId: ada.userId });
  await stage.auth.setPassword(ada.userId, await knownHash());
  await expect(stage.callers.identify(bearer(third))).rejects.toMatchObject(refused);

  const fourth = (await stage.auth.issueJwt(await stage.auth.signIn(ada.email, password))).token;
  await stage.callers.identify(bearer(fourth));
  await db.orm.update(db.tables.user).set({ disabledAt: new Date() }).where(eq(db.tables.user.id, ada.userId));
  await expect(stage.callers.identify(bearer(fourth))).rejects.toMatchObject(refused);
});

test("an access token for someone else's session is refused", async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const ada = await stage.ada();
  const { sessionId } = await stage.session(ada.email);
  const eve = await stage.person('eve');
  const { token } = await stage.auth.issueJwt({ userId: eve.userId, sessionId: sessionId });
  await expect(stage.callers.identify(bearer(token))).rejects.toMatchObject(refused);
});

test('what the command line changes in another process holds at the next request', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const ada = await stage.ada();
  const page = await stage.page(ada.email);
  /** No process ends within the millisecond for which a generation is believed. */
  const identify = async () => {
    await new Promise((resolve) => setTimeout(resolve, 3));
    return stage.callers.identify(bearer(ada.secret));
  };
  expect(await identify()).toMatchObject({ isAdmin: false, plan: { tier: 'premium' } });

  const elsewhere = await db.reopen();
  const { clock } = stage;
  await createPlans({ db: elsewhere, clock }).set(ada.userId, { tier: 'subscriber', source: 'cli' });
  expect(await identify()).toMatchObject({ plan: { tier: 'subscriber', byok: false } });
  const change = (values: { role?: 'admin'; disabledAt?: Date | null }) =>
    atomically(elsewhere, (tx, t) => [tx.update(t.user).set(values).where(eq(t.user.id, ada.userId)), bumpGeneration(tx, t)]);
  await change({ role: 'admin' });
  expect(await identify()).toMatchObject({ isAdmin: true });
  await change({ disabledAt: new Date() });
  await expect(identify()).rejects.toMatchObject({ ...refused, message: expect.stringContaining('disabled') });
  expect(await stage.callers.identifyPage(page.headers)).toBeNull();
  await change({ disabledAt: null });
  expect(await identify()).toMatchObject({ isAdmin: true });
  await createTokens({ db: elsewhere, clock }).revoke(ada.userId, ada.token.id);
  await expect(identify()).rejects.toMatchObject(refused);
  await elsewhere.close();
});

test('an answer that was read before a change is not kept after it', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const ada = await stage.ada();
  const [gate, firstIn, secondIn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const entries = [firstIn, secondIn];
  const slowTokens = {
    async find(secret: string) {
      const found = await stage.tokens.find(secret);
      entries.shift()?.resolve();
      await gate.promise;
      return found;
    },
    touch: stage.tokens.touch,
  };
  const callers = createCallers({ db, clock: stage.clock, tokens: slowTokens, auth: stage.auth, plans: stage.plans });
  const before = callers.identify(bearer(ada.secret));
  await firstIn.promise;
  await stage.plans.set(ada.userId, { tier: 'community', source: 'cli' });
  const other = await stage.tokens.create(ada.userId, simple);
  const during = callers.identify(bearer(other.secret));
  await secondIn.promise;
  gate.resolve();
  expect(await before).toMatchObject({ plan: { tier: 'premium' } });
  expect(await during).toMatchObject({ plan: { tier: 'community' } });
  expect(await callers.identify(bearer(ada.secret))).toMatchObject({ plan: { tier: 'community' } });
});

test('using a token is noted, for its owner to see', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const ada = await stage.ada();
  await stage.callers.identify(bearer(ada.secret));
  stage.clock.advance(day);
  await stage.callers.identify(bearer(ada.secret));
  await stage.tokens.flush();
  expect((await stage.tokens.list(ada.userId))[0]?.lastUsedAt).toBe(new Date(stage.clock.now()).toISOString());
});

test('on the cached path a token costs one look at the generation and no other reading', async () => {
  await using db = await testDb();
  await using stage = await callersStage(db);
  const ada = await stage.ada();
  const reads: string[] = [];
  const select: Db['orm']['select'] = (...args: []) => {
    reads.push('drizzle');
    return db.orm.select(...args);
  };
  const watched: Db = {
    ...db,
    orm: { ...db.orm, select, insert: db.orm.insert.bind(db.orm), update: db.orm.update.bind(db.orm) },
    read(statement) {
      reads.push('read');
      return db.read(statement);
    },
    generation() {
      reads.push('generation');
      return db.generation();
    },
  };
  await using other = await callersStage(watched);
  await other.callers.identify(bearer(ada.secret));
  expect(reads).toContain('read');
  reads.length = 0;
  for (let i = 0; i < 100; i += 1) await other.callers.identify(bearer(ada.secret));
  expect(reads).toEqual(Array.from({ length: 100 }, () => 'generation'));
});
