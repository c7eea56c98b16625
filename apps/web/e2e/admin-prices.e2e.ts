/** Prices as administrators see them: a model that waits gets one, a known one another, and it is taken back. */
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { regularAdministrator } from './admin.ts';
import { button } from './chat.ts';
import { english, expectNoJumps, lookAt, sizes } from './look.ts';
import { newKey, openStage, type Stage, until } from './stage.ts';

const path = '/admin/prices';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  return () => stage[Symbol.asyncDispose]();
});

const row = (page: Page, model: string) =>
  page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: model, exact: true }) });
const field = (page: Page, name: string) => page.getByRole('dialog').getByRole('textbox', { name, exact: true });
const saved = (page: Page) => page.getByRole('dialog').waitFor({ state: 'hidden' });

/** Somebody uses a model that no list knows, so that many times. */
async function use(model: string, times: number): Promise<void> {
  const usage = { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100 };
  const body = { object: 'chat.completion', model, choices: [], usage };
  const user = await stage.user('premium');
  const key = newKey('openai');
  stage.provider.key(key, 'good', 'openai');
  await user.call('keys.save', { provider: 'openai', apiKey: key });
  stage.provider.key(key, { status: 200, headers: { 'content-type': 'application/json' }, body }, 'openai');
  const { secret } = (await user.call('tokens.create', { name: 'test' })) as { secret: string };
  for (let i = 0; i < times; i += 1) {
    const res = await fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
    });
    expect(res.status).toBe(200);
    await res.text();
  }
}

test('a model that waits for a price stands first, gets one, and waits no more', async () => {
  await use('gpt-next', 3);
  const { page, complaints } = await regularAdministrator(stage);
  await page.goto('/admin/agents');
  await page.getByRole('link', { name: 'Prices' }).click();
  await page.waitForURL(`**${path}`);
  expect(await page.title()).toBe('Prices · SynthStack BYOK');
  await page.getByText('3 requests wait for a price').waitFor();
  const first = page.getByRole('listitem').first();
  expect(await first.getByRole('heading').textContent()).toBe('gpt-next');
  await first.getByText('3 requests wait').waitFor();

  await button(page, 'Set price of gpt-next').click();
  await field(page, 'Input').fill('two');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('dialog').getByText('a number from 0 to 10000').first().waitFor();
  await field(page, 'Input').fill('2,5');
  await field(page, 'Output').fill('8');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await saved(page);
  await page.getByText('The price of gpt-next is set.').waitFor();
  await row(page, 'gpt-next').getByText('$2.50 in · $8.00 out').waitFor();
  await row(page, 'gpt-next').getByText('Set here').waitFor();
  await row(page, 'gpt-next')
    .getByText(/^Ada, /)
    .waitFor();
  await until(async () => {
    await page.reload();
    await row(page, 'gpt-next').waitFor();
    return (await page.getByText('wait for a price').count()) === 0;
  });
  expect(complaints()).toEqual([]);
});

test('a known price is changed from now on and taken back; what one looks for is found', async () => {
  const { page, complaints } = await regularAdministrator(stage, { viewport: sizes.phone });
  await page.goto(path);
  await page.getByRole('textbox', { name: 'Search models' }).fill('openai gpt-4o');
  await row(page, 'gpt-4o').getByText('$2.50 in · $10.00 out').waitFor();
  await until(async () => (await page.getByRole('heading', { name: /claude/ }).count()) === 0);
  await button(page, 'Set price of gpt-4o').click();
  expect(await field(page, 'Cached input').inputValue()).toBe('1.25');
  expect(await page.getByRole('radio', { name: 'From now on' }).isChecked()).toBe(true);
  await field(page, 'Input').fill('2');
  await field(page, 'Cached input').fill('');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await saved(page);
  await row(page, 'gpt-4o').getByText('$2.00 in · $10.00 out').waitFor();
  await page.getByLabel('Show').selectOption({ label: 'Set here' });
  await row(page, 'gpt-4o')
    .getByText(/since /)
    .waitFor();

  await button(page, 'Take back the price of gpt-4o').click();
  await page.getByRole('dialog').getByText('What has been priced keeps its cost.').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Take back' }).click();
  await saved(page);
  await page.getByText('no model', { exact: true }).waitFor();
  await page.getByLabel('Show').selectOption({ label: 'From the release' });
  await row(page, 'gpt-4o').getByText('$2.50 in · $10.00 out').waitFor();
  expect(complaints()).toEqual([]);
});

test('the page and its dialogs in both themes, sizes and languages', async () => {
  await use('gpt-later-mini-of-quite-a-long-name-2027-01-31', 1);
  const { page, complaints } = await regularAdministrator(stage);
  await expectNoJumps(page, () => page.goto(path).then(() => page.getByRole('heading', { name: /gpt-later/ }).waitFor()));
  await page.getByRole('textbox', { name: 'Search models' }).fill('-mini');
  await lookAt(page, 'admin-prices');
  await english(page);
  await button(page, 'Set price of gpt-later-mini-of-quite-a-long-name-2027-01-31').click();
  await field(page, 'Input').waitFor();
  await lookAt(page, 'admin-prices-dialog');
  await english(page);
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await saved(page);
  await button(page, 'Price another model').click();
  await field(page, 'Model').fill('gpt-own');
  await field(page, 'Input').fill('1');
  await field(page, 'Output').fill('99999');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('dialog').getByText('a number from 0 to 10000').waitFor();
  await lookAt(page, 'admin-prices-new');
  expect(complaints()).toEqual([]);
});
