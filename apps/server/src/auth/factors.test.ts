import { createKeyring } from '@synthstack/core/keyring';
import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../../test/app.ts';
import { authStage } from '../../test/auth.ts';
import { startSmtp } from '../../test/smtp.ts';
import { codeAt, stepAt } from './totp.ts';

const headers = { origin: 'http://byok.test' };
const stepMs = 30_000;
const quarterMs = 15 * 60_000;

/** The other way round: what an app does with the secret that is typed into it. */
function decode32(text: string): Buffer {
  const bits = [...text].map((sign) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(sign).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

function phone(app: TestApp, secret: string) {
  return (offset = 0) => codeAt(decode32(secret), stepAt(app.clock.now()) + offset);
}

/** Somebody with two-factor authentication on, and the code of a moment that has passed. */
async function protectedPerson(app: TestApp) {
  const who = await app.person();
  const { factors } = app.app.auth;
  const { secret } = await factors.begin(who.id, who.email);
  const code = phone(app, secret);
  const codes = await factors.confirm({ userId: who.id, sessionId: null }, code());
  app.clock.advance(stepMs);
  return { who, code, codes };
}

const page = (app: TestApp, { email }: Person, more: object = {}) =>
  app.fetch(null, '/api/auth/sign-in/email', { json: { email, password, ...more }, headers });
const script = (app: TestApp, { email }: Person, more: object = {}) =>
  app.fetch(null, '/api/v1/auth/token', { json: { email, password, ...more } });
const sessionsOf = async (app: TestApp, { id }: Person) => {
  const { session } = app.app.db.tables;
  return app.app.db.orm.select({ id: session.id }).from(session).where(eq(session.userId, id));
};
const codeOf = async (res: Response) => ((await res.json()) as { code?: string }).code;

test('it is on only after a right code, ends sessions that were opened without one, and then no door opens with the password alone', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const { auth } = app.app;
  const [mine, other] = [await auth.signIn(ada.email, password), await auth.signIn(ada.email, password)];
  const asking = { userId: ada.id, sessionId: mine.sessionId };
  await expect(auth.factors.confirm(asking, '000000')).rejects.toMatchObject({ code: 'conflict' });
  const { secret, uri } = await auth.factors.begin(ada.id, ada.email);
  expect(uri).toContain(`secret=${secret}&issuer=byok.test`);
  const code = phone(app, secret);
  await expect(auth.factors.confirm(asking, code(5))).rejects.toMatchObject({ code: 'invalid_input' });
  expect(await auth.factors.state(ada.id)).toBeNull();
  expect((await page(app, ada)).status).toBe(200);
  const codes = await auth.factors.confirm(asking, code());
  expect(codes).toHaveLength(10);
  expect(new Set(codes).size).toBe(10);
  expect(await auth.factors.state(ada.id)).toMatchObject({ codesLeft: 10 });
  expect(await sessionsOf(app, ada)).toEqual([{ id: mine.sessionId }]);
  expect(await auth.liveSession(other.sessionId)).toBeNull();
  await expect(auth.factors.begin(ada.id, ada.email)).rejects.toMatchObject({ code: 'conflict' });

  for (const door of [page, script]) {
    const refused = await door(app, ada);
    expect([refused.status, await codeOf(refused)]).toEqual([401, 'second_factor_required']);
    const wrong = await door(app, ada, { code: code(7) });
    expect([wrong.status, await codeOf(wrong)]).toEqual([401, 'second_factor_required']);
    // Who does not know the password does not learn that there is a second factor, even with its code.
    const guess = await door(app, ada, { password: 'not the password', code: code(1) });
    expect([guess.status, await codeOf(guess)]).toEqual([401, 'unauthenticated']);
  }
  expect(await sessionsOf(app, ada)).toHaveLength(1);
  app.clock.advance(stepMs);
  expect((await page(app, ada, { code: code() })).headers.getSetCookie()[0]).toMatch(/^byok\.session_token=/);
  app.clock.advance(stepMs);
  expect((await script(app, ada, { code: ` ${code().slice(0, 3)} ${code().slice(3)}` })).status).toBe(200);
  expect(await sessionsOf(app, ada)).toHaveLength(3);
});

test('a code is taken once, whatever many sign in with it at once, and none from before it', async () => {
  await using app = await testApp();
  const { who, code } = await protectedPerson(app);
  const answers = await Promise.all(Array.from({ length: 4 }, () => page(app, who, { code: code() })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
  expect((await page(app, who, { code: code() })).status).toBe(401);
  app.clock.advance(quarterMs);
  expect((await page(app, who, { code: code(1) })).status).toBe(200);
  expect((await page(app, who, { code: code() })).status).toBe(401);
  expect(await sessionsOf(app, who)).toHaveLength(2);
});

test('five wrong codes close the door for a quarter of an hour, to right ones too, and after a restart', async () => {
  await using app = await testApp();
  const { who, code, codes } = await protectedPerson(app);
  const tries = await Promise.all(Array.from({ length: 8 }, () => page(app, who, { code: code(9) })));
  expect(tries.map(({ status }) => status).sort()).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
  await app.restart();
  const closed = await page(app, who, { code: code() });
  expect([closed.status, Number(closed.headers.get('retry-after'))]).toEqual([429, expect.toSatisfy((s: number) => s > 0 && s <= 900)]);
  expect((await script(app, who, { code: codes[0] })).status).toBe(429);
  app.clock.advance(quarterMs);
  expect((await page(app, who, { code: code() })).status).toBe(200);
});

test('each backup code opens once, written as people write it; it is told; new ones void the old', async () => {
  await using app = await testApp();
  const { who, code, codes } = await protectedPerson(app);
  const { factors } = app.app.auth;
  const typed = (codes[0] ?? '').toLowerCase().replaceAll('-', ' ');
  const both = await Promise.all([1, 2].map(() => page(app, who, { code: typed })));
  expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
  expect(await factors.state(who.id)).toMatchObject({ codesLeft: 9 });
  expect((await app.app.notices.list(who.id)).map(({ data }) => data.event)).toContain('code_used');
  await expect(factors.renewCodes(who.id, code(9))).rejects.toMatchObject({ code: 'invalid_input' });
  const fresh = await factors.renewCodes(who.id, code());
  expect((await page(app, who, { code: codes[1] })).status).toBe(401);
  expect((await page(app, who, { code: fresh[1] })).status).toBe(200);
  // Another user's codes are nobody else's.
  const other = await protectedPerson(app);
  expect((await page(app, other.who, { code: fresh[2] })).status).toBe(401);
});

test('in the database lie no secret and no backup code, and a row in another place does not open', async () => {
  await using app = await testApp();
  const { who: ada, codes } = await protectedPerson(app);
  const { who: eve, code } = await protectedPerson(app);
  const { db, keyring } = app.app;
  const { twoFactor, backupCode } = db.tables;
  const rows = await db.orm.select().from(twoFactor);
  const [row] = rows.filter(({ userId }) => userId === ada.id);
  if (!row) throw new Error('There is a row.');
  const secret = keyring.open('totp', [ada.id], row);
  expect(secret).toHaveLength(20);
  expect(app.everythingWritten().includes(secret)).toBe(false);
  expect(row.encryptedBlob.includes(secret)).toBe(false);
  const stored = JSON.stringify(await db.orm.select().from(backupCode));
  for (const one of codes) expect(stored.includes(one) || stored.includes(one.replaceAll('-', ''))).toBe(false);
  const { encryptedBlob, nonce, masterKeyId } = rows.find(({ userId }) => userId === eve.id) ?? row;
  await db.orm.delete(twoFactor).where(eq(twoFactor.userId, eve.id));
  await db.orm.update(twoFactor).set({ encryptedBlob, nonce, masterKeyId }).where(eq(twoFactor.userId, ada.id));
  // Whoever can write to the database cannot give somebody else's app to an account.
  const refused = await page(app, ada, { code: code() });
  expect([refused.status, await codeOf(refused)]).toEqual([403, 'key_unusable']);
  const stranger = createKeyring({ current: '1f2e3d4c5b6a79880716253443526170a9b8c7d6e5f40312213e4d5c6b7a8990' });
  expect(() => stranger.open('totp', [ada.id], row)).toThrow();
});

test('switching off takes password and code; the operator can take it away from who has lost everything, which is told', async () => {
  await using app = await testApp();
  const { who, code } = await protectedPerson(app);
  const cookie = (await page(app, who, { code: code() })).headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const call = (name: string, json: unknown) => app.fetch(null, `/trpc/accounts.${name}`, { json, headers: { ...headers, cookie } });
  app.clock.advance(stepMs);
  expect((await call('beginFactor', { password: 'wrong' })).status).toBe(400);
  expect((await call('beginFactor', { password })).status).toBe(409);
  expect((await call('disableFactor', { password: 'wrong', code: code() })).status).toBe(400);
  expect((await call('disableFactor', { password, code: code(9) })).status).toBe(400);
  expect((await page(app, who)).status).toBe(401);
  expect((await call('disableFactor', { password, code: code() })).status).toBe(200);
  expect((await page(app, who)).status).toBe(200);

  const { who: eve } = await protectedPerson(app);
  await app.app.auth.resetFactors(eve.id, 'cli');
  expect((await page(app, eve)).status).toBe(200);
  expect(await app.app.auth.factors.state(eve.id)).toBeNull();
  const rows = await app.app.audit.list({ limit: 50 });
  expect(rows.map(({ action }) => action)).toEqual(expect.arrayContaining(['factor.enabled', 'factor.disabled', 'factor.reset']));
  expect(rows.find(({ action }) => action === 'factor.reset')).toMatchObject({ actor: 'cli', subject: eve.id });
  expect((await app.app.notices.list(eve.id)).map(({ data }) => data.event)).toContain('factors_reset');
});

test('a sign-in from a new place is told of only once it is one: after the second factor', async () => {
  await using app = await testApp();
  const { who, code } = await protectedPerson(app);
  const from = (agent: string, more: object) =>
    app.fetch(null, '/api/auth/sign-in/email', {
      json: { email: who.email, password, ...more },
      headers: { ...headers, 'user-agent': agent },
    });
  await from('first/1', { code: code() });
  app.clock.advance(stepMs);
  const told = async () => (await app.app.notices.list(who.id)).filter(({ kind }) => kind === 'new_sign_in').length;
  await from('thief/1', {});
  await from('thief/1', { code: code(9) });
  expect(await told()).toBe(0);
  await from('second/1', { code: code() });
  expect(await told()).toBe(1);
});

test('a new password by link does not spare the second factor', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: { SMTP_URL: smtp.url, MAIL_FROM: 'byok@example.com' } });
  const { who } = await protectedPerson(app);
  const token = new URL(await app.app.auth.links.makeReset(who.id, 'cli')).searchParams.get('token') ?? '';
  const fresh = 'another battery staple horse';
  await app.app.auth.links.reset(token, fresh);
  expect(await codeOf(await page(app, who, { password: fresh }))).toBe('second_factor_required');
});

test('guessing passwords is slowed down alike, so that nothing tells who has a second factor', async () => {
  await using db = await testDb();
  await using stage = await authStage(db, { rateLimit: true });
  const seen = [];
  for (const name of ['ada', 'eve']) {
    const who = await stage.person(name);
    if (name === 'ada') {
      const { secret } = await stage.auth.factors.begin(who.userId, who.email);
      await stage.auth.factors.confirm({ ...who, sessionId: null }, codeAt(decode32(secret), stepAt(stage.clock.now())));
    }
    const statuses = [];
    for (const waitMs of [0, 0, 0, 0, 10_000]) {
      stage.clock.advance(waitMs);
      const { status, body } = await stage.browser().post('/sign-in/email', { email: who.email, password: 'not the password' });
      statuses.push([status, body.code, body.detail]);
    }
    seen.push(statuses);
    stage.clock.advance(10_000);
  }
  expect(seen[0]).toEqual(seen[1]);
  expect(seen[0]?.map(([status]) => status)).toEqual([401, 401, 401, 429, 401]);
});
