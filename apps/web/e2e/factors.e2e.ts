/** Getting in and getting back in: forgotten passwords, addresses to confirm, second factors and passkeys. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { codeAt, stepAt } from '../../server/src/auth/totp.ts';
import { type SmtpServer, startSmtp } from '../../server/test/smtp.ts';
import { english, expectNoJumps, lookAt, sizes } from './look.ts';
import { openLine, openStage, password, type Stage, until, type Visitor } from './stage.ts';

let stage: Stage;
let smtp: SmtpServer;
beforeAll(async () => {
  smtp = await startSmtp();
  // Browsers keep passkeys for a name only.
  const line = await openLine();
  const named = { ...line, origin: line.origin.replace('127.0.0.1', 'localhost') };
  stage = await openStage({ SIGNUP: 'ours.example', SMTP_URL: smtp.url, MAIL_FROM: 'byok@example.com' }, named);
  const { context, call } = await stage.visitor();
  const token = new URL(stage.setUpLink).searchParams.get('token');
  await call('accounts.setUp', { token, name: 'Root', email: 'root@example.com', password });
  await context.close();
  return async () => {
    await stage[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
    await smtp[Symbol.asyncDispose]();
  };
});

const profile = '/settings/profile';
const newPassword = 'another battery staple horse';
const stepMs = 30_000;

const person = (options?: BrowserContextOptions): Promise<Visitor & { email: string }> => stage.user('premium', options);

/** The newest e-mail to that address: its link, as a path of this server. */
async function linkTo(email: string, subject: string): Promise<string> {
  const mail = await until(() => smtp.received.findLast(({ to, headers }) => to[0] === email && headers.subject === subject), 30_000);
  const [link = ''] = /http:\/\/localhost:\d+\/\S+/.exec(mail.text) ?? [];
  return link.replace(stage.origin, '');
}

async function type(page: Page, email: string, secret: string): Promise<void> {
  await page.getByLabel(/^E-[Mm]ail$/).fill(email);
  await page.getByLabel(/^(Password|Passwort)$/).fill(secret);
  await page.keyboard.press('Enter');
}

/** An app on a phone, which knows the secret that was typed in; never the same code twice. */
function app(secret: string) {
  const bits = [...secret.replaceAll(' ', '')]
    .map((sign) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(sign).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  // The code before this moment's is taken as well, so that a test has three without waiting.
  let next = stepAt(Date.now()) - 1;
  return async (): Promise<string> => {
    const step = next++;
    await until(() => step <= stepAt(Date.now()) + 1, 3 * stepMs);
    return codeAt(key, step);
  };
}

async function protect(page: Page): Promise<{ code: () => Promise<string>; codes: string[] }> {
  await page.goto(profile);
  await page.getByRole('button', { name: 'Set up' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Current password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  const code = app((await dialog.getByLabel('Secret', { exact: true }).textContent()) ?? '');
  await dialog.getByLabel('Code from the app').fill(await code());
  await page.keyboard.press('Enter');
  await dialog.getByText('They are not shown again.').waitFor();
  const codes = await dialog.getByRole('listitem').allTextContents();
  await dialog.getByRole('button', { name: 'I have kept them' }).click();
  await page.getByText('10 backup codes are left.').waitFor();
  return { code, codes };
}

test('a forgotten password: the link by e-mail, whose secret leaves the address at once, and a new password', async () => {
  const owner = await person();
  const { page, context, complaints } = await stage.visitor();
  await page.goto('/sign-in');
  await page.getByRole('link', { name: 'Forgot your password?' }).click();
  await page.getByRole('button', { name: 'Send the link' }).click();
  await page.getByText('Enter an e-mail address such as ada@example.com.').waitFor();
  await lookAt(page, 'forgot-password');
  await english(page);
  await page.getByLabel('E-mail').fill(owner.email);
  await page.keyboard.press('Enter');
  await page
    .getByRole('status')
    .filter({ hasText: `If there is an account with ${owner.email}` })
    .waitFor();
  const path = await linkTo(owner.email, 'Choose a new password');
  const token = new URLSearchParams(path.split('?')[1]).get('token') ?? '';
  expect(token).toHaveLength(43);
  const requests: string[] = [];
  context.on('request', (request) => requests.push(request.url(), request.headers().referer ?? ''));
  await page.goto(path);
  const field = page.getByLabel('New password', { exact: true });
  await field.waitFor();
  await until(() => !page.url().includes('token'));
  expect(await page.evaluate(() => JSON.stringify([history.state, location.href]))).not.toContain(token);
  await lookAt(page, 'reset-password');
  await english(page);
  await field.fill('short');
  await page.keyboard.press('Enter');
  await page.getByText('Use at least 12 characters.').waitFor();
  await field.fill(newPassword);
  await page.keyboard.press('Enter');
  await page.getByText('Your new password is saved.').waitFor();
  // It was in the address of the page itself alone, and in no referrer.
  expect(requests.filter((url) => url.includes(token))).toEqual([`${stage.origin}${path}`]);
  await page.getByRole('link', { name: 'Sign in' }).click();
  await type(page, owner.email, newPassword);
  await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
  await owner.page.goto(profile);
  await owner.page.getByRole('heading', { name: 'Sign in' }).waitFor();

  const late = await stage.visitor();
  await late.page.goto(path);
  await late.page.getByLabel('New password', { exact: true }).fill(newPassword);
  await late.page.keyboard.press('Enter');
  await late.page.getByRole('alert').filter({ hasText: 'This link does not work any more' }).waitFor();
  await late.page.goto('/reset-password');
  await late.page.getByText('This page needs the link from the e-mail.').waitFor();
  expect([...complaints(), ...late.complaints(/status of 403/)]).toEqual([]);
  await Promise.all([context, owner.context, late.context].map((one) => one.close()));
});

test('who signs up at a domain of the operator confirms the address, with a press of a button, and can then sign in', async () => {
  const { page, context, complaints } = await stage.visitor();
  const email = 'bob@ours.example';
  await page.goto('/sign-up');
  await page.getByLabel('Your name').fill('Bob');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await page
    .getByRole('status')
    .filter({ hasText: `We have sent a link to ${email}` })
    .waitFor();
  const path = await linkTo(email, 'Confirm your e-mail address');
  await page.getByRole('link', { name: 'Sign in' }).click();
  await type(page, email, password);
  await page.getByRole('alert').filter({ hasText: 'Confirm your e-mail address first' }).waitFor();
  await page.goto(path);
  await until(() => !page.url().includes('token'));
  await lookAt(page, 'verify-email');
  await english(page);
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('Your address is confirmed.').waitFor();
  await page.getByRole('link', { name: 'Sign in' }).click();
  await type(page, email, password);
  await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
  expect(complaints(/status of 403/)).toEqual([]);
  await context.close();
});

test('two-factor authentication is set up with an app, and what is shown once is kept nowhere', async () => {
  const { page, context, complaints } = await person({ reducedMotion: 'reduce' });
  await page.goto(profile);
  await page.getByRole('button', { name: 'Set up' }).click();
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Next' }).click();
  await dialog.getByText('Enter your password.', { exact: true }).waitFor();
  await dialog.getByLabel('Current password', { exact: true }).fill('not my password');
  await page.keyboard.press('Enter');
  await dialog.getByText('The password is wrong.').waitFor();
  await dialog.getByLabel('Current password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await dialog.getByRole('img', { name: 'Square for the authenticator app' }).waitFor();
  await lookAt(page, 'factor-set-up');
  await english(page);
  const code = app((await dialog.getByLabel('Secret', { exact: true }).textContent()) ?? '');
  const field = dialog.getByLabel('Code from the app');
  expect(await field.getAttribute('autocomplete')).toBe('one-time-code');
  await field.fill('000000');
  await page.keyboard.press('Enter');
  await dialog.getByText('This code is wrong').waitFor();
  await field.fill(await code());
  await page.keyboard.press('Enter');
  await dialog.getByText('They are not shown again.').waitFor();
  const codes = await dialog.getByRole('listitem').allTextContents();
  expect(codes).toHaveLength(10);
  await lookAt(page, 'factor-codes');
  await english(page);
  // A stray Escape loses nothing.
  await page.keyboard.press('Escape');
  await dialog.getByRole('button', { name: 'Copy Backup codes' }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(codes.join('\n'));
  await dialog.getByRole('button', { name: 'I have kept them' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('10 backup codes are left.').waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.documentElement.outerHTML]));
  for (const one of codes) expect(kept).not.toContain(one);
  expect(complaints(/status of 400/)).toEqual([]);
  await context.close();
});

test('signing in then asks for the code, before there is a session, and with both it can be switched off', async () => {
  const { page, context, email, complaints } = await person({ reducedMotion: 'reduce' });
  const { code, codes } = await protect(page);
  await lookAt(page, 'profile-protected');

  const other = await stage.visitor({ reducedMotion: 'reduce' });
  await other.page.goto(`/sign-in?back=${profile}`);
  await type(other.page, email, password);
  const asked = other.page.getByLabel('Code', { exact: true });
  await asked.waitFor();
  expect((await other.context.cookies()).filter(({ name }) => name.includes('session'))).toEqual([]);
  await lookAt(other.page, 'sign-in-code');
  await english(other.page);
  await asked.fill('123');
  await other.page.keyboard.press('Enter');
  await other.page.getByRole('alert').filter({ hasText: 'This code is wrong' }).waitFor();
  await other.page.getByRole('button', { name: 'Start over' }).click();
  await other.page.getByLabel('Password', { exact: true }).waitFor();

  // From another address, which may try at once.
  const again = await stage.visitor();
  await again.page.goto(`/sign-in?back=${profile}`);
  await type(again.page, email, password);
  await again.page.getByLabel('Code', { exact: true }).fill(await code());
  await again.page.keyboard.press('Enter');
  await again.page.getByText('This session').waitFor();

  await again.page.getByRole('button', { name: 'Switch off' }).click();
  const question = again.page.getByRole('dialog');
  await question.getByLabel('Current password', { exact: true }).fill(password);
  await question.getByLabel('Code', { exact: true }).fill(codes[0]?.toLowerCase() ?? '');
  await again.page.keyboard.press('Enter');
  await again.page.getByRole('status').filter({ hasText: 'Two-factor authentication is off.' }).waitFor();
  await again.page.getByRole('button', { name: 'Set up' }).waitFor();
  expect(complaints()).toEqual([]);
  expect([...other.complaints(/status of 401/), ...again.complaints(/status of 401/)]).toEqual([]);
  await Promise.all([context, other.context, again.context].map((one) => one.close()));
});

test('new backup codes void the old, and few of them are a warning', async () => {
  const { page, context, email, complaints } = await person();
  const { code, codes } = await protect(page);
  let tries = 0;
  const signIn = async (given: string) => {
    // One address may sign in three times in ten seconds.
    const answer = await context.request.post(`${stage.origin}/api/auth/sign-in/email`, {
      data: { email, password, code: given },
      headers: { origin: stage.origin, 'x-forwarded-for': `203.0.113.${++tries}` },
    });
    return answer.status();
  };
  for (const one of codes.slice(0, 8)) expect(await signIn(one)).toBe(200);
  await page.goto(profile);
  await page.getByText('2 backup codes are left.').waitFor();
  await page.getByText('Make new backup codes before you need the last one.').waitFor();
  await page.getByRole('button', { name: 'New backup codes' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Current password', { exact: true }).fill(password);
  await dialog.getByLabel('Code', { exact: true }).fill(await code());
  await page.keyboard.press('Enter');
  await dialog.getByText('They are not shown again.').waitFor();
  await dialog.getByRole('button', { name: 'I have kept them' }).click();
  await page.getByText('10 backup codes are left.').waitFor();
  expect(await signIn(codes[9] ?? '')).toBe(401);
  expect(complaints()).toEqual([]);
  await context.close();
});

/** A device that Chromium plays: it says yes by itself, unless told otherwise. */
async function withDevice(page: Page) {
  const client = await page.context().newCDPSession(page);
  await client.send('WebAuthn.enable');
  const { authenticatorId } = await client.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      ...({ protocol: 'ctap2', transport: 'internal' } as const),
      ...{ hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    },
  });
  return {
    refuse: (isRefused: boolean) => client.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: !isRefused }),
  };
}

test('a passkey is added, signs in without password and code, is refused where the device does not know the person, and removed', async () => {
  const { page, context, email, complaints } = await person({ reducedMotion: 'reduce' });
  await protect(page);
  const device = await withDevice(page);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  const dialog = page.getByRole('dialog');
  expect(await dialog.getByLabel('Name').inputValue()).toMatch(/^Chrome on /);
  await lookAt(page, 'passkey-add');
  await english(page);
  await dialog.getByLabel('Name').fill('My laptop');
  await dialog.getByLabel('Current password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: 'Added: My laptop' }).waitFor();
  await page.getByText('not used yet').waitFor();
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await dialog.getByLabel('Current password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await dialog.getByRole('alert').filter({ hasText: 'This device has a passkey for your account already.' }).waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await lookAt(page, 'sign-in-passkey');
  await english(page);
  await device.refuse(true);
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('alert').filter({ hasText: 'No passkey was used.' }).waitFor();
  await device.refuse(false);
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
  await page.goto(profile);
  await page.getByText(email).last().waitFor();
  await page
    .getByText(/last used/)
    .first()
    .waitFor();
  await lookAt(page, 'profile-passkey');
  await english(page);
  await page.getByRole('button', { name: 'Remove: My laptop' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByRole('status').filter({ hasText: 'Removed: My laptop' }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('alert').filter({ hasText: 'This passkey does not open an account here.' }).waitFor();
  expect(complaints(/status of 401/)).toEqual([]);
  await context.close();
});

test('nothing jumps while the profile of somebody with both loads', async () => {
  const { page, context } = await person({ viewport: sizes.phone });
  await protect(page);
  await expectNoJumps(page, async () => {
    await page.goto(profile);
    await page.getByText('This session').waitFor();
    await page.getByText('10 backup codes are left.').waitFor();
  });
  await context.close();
});
