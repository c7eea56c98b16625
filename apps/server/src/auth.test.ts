import { randomInt, randomUUID } from 'node:crypto';
import { request as rawRequest } from 'node:http';
import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test, vi } from 'vitest';
import { authStage, knownHash, password, publicUrl } from '../test/auth.ts';
import { authRoutes } from './auth.ts';

const problem = 'application/problem+json';

test('signing in sets a cookie that scripts and other sites cannot use, and the session is found by it', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const page = stage.browser();
  const answer = await page.post('/sign-in/email', { email: 'ADA@example.com', password });
  expect(answer.status).toBe(200);
  expect(answer.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^byok\.session_token=[^;]+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/),
  ]);
  expect(await stage.auth.sessionOf(page.headers)).toMatchObject({ userId: ada.userId });
  expect((await page.get('/get-session')).body.user).toMatchObject({ email: ada.email, role: 'user' });
  expect(await stage.auth.sessionOf({})).toBeNull();
});

test('over https the cookie is Secure', async () => {
  await using db = await testDb();
  await using stage = await authStage(db, { publicUrl: 'https://byok.test/' });
  const ada = await stage.person('ada');
  const page = stage.browser('https://byok.test');
  const answer = await page.post('/sign-in/email', { email: ada.email, password });
  expect(answer.headers.getSetCookie()[0]).toMatch(/^__Secure-byok\.session_token=.*; Secure; SameSite=Lax$/);
  expect((await page.get('/get-session')).body.user.email).toBe(ada.email);
});

test('what is not in the list does not exist', async () => {
  await using db = await testDb();
  await using stage = await authStage(db, { signUp: 'closed' });
  const ada = await stage.person('ada', 'admin');
  const page = stage.browser();
  await page.post('/sign-in/email', { email: ada.email, password });
  const others = [
    '/sign-up/email',
    '/sign-in/social',
    '/request-password-reset',
    '/reset-password',
    '/change-email',
    '/delete-user',
    '/token',
  ];
  const admins = [
    '/admin/impersonate-user',
    '/admin/set-role',
    '/admin/list-users',
    '/admin/set-user-password',
    '/set-password',
    '/verify-password',
  ];
  const tricks = ['/sign-out/', '//sign-out', '/Sign-Out', '/sign%2Dout', '/update-session', '/link-social', '', '/error'];
  for (const path of [...others, ...admins, ...tricks]) {
    for (const answer of [await page.post(path, { email: 'eve@example.com', password, name: 'Eve' }), await page.get(path)]) {
      expect([path, answer.status, answer.headers.get('content-type')]).toEqual([path, 404, problem]);
      expect(answer.body).toMatchObject({ code: 'not_found', status: 404 });
    }
  }
  // fetch tidies paths up before it sends them.
  for (const path of [
    '/api/auth/../auth/sign-out',
    '/api/auth/./sign-out',
    '/api/auth/x/..%2fsign-out',
    '/api/auth\\\\sign-out',
    '/api/auth;/sign-out',
  ]) {
    const status = await new Promise((resolve) =>
      rawRequest(`${stage.base}/`, { method: 'POST', path }, (res) => resolve(res.statusCode)).end(),
    );
    expect([path, status]).toEqual([path, 404]);
  }
  expect((await page.get('/sign-out')).status).toBe(404);
  expect((await page.get('/ok?x=1')).body).toEqual({ ok: true });
  expect(await db.orm.select().from(db.tables.user)).toHaveLength(1);
});

test('every route in the list answers, and those for people who are signed in refuse all others', async () => {
  await using db = await testDb();
  await using stage = await authStage(db, { signUp: 'open' });
  for (const { method, path, access } of authRoutes) {
    const page = stage.browser();
    const short = path.slice('/api/auth'.length);
    const answer = method === 'GET' ? await page.get(short) : await page.post(short, { nobody: 'knows this field' });
    expect([path, answer.status]).toEqual([path, access === 'signed_in' ? 401 : method === 'POST' ? 400 : 200]);
  }
});

test('an unknown address, a wrong password and an odd one look the same', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const page = stage.browser();
  const wrong = await page.post('/sign-in/email', { email: ada.email, password: 'wrong' });
  const unknown = await page.post('/sign-in/email', { email: 'nobody@example.com', password });
  expect(wrong.status).toBe(401);
  expect(wrong.body.code).toBe('unauthenticated');
  expect(unknown.text).toBe(wrong.text);
  expect(unknown.headers.getSetCookie()).toEqual(wrong.headers.getSetCookie());
  const outcomes = await Promise.allSettled([
    stage.auth.signIn(ada.email, 'wrong'),
    stage.auth.signIn('nobody@example.com', password),
    stage.auth.signIn('not an address', password),
    stage.auth.signIn(ada.email, 'x'.repeat(200)),
  ]);
  const sentences = outcomes.map((one) => one.status === 'rejected' && `${one.reason.code} ${one.reason.message}`);
  expect(new Set(sentences)).toEqual(new Set(['unauthenticated The e-mail address or the password is wrong.']));
});

test('an unknown address costs as much as a known one', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const cpuOf = async (email: string) => {
    const before = process.cpuUsage();
    await stage.auth.signIn(email, 'wrong').catch(() => undefined);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  await cpuOf(ada.email);
  // The hash is most of it: without one an answer would cost a hundredth.
  expect((await cpuOf('nobody@example.com')) / (await cpuOf(ada.email))).toBeGreaterThan(0.3);
});

test('signing in gives a session of its own, whatever cookie came along', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const [ada, eve] = [await stage.person('ada'), await stage.person('eve')];
  const attacker = stage.browser();
  await attacker.post('/sign-in/email', { email: eve.email, password });
  const planted = stage.browser();
  for (const [name, value] of attacker.cookies) planted.cookies.set(name, value);
  await planted.post('/sign-in/email', { email: ada.email, password });
  const [theirs, hers] = [await stage.auth.sessionOf(attacker.headers), await stage.auth.sessionOf(planted.headers)];
  expect(theirs?.userId).toBe(eve.userId);
  expect(hers?.userId).toBe(ada.userId);
  expect(hers?.sessionId).not.toBe(theirs?.sessionId);
  const invented = stage.browser();
  invented.cookies.set('byok.session_token', 'chosen-by-eve.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D');
  await invented.post('/sign-in/email', { email: ada.email, password });
  expect(invented.cookies.get('byok.session_token')).not.toContain('chosen-by-eve');
});

test('no field of a body sets what is not its business', async () => {
  await using db = await testDb();
  await using stage = await authStage(db, { signUp: 'open' });
  await stage.person('root', 'admin');
  const page = stage.browser();
  const extras = [
    { role: 'admin' },
    { disabledAt: null },
    { id: 'chosen' },
    { emailVerified: true },
    { image: 'x' },
    { userId: 'chosen' },
    { createdAt: 0 },
  ];
  for (const extra of [...extras, JSON.parse('{"__proto__":{"role":"admin"}}'), { constructor: { prototype: { role: 'admin' } } }]) {
    const answer = await page.post('/sign-up/email', { name: 'Eve', email: 'eve@example.com', password, ...extra });
    if (answer.status === 200) throw new Error(`accepted ${JSON.stringify(extra)}`);
  }
  await page.post(
    '/sign-up/email',
    '{"name":"Eve","email":"eve@example.com","password":"correct horse battery","__proto__":{"role":"admin"}}',
  );
  expect(await db.orm.select().from(db.tables.user)).toHaveLength(1);

  expect((await page.post('/sign-up/email', { name: 'Eve', email: 'eve@example.com', password })).status).toBe(200);
  const rowOf = async () => (await db.orm.select().from(db.tables.user).where(eq(db.tables.user.email, 'eve@example.com')))[0];
  const before = await rowOf();
  expect(before).toMatchObject({ role: 'user', disabledAt: null, emailVerified: false });
  for (const extra of [...extras, { email: 'root@example.com' }])
    expect((await page.post('/change-password', { currentPassword: password, newPassword: password, ...extra })).status).toBe(400);
  expect((await page.post('/update-user', { name: 'Eve', role: 'admin' })).status).toBe(404);
  expect(await rowOf()).toEqual(before);
});

test('signing up: 404 while closed, only the named domains, not before the set-up, one account an address', async () => {
  await using db = await testDb();
  await using closed = await authStage(db);
  const eve = { name: 'Eve', email: 'eve@example.com', password };
  expect((await closed.browser().post('/sign-up/email', eve)).status).toBe(404);
  await using open = await authStage(db, { signUp: 'open' });
  expect((await open.browser().post('/sign-up/email', eve)).body).toMatchObject({
    code: 'forbidden',
    detail: expect.stringContaining('set up'),
  });
  await open.person('root', 'admin');
  await using ours = await authStage(db, { signUp: ['ours.example'] });
  for (const email of ['eve@example.com', 'eve@not-ours.example', 'eve@ours.example.com', 'eve@sub.ours.example'])
    expect((await ours.browser().post('/sign-up/email', { ...eve, email })).status).toBe(403);
  const page = ours.browser();
  expect((await page.post('/sign-up/email', { ...eve, email: 'Bob@Ours.example' })).status).toBe(200);
  expect((await page.get('/get-session')).body.user).toMatchObject({ email: 'bob@ours.example', role: 'user' });
  expect((await page.post('/sign-up/email', { ...eve, email: 'bob@ours.example' })).body).toMatchObject({ code: 'conflict', status: 409 });
  const short = await page.post('/sign-up/email', { ...eve, email: 'c@ours.example', password: 'too short' });
  expect(short.body).toMatchObject({ code: 'invalid_input', errors: { password: ['Use at least 12 characters.'] } });
});

test('a disabled user cannot sign in, and the sessions that are open end at once', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const page = stage.browser();
  await page.post('/sign-in/email', { email: ada.email, password });
  const session = await stage.auth.signIn(ada.email, password);
  await db.orm.update(db.tables.user).set({ disabledAt: new Date() }).where(eq(db.tables.user.id, ada.userId));
  expect(await stage.auth.liveSession(session.sessionId)).toBeNull();
  expect(await stage.auth.sessionOf(page.headers)).toBeNull();
  expect((await page.get('/get-session')).body).toBeNull();
  expect((await page.post('/change-password', { currentPassword: password, newPassword: password })).status).toBe(401);
  expect((await page.post('/sign-in/email', { email: ada.email, password })).body).toMatchObject({ code: 'forbidden' });
  await expect(stage.auth.signIn(ada.email, password)).rejects.toMatchObject({ code: 'forbidden' });
  // Only who knows the password learns that the account is disabled.
  expect((await page.post('/sign-in/email', { email: ada.email, password: 'wrong' })).status).toBe(401);
});

test('a session ends by signing out, by its age, and everywhere by a new password', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const [page, other] = [stage.browser(), stage.browser()];
  await page.post('/sign-in/email', { email: ada.email, password });
  await other.post('/sign-in/email', { email: ada.email, password });

  const first = await stage.auth.sessionOf(page.headers);
  const cookie = page.headers;
  expect((await page.post('/sign-out')).status).toBe(200);
  expect(page.cookies.size).toBe(0);
  expect(await stage.auth.liveSession(first?.sessionId ?? '')).toBeNull();
  expect(await stage.auth.sessionOf(cookie)).toBeNull();

  await page.post('/sign-in/email', { email: ada.email, password });
  const wrong = await page.post('/change-password', { currentPassword: 'wrong', newPassword: 'a brand new password' });
  expect(wrong.body).toMatchObject({ code: 'invalid_input', detail: 'The current password is wrong.' });
  const changed = { currentPassword: password, newPassword: 'a brand new password', revokeOtherSessions: false };
  // The other page is one of them, and the JWT's session another.
  await stage.auth.signIn(ada.email, password);
  expect((await page.post('/change-password', changed, { 'user-agent': 'Firefox' })).body).toMatchObject({ ended: 2 });
  const renewed = await stage.auth.sessionOf(page.headers);
  if (!renewed) throw new Error('The page stays signed in.');
  expect(await stage.auth.sessions.list(renewed)).toMatchObject({
    total: 1,
    sessions: [{ current: true, address: '127.0.0.1', userAgent: 'Firefox' }],
  });
  expect(await stage.auth.sessionOf(other.headers)).toBeNull();
  expect(await stage.auth.sessionOf(page.headers)).toMatchObject({ userId: ada.userId });
  await expect(stage.auth.signIn(ada.email, password)).rejects.toMatchObject({ code: 'unauthenticated' });

  await stage.auth.setPassword(ada.userId, await knownHash());
  expect(await stage.auth.sessionOf(page.headers)).toBeNull();
  const last = await stage.auth.signIn(ada.email, password);
  stage.clock.advance(7 * 86_400_000 - 60_000);
  expect(await stage.auth.liveSession(last.sessionId)).toEqual({ userId: ada.userId });
  stage.clock.advance(120_000);
  expect(await stage.auth.liveSession(last.sessionId)).toBeNull();
});

test('the token in the cookie stands in no answer and in no list of sessions', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const page = stage.browser();
  const answers = [
    await page.post('/sign-in/email', { email: ada.email, password }, { 'user-agent': 'Firefox' }),
    await page.get('/get-session'),
  ];
  const { userId, sessionId } = (await stage.auth.sessionOf(page.headers)) ?? {};
  const stored = async () => (await db.orm.select().from(db.tables.session)).map(({ token }) => token);
  const tokens = await stored();
  const listed = JSON.stringify(await stage.auth.sessions.list({ userId: userId ?? '', sessionId: sessionId ?? '' }));
  answers.push(await page.post('/change-password', { currentPassword: password, newPassword: 'a brand new password' }));
  tokens.push(...(await stored()));
  expect(new Set(tokens).size).toBe(2);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(listed).toContain('Firefox');
  for (const token of tokens) {
    for (const text of [listed, ...answers.map((answer) => answer.text)]) expect(text).not.toContain(token);
    // The control: it would be found where it belongs.
    expect(answers.flatMap(({ headers }) => headers.getSetCookie()).join()).toContain(token);
  }
});

test('sessions are listed with what is known of them: the asking one first, then as they were seen, and none that ran out', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const [ada, eve] = [await stage.person('ada'), await stage.person('eve')];
  const { sessions } = stage.auth;
  const asking = await stage.auth.signIn(ada.email, password, { ip: '192.0.2.1', userAgent: 'curl/8.5.0' });
  const from = { ip: '192.0.2.1' };
  const others = [await stage.auth.signIn(ada.email, password, from), await stage.auth.signIn(ada.email, password, from)];
  await stage.auth.signIn(eve.email, password);
  const seen = (id: string, fields: object) => db.orm.update(db.tables.session).set(fields).where(eq(db.tables.session.id, id));
  const [now, hourMs] = [stage.clock.now(), 3_600_000];
  const at = (ms: number) => ({ createdAt: new Date(now - 9 * hourMs), updatedAt: new Date(ms) });
  const [older = '', newer = ''] = others.map(({ sessionId }) => sessionId);
  await seen(asking.sessionId, at(now - 3 * hourMs));
  await seen(older, at(now - 2 * hourMs));
  await seen(newer, at(now - hourMs));
  const iso = (ms: number) => new Date(ms).toISOString();
  const nameless = { address: '192.0.2.1', userAgent: null, current: false, createdAt: iso(now - 9 * hourMs) };
  expect(await sessions.list(asking)).toEqual({
    total: 3,
    sessions: [
      {
        ...nameless,
        id: asking.sessionId,
        lastSeenAt: iso(now - 3 * hourMs),
        userAgent: 'curl/8.5.0',
        current: true,
      },
      { ...nameless, id: newer, lastSeenAt: iso(now - hourMs) },
      { ...nameless, id: older, lastSeenAt: iso(now - 2 * hourMs) },
    ],
  });
  await seen(older, { expiresAt: new Date(now) });
  expect((await sessions.list(asking)).sessions.map(({ id }) => id)).toEqual([asking.sessionId, newer]);
  expect(await sessions.countOthers(asking)).toBe(1);
  expect(await sessions.revokeOthers(asking)).toEqual({ ended: 1 });
  expect(await sessions.revokeOthers(asking)).toEqual({ ended: 0 });
  expect(await stage.auth.liveSession(asking.sessionId)).toEqual({ userId: ada.userId });
  expect(await sessions.list({ userId: eve.userId, sessionId: null })).toMatchObject({ total: 1, sessions: [{ current: false }] });
});

test('of very many sessions the newest hundred are listed, the asking one among them, and all are counted', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const asking = await stage.auth.signIn(ada.email, password);
  const [row] = await db.orm.select().from(db.tables.session);
  if (!row) throw new Error('There is a session.');
  await db.orm.update(db.tables.session).set({ updatedAt: new Date(0) });
  await db.orm
    .insert(db.tables.session)
    .values(Array.from({ length: 120 }, (_, i) => ({ ...row, id: randomUUID(), token: `t${i}`, updatedAt: new Date(1_000 + i) })));
  const { sessions, total } = await stage.auth.sessions.list(asking);
  expect([sessions.length, total, sessions[0]?.id]).toEqual([100, 121, asking.sessionId]);
  expect(sessions[1]?.lastSeenAt).toBe(new Date(1_119).toISOString());
  expect(await stage.auth.sessions.revokeOthers(asking)).toEqual({ ended: 120 });
});

test("nobody ends someone else's session", async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const [ada, eve] = [await stage.person('ada'), await stage.person('eve')];
  const [hers, theirs] = [stage.browser(), stage.browser()];
  await hers.post('/sign-in/email', { email: ada.email, password });
  await theirs.post('/sign-in/email', { email: eve.email, password });
  const [mine, other] = [await stage.auth.sessionOf(hers.headers), await stage.auth.sessionOf(theirs.headers)];
  if (!mine || !other) throw new Error('Both are signed in.');
  await expect(stage.auth.sessions.revoke(eve.userId, mine.sessionId)).rejects.toMatchObject({ code: 'not_found' });
  await expect(stage.auth.sessions.revoke(eve.userId, randomUUID())).rejects.toMatchObject({ code: 'not_found' });
  expect(await stage.auth.sessions.revokeOthers(other)).toEqual({ ended: 0 });
  await theirs.post('/revoke-sessions');
  expect(await stage.auth.sessionOf(hers.headers)).toMatchObject({ userId: ada.userId });
  expect(await stage.auth.sessionOf(theirs.headers)).toBeNull();
  await stage.auth.sessions.revoke(ada.userId, mine.sessionId);
  expect(await stage.auth.sessionOf(hers.headers)).toBeNull();
  await expect(stage.auth.sessions.revoke(ada.userId, mine.sessionId)).rejects.toMatchObject({ code: 'not_found' });
});

test('a page elsewhere cannot act for its visitor', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const ada = await stage.person('ada');
  const page = stage.browser();
  await page.post('/sign-in/email', { email: ada.email, password });
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `${publicUrl}.evil.example` },
    { 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of foreign) {
    for (const path of ['/sign-out', '/revoke-sessions', '/sign-in/email'])
      expect((await page.post(path, path === '/sign-in/email' ? { email: ada.email, password } : {}, headers)).status).toBe(403);
  }
  const cookie = page.headers.cookie;
  const noOrigin = await stage.request('/api/auth/revoke-sessions', {
    method: 'POST',
    body: '{}',
    headers: { cookie, 'content-type': 'application/json' },
  });
  expect(noOrigin.status).toBe(403);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
    expect((await page.post('/sign-out', '{}', { 'content-type': type })).status).toBe(415);
  expect((await page.post('/sign-out', '{}', { 'content-encoding': 'gzip' })).status).toBe(415);
  expect(await stage.auth.sessionOf(page.headers)).toMatchObject({ userId: ada.userId });
  expect((await page.get('/get-session', { origin: 'https://evil.example' })).headers.get('access-control-allow-origin')).toBeNull();
});

test('bodies are bounded, and what is no JSON object is refused', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const page = stage.browser();
  expect((await page.post('/sign-in/email', `{"email":"${'x'.repeat(70_000)}"}`)).status).toBe(413);
  const chunks = new ReadableStream({ start: (c) => { for (let i = 0; i < 20; i += 1) c.enqueue(Buffer.alloc(8_192, 32)); c.close(); } }); // biome-ignore format: one line
  const endless = { method: 'POST', body: chunks, duplex: 'half', headers: { 'content-type': 'application/json' } };
  expect((await stage.request('/api/auth/sign-in/email', endless as RequestInit)).status).toBe(413);
  for (const body of ['{', '[]', '"x"', 'null', '{"email":{"$ne":""},"password":["x"]}', '{"email":"ada@example.com"}'])
    expect((await page.post('/sign-in/email', body)).body).toMatchObject({ code: 'invalid_input', status: 400 });
});

test('guessing is slowed down for an address and for an account, signed in or not', async () => {
  await using db = await testDb();
  // The library's counts outlive its instances, so each run comes from an address of its own.
  const from = { 'x-forwarded-for': `10.${randomInt(256)}.${randomInt(256)}.${randomInt(256)}` };
  await using stage = await authStage(db, { rateLimit: true, trustedProxies: ['127.0.0.1'] });
  const [ada, bob] = [await stage.person('ada'), await stage.person('bob')];
  const page = stage.browser();
  const statuses = [(await page.post('/sign-in/email', { email: bob.email, password }, from)).status];
  for (let i = 0; i < 3; i += 1)
    statuses.push((await page.post('/sign-in/email', { email: ada.email, password: `guess ${i}` }, from)).status);
  expect(statuses).toEqual([200, 401, 401, 429]);
  const refused = await page.post('/sign-in/email', { email: 'nobody@example.com', password }, from);
  expect(refused.body.code).toBe('limit_reached');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);

  const guess = (i: number) => stage.auth.signIn(ada.email, `guess ${i}`, { ip: `192.0.2.${i}` });
  const guesses = await Promise.allSettled(Array.from({ length: 25 }, (_, i) => guess(i)));
  const codes = guesses.map((one) => one.status === 'rejected' && one.reason.code);
  // Three of the account's twenty were used up by the page.
  expect(codes).toEqual([...Array(17).fill('unauthenticated'), ...Array(8).fill('limit_reached')]);
  await expect(stage.auth.signIn(ada.email, password)).rejects.toMatchObject({ code: 'limit_reached', retryAfterMs: expect.any(Number) });
  stage.clock.advance(15 * 60_000);
  expect(await stage.auth.signIn(ada.email, password)).toMatchObject({ userId: ada.userId });
});

test('an address is believed only from a proxy that the operator named', async () => {
  await using db = await testDb();
  const ipOf = async (trustedProxies: string[]) => {
    await using stage = await authStage(db, { trustedProxies });
    const { email } = await stage.person(`ada${trustedProxies.length}`);
    await stage
      .browser()
      .post('/sign-in/email', { email, password }, { 'x-forwarded-for': '6.6.6.6, 203.0.113.9', 'x-byok-address': '7.7.7.7' });
    const rows = await db.orm.select({ ip: db.tables.session.ipAddress }).from(db.tables.session);
    await db.orm.delete(db.tables.session);
    return rows[0]?.ip;
  };
  expect(await ipOf([])).toBe('127.0.0.1');
  expect(await ipOf(['127.0.0.0/8'])).toBe('203.0.113.9');
});

test('a database that fails is said to fail, and nothing is printed', async () => {
  const printed = (['error', 'warn', 'log', 'info', 'debug'] as const).map((name) => vi.spyOn(console, name));
  try {
    await using db = await testDb();
    await using stage = await authStage(db);
    const ada = await stage.person('ada');
    const page = stage.browser();
    await page.post('/sign-in/email', { email: ada.email, password: 'wrong' });
    await page.post('/sign-in/email', { email: ada.email, password });
    await page.post('/sign-out', {}, { origin: 'https://evil.example' });
    await db.commit([{ sql: 'drop table session', params: [] }]);
    expect((await stage.browser().post('/sign-in/email', { email: ada.email, password })).body).toMatchObject({
      code: 'storage_unavailable',
    });
    await expect(stage.auth.signIn(ada.email, password)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect((await page.post('/sign-out')).status).toBeGreaterThanOrEqual(500);
    expect(stage.errors).toHaveLength(2);
    for (const spy of printed) expect(spy.mock.calls).toEqual([]);
  } finally {
    vi.restoreAllMocks();
  }
});
