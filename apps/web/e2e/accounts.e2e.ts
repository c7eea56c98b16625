import type { Locator, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { openStage, password, type Stage, until } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ SIGNUP: 'open' });
  return () => stage[Symbol.asyncDispose]();
});

const refused = /status of 40[139]/;

test('the link from the console makes the first administrator, once, and signs in', async () => {
  const { page, complaints, context } = await stage.visitor();
  await page.goto('/');
  await page.getByText('This server has no administrator yet').waitFor();

  await page.goto(stage.setUpLink.replace('token=', 'token=x'));
  await fillAccount(page, 'Ada', 'ada@example.com', password);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByText('This set-up link does not work').waitFor();

  await page.goto(stage.setUpLink);
  await page.getByRole('button', { name: 'Create account' }).click();
  for (const sentence of ['Enter your name.', 'Enter an e-mail address', 'Use at least 12 characters.'])
    await page.getByText(sentence).waitFor();
  await until(() => isFocused(page.getByLabel('Your name')));
  await fillAccount(page, 'Ada', 'Ada@Example.com', password);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/settings/api-keys');
  await page.getByText('ada@example.com').waitFor();
  expect(complaints(refused)).toEqual([]);

  await context.clearCookies();
  await page.goto(stage.setUpLink);
  await page.getByText('already set up').waitFor();
  await page.getByRole('link', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
});

test('signing in leads back to the page that was asked for, and says what is wrong before that', async () => {
  const { page, complaints } = await stage.visitor();
  await page.goto('/settings/plan?from=mail');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Enter your e-mail address.').waitFor();
  await page.getByText('Enter your password.').waitFor();
  await until(() => isFocused(page.getByLabel('E-mail')));

  await page.getByLabel('E-mail').fill('ada@example.com');
  await page.getByLabel('Password', { exact: true }).fill('not my password');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'wrong' }).waitFor();
  await until(() => isFocused(page.getByLabel('Password', { exact: true })));
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Plan and limits', level: 1 }).waitFor();
  expect(page.url()).toBe(`${stage.origin}/settings/plan?from=mail`);

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(await page.getByText('Plan and limits').count()).toBe(0);
  expect(complaints(refused)).toEqual([]);
});

test('somebody signs up where that is open, and learns what the plan does not include', async () => {
  const { page, complaints } = await stage.visitor();
  await page.goto('/sign-in');
  await page.getByRole('link', { name: 'Sign up' }).click();
  await fillAccount(page, 'Grace', 'grace@example.com', password);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
  await page.getByText('Your plan, Community, does not include keys of your own.').waitFor();
  await page.getByText('This server has no keys of its own either, so requests fail until your administrator changes your plan.').waitFor();
  expect(await page.getByRole('button', { name: 'Add key: OpenAI' }).isDisabled()).toBe(true);
  expect(complaints()).toEqual([]);
});

test('an address that a stranger made up leads nowhere else', async () => {
  const { page } = await stage.user('premium');
  for (const back of ['//evil.example/x', '/\\evil.example', 'https://evil.example/', 'javascript:alert(1)']) {
    await page.goto(`/sign-in?back=${encodeURIComponent(back)}`);
    await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
    expect(new URL(page.url()).origin).toBe(stage.origin);
  }
});

const isFocused = (place: Locator) => place.evaluate((element) => element === document.activeElement);

async function fillAccount(page: Page, name: string, email: string, secret: string): Promise<void> {
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(secret);
}
