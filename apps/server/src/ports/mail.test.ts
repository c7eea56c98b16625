import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { Secret } from '@synthstack/core/secret';
import { expect, test } from 'vitest';
import { type SmtpStep, startSmtp } from '../../test/smtp.ts';
import { smtpServer } from '../config-mail.ts';
import { createMailer, type MailerParts, type Message } from './mail.ts';

const message: Message = {
  id: '11111111-2222-4333-8444-555555555555',
  to: 'ada@example.org',
  subject: 'Schlüssel abgelehnt',
  text: 'Grüße.\n.\nEin Punkt allein beendet nichts.\n',
  html: '<p>Grüße.</p>',
  at: new Date('2026-11-23T12:00:00Z'),
};

function mailer(url: string, more: Partial<MailerParts> = {}) {
  const server = smtpServer(url, (sentence) => {
    throw new Error(sentence);
  });
  if (!server) throw new Error('Not a URL.');
  return createMailer({ server, from: { name: 'SynthStack', address: 'byok@example.com' }, name: 'byok.example.com', ...more });
}

/** For 127.0.0.1, signed by itself: no client trusts it. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), 'byok-cert-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  const context = createSecureContext({ key: readFileSync(key), cert: readFileSync(cert) });
  rmSync(folder, { recursive: true });
  return context;
}

test('a message arrives with its own id, as text and as HTML, and asks machines not to answer', async () => {
  await using smtp = await startSmtp({ login: 'ada@x.org:p@ss word' });
  expect(await mailer(smtp.url).send(message)).toEqual({ state: 'sent' });
  const [mail] = smtp.received;
  expect(mail).toMatchObject({
    from: 'byok@example.com',
    to: ['ada@example.org'],
    login: 'ada@x.org',
    text: message.text,
    html: message.html,
  });
  expect(mail?.headers).toMatchObject({
    from: 'SynthStack <byok@example.com>',
    to: 'ada@example.org',
    subject: message.subject,
    'message-id': `<${message.id}@example.com>`,
    'auto-submitted': 'auto-generated',
    date: 'Mon, 23 Nov 2026 12:00:00 +0000',
  });
  expect(mail?.headers).not.toHaveProperty('x-mailer');
  expect(smtp.said[0]).toBe('EHLO byok.example.com');
});

test.for<[SmtpStep, string, object]>([
  ['greeting', '421 too busy', { state: 'failed', reason: 'other' }],
  ['greeting', 'close', { state: 'failed', reason: 'unreachable' }],
  ['greeting', 'hang', { state: 'failed', reason: 'timeout' }],
  ['EHLO', 'hang', { state: 'failed', reason: 'timeout' }],
  ['AUTH', '454 later', { state: 'failed', reason: 'sign_in' }],
  ['AUTH', '535 never', { state: 'failed', reason: 'sign_in' }],
  ['MAIL', '550 not from you', { state: 'failed', reason: 'sender' }],
  ['RCPT', '450 greylisted', { state: 'failed', reason: 'recipient' }],
  ['RCPT', '550 no such user', { state: 'refused', reason: 'recipient' }],
  ['RCPT', 'close', { state: 'failed', reason: 'unreachable' }],
  ['DATA', '451 later', { state: 'failed', reason: 'message' }],
  ['DATA', 'hang', { state: 'failed', reason: 'timeout' }],
  ['message', '554 spam', { state: 'refused', reason: 'message' }],
  ['message', '452 no room', { state: 'failed', reason: 'message' }],
  ['message', 'hang', { state: 'uncertain', reason: 'timeout' }],
  ['message', 'take-and-close', { state: 'uncertain', reason: 'unreachable' }],
])('at %s the server does "%s"', async ([step, instead, outcome]) => {
  await using smtp = await startSmtp({ login: 'ada:hunter2hunter2' });
  smtp.script.set(step, instead);
  const sender = mailer(smtp.url, { timeouts: { totalMs: 2_000, waitMs: 150 } });
  expect(await sender.send(message)).toEqual(outcome);
  smtp.script.clear();
  expect(await sender.send(message)).toEqual({ state: 'sent' });
});

test('nobody is there; the address is none', async () => {
  let url = '';
  {
    await using smtp = await startSmtp();
    url = smtp.url;
    expect(await mailer(url).send({ ...message, to: 'no address' })).toEqual({ state: 'refused', reason: 'recipient' });
    expect(smtp.received).toEqual([]);
  }
  expect(await mailer(url).send(message)).toEqual({ state: 'failed', reason: 'unreachable' });
  expect(await mailer(url).verify()).toBe('unreachable');
});

test('whoever must speak TLS says nothing of weight before it, and trusts no certificate that nobody signed', async () => {
  const login = 'ada:hunter2hunter2';
  const server = { host: '127.0.0.1', login: { user: 'ada', password: new Secret('hunter2hunter2') } };
  {
    // It does not offer STARTTLS: as whoever stands in between would have it.
    await using smtp = await startSmtp({ login });
    const sender = mailer(smtp.url, { server: { ...server, port: smtp.port, tls: 'starttls' } });
    expect(await sender.send(message)).toEqual({ state: 'failed', reason: 'tls' });
    expect(smtp.said.join(' ')).not.toMatch(/AUTH|MAIL|RCPT|DATA/);
  }
  const context = certificate();
  {
    await using smtp = await startSmtp({ login, secure: { context } });
    const sender = mailer(smtp.url, { server: { ...server, port: smtp.port, tls: 'starttls' } });
    expect(await sender.send(message)).toMatchObject({ state: 'failed', reason: 'tls' });
    expect(smtp.said.join(' ')).not.toMatch(/AUTH|MAIL|RCPT|DATA/);
  }
  await using smtp = await startSmtp({ login, secure: { context, implicit: true } });
  expect(await mailer(smtp.url).send(message)).toMatchObject({ state: 'failed', reason: 'tls' });
  expect(smtp.received).toEqual([]);
  expect(smtp.said).toEqual([]);
});

test('what is under way at the end is waited for, then broken off; nothing is sent afterwards', async () => {
  await using smtp = await startSmtp();
  const release = Promise.withResolvers<void>();
  smtp.whileDelivering(() => release.promise);
  const sender = mailer(smtp.url);
  const sending = sender.send(message);
  await expect.poll(() => smtp.said.includes('DATA')).toBe(true);
  const closing = sender.close();
  release.resolve();
  await closing;
  expect(await sending).toEqual({ state: 'sent' });
  expect(await sender.send(message)).toEqual({ state: 'failed', reason: 'timeout' });
  smtp.whileDelivering(undefined);
  smtp.script.set('EHLO', 'hang');
  const second = mailer(smtp.url);
  const hanging = second.send(message);
  await second.close(50);
  expect(await hanging).toEqual({ state: 'failed', reason: 'timeout' });
});
