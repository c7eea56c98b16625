import { hash } from 'node:crypto';
import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { password, type TestApp, testApp } from '../../test/app.ts';
import { authStage } from '../../test/auth.ts';
import { findPlanted } from '../../test/planted.ts';
import { type SmtpServer, startSmtp } from '../../test/smtp.ts';

const hourMs = 3_600_000;
const newPassword = 'another battery staple horse';
const mailEnv = (smtp: SmtpServer) => ({ SMTP_URL: smtp.url, MAIL_FROM: 'byok@example.com' });

async function sent(app: TestApp): Promise<void> {
  await app.app.auth.links.idle();
  app.clock.advance(5_000);
  await app.app.post.idle();
}

const call = (app: TestApp, procedure: string, json: unknown) => app.fetch(null, `/trpc/accounts.${procedure}`, { json });
const signIn = (app: TestApp, email: string, secret: string) =>
  app.fetch(null, '/api/auth/sign-in/email', { json: { email, password: secret }, headers: { origin: 'http://byok.test' } });
const tokenIn = (smtp: SmtpServer, page: string): string =>
  new RegExp(`http://byok\\.test/${page}\\?token=([\\w-]{43})\\s`).exec(smtp.received.at(-1)?.text ?? '')?.[1] ?? '';
const actionsOf = async (app: TestApp, subject: string) => (await app.app.audit.list({ subject, limit: 9 })).map(({ action }) => action);

test('a forgotten password: a link by e-mail that works once, signs out everywhere, is in the audit trail, and is told', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const ada = await app.person();
  const session = await app.app.auth.signIn(ada.email, password);
  expect((await call(app, 'askReset', { email: ada.email.toUpperCase() })).status).toBe(200);
  await sent(app);
  const [mail] = smtp.received;
  expect([mail?.to, mail?.headers.subject]).toEqual([[ada.email], 'Choose a new password']);
  const token = tokenIn(smtp, 'reset-password');
  expect(token).not.toBe('');
  // Neither the table, nor what was sent, nor the log keeps it.
  expect(findPlanted(token, app.everythingWritten())).toEqual([]);

  expect((await call(app, 'resetPassword', { token, password: 'short' })).status).toBe(400);
  expect((await call(app, 'resetPassword', { token: `${token.slice(1)}x`, password: newPassword })).status).toBe(403);
  const both = await Promise.all([1, 2].map(() => call(app, 'resetPassword', { token, password: newPassword })));
  expect(both.map(({ status }) => status).sort()).toEqual([200, 403]);
  expect(await app.app.auth.liveSession(session.sessionId)).toBeNull();
  expect((await signIn(app, ada.email, password)).status).toBe(401);
  expect((await signIn(app, ada.email, newPassword)).status).toBe(200);
  expect((await call(app, 'resetPassword', { token, password })).status).toBe(403);
  expect(await actionsOf(app, ada.id)).toContain('account.password_reset');
  const told = (await app.app.notices.list(ada.id)).filter(({ kind }) => kind === 'account_security');
  expect(told).toMatchObject([{ data: { event: 'password_reset' } }]);
});

test('a link runs out after an hour, and asking again does not spoil one that was sent', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const ada = await app.person();
  await call(app, 'askReset', { email: ada.email });
  await sent(app);
  const first = tokenIn(smtp, 'reset-password');
  for (let i = 0; i < 9; i += 1) {
    await call(app, 'askReset', { email: ada.email });
    await sent(app);
  }
  expect(smtp.received).toHaveLength(5);
  const last = tokenIn(smtp, 'reset-password');
  expect((await call(app, 'resetPassword', { token: first, password: newPassword })).status).toBe(200);
  // One of them was used, which ends the others.
  expect((await call(app, 'resetPassword', { token: last, password })).status).toBe(403);
  app.clock.advance(hourMs);
  await app.app.post.idle();
  await call(app, 'askReset', { email: ada.email });
  await sent(app);
  const late = tokenIn(smtp, 'reset-password');
  expect(late).not.toBe(last);
  app.clock.advance(hourMs);
  expect((await call(app, 'resetPassword', { token: late, password })).status).toBe(403);
  const { db } = app.app;
  await app.app.auth.links.forgetOld();
  expect(await db.orm.select().from(db.tables.accountLink)).toEqual([]);
});

test('for an address that nobody has, and for one who is disabled, the answer is the same, and nothing is written', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const [ada, eve] = [await app.person(), await app.person()];
  const { db } = app.app;
  await db.orm.update(db.tables.user).set({ disabledAt: new Date() }).where(eq(db.tables.user.id, eve.id));
  const answers = [];
  for (const email of ['nobody@example.com', eve.email, ada.email]) {
    const res = await call(app, 'askReset', { email });
    answers.push([res.status, await res.text()]);
  }
  expect(new Set(answers.map(String)).size).toBe(1);
  await sent(app);
  expect(smtp.received.map(({ to }) => to[0])).toEqual([ada.email]);
  expect((await db.orm.select().from(db.tables.accountLink)).map(({ userId }) => userId)).toEqual([ada.id]);
});

test('asking is limited for an address whether anybody has it or not', async () => {
  await using db = await testDb();
  await using stage = await authStage(db, { rateLimit: true, mail: { available: true, secretEntry: async () => [] } });
  const ada = await stage.person('ada');
  const untilRefused = (email: string) => {
    for (let tries = 0; tries < 50; tries += 1)
      try {
        stage.auth.askReset(email, `192.0.2.${tries}`);
      } catch (error) {
        return [tries, (error as { code: string }).code];
      }
    return null;
  };
  expect(untilRefused(ada.email)).toEqual([20, 'limit_reached']);
  expect(untilRefused('nobody@example.com')).toEqual([20, 'limit_reached']);
  await stage.auth.links.idle();
});

test('without e-mail the page is told so, and the operator makes a link, which is in the audit trail', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const refused = await call(app, 'askReset', { email: ada.email });
  expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('This server sends no e-mail.')]);
  const link = new URL(await app.app.auth.links.makeReset(ada.id, 'cli'));
  expect(link.pathname).toBe('/reset-password');
  const token = link.searchParams.get('token') ?? '';
  const { db } = app.app;
  expect(await db.orm.select().from(db.tables.accountLink)).toMatchObject([{ tokenHash: hash('sha256', token), kind: 'reset_password' }]);
  expect((await call(app, 'confirmEmail', { token })).status).toBe(403);
  expect((await call(app, 'resetPassword', { token, password: newPassword })).status).toBe(200);
  expect((await signIn(app, ada.email, newPassword)).status).toBe(200);
  expect(await actionsOf(app, ada.id)).toEqual(expect.arrayContaining(['account.reset_link_made', 'account.password_reset']));
});

test('who signs up at a domain of the operator proves the address before signing in', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: { ...mailEnv(smtp), SIGNUP: 'ours.example' } });
  await app.person({ admin: true });
  const email = 'bob@ours.example';
  const headers = { origin: 'http://byok.test' };
  const answer = await app.fetch(null, '/api/auth/sign-up/email', { json: { name: 'Bob', email, password }, headers });
  expect([answer.status, answer.headers.getSetCookie(), await answer.json()]).toEqual([200, [], { confirm: true }]);
  await sent(app);
  const first = tokenIn(smtp, 'verify-email');
  expect(smtp.received.map(({ to, headers: { subject } }) => [to[0], subject])).toEqual([[email, 'Confirm your e-mail address']]);
  // Only the right password says that it has to be confirmed, and sends another link.
  expect((await signIn(app, email, 'not the password')).status).toBe(401);
  await sent(app);
  expect(smtp.received).toHaveLength(1);
  const refused = await signIn(app, email, password);
  expect([refused.status, refused.headers.getSetCookie(), await refused.text()]).toEqual([
    403,
    [],
    expect.stringContaining('Confirm your'),
  ]);
  await expect(app.app.auth.signIn(email, password)).rejects.toMatchObject({ code: 'forbidden' });
  await sent(app);
  expect(smtp.received.length).toBeGreaterThan(1);
  // A day later the links have run out, but the address is still not proved.
  const { db } = app.app;
  await db.orm.update(db.tables.accountLink).set({ expiresAt: new Date(app.clock.now()) });
  await app.app.auth.links.forgetOld();
  expect((await call(app, 'confirmEmail', { token: first })).status).toBe(403);
  expect((await signIn(app, email, password)).status).toBe(403);
  await sent(app);
  const token = tokenIn(smtp, 'verify-email');
  expect((await call(app, 'confirmEmail', { token })).status).toBe(200);
  expect((await call(app, 'confirmEmail', { token })).status).toBe(403);
  expect((await signIn(app, email, password)).status).toBe(200);
  const { id } = await app.app.accounts.byEmail(email);
  expect(await actionsOf(app, id)).toContain('account.email_confirmed');
});

test('an address that a stranger signed up with is its owner’s by a link to a new password', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: { ...mailEnv(smtp), SIGNUP: 'ours.example' } });
  await app.person({ admin: true });
  const email = 'carol@ours.example';
  const headers = { origin: 'http://byok.test' };
  await app.fetch(null, '/api/auth/sign-up/email', { json: { name: 'Eve', email, password }, headers });
  await call(app, 'askReset', { email });
  await sent(app);
  const token = smtp.received.map(({ text }) => /reset-password\?token=([\w-]+)/.exec(text)?.[1]).find(Boolean);
  expect((await call(app, 'resetPassword', { token, password: newPassword })).status).toBe(200);
  expect((await signIn(app, email, password)).status).toBe(401);
  expect((await signIn(app, email, newPassword)).status).toBe(200);
});

test('a new password of one’s own is in the audit trail and told, in the same write', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const headers = { origin: 'http://byok.test' };
  const signedIn = await signIn(app, ada.email, password);
  const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const change = (currentPassword: string, fresh: string) =>
    app.fetch(null, '/api/auth/change-password', {
      json: { currentPassword, newPassword: fresh },
      headers: { ...headers, cookie },
    });
  expect((await change('wrong', newPassword)).status).toBe(400);
  expect(await actionsOf(app, ada.id)).not.toContain('account.password_changed');
  // Somebody who reads her e-mail may have asked for one.
  const before = new URL(await app.app.auth.links.makeReset(ada.id, 'cli')).searchParams.get('token');
  expect((await change(password, newPassword)).status).toBe(200);
  expect(await actionsOf(app, ada.id)).toContain('account.password_changed');
  expect((await call(app, 'resetPassword', { token: before, password })).status).toBe(403);
  expect(await app.app.notices.list(ada.id)).toMatchObject([{ data: { event: 'password_changed' } }]);
});
