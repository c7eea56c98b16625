/** Settings > Notices, the bell, and e-mail from end to end. */
import { beforeAll, expect, test } from 'vitest';
import { type SmtpServer, startSmtp } from '../../server/test/smtp.ts';
import { english, lookAt, violations } from './look.ts';
import { newKey, openStage, password, type Stage, until, type Visitor } from './stage.ts';

let stage: Stage;
let smtp: SmtpServer;
beforeAll(async () => {
  smtp = await startSmtp();
  stage = await openStage({ SMTP_URL: smtp.url, MAIL_FROM: 'SynthStack <byok@example.com>', PLATFORM_OPENAI_API_KEY: platformKey });
  stage.provider.key(platformKey, 'good', 'openai');
  return async () => {
    await stage[Symbol.asyncDispose]();
    await smtp[Symbol.asyncDispose]();
  };
});

const platformKey = newKey('openai');
const path = '/settings/notices';
const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';

/** A further sign-in of the same person, from an address of its own. */
async function signInElsewhere(email: string, userAgent = firefox): Promise<void> {
  const visitor = await stage.visitor();
  const answer = await visitor.context.request.post(`${stage.origin}/api/auth/sign-in/email`, {
    data: { email, password },
    headers: { origin: stage.origin, 'user-agent': userAgent },
  });
  expect(answer.status()).toBe(200);
  await visitor.context.close();
}

/** A key that worked when it was saved, and is refused at its first request. */
async function refuseKey(who: Visitor): Promise<void> {
  const key = newKey('openai');
  stage.provider.key(key, 'good', 'openai');
  await who.call('keys.save', { provider: 'openai', apiKey: key });
  stage.provider.key(key, 'revoked', 'openai');
  const { secret } = (await who.call('tokens.create', { name: 'Laptop' })) as { secret: string };
  const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'hello' }] }),
  });
  await answer.text();
}

test('what arises elsewhere is counted on the bell without a reload, stands on the page in words, and is marked as read', async () => {
  const visitor = await stage.user('premium');
  const { page, email, complaints, context } = visitor;
  await page.goto('/settings/plan');
  const bell = page.getByRole('banner').getByRole('link', { name: /^Notices/ });
  expect(await bell.getAttribute('aria-label')).toBe('Notices');
  await page.waitForLoadState('load');
  await signInElsewhere(email);
  await page.getByRole('link', { name: 'Notices, 1 not read' }).waitFor();
  await page.getByRole('status').filter({ hasText: '1 new notice' }).waitFor({ state: 'attached' });
  await bell.click();
  await page.getByRole('heading', { name: /New sign-in with Firefox on Linux, from 198\.51\.100\.\d+/ }).waitFor();
  await refuseKey(visitor);
  await page.getByRole('heading', { name: /OpenAI no longer accepts your key \*{4}\.\.\./ }).waitFor();
  await page.getByRole('link', { name: 'Notices, 3 not read' }).waitFor();
  await page.getByRole('button', { name: /^Mark as read: New sign-in/ }).click();
  await page.getByRole('link', { name: 'Notices, 2 not read' }).waitFor();
  await page.getByRole('link', { name: 'Go to your keys' }).click();
  await page.getByRole('link', { name: 'Notices, 1 not read' }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/settings/api-keys');
  await page.goBack();
  await page.getByRole('button', { name: 'Mark all as read' }).click();
  await until(async () => (await bell.getAttribute('aria-label')) === 'Notices');
  for (let left = 3; left > 0; left -= 1) {
    await page
      .getByRole('button', { name: /^Remove: / })
      .first()
      .click();
    await until(async () => (await page.locator('.news__item').count()) === left - 1);
  }
  await page.getByText('There is nothing that you should know.').waitFor();
  expect(complaints()).toEqual([]);
  await context.close();
});

test('the e-mail about a new sign-in leads to the sessions, unless somebody does not want it', async () => {
  const visitor = await stage.user('premium');
  const { page, email, complaints, context } = visitor;
  await signInElsewhere(email);
  const mail = await until(() => smtp.received.find(({ to }) => to[0] === email));
  expect(mail.headers.subject).toBe('New sign-in to your account');
  const link = /http\S+\/settings\/profile/.exec(mail.text)?.[0] ?? '';
  await page.goto(link);
  await page.getByRole('heading', { name: 'Where you are signed in' }).waitFor();
  await page.goto(path);
  const wish = page.getByRole('switch', { name: 'A sign-in from a new place: E-mail' });
  expect(await wish.getAttribute('aria-checked')).toBe('true');
  await wish.focus();
  await page.keyboard.press('Space');
  await page.getByRole('status').filter({ hasText: 'Saved' }).waitFor();
  await page.getByRole('switch', { name: 'A sign-in from a new place: Here' }).click();
  await page.getByText('There is nothing that you should know.').waitFor();
  await page.reload();
  await until(async () => (await wish.getAttribute('aria-checked')) === 'false');
  await signInElsewhere(email, firefox.replace('X11; Linux x86_64', 'Windows NT 10.0'));
  // Somebody else's, which comes after it, has arrived.
  const other = await stage.user('premium');
  await signInElsewhere(other.email);
  await until(() => smtp.received.find(({ to }) => to[0] === other.email));
  expect(smtp.received.filter(({ to }) => to[0] === email)).toHaveLength(1);
  expect(complaints()).toEqual([]);
  await Promise.all([context.close(), other.context.close()]);
});

test('administrators see theirs above their own, and share what is read; nobody else sees any', async () => {
  const someone = await stage.user('premium');
  const token = await someone.call('tokens.create', { name: 'x' });
  const { secret } = token as { secret: string };
  stage.provider.key(platformKey, 'revoked', 'openai');
  const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'hello' }] }),
  });
  expect(answer.status).toBe(503);
  stage.provider.key(platformKey, 'good', 'openai');
  const { page, call, context } = await stage.visitor();
  await call('accounts.setUp', {
    token: new URL(stage.setUpLink).searchParams.get('token'),
    name: 'Root',
    email: 'root@example.com',
    password,
  });
  await context.request.post(`${stage.origin}/api/auth/sign-in/email`, {
    data: { email: 'root@example.com', password },
    headers: { origin: stage.origin },
  });
  await page.goto(path);
  await page
    .getByRole('region', { name: 'For administrators' })
    .getByText(/The platform’s OpenAI key .* does not work: the provider refuses it/)
    .waitFor();
  await page.getByRole('link', { name: /^Notices, \d+ not read/ }).waitFor();
  await lookAt(page, 'notices-administrators');
  await someone.page.goto(path);
  await someone.page.getByText('What you are told').waitFor();
  expect(await someone.page.getByText('For administrators').count()).toBe(0);
  expect(await someone.page.getByText('The master key should be replaced').count()).toBe(0);
  await Promise.all([context.close(), someone.context.close()]);
});

test('the page is accessible and whole on phone and desktop, in light and dark, in two languages', async () => {
  const visitor = await stage.user('premium');
  const { page, email, complaints, context } = visitor;
  await page.goto(path);
  await page.getByText('There is nothing that you should know.').waitFor();
  expect(await violations(page)).toEqual([]);
  await lookAt(page, 'notices-empty');
  await english(page);
  await refuseKey(visitor);
  await signInElsewhere(email);
  await until(async () => (await page.locator('.news__item').count()) === 3);
  await lookAt(page, 'notices');
  expect(complaints()).toEqual([]);
  await context.close();
});

test('where no e-mail is sent the page says why, and its switches cannot be moved', async () => {
  await using quiet = await openStage();
  const { page, complaints, context } = await quiet.user('premium');
  await page.goto(path);
  await page.getByText('This server sends no e-mail').waitFor();
  const wish = page.getByRole('switch', { name: 'Your plan ends soon: E-mail' });
  expect(await wish.getAttribute('aria-disabled')).toBe('true');
  expect(await wish.getAttribute('aria-checked')).toBe('false');
  await lookAt(page, 'notices-without-mail');
  expect(complaints()).toEqual([]);
  await context.close();
});
