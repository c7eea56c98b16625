import { beforeAll, expect, test } from 'vitest';
import { client, type ScriptedIssuer, startIssuer } from '../../server/test/issuer.ts';
import { english, lookAt } from './look.ts';
import { openStage, password, type Stage } from './stage.ts';

let stage: Stage;
let issuer: ScriptedIssuer;

beforeAll(async () => {
  issuer = await startIssuer(() => Math.floor(Date.now() / 1_000));
  stage = await openStage({ ...issuer.env, ...client, AUTH_LOCAL: 'off' });
  return async () => {
    await stage[Symbol.asyncDispose]();
    await issuer[Symbol.asyncDispose]();
  };
});

const going = () => new RegExp(`^foreign request: ${issuer.url}/authorize`);

test('somebody who wants to see a page signs in with their organisation and is there', async () => {
  issuer.person({ sub: 'ada', email: 'ada@example.com', email_verified: true, name: 'Ada' });
  const { page, complaints } = await stage.visitor();
  await page.goto('/settings/plan');
  await page.getByRole('link', { name: 'Sign in with your organisation' }).waitFor();
  expect(await page.getByLabel('Password').count()).toBe(0);
  await lookAt(page, 'sign-in-elsewhere');
  await english(page);
  await page.getByRole('link', { name: 'Sign in with your organisation' }).click();
  await page.getByRole('link', { name: 'Continue as Ada' }).click();
  await page.getByRole('heading', { name: 'Plan and limits' }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/settings/plan');
  await page.getByText('ada@example.com').waitFor();
  await page.goto('/settings/profile');
  await page.getByText('so there is no password here to change').waitFor();
  await page.getByRole('heading', { name: 'Where you are signed in' }).waitFor();
  expect(await page.getByRole('button', { name: /Change password|Set up|Add a passkey/ }).count()).toBe(0);
  await lookAt(page, 'profile-elsewhere');
  expect(complaints(going())).toEqual([]);
});

test('a sign-in that did not work is told in words, and works the next time', async () => {
  const { page, complaints } = await stage.visitor();
  await page.goto('/api/oidc/callback?code=x&state=y');
  await page.getByText('The sign-in did not work. Please try again.').waitFor();
  await page.getByRole('link', { name: 'Sign in with your organisation' }).click();
  await page.getByRole('link', { name: 'Continue as Ada' }).click();
  await page.getByText('ada@example.com').waitFor();
  expect(complaints(going())).toEqual([]);
});

test('an administrator signs in with a password; anybody else is told where to go', async () => {
  await stage.office.addUser('root@example.com', 'lifetime', true);
  await stage.office.addUser('bob@example.com', 'premium');
  const { page, complaints } = await stage.visitor();
  await page.goto('/sign-in');
  await page.getByRole('button', { name: 'For administrators: sign in with a password' }).click();
  const enter = async (email: string) => {
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  };
  await enter('bob@example.com');
  await page.getByText('Passwords are for administrators only here. Sign in with your organisation.').waitFor();
  await enter('root@example.com');
  await page.getByText('root@example.com').waitFor();
  expect(complaints(/status of 403/)).toEqual([]);
});
