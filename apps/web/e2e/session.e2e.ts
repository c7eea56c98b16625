import { beforeAll, expect, test } from 'vitest';
import { newKey, openStage, password, type Stage, until } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  return () => stage[Symbol.asyncDispose]();
});

test('a session that ended leads to the sign-in page, and from there back to where one was', async () => {
  const { page, context, email, complaints } = await stage.user('premium');
  await page.goto('/settings/tokens');
  await page.getByText('You have no token yet.').waitFor();
  const ended = await context.request.post(`${stage.origin}/api/auth/revoke-sessions`, { data: {}, headers: { origin: stage.origin } });
  expect(ended.status()).toBe(200);
  await page.getByRole('link', { name: 'Usage' }).click();
  await page.getByText('Your session has ended.').waitFor();
  await until(() => page.getByLabel('E-mail').evaluate((field) => field === document.activeElement));
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Usage', level: 1 }).waitFor();
  await page.getByText('No requests in this time.').waitFor();
  expect(complaints(/status of 401/)).toEqual([]);
});

test('a key that was being saved when the session ended is said to be lost', async () => {
  const { page, context, complaints } = await stage.user('premium');
  await page.goto('/settings/api-keys');
  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'OpenAI key' }).fill(newKey('openai'));
  await context.clearCookies();
  await page.getByRole('button', { name: 'Save Key' }).click();
  await page.getByText('The key was not saved: paste it again.').waitFor();
  expect(complaints(/status of 401/)).toEqual([]);
});

test('what changes in one tab shows in the other: keys, and who is signed in', async () => {
  const { page, newPage, email, complaints } = await stage.user('premium');
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  const second = await newPage();
  for (const tab of [page, second]) {
    await tab.goto('/settings/api-keys');
    await tab.getByRole('button', { name: 'Add key: OpenAI' }).waitFor();
  }
  // A tab in the background paints, and so is clicked, only now and then.
  await page.bringToFront();
  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'OpenAI key' }).fill(key);
  await page.getByRole('button', { name: 'Save Key' }).click();
  await second.getByText(`****...${key.slice(-4)}`).waitFor();

  await second.bringToFront();
  await second.getByRole('button', { name: 'Sign out' }).click();
  for (const tab of [page, second]) await tab.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(await page.content()).not.toContain(key.slice(-4));
  await second.getByLabel('E-mail').fill(email);
  await second.getByLabel('Password', { exact: true }).fill(password);
  await second.keyboard.press('Enter');
  for (const tab of [page, second]) await tab.getByText(`****...${key.slice(-4)}`).waitFor();
  expect(complaints(/status of 401/)).toEqual([]);
});

test('a server that cannot be reached is said to be so, and the page goes on when it is back', async () => {
  const { page, complaints } = await stage.user('premium');
  await page.route('**/trpc/**', (route) => route.abort());
  await page.goto('/settings/plan');
  await page.getByRole('alert').filter({ hasText: 'The server cannot be reached' }).waitFor();
  await page.unroute('**/trpc/**');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'Plan and limits', level: 1 }).waitFor();
  await page.getByText('100 left').waitFor();
  expect(complaints(/ERR_FAILED|cannot be reached|Failed to fetch/)).toEqual([]);
});

test('a page that cannot be fetched says that the server cannot be reached, and opens when it can', async () => {
  const { page, context, complaints } = await stage.user('premium');
  await page.goto('/settings/api-keys');
  await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
  await context.setOffline(true);
  await page.getByRole('link', { name: 'Plan and limits' }).click();
  await page.getByText('The server cannot be reached. Check your connection and try again.').waitFor();
  await context.setOffline(false);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'Plan and limits', level: 1 }).waitFor();
  expect(complaints(/ERR_INTERNET_DISCONNECTED|Failed to fetch/)).toEqual([]);
});
