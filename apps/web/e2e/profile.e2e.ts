/** Settings > Profile and security, and language and appearance for whoever is not signed in. */
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { expectNoJumps, lookAt, settled, sizes, violations } from './look.ts';
import { openStage, password, type Stage, until, type Visitor } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ SIGNUP: 'open' });
  // Nobody signs up before there is an administrator.
  const { context, call } = await stage.visitor();
  const token = new URL(stage.setUpLink).searchParams.get('token');
  await call('accounts.setUp', { token, name: 'Root', email: 'root@example.com', password });
  await context.close();
  return () => stage[Symbol.asyncDispose]();
});

const path = '/settings/profile';
const newPassword = 'another battery staple horse';
const isFocused = (place: Locator) => place.evaluate((element) => element === document.activeElement);
const german: BrowserContextOptions = { locale: 'de-DE', timezoneId: 'Europe/Berlin' };

let people = 0;
/** Somebody new, signed in: `stage.user` without a command's process, which none of this is about. */
async function person(options: BrowserContextOptions = {}): Promise<Visitor & { email: string }> {
  const email = `person${++people}@example.com`;
  const visitor = await stage.visitor(options);
  const answer = await visitor.context.request.post(`${stage.origin}/api/auth/sign-up/email`, {
    data: { name: `Person ${people}`, email, password },
    headers: { origin: stage.origin },
  });
  expect(answer.status()).toBe(200);
  return { ...visitor, email };
}

/** A further sign-in of the same person, in a browser of its own. */
async function elsewhere(email: string, options: BrowserContextOptions = {}, secret = password): Promise<Visitor> {
  const visitor = await stage.visitor(options);
  const answer = await visitor.context.request.post(`${stage.origin}/api/auth/sign-in/email`, {
    data: { email, password: secret },
    headers: { origin: stage.origin, ...(options.userAgent && { 'user-agent': options.userAgent }) },
  });
  expect(answer.status()).toBe(200);
  return visitor;
}

async function open(page: Page): Promise<void> {
  await page.goto(path);
  await page.getByText(/This session|Diese Sitzung/).waitFor();
}

/** For what a page shows a moment before it is stored. */
const storedOf = (visitor: Visitor) => async () =>
  (await (await visitor.context.request.get(`${stage.origin}/trpc/accounts.me`)).json()).result.data;

test('the name is changed by the rules of signing up, and everywhere at once', async () => {
  const visitor = await person();
  const { page, newPage, email, complaints, context } = visitor;
  await open(page);
  const second = await newPage();
  await open(second);
  await page.bringToFront();
  await page.getByText(email).last().waitFor();
  const name = page.getByLabel('Your name');
  const save = page.getByRole('button', { name: 'Save', exact: true });
  expect(await save.isDisabled()).toBe(true);
  for (const [typed, complaint] of [
    ['  ', 'Enter your name.'],
    ['x'.repeat(101), 'Use at most 100 characters.'],
  ] as const) {
    await name.fill(typed);
    await save.click();
    await page.getByText(complaint).waitFor();
    await until(() => isFocused(name));
  }
  await name.fill(' Ada Lovelace ');
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: 'Saved' }).waitFor();
  expect(await name.inputValue()).toBe('Ada Lovelace');
  await until(async () => (await second.getByLabel('Your name').inputValue()) === 'Ada Lovelace');
  expect(await storedOf(visitor)()).toMatchObject({ name: 'Ada Lovelace', email });
  await page.reload();
  await until(async () => (await name.inputValue()) === 'Ada Lovelace');

  await context.setOffline(true);
  await name.fill('Grace');
  await save.click();
  await page.getByRole('alert').filter({ hasText: 'The server cannot be reached' }).waitFor();
  expect(await name.inputValue()).toBe('Grace');
  expect(complaints(/ERR_INTERNET_DISCONNECTED/)).toEqual([]);
  await context.close();
});

test('the time zone is found by typing, with the keyboard alone, holds for what the pages show, and goes back where it could not be kept', async () => {
  const visitor = await person({ timezoneId: 'Europe/Berlin' });
  const { page, complaints, context } = visitor;
  await open(page);
  const zone = page.getByRole('combobox', { name: 'Time zone' });
  await until(async () => (await zone.inputValue()) === 'As this browser (Europe/Berlin)');
  const timeShown = () => page.getByText('It is ').textContent();
  const inBerlin = await timeShown();
  await zone.focus();
  await page.keyboard.press('ArrowDown');
  await until(async () => (await page.getByRole('option').count()) > 300);
  expect(await page.getByRole('option', { selected: true }).textContent()).toBe('As this browser (Europe/Berlin)');
  await page.keyboard.type('atlantis');
  await page.getByText('No time zone with this name.').waitFor();
  await page.keyboard.press('Enter');
  await until(async () => (await zone.inputValue()) === 'As this browser (Europe/Berlin)');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.type('australia');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Escape');
  expect(await zone.inputValue()).toBe('As this browser (Europe/Berlin)');
  expect(await page.getByRole('listbox').count()).toBe(0);
  await zone.click();
  await page.keyboard.type('new y');
  await page.keyboard.press('Enter');
  await until(async () => (await zone.inputValue()) === 'America/New York');
  expect(await timeShown()).not.toBe(inBerlin);
  await until(async () => (await storedOf(visitor)()).timezone === 'America/New_York');
  await page.reload();
  await until(async () => (await zone.inputValue()) === 'America/New York');
  expect(await timeShown()).not.toBe(inBerlin);

  await page.route('**/trpc/accounts.update', (route) => route.abort());
  await zone.click();
  await page.keyboard.type('tokyo');
  await page.getByRole('option', { name: 'Asia/Tokyo' }).click();
  await page.getByRole('alert').filter({ hasText: 'The server cannot be reached' }).waitFor();
  expect(await zone.inputValue()).toBe('America/New York');
  await page.unroute('**/trpc/accounts.update');
  await zone.click();
  await page.getByRole('option', { name: 'As this browser (Europe/Berlin)' }).click();
  await until(async () => (await storedOf(visitor)()).timezone === null);
  expect(complaints(/ERR_FAILED/)).toEqual([]);
  await context.close();
});

test('the language changes at once, and comes along to a browser that has no choice of its own', async () => {
  const visitor = await person();
  const { page, email, complaints, context } = visitor;
  await open(page);
  await page.getByRole('radio', { name: 'Deutsch' }).check();
  await page.getByRole('heading', { name: 'Profil und Sicherheit', level: 1 }).waitFor();
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('de');
  await until(async () => (await storedOf(visitor)()).locale === 'de');
  await page.reload();
  await page.getByRole('heading', { name: 'Profil und Sicherheit', level: 1 }).waitFor();

  const fresh = await stage.visitor();
  await fresh.page.goto(`/sign-in?back=${path}`);
  await signIn(fresh.page, email);
  await fresh.page.getByRole('heading', { name: 'Profil und Sicherheit', level: 1 }).waitFor();

  const choosy = await stage.visitor(german);
  await choosy.page.goto(`/sign-in?back=${path}`);
  await choosy.page.locator('.display select').first().selectOption('en');
  await signIn(choosy.page, email);
  await choosy.page.getByRole('heading', { name: 'Profile and security', level: 1 }).waitFor();
  expect((await storedOf(visitor)()).locale).toBe('de');

  // Where the account cannot be told, this browser keeps its language all the same, and it is said.
  await choosy.page.route('**/trpc/accounts.update', (route) => route.abort());
  await choosy.page.getByRole('radio', { name: 'Deutsch' }).check();
  await choosy.page.getByRole('alert').filter({ hasText: 'Dieser Browser merkt sich die Sprache' }).waitFor();
  expect([...complaints(), ...fresh.complaints(), ...choosy.complaints(/ERR_FAILED/)]).toEqual([]);
  await Promise.all([context, fresh.context, choosy.context].map((one) => one.close()));
});

test('language and appearance can be chosen on the pages before signing in, and the choice stays', async () => {
  const { page, context, newPage, complaints } = await stage.visitor({ colorScheme: 'light' });
  await page.goto('/sign-up');
  await page.getByLabel('Language').selectOption('de');
  await until(() => page.evaluate(() => document.documentElement.lang === 'de'));
  const isDark = (where: Page) => where.evaluate(() => document.body.classList.contains('body--dark'));
  await page.getByLabel('Darstellung').selectOption('dark');
  await until(() => isDark(page));
  const second = await newPage();
  await second.goto('/sign-in');
  await until(() => isDark(second));
  await second.getByLabel('Darstellung').selectOption('system');
  await until(async () => !(await isDark(second)) && !(await isDark(page)));
  await second.getByLabel('Sprache').selectOption('en');
  await page.getByLabel('Appearance').waitFor();
  expect(complaints()).toEqual([]);
  await context.close();
});

test('the appearance changes at once and stays', async () => {
  const { page, context, complaints } = await person({ colorScheme: 'light' });
  await open(page);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole('radio', { name: 'Same as system' }).focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await until(async () => (await background()) !== light);
  await page.reload();
  await page.getByText('This session').waitFor();
  expect(await background()).not.toBe(light);
  expect(await page.getByRole('radio', { name: 'Dark' }).isChecked()).toBe(true);
  expect(complaints()).toEqual([]);
  await context.close();
});

test('a new password: what is wrong stands at its field, and everybody else is signed out', async () => {
  const { page, context, email, complaints } = await person();
  const other = await elsewhere(email);
  await other.page.goto('/settings/tokens');
  await other.page.getByText('You have no token yet.').waitFor();
  await open(page);
  await page.getByText('signs you out everywhere but here').waitFor();
  const [current, fresh] = [page.getByLabel('Current password', { exact: true }), page.getByLabel('New password', { exact: true })];
  for (const [field, autocomplete] of [
    [current, 'current-password'],
    [fresh, 'new-password'],
  ] as const) {
    expect(await field.getAttribute('autocomplete')).toBe(autocomplete);
    expect(await field.getAttribute('type')).toBe('password');
  }
  const change = page.getByRole('button', { name: 'Change password' });
  await change.click();
  await page.getByText('Enter your current password.').waitFor();
  await page.getByText('Use at least 12 characters.').waitFor();
  await until(() => isFocused(current));
  await current.fill('not my password');
  await fresh.fill(newPassword);
  await change.click();
  await page.getByText('The current password is wrong.').waitFor();
  await until(() => isFocused(current));
  expect(await fresh.inputValue()).toBe(newPassword);
  await current.fill(password);
  await until(async () => (await page.getByText('The current password is wrong.').count()) === 0);
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: 'Your password is changed. 1 other session was signed out.' }).waitFor();
  expect([await current.inputValue(), await fresh.inputValue()]).toEqual(['', '']);
  await page.getByText('This session').waitFor();
  await until(async () => (await page.getByRole('button', { name: /^End:/ }).count()) === 0);

  // The other page hears of it by itself: it listens for notices, and this is one.
  await other.page.getByText('Your session has ended.').waitFor();
  await signIn(other.page, email, newPassword);
  await other.page.getByText('You have no token yet.').waitFor();
  expect(new URL(other.page.url()).pathname).toBe('/settings/tokens');
  expect(complaints(/status of 400/)).toEqual([]);
  expect(other.complaints(/status of 401/)).toEqual([]);
  await Promise.all([context.close(), other.context.close()]);
});

test('too many tries at a password are refused in words', async () => {
  const { page, context, complaints } = await person();
  await open(page);
  await page.getByLabel('New password', { exact: true }).fill(newPassword);
  for (let i = 0; i < 4; i += 1) {
    await page.getByLabel('Current password', { exact: true }).fill(`guess ${i}`);
    await page.getByRole('button', { name: 'Change password' }).click();
    const answer = i < 3 ? 'The current password is wrong.' : 'Too many attempts. You can try again in a moment.';
    await page.getByText(answer).waitFor();
  }
  expect(complaints(/status of 4(00|29)/)).toEqual([]);
  await context.close();
});

test('sessions are told apart, one is ended, then all others, and what is open there says so', async () => {
  const { page, context, email, complaints } = await person();
  const iPhone =
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1';
  const phone = await elsewhere(email, { userAgent: iPhone });
  const third = await elsewhere(email);
  const script = await fetch(`${stage.origin}/api/v1/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'backup-script/1.0 <b>' },
    body: JSON.stringify({ email, password }),
  });
  expect(script.status).toBe(200);
  await phone.page.goto('/settings/plan');
  await phone.page.getByRole('heading', { name: 'Plan and limits', level: 1 }).waitFor();
  await open(page);
  expect(await page.getByRole('button', { name: /^End:/ }).count()).toBe(3);
  await page.getByText('backup-script/1.0 <b>').waitFor();
  await page
    .getByText(/198\.51\.100\.\d+ · signed in just now/)
    .first()
    .waitFor();

  await page.getByRole('button', { name: /^End: Safari on iPhone, 198\.51\.100\.\d+$/ }).click();
  await page.getByRole('dialog').getByText('Whoever knows your password').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: /^End: Safari on iPhone/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End', exact: true }).click();
  await page.getByRole('status').filter({ hasText: 'Safari on iPhone is signed out.' }).waitFor();
  await until(() => isFocused(page.getByRole('heading', { name: 'Where you are signed in' })));
  expect(await page.getByRole('button', { name: /^End:/ }).count()).toBe(2);

  // It may have heard of it by itself already, since it listens: then there is nothing left to press.
  const usage = phone.page.getByRole('link', { name: 'Usage' });
  await usage.click({ timeout: 1_000 }).catch(() => usage.waitFor({ state: 'detached' }));
  await phone.page.getByText('Your session has ended.').waitFor();
  await signIn(phone.page, email);
  await usage.waitFor();

  await page.getByRole('button', { name: 'End all others' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End all others' }).click();
  await page.getByRole('status').filter({ hasText: '3 sessions are signed out.' }).waitFor();
  await until(async () => (await page.getByRole('button', { name: /^End/ }).count()) === 0);
  await third.page.goto(path);
  await third.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(complaints()).toEqual([]);
  expect([...phone.complaints(/status of 401/), ...third.complaints()]).toEqual([]);
  await Promise.all([context, phone.context, third.context].map((one) => one.close()));
});

test('a session that ended elsewhere meanwhile is said to have, and a list that cannot be fetched can be tried again', async () => {
  const { page, context, email, complaints } = await person();
  const other = await elsewhere(email);
  await page.route('**/trpc/accounts.sessions', (route) => route.abort());
  await page.goto(path);
  await page.getByRole('alert').filter({ hasText: 'The server cannot be reached' }).waitFor();
  await page.unroute('**/trpc/accounts.sessions');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('button', { name: /^End:/ }).click();
  await other.call('accounts.revokeOtherSessions', {}).catch(() => undefined);
  await page.getByRole('dialog').getByRole('button', { name: 'End', exact: true }).click();
  await page.getByText('Your session has ended.').waitFor();
  expect(complaints(/ERR_FAILED|status of 401/)).toEqual([]);
  await Promise.all([context.close(), other.context.close()]);
});

test('nothing that a script can read holds what opens the session', async () => {
  const { page, context, email } = await person();
  await elsewhere(email);
  const bodies: Promise<string>[] = [];
  context.on('response', (response) => {
    // What says that there are notices goes on as long as the page.
    if (response.request().resourceType() !== 'eventsource') bodies.push(response.text().catch(() => ''));
  });
  await open(page);
  const [cookie] = (await context.cookies()).filter(({ name }) => name.includes('session'));
  const token = decodeURIComponent(cookie?.value ?? '').split('.')[0] ?? '';
  expect(token.length).toBeGreaterThan(20);
  const readable = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML]),
  );
  const texts = [readable, ...(await Promise.all(bodies))];
  expect(texts.join()).toContain(email);
  expect(texts.filter((text) => text.includes(token))).toEqual([]);
  await context.close();
});

const windows = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';

test('is accessible and whole on phone and desktop, in light and dark, in English and German: the page, its zones, its question', async () => {
  const { page, context, email, complaints } = await person({ reducedMotion: 'reduce', viewport: sizes.phone });
  const other = await elsewhere(email, { userAgent: windows });
  await open(page);
  await lookAt(page, 'profile');
  // From here on in German, which the look ends with.
  await page.getByRole('combobox').click();
  await page.keyboard.type('amerika');
  await page.getByRole('option', { name: 'America/Adak' }).waitFor();
  await lookAt(page, 'profile-zone');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Beenden: Chrome auf Windows' }).click();
  await page.getByRole('dialog').waitFor();
  await lookAt(page, 'profile-end');
  expect(complaints()).toEqual([]);
  await Promise.all([context.close(), other.context.close()]);
});

test('what is wrong is said in German to who reads German', async () => {
  const { page, context, complaints } = await person({ ...german, viewport: sizes.phone });
  await open(page);
  await page.getByLabel('Jetziges Passwort', { exact: true }).fill('falsch geraten');
  await page.getByLabel('Neues Passwort', { exact: true }).fill('kurz');
  await page.getByRole('button', { name: 'Passwort ändern' }).click();
  await page.getByText('Verwende mindestens 12 Zeichen.').waitFor();
  await page.getByLabel('Neues Passwort', { exact: true }).fill(newPassword);
  await page.keyboard.press('Enter');
  await page.getByText('Das jetzige Passwort ist falsch.').waitFor();
  // The sentence fades in, and is too faint until then.
  await settled(page);
  expect(await violations(page)).toEqual([]);
  expect(complaints(/status of 400/)).toEqual([]);
  await context.close();
});

test('nothing jumps while the page loads', async () => {
  const { page, context, email } = await person({ viewport: sizes.phone });
  const other = await elsewhere(email);
  await expectNoJumps(page, () => open(page));
  await Promise.all([context.close(), other.context.close()]);
});

async function signIn(page: Page, email: string, secret = password): Promise<void> {
  await page.getByLabel(/^E-[Mm]ail$/).fill(email);
  await page.getByLabel(/^(Password|Passwort)$/).fill(secret);
  await page.keyboard.press('Enter');
}

test('what is saved just before signing out signs nobody in again', async () => {
  const { page, context, complaints } = await person();
  await open(page);
  let answered = () => {};
  const done = new Promise<void>((resolve) => (answered = resolve));
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route('**/trpc/accounts.update', async (route) => {
    const answer = await route.fetch();
    await held;
    await route.fulfill({ response: answer });
    answered();
  });
  await page.getByLabel('Your name').fill('Ada Quick');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  release();
  await done;
  await page.getByRole('link', { name: 'Sign up' }).click();
  await page.waitForURL('**/sign-up');
  expect(complaints()).toEqual([]);
  await context.close();
});
