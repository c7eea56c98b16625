/** People as administrators see them: looked for, added, given a plan, disabled, let in again, removed; and nobody's key. */
import type { BrowserContext, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { administrator, regularAdministrator } from './admin.ts';
import { button } from './chat.ts';
import { english, expectNoJumps, lookAt, sizes } from './look.ts';
import { newKey, openStage, password, type Stage, until } from './stage.ts';

const path = '/admin/users';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  return () => stage[Symbol.asyncDispose]();
});

const search = (page: Page) => page.getByRole('textbox', { name: 'Search users' });
const row = (page: Page, email: string) => page.getByRole('listitem').filter({ hasText: email });
const dialog = (page: Page) => page.getByRole('dialog');
const confirm = async (page: Page, name: string) => {
  await dialog(page).getByRole('button', { name, exact: true }).click();
  await dialog(page).waitFor({ state: 'hidden' });
};

async function idOf(email: string, context: BrowserContext): Promise<string> {
  const url = `${stage.origin}/trpc/admin.users.list?input=${encodeURIComponent(JSON.stringify({ search: email }))}`;
  const answer = (await (await context.request.get(url)).json()) as { result: { data: { users: { id: string }[] } } };
  return answer.result.data.users[0]?.id ?? '';
}

test('the search has the focus, finds as one types, and a row leads to the person and back', async () => {
  for (const name of ['grace', 'graham', 'alan'])
    await stage.office.addUser(`${name}@example.org`, name === 'alan' ? 'premium' : 'community');
  const { page, complaints } = await regularAdministrator(stage);
  await page.goto('/admin/agents');
  await page.getByRole('link', { name: 'Users', exact: true }).click();
  await page.waitForURL(`**${path}`);
  expect(await page.title()).toBe('Users · SynthStack BYOK');
  await until(() => search(page).evaluate((field) => field === document.activeElement));
  await page.keyboard.type('gra');
  await page.waitForURL('**?q=gra');
  await page.getByText('2 users shown', { exact: true }).waitFor();
  await page.getByLabel('Plan').selectOption({ label: 'Premium' });
  await page.getByText('Nobody was found').waitFor();
  await search(page).fill('@example.org');
  await page.getByText('1 user shown', { exact: true }).waitFor();
  await row(page, 'alan@example.org').getByText('Active').waitFor();
  await row(page, 'alan@example.org').click();
  await page.getByRole('heading', { name: 'alan', level: 1 }).waitFor();
  await page.goBack();
  await row(page, 'alan@example.org').waitFor();
  expect(await search(page).inputValue()).toBe('@example.org');
  await page.goto(`${path}/00000000-0000-4000-8000-000000000000`);
  await page.getByText('There is no such user (any more).').waitFor();
  expect(complaints(/404/)).toEqual([]);
});

test('somebody is added with a password shown once, signs in with it, and is removed', async () => {
  const { page, complaints } = await regularAdministrator(stage);
  await page.goto(path);
  await button(page, 'Add user').click();
  await dialog(page).getByLabel('E-mail address').fill('not an address');
  await dialog(page).getByRole('button', { name: 'Add user' }).click();
  await dialog(page).getByText('Enter an e-mail address such as').waitFor();
  await dialog(page).getByLabel('E-mail address').fill('hedy@example.org');
  await dialog(page).getByLabel('Plan').selectOption({ label: 'Lifetime' });
  await dialog(page).getByRole('button', { name: 'Add user' }).click();
  await dialog(page).getByText('hedy@example.org is added').waitFor();
  const made = (await dialog(page).locator('code').textContent()) ?? '';
  const visitor = await stage.visitor();
  const signIn = () =>
    visitor.context.request.post(`${stage.origin}/api/auth/sign-in/email`, {
      data: { email: 'hedy@example.org', password: made },
      headers: { origin: stage.origin },
    });
  expect((await signIn()).status()).toBe(200);
  await dialog(page).getByRole('link', { name: 'Open the account' }).click();
  await page.getByRole('heading', { name: 'hedy', level: 1 }).waitFor();
  expect(await page.content()).not.toContain(made);
  await page.getByText('Lifetime, without an end, by an administrator').waitFor();

  await button(page, 'Remove account').click();
  await dialog(page).getByText('cannot be brought back').waitFor();
  await dialog(page).getByLabel('E-mail address').fill('hedy@example.com');
  await dialog(page).getByRole('button', { name: 'Remove account' }).click();
  await dialog(page).getByText('This is not the address of the account.').waitFor();
  await dialog(page).getByLabel('E-mail address').fill('hedy@example.org');
  await confirm(page, 'Remove account');
  await page.waitForURL(`**${path}`);
  await page.getByText('The account hedy@example.org is removed.').waitFor();
  expect((await signIn()).status()).toBe(401);
  expect(complaints()).toEqual([]);
});

test('a plan is given; what another administrator has done meanwhile is not undone unseen', async () => {
  const user = await stage.user('community');
  const ada = await administrator(stage, 'Ada');
  const bob = await administrator(stage, 'Bob');
  const id = await idOf(user.email, ada.context);
  for (const { page } of [ada, bob]) await page.goto(`${path}/${id}`);
  await button(bob.page, 'Change plan').click();
  await dialog(bob.page).getByLabel('Plan').selectOption({ label: 'Subscriber' });
  await button(ada.page, 'Change plan').click();
  await dialog(ada.page).getByLabel('Plan').selectOption({ label: 'Premium' });
  await dialog(ada.page).getByLabel('Ends on').fill('2099-12-31');
  await confirm(ada.page, 'Change plan');
  await ada.page.getByText('The plan is Premium now.').waitFor();
  await ada.page.getByText('Premium, until Dec 31, 2099, by an administrator').waitFor();
  await ada.page.getByText('Plan changed').waitFor();
  await dialog(bob.page).getByRole('button', { name: 'Change plan' }).click();
  await dialog(bob.page).getByText('Somebody has changed this plan meanwhile.').waitFor();
  await dialog(bob.page).getByRole('button', { name: 'Cancel' }).click();
  await bob.page.getByText('Premium, until Dec 31, 2099, by an administrator').waitFor();
  // At the user's next look.
  await user.page.goto('/settings/plan');
  await user.page.getByText('Given to you by an administrator.').waitFor();
  expect([...ada.complaints(), ...bob.complaints(/409/)]).toEqual([]);
});

test('an account is disabled and enabled, made an administrator and not, signed out, and its password replaced', async () => {
  const user = await stage.user('premium');
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await user.call('keys.save', { provider: 'openai', apiKey: key });
  await user.call('tokens.create', { name: 'laptop' });
  const { page, complaints, context } = await regularAdministrator(stage);
  await page.goto(`${path}/${await idOf(user.email, context)}`);
  await page.getByRole('region', { name: 'Access tokens' }).getByText('laptop').waitFor();
  await page.getByText('Valid', { exact: true }).waitFor();
  expect(await page.content()).not.toContain(key.slice(-4));

  await button(page, 'Disable account').click();
  await dialog(page).getByText('Requests with their tokens are refused').waitFor();
  await confirm(page, 'Disable account');
  await page.getByText('The account is disabled.').waitFor();
  await user.page.goto('/settings/plan');
  await user.page.waitForURL('**/sign-in**');
  await button(page, 'Enable account').click();
  await confirm(page, 'Enable account');

  await button(page, 'Make administrator').click();
  await confirm(page, 'Make administrator');
  await page.getByText(/is an administrator now/).waitFor();
  await button(page, 'Withdraw administration').click();
  await confirm(page, 'Withdraw administration');
  await button(page, 'Make administrator').waitFor();
  await button(page, 'Sign out everywhere').click();
  await confirm(page, 'Sign out everywhere');
  await page.getByText('no session was open').waitFor();

  await button(page, 'Link to a new password').click();
  await dialog(page).getByText('Whoever has this link can take the account over').waitFor();
  await dialog(page).getByRole('button', { name: 'Link to a new password' }).click();
  await dialog(page).getByText('It is not shown again.').waitFor();
  const link = (await dialog(page).locator('code').textContent()) ?? '';
  await dialog(page).getByRole('button', { name: 'Done' }).click();
  await dialog(page).waitFor({ state: 'hidden' });
  expect(await page.content()).not.toContain(link);
  await user.page.goto(link);
  await user.page.getByLabel('New password', { exact: true }).fill(`${password} anew`);
  await user.page.keyboard.press('Enter');
  await user.page.getByText('Your new password is saved.').waitFor();
  for (const action of ['Account disabled', 'Account enabled', 'Link to a new password made', 'Signed out everywhere'])
    await page.getByText(action, { exact: true }).first().waitFor();
  // One's own account can lose none of it by oneself.
  const me = (await (await context.request.get(`${stage.origin}/trpc/accounts.me`)).json()) as { result: { data: { id: string } } };
  await page.goto(`${path}/${me.result.data.id}`);
  await page.getByText('This is you').waitFor();
  for (const name of ['Withdraw administration', 'Disable account', 'Remove account'])
    expect(await button(page, name).isDisabled()).toBe(true);
  expect(complaints()).toEqual([]);
});

test('who is no administrator sees none of it', async () => {
  const user = await stage.user('premium');
  await user.page.goto(path);
  await user.page.getByText('For administrators only').waitFor();
  const refused = await user.context.request.get(`${stage.origin}/api/v1/admin/users`);
  expect([401, 403]).toContain(refused.status());
});

test('list, person and dialogs in both themes, sizes and languages', async () => {
  await stage.office.addUser('a.very.long.address.of.somebody.with.many.names@department.of.a.large.organisation.example', 'premium');
  await stage.office.setTier('grace@example.org', 'premium', new Date('2026-01-01'));
  const { page, context, complaints } = await regularAdministrator(stage, { viewport: sizes.phone });
  await expectNoJumps(page, () => page.goto(path).then(() => row(page, 'alan@example.org').waitFor()));
  await lookAt(page, 'admin-users');
  await english(page);
  await button(page, 'Add user').click();
  await dialog(page).getByLabel('E-mail address').waitFor();
  await lookAt(page, 'admin-users-add');
  await english(page);
  const id = await idOf('grace@example.org', context);
  await expectNoJumps(page, () => page.goto(`${path}/${id}`).then(() => page.getByText('Plan changed').first().waitFor()));
  await page.getByText('Ended', { exact: true }).waitFor();
  await lookAt(page, 'admin-user');
  await english(page);
  await button(page, 'Change plan').click();
  await dialog(page).getByLabel('Ends on').waitFor();
  await lookAt(page, 'admin-user-plan');
  await english(page);
  await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  await dialog(page).waitFor({ state: 'hidden' });
  await button(page, 'Remove account').click();
  await dialog(page).getByText('cannot be brought back').waitFor();
  await lookAt(page, 'admin-user-remove');
  expect(complaints()).toEqual([]);
});
