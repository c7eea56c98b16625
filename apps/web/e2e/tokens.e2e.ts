import { text } from 'node:stream/consumers';
import type { Locator } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { newKey, openStage, type Stage, until } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  return () => stage[Symbol.asyncDispose]();
});

test('a token is made, shown once and copied; a call with it shows up in the usage; revoked it no longer works', async () => {
  const { page, call, complaints } = await stage.user('premium');
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await call('keys.save', { provider: 'openai', apiKey: key });

  await page.goto('/settings/tokens');
  await page.getByText('You have no token yet.').waitFor();
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.getByText('Give the token a name.').waitFor();
  await until(() => isFocused(page.getByLabel('Name')));
  await page.getByLabel('Name').fill('My laptop');
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.getByText('it is not shown again').waitFor();
  const secret = (await page.getByLabel('Access token', { exact: true }).textContent()) ?? '';
  expect(secret).toMatch(/^byok_/);
  await until(() => isFocused(page.getByRole('button', { name: 'Copy Access token' })));
  await page.keyboard.press('Escape');
  await page.mouse.click(5, 5);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await page.getByLabel('Access token', { exact: true }).textContent()).toBe(secret);
  await page.getByRole('button', { name: 'Copy Access token' }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);

  const example = page.getByRole('dialog').getByLabel('the example', { exact: true });
  expect(await example.textContent()).toContain(`baseURL: '${stage.origin}/v1'`);
  expect(await example.textContent()).toContain(secret);
  expect(await example.textContent()).toContain("model: 'gpt-4.1-mini'");
  await page.getByRole('dialog').getByRole('button', { name: 'Anthropic' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Python' }).click();
  expect(await example.textContent()).toContain(`base_url="${stage.origin}"`);
  expect(await example.textContent()).toContain('model="claude-haiku-4-5"');
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByText('My laptop').waitFor();
  await until(async () => !(await page.content()).includes(secret));

  const ask = () =>
    fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'Hello!' }] }),
    });
  const answer = await ask();
  expect(answer.status).toBe(200);
  await answer.text();
  await page.getByRole('link', { name: 'Usage' }).click();
  await page.getByRole('table', { name: 'By model' }).getByText('gpt-4.1-mini').waitFor();
  await page.getByRole('table', { name: 'By key' }).getByText('Your keys').waitFor();
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download CSV' }).click()]);
  expect(csv.suggestedFilename()).toBe('usage.csv');
  expect(await text(await csv.createReadStream())).toContain('gpt-4.1-mini');
  await page.getByRole('button', { name: '24 h' }).click();
  await page.getByRole('heading', { name: 'By hour' }).waitFor();
  await page.getByRole('link', { name: 'API keys' }).click();
  await page.getByRole('region', { name: 'OpenAI' }).getByText('just now').first().waitFor();

  await page.getByRole('link', { name: 'Access tokens' }).click();
  await page.getByText(/Made .* · expires /).waitFor();
  await page.getByRole('button', { name: 'Revoke: My laptop' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('You have no token yet.').waitFor();
  expect((await ask()).status).toBe(401);
  expect(complaints()).toEqual([]);
});

const isFocused = (place: Locator) => place.evaluate((element) => element === document.activeElement);
