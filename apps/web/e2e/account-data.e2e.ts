/** Settings > Profile: all that is known of somebody as a file, and the end of an account. */
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { english, expectNoJumps, lookAt, seeAll } from './look.ts';
import { newKey, openStage, password, type Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  return () => stage[Symbol.asyncDispose]();
});

test('a person downloads their data, deletes their account, and is told that it is gone', async () => {
  const visitor = await stage.user('premium');
  const { page, newPage, complaints, context, email } = visitor;
  await page.goto('/settings/profile');
  await page.getByText('This session').waitFor();
  const link = page.getByRole('link', { name: 'Download my data' });
  expect(await link.getAttribute('download')).not.toBeNull();
  // As the browser asks for it, with its cookie.
  const answer = await context.request.get(`${stage.origin}${await link.getAttribute('href')}`);
  expect(answer.headers()['content-disposition']).toMatch(/filename="account-\d{4}-\d\d-\d\d\.json"/);
  expect(await answer.json()).toMatchObject({ account: [{ email }], sessions: [{}] });

  const second = await newPage();
  await second.goto('/settings/tokens');
  await second.getByRole('heading', { level: 1 }).waitFor();
  await page.bringToFront();
  await page.getByRole('button', { name: 'Delete my account' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete your account?' });
  await dialog.getByText('This cannot be undone.').waitFor();
  await lookAt(page, 'profile-removal');
  await english(page);
  await page.setViewportSize({ width: 1280, height: 860 });
  await dialog.getByRole('button', { name: 'Delete for good' }).click();
  await dialog.getByText('Enter your password.').waitFor();
  await dialog.getByRole('textbox', { name: 'Current password' }).fill('not the password');
  await page.keyboard.press('Enter');
  await dialog.getByText('The password is wrong.').waitFor();
  await dialog.getByRole('textbox', { name: 'Current password' }).fill(password);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/sign-in');
  await page.getByText('Your account is deleted.').waitFor();
  await second.waitForURL('**/sign-in**');
  await page.getByLabel('E-mail').fill(email);
  await page.getByRole('textbox', { name: 'Password' }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('alert').waitFor();
  expect(complaints(/40[013]/)).toEqual([]);
  await context.close();
});

test('the page with the panel of it moves under nobody while it loads', async () => {
  const { page, context } = await stage.user('community');
  await expectNoJumps(page, async () => {
    await page.goto('/settings/profile');
    await page.getByText('This session').waitFor();
  });
  await lookAt(page, 'profile-data');
  await context.close();
});

/** Changes what the server says of one call, in a batch or alone. */
async function saying(page: Page, procedure: string, change: (data: Record<string, unknown>) => void): Promise<void> {
  await page.route(new RegExp(`/trpc/[^?]*${procedure.replace('.', '\\.')}`), async (route) => {
    const answer = await route.fetch();
    const names = new URL(route.request().url()).pathname.replace('/trpc/', '').split(',');
    const said = (await answer.json()) as { result: { data: Record<string, unknown> } } | { result: { data: Record<string, unknown> } }[];
    const one = [said].flat()[names.indexOf(procedure)];
    if (one?.result) change(one.result.data);
    await route.fulfill({ response: answer, json: said });
  });
}

test('where single requests are deleted after a time the list says from when on there are any; a newer database is told to administrators', async () => {
  const { page, context, call, complaints } = await stage.visitor();
  const token = new URL(stage.setUpLink).searchParams.get('token');
  await call('accounts.setUp', { token, name: 'Root', email: 'root@example.com', password });
  await page.goto('/sign-in?back=/settings/api-keys/usage');
  expect(await page.getByText('A newer version has changed the database.').count()).toBe(0);
  await page.getByLabel('E-mail').fill('root@example.com');
  await page.getByRole('textbox', { name: 'Password' }).fill(password);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname === '/settings/api-keys/usage');
  const { secret } = (await call('tokens.create', { name: 'test' })) as { secret: string };
  const key = newKey('openai');
  stage.provider.key(key, 'good', 'openai');
  await call('keys.save', { provider: 'openai', apiKey: key });
  const asked = await fetch(`${stage.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] }),
  });
  expect(asked.status).toBe(200);
  await saying(page, 'usage.requests', (data) => {
    data.rowsFrom = new Date(Date.now() - 3_600_000).toISOString();
  });
  await saying(page, 'accounts.instance', (data) => {
    data.databaseAhead = true;
  });
  await page.reload();
  await page.getByText('A newer version has changed the database.').waitFor();
  await page.locator('.requests').waitFor();
  await seeAll(page);
  await page.getByText(/Single requests from before .* have been deleted/).waitFor();
  await lookAt(page, 'usage-retention');
  expect(complaints()).toEqual([]);
  // Pages ask again by themselves: what is being changed of an answer then would find its page gone.
  await page.unrouteAll({ behavior: 'wait' });
  await context.close();
});
