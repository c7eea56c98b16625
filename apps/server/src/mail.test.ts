import { randomBytes, randomUUID } from 'node:crypto';
import { Secret } from '@synthstack/core/secret';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type TestApp, testApp } from '../test/app.ts';
import { findPlanted } from '../test/planted.ts';
import { type SmtpServer, startSmtp } from '../test/smtp.ts';

const minuteMs = 60_000;
const mailEnv = (smtp: SmtpServer) => ({ SMTP_URL: smtp.url, MAIL_FROM: 'SynthStack <byok@example.com>' });

/** The next look at the outbox, or ten of them spread over that time; each is at its end. */
async function later(app: TestApp, ms = 5_000): Promise<void> {
  const stepMs = Math.max(5_000, ms / 10);
  for (let goneMs = 0; goneMs < ms; goneMs += stepMs) {
    app.clock.advance(stepMs);
    await app.app.post.idle();
  }
}

const rowsOf = (app: TestApp) => app.app.db.orm.select().from(app.app.db.tables.mailOutbox);
const tell = (app: TestApp, userId: string, data: Record<string, string> = { provider: 'openai', keyHint: '****...abc1' }) =>
  app.app.db.commit([app.app.notices.entry({ userId, kind: 'key_invalid', dedupe: randomUUID(), data })]);

test('a key that the provider refuses is told by e-mail, in the language and at the address of its owner', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp), platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'revoked' } });
  await app.app.accounts.update(ada.id, { locale: 'de-AT' });
  await app.chat(ada, 'hello');
  await later(app);
  expect(smtp.received).toHaveLength(1);
  const [mail] = smtp.received;
  expect(mail?.to).toEqual([ada.email]);
  expect(mail?.headers.subject).toBe('OpenAI nimmt deinen Schlüssel nicht mehr an');
  expect(mail?.text).toContain('Zu deinen Schlüsseln:\nhttp://byok.test/settings/api-keys');
  expect(mail?.html).toMatch(/^<!doctype html><html lang="de">/);
  // Its words are gone as soon as it is sent, and it is not sent again.
  expect(await rowsOf(app)).toMatchObject([{ state: 'sent', data: null, attempts: 1, dueAt: null }]);
  await later(app, 60 * minuteMs);
  expect(smtp.received).toHaveLength(1);
  expect(findPlanted(ada.secrets.openai ?? '', Buffer.from(smtp.received.map(({ raw }) => raw).join('')))).toEqual([]);
});

test('who does not want a kind by e-mail gets none, nor does who is disabled; each administrator gets what is for them', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const [ada, bob, eve] = [await app.person(), await app.person(), await app.person()];
  const [root, boss] = [await app.person({ admin: true }), await app.person({ admin: true })];
  const { notices, db } = app.app;
  await notices.preferences.set(ada.id, false, { kind: 'key_invalid', email: false });
  await notices.preferences.set(boss.id, true, { kind: 'rotation_due', email: false });
  await db.orm
    .update(db.tables.user)
    .set({ disabledAt: new Date(app.clock.now()) })
    .where(eq(db.tables.user.id, eve.id));
  for (const { id } of [ada, bob, eve]) await tell(app, id);
  await db.commit([notices.entry({ userId: 'administrators', kind: 'rotation_due', dedupe: 'x', data: { masterKeyId: 'mk_1' } })]);
  await db.commit([notices.entry({ userId: bob.id, kind: 'fallback_used', dedupe: 'y', data: { provider: 'openai', reason: 'bad_key' } })]);
  await later(app);
  expect(smtp.received.map(({ to }) => to[0]).sort()).toEqual([bob.email, root.email].sort());
});

test('nothing that somebody typed reaches a header, and what reaches the page of the e-mail is text', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const ada = await app.person();
  await tell(app, ada.id, { provider: 'x\r\nBcc: eve@example.com\r\n\r\n<script>', keyHint: '"><img src=x onerror=alert(1)>' });
  await later(app);
  const [mail] = smtp.received;
  expect(mail?.to).toEqual([ada.email]);
  expect(Object.keys(mail?.headers ?? {}).sort()).toEqual(
    ['auto-submitted', 'content-type', 'date', 'from', 'message-id', 'mime-version', 'subject', 'to'].sort(),
  );
  expect(mail?.headers.subject).toBe('x Bcc: eve@example.com <script> no longer accepts your key');
  expect(mail?.html).not.toMatch(/<script|<img/);
  expect(mail?.html).toContain('&lt;img src=x onerror=alert(1)&gt;');
});

test('a server that is away is tried again, further and further apart, for a day; then administrators are told', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const ada = await app.person();
  smtp.script.set('RCPT', '451 try again later');
  await tell(app, ada.id);
  await later(app);
  const waits: number[] = [];
  for (let [row] = await rowsOf(app); row?.dueAt; [row] = await rowsOf(app)) {
    const waitMs = row.dueAt.getTime() - app.clock.now();
    waits.push(Math.round(waitMs / minuteMs));
    await later(app, waitMs + 1_000);
    // However often somebody looks, nothing is tried before its time.
    expect(smtp.said.filter((line) => line.startsWith('RCPT')).length).toBeLessThanOrEqual(waits.length + 1);
  }
  expect(waits).toEqual([1, 5, 15, 60, 180, 360, 760]);
  expect(await rowsOf(app)).toMatchObject([{ state: 'failed', lastError: 'recipient', data: null, attempts: 8 }]);
  // One each day on which something failed.
  const told = (await app.app.notices.list('administrators')).map(({ kind, data }) => `${kind} ${data.reason}`);
  expect([...new Set(told)]).toEqual(['mail_failed recipient']);
  expect(told.length).toBeLessThanOrEqual(2);
  smtp.script.clear();
  await later(app, 10 * minuteMs);
  expect(smtp.received).toEqual([]);
});

test('what comes back in time is sent, once; what will never be taken is given up at once', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const ada = await app.person();
  smtp.script.set('greeting', 'close');
  await tell(app, ada.id);
  await later(app);
  expect(await rowsOf(app)).toMatchObject([{ state: 'waiting', lastError: 'unreachable', attempts: 1 }]);
  smtp.script.clear();
  await later(app, 2 * minuteMs);
  expect(smtp.received).toHaveLength(1);
  const [row] = await rowsOf(app);
  expect(smtp.received[0]?.headers['message-id']).toBe(`<${row?.id}@example.com>`);
  smtp.script.set('RCPT', '550 no such user');
  await tell(app, ada.id);
  await later(app);
  expect((await rowsOf(app)).map(({ state }) => state).sort()).toEqual(['failed', 'sent']);
});

test('a server that took a message without saying so gets it no second time', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const ada = await app.person();
  smtp.script.set('message', 'take-and-close');
  await tell(app, ada.id);
  await later(app);
  smtp.script.clear();
  await later(app, 24 * 60 * minuteMs);
  expect(smtp.received).toHaveLength(1);
  expect(await rowsOf(app)).toMatchObject([{ state: 'uncertain', data: null }]);
});

test('a process that died while sending leaves it unsent rather than twice; two that look at once send each once', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const { db, mail } = app.app;
  const { mailOutbox } = db.tables;
  const people = await Promise.all(Array.from({ length: 12 }, () => app.person()));
  await db.commit(people.map(({ id }) => mail.entry({ userId: id, kind: 'notice.key_invalid', data: {} })));
  const [dead] = await rowsOf(app);
  await db.orm
    .update(mailOutbox)
    .set({ state: 'sending', attempts: 1, dueAt: new Date(app.clock.now() + 5 * minuteMs) })
    .where(eq(mailOutbox.id, dead?.id ?? ''));
  await Promise.all([mail.run(), mail.run(), mail.run()]);
  expect(smtp.received).toHaveLength(11);
  expect(new Set(smtp.received.map(({ to }) => to[0])).size).toBe(11);
  await later(app, 6 * minuteMs);
  expect(smtp.received).toHaveLength(11);
  expect((await rowsOf(app)).find(({ id }) => id === dead?.id)).toMatchObject({ state: 'uncertain', lastError: 'interrupted' });
});

test('a link that opens something lies sealed, is sent in time, and is nowhere afterwards', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const ada = await app.person();
  const { db, mail } = app.app;
  const token = randomBytes(24).toString('base64url');
  const expiresAt = new Date(app.clock.now() + 30 * minuteMs);
  const put = async () =>
    db.commit(await mail.secretEntry({ userId: ada.id, kind: 'reset_password', secret: new Secret(`/reset?token=${token}`), expiresAt }));
  await put();
  expect(await rowsOf(app)).toMatchObject([{ state: 'waiting', kind: 'reset_password', data: {} }]);
  expect(findPlanted(token, app.everythingWritten())).toEqual([]);
  await later(app);
  expect(smtp.received[0]?.text).toContain(`http://byok.test/reset?token=${token}`);
  expect(smtp.received[0]?.html).toContain(`<a href="http://byok.test/reset?token=${token}">`);
  expect(await rowsOf(app)).toMatchObject([{ state: 'sent', encryptedBlob: null, nonce: null, masterKeyId: null }]);
  expect(findPlanted(token, app.everythingWritten())).toEqual([]);

  // What has been moved to another row does not open there.
  await put();
  const waiting = (await rowsOf(app)).find(({ state }) => state === 'waiting');
  const moved = { ...waiting, id: randomUUID() } as typeof db.tables.mailOutbox.$inferInsert;
  await db.orm.insert(db.tables.mailOutbox).values(moved);
  smtp.script.set('greeting', 'close');
  await later(app);
  expect((await rowsOf(app)).find(({ id }) => id === moved.id)).toMatchObject({ state: 'failed', lastError: 'unreadable' });
  // Too late, it is of no use.
  await later(app, 31 * minuteMs);
  smtp.script.clear();
  await later(app, 24 * 60 * minuteMs);
  expect(smtp.received).toHaveLength(1);
  expect((await rowsOf(app)).find(({ id }) => id === waiting?.id)).toMatchObject({ state: 'expired', encryptedBlob: null });
});

test('nobody gets more than ten notices an hour by e-mail, and none of them keeps a link to a new password away', async () => {
  await using smtp = await startSmtp();
  await using app = await testApp({ env: mailEnv(smtp) });
  const [ada, bob] = [await app.person(), await app.person()];
  for (let i = 0; i < 15; i += 1) await tell(app, ada.id);
  await tell(app, bob.id);
  await later(app, 30_000);
  const to = (who: { email: string }) => smtp.received.filter(({ to: [first] }) => first === who.email).length;
  // Two at a time may both see the last place free.
  expect(to(ada)).toBeGreaterThanOrEqual(10);
  expect(to(ada)).toBeLessThanOrEqual(11);
  expect(to(bob)).toBe(1);
  const expiresAt = new Date(app.clock.now() + 30 * minuteMs);
  const { db, mail } = app.app;
  for (let i = 0; i < 9; i += 1)
    await db.commit(await mail.secretEntry({ userId: ada.id, kind: 'reset_password', secret: new Secret('/reset?x'), expiresAt }));
  await later(app, 30_000);
  const resets = smtp.received.filter(({ headers }) => headers.subject === 'Choose a new password').length;
  expect(resets).toBeGreaterThanOrEqual(5);
  expect(resets).toBeLessThanOrEqual(6);
});

test('without a server there is no e-mail: who needs it is told so, notices stay on the page, and nothing waits', async () => {
  await using app = await testApp();
  const ada = await app.person();
  expect(app.app.mail.available).toBe(false);
  expect(() => app.app.mail.entry({ userId: ada.id, kind: 'notice.key_invalid', data: {} })).toThrow('sends no e-mail');
  await tell(app, ada.id);
  await later(app);
  expect(await rowsOf(app)).toEqual([]);
  expect(await (await app.fetch(ada, '/api/v1/notices/preferences')).json()).toMatchObject({ mail: false });
  expect(await (await app.fetch(ada, '/api/v1/notices/unread')).json()).toEqual({ unread: 1, administrators: null });
});

test('the password of the e-mail server is in nothing that is written, whatever the server says', async () => {
  const password = randomBytes(18).toString('base64url');
  await using smtp = await startSmtp({ login: `byok:${password}` });
  await using app = await testApp({ env: { ...mailEnv(smtp), SMTP_URL: smtp.url.replace(password, `${password}x`) } });
  const ada = await app.person();
  await tell(app, ada.id);
  // The server repeats what it was told in its refusal.
  await later(app, 30 * minuteMs);
  expect(smtp.said.some((line) => line.startsWith('AUTH'))).toBe(true);
  expect(await app.app.notices.list('administrators')).toMatchObject([{ kind: 'mail_failed', data: { reason: 'sign_in' } }]);
  expect(app.lines.join('')).toContain('E-mails could not be sent');
  expect(findPlanted(password, app.everythingWritten())).toEqual([]);
});
