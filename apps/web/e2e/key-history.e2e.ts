/** Until when a key is used, the key that it replaced, and the history of both. */
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { english, expectNoJumps, lookAt } from './look.ts';
import { newKey, openStage, type Stage, until, type Visitor } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ PLATFORM_OPENAI_API_KEY: 'sk-platform-0123456789abcdef' });
  return () => stage[Symbol.asyncDispose]();
});

const card = (page: Page) => page.getByRole('region', { name: 'OpenAI', exact: true });
const dialog = (page: Page) => page.getByRole('dialog');
const closed = (page: Page) => until(async () => (await dialog(page).count()) === 0);
const hintOf = (key: string) => `****...${key.slice(-4)}`;
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
const dayOf = (date: Date) => date.toISOString().slice(0, 10);
const shown = (date: Date) => date.toLocaleDateString('en-US', { dateStyle: 'medium', timeZone: 'UTC' });

async function person(): Promise<Visitor> {
  return stage.user('premium', { timezoneId: 'UTC', locale: 'en-US', reducedMotion: 'reduce' });
}

async function save({ call }: Visitor, provider: 'openai' | 'anthropic' = 'openai'): Promise<string> {
  const key = newKey(provider);
  stage.provider.key(key, 'good');
  await call('keys.save', { provider, apiKey: key });
  return key;
}

test('a key is given a last day, which is changed, comes, and is taken away; the page says what that does', async () => {
  const user = await person();
  const { page, call, complaints } = user;
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await page.goto('/settings/api-keys');
  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).fill(key);
  await dialog(page).getByText('Does this key expire?').click();
  await dialog(page)
    .getByLabel('Last day')
    .fill(dayOf(inDays(-1)));
  await dialog(page).getByText('This day is over').waitFor();
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await until(() =>
    dialog(page)
      .getByLabel('Last day')
      .evaluate((input) => input === document.activeElement),
  );
  await dialog(page)
    .getByLabel('Last day')
    .fill(dayOf(inDays(40)));
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await closed(page);
  await card(page)
    .getByText(`To be used until ${shown(inDays(40))}`)
    .waitFor();

  await page.getByRole('button', { name: 'Change: OpenAI' }).click();
  const field = dialog(page).getByLabel('Last day');
  await until(async () => (await field.inputValue()) === dayOf(inDays(40)));
  await field.fill('');
  await dialog(page).getByRole('button', { name: 'Save date' }).click();
  await dialog(page).getByText('Choose a day, or press').waitFor();
  await field.fill(dayOf(inDays(10)));
  await lookAt(page, 'key-expiry');
  await english(page);
  await dialog(page).getByRole('button', { name: 'Save date' }).click();
  await closed(page);
  await card(page)
    .getByText(`Saved: the key is used until ${shown(inDays(10))}.`)
    .waitFor();
  const { keys } = (await page.evaluate(() => fetch('/trpc/keys.list').then((res) => res.json()))).result.data;
  expect(keys[0].expiresAt).toBe(`${dayOf(inDays(10))}T23:59:59.999Z`);

  await call('keys.set', { id: keys[0].id, expiresAt: new Date(Date.now() + 1_000).toISOString() });
  await until(async () => {
    await page.reload();
    await card(page).waitFor();
    return card(page).getByText('Expired', { exact: true }).isVisible();
  });
  await card(page).getByText('The date that you have set for this key has passed').waitFor();
  await card(page).getByText('Next request: the platform’s key').waitFor();
  await lookAt(page, 'key-expired');
  await english(page);
  await page.getByRole('button', { name: 'Change: OpenAI' }).click();
  await dialog(page).getByRole('button', { name: 'Remove date' }).click();
  await closed(page);
  await card(page).getByText('Valid', { exact: true }).waitFor();
  await card(page).getByText('No end date.').waitFor();
  expect(complaints()).toEqual([]);
});

test('a replaced key is restored, refused once it no longer works, and deleted; another browser that is behind is told', async () => {
  const user = await person();
  const { page, complaints } = user;
  const [first, second] = [await save(user), newKey('openai')];
  stage.provider.key(second, 'good');
  await page.goto('/settings/api-keys');
  await page.getByRole('button', { name: 'Replace: OpenAI' }).click();
  await dialog(page).getByText('which can be restored for 24 hours').waitFor();
  await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).fill(second);
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await closed(page);
  await card(page)
    .getByText(`This key has replaced ${hintOf(first)}`)
    .waitFor();
  await lookAt(page, 'key-replaced');
  await english(page);

  await page.getByRole('button', { name: 'Restore the old key: OpenAI' }).click();
  await card(page)
    .getByText(`${hintOf(first)} works and is used again.`)
    .waitFor();
  await card(page)
    .getByText(`This key has replaced ${hintOf(second)}`)
    .waitFor();

  stage.provider.key(second, 'revoked');
  await page.getByRole('button', { name: 'Restore the old key: OpenAI' }).click();
  await card(page).getByText('OpenAI does not accept the old key any more. Nothing was changed.').waitFor();
  await card(page).getByText(hintOf(first), { exact: true }).waitFor();

  // Another browser of theirs, which does not hear of what the first one does.
  const { page: behind } = await stage.visitor({ storageState: await user.context.storageState() });
  await behind.goto('/settings/api-keys');
  await card(behind)
    .getByText(`This key has replaced ${hintOf(second)}`)
    .waitFor();
  await page.getByRole('button', { name: 'Delete it now: OpenAI' }).click();
  await dialog(page)
    .getByText(`Delete the old key ${hintOf(second)} now?`)
    .waitFor();
  await dialog(page).getByRole('button', { name: 'Delete', exact: true }).click();
  await closed(page);
  await card(page)
    .getByText(`${hintOf(second)} is deleted from this server.`)
    .waitFor();
  expect(await page.getByRole('button', { name: 'Restore the old key: OpenAI' }).count()).toBe(0);
  await behind.getByRole('button', { name: 'Restore the old key: OpenAI' }).click();
  await card(behind).getByText('There is no such key.').waitFor();
  expect(complaints(/403/)).toEqual([]);
});

test('the card says how often a key was used today, and its history who used it and what was done, to its owner alone', async () => {
  const user = await person();
  const { page, call, complaints } = user;
  const [key, other] = [await save(user), await save(user, 'anthropic')];
  const { secret } = (await call('tokens.create', { name: 'laptop' })) as { secret: string };
  const ask = async () => {
    const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'Tell me about the sea.' }] }),
    });
    await answer.text();
  };
  await page.goto('/settings/api-keys');
  await card(page).getByText('Not used today.').waitFor();
  for (let i = 0; i < 3; i += 1) await ask();
  // It comes by itself, to the page that stands open.
  await card(page)
    .getByText(/^Used 3 times today, last by the token “laptop” at \d+:\d\d/)
    .waitFor();
  const { keys } = (await page.evaluate(() => fetch('/trpc/keys.list').then((res) => res.json()))).result.data;
  const id = keys.find(({ provider }: { provider: string }) => provider === 'openai').id;
  await call('keys.test', { id });
  await call('keys.set', { id, fallback: false, expiresAt: `${dayOf(inDays(30))}T23:59:59.999Z` });
  // Enough for a second page.
  for (let i = 0; i < 26; i += 1) await call('keys.set', { id, isActive: i % 2 === 1 });

  await page.getByRole('link', { name: 'History: OpenAI' }).click();
  await page.getByRole('heading', { name: 'History of your keys', level: 1 }).waitFor();
  const uses = page.getByRole('region', { name: 'Used for requests' });
  await uses.getByRole('heading', { name: 'Today' }).waitFor();
  await uses.getByText('laptop').waitFor();
  await uses.getByText('3 times').waitFor();
  await uses.getByText(`OpenAI ${hintOf(key)}`).waitFor();
  const log = page.getByRole('region', { name: 'What was done' });
  expect(await log.getByRole('listitem').count()).toBe(25);
  await log.getByRole('button', { name: 'Older' }).click();
  await log.getByText('Key saved').waitFor();
  await log.getByText(`OpenAI ${hintOf(key)} · fallback switched off · to be used until ${shown(inDays(30))} · by you`).waitFor();
  await log
    .getByText(`OpenAI ${hintOf(key)} · Valid · by you`)
    .first()
    .waitFor();
  expect(await log.getByText('Anthropic').count()).toBe(0);
  await page.getByRole('radio', { name: 'Anthropic' }).check();
  await log.getByText(`Anthropic ${hintOf(other)} · Valid · by you`).waitFor();
  await uses.getByText('No key was used in these days.').waitFor();
  expect(new URL(page.url()).search).toBe('?provider=anthropic');
  await page.getByRole('radio', { name: 'All' }).check();
  await uses.getByText('laptop').waitFor();
  await expectNoJumps(page, () => page.reload());
  await uses.getByText('laptop').waitFor();
  await lookAt(page, 'key-history');

  const stranger = await person();
  await stranger.page.goto('/settings/api-keys/history');
  await stranger.page.getByText('No key was used in these days.').waitFor();
  await stranger.page.getByText('Nothing was done to a key yet.').waitFor();
  expect([...complaints(), ...stranger.complaints()]).toEqual([]);
});
