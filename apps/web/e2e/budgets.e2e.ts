/** Budgets, several keys in order, and the cap on fallback, on a server that allows two keys of a provider. */
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { english, expectNoJumps, lookAt } from './look.ts';
import { newKey, openStage, type Stage, until, type Visitor } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ PLATFORM_OPENAI_API_KEY: 'sk-platform-0123456789abcdef', OWN_KEYS_PER_PROVIDER: '2' });
  stage.provider.key('sk-platform-0123456789abcdef', 'good');
  return () => stage[Symbol.asyncDispose]();
});

const card = (page: Page, name: string | RegExp) => page.getByRole('region', { name, exact: true });
const dialog = (page: Page) => page.getByRole('dialog');
const closed = (page: Page) => until(async () => (await dialog(page).count()) === 0);

async function save(call: Visitor['call'], more: Record<string, unknown> = {}): Promise<{ id: string; apiKey: string }> {
  const apiKey = newKey('openai');
  stage.provider.key(apiKey, 'good');
  const { key } = (await call('keys.save', { provider: 'openai', apiKey, ...more })) as { key: { id: string } };
  return { id: key.id, apiKey };
}

/** A request as a program makes it. @param tokens  of the answer: $8 for a million */
async function ask(secret: string, tokens: number, model = 'gpt-4.1'): Promise<number> {
  const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, max_completion_tokens: tokens, messages: [{ role: 'user', content: `/say tokens=${tokens}` }] }),
  });
  await answer.text();
  return answer.status;
}

test('a budget is set, fills, tells, refuses, lets the platform step in, and is taken away', async () => {
  const { page, call, complaints } = await stage.user('premium');
  await save(call);
  const { secret } = (await call('tokens.create', { name: 'laptop' })) as { secret: string };
  await expectNoJumps(page, async () => {
    await page.goto('/settings/api-keys');
    await card(page, 'OpenAI').getByText('None: only OpenAI limits').waitFor();
  });
  await page.getByRole('button', { name: 'Set budget: OpenAI' }).click();
  const amount = dialog(page).getByLabel('US dollars a month');
  await until(() => amount.evaluate((input) => input === document.activeElement));
  const saveIt = dialog(page).getByRole('button', { name: 'Save' });
  for (const [typed, mistake] of [
    ['', 'An amount in dollars'],
    ['a lot', 'An amount in dollars'],
    ['0', 'At least $0.01.'],
    ['1e9', 'An amount in dollars'],
    ['99999999', 'At most $1,000,000.'],
  ] as const) {
    await amount.fill(typed);
    await saveIt.click();
    await dialog(page).getByText(mistake).waitFor();
  }
  await amount.fill('0,10');
  await amount.press('Enter');
  await closed(page);
  await card(page, 'OpenAI')
    .getByText(/^\$0\.00 of \$0\.10 used in \w+$/)
    .waitFor();
  await card(page, 'OpenAI').getByText('You are told at 80 and at 100 %').waitFor();

  // The open page hears of it.
  expect(await ask(secret, 10_500)).toBe(200);
  await card(page, 'OpenAI')
    .getByText(/^\$0\.084\d of \$0\.10 used/)
    .waitFor();
  const meter = card(page, 'OpenAI').getByRole('progressbar', { name: 'Monthly budget' });
  expect(await meter.getAttribute('aria-valuetext')).toMatch(/^\$0\.084\d of/);

  await page.getByRole('button', { name: 'Change budget: OpenAI' }).click();
  expect(await amount.inputValue()).toBe('0.1');
  await dialog(page).getByRole('radio', { name: 'Refuse requests' }).check();
  await dialog(page).getByText('what it may cost at most is set aside').waitFor();
  await saveIt.click();
  await closed(page);
  await card(page, 'OpenAI').getByText('A request that could cost more than what is left is refused.').waitFor();
  expect(await ask(secret, 10_500)).toBe(402);
  await page
    .getByRole('link', { name: /Notices|News|unread/ })
    .first()
    .waitFor();

  // What has been spent counts, however small the budget is made afterwards.
  await page.getByRole('button', { name: 'Change budget: OpenAI' }).click();
  await amount.fill('.05');
  await saveIt.click();
  await closed(page);
  await card(page, 'OpenAI').getByText('Budget used up', { exact: true }).waitFor();
  await card(page, 'OpenAI').getByText('Next request: fails, because the budget of your key is used up for this month.').waitFor();
  await card(page, 'OpenAI').getByText('Raise the budget below').waitFor();
  expect(await ask(secret, 1)).toBe(402);
  await lookAt(page, 'budget-used-up');
  await english(page);

  await page.getByRole('button', { name: 'Change budget: OpenAI' }).click();
  await dialog(page).getByLabel('Use the platform’s key instead of refusing').click();
  await lookAt(page, 'budget-dialog');
  await english(page);
  await saveIt.click();
  await closed(page);
  await card(page, 'OpenAI')
    .getByText(/Next request: the platform’s key/)
    .waitFor();
  expect(await ask(secret, 1)).toBe(200);
  const fallback = page.getByRole('switch', { name: 'Fallback (OpenAI)' });
  await fallback.click();
  await card(page, 'OpenAI').getByText('Next request: fails, because').waitFor();
  await card(page, 'OpenAI').getByText('A request that could cost more than what is left is refused.').waitFor();
  expect(await ask(secret, 1)).toBe(402);
  await fallback.click();

  // In another tab the key is removed meanwhile: the dialog says that it is gone, and keeps what was typed.
  await page.getByRole('button', { name: 'Change budget: OpenAI' }).click();
  await dialog(page).getByRole('button', { name: 'Take budget away' }).click();
  await closed(page);
  await card(page, 'OpenAI').getByText('None: only OpenAI limits').waitFor();
  await card(page, 'OpenAI').getByText('Next request: your key.').waitFor();
  await page.getByRole('button', { name: 'Set budget: OpenAI' }).click();
  await amount.fill('7');
  const { keys } = (await (await page.request.get('/trpc/keys.list')).json()).result.data as { keys: { id: string }[] };
  await call('keys.remove', { id: keys[0]?.id });
  await saveIt.click();
  await dialog(page).getByRole('alert').getByText('There is no such key.').waitFor();
  expect(await amount.inputValue()).toBe('7');
  expect(complaints(/404/)).toEqual([]);
}, 120_000);

test('two keys have names, models and an order; a second one is added beside the first, and replaces only the one it is to', async () => {
  const { page, call, complaints } = await stage.user('premium');
  const first = await save(call);
  await page.goto('/settings/api-keys');
  await card(page, 'OpenAI').getByText('For all models').waitFor();
  await page.getByRole('button', { name: 'Add another key: OpenAI' }).click();
  const second = newKey('openai');
  stage.provider.key(second, 'good');
  await dialog(page).getByRole('heading', { name: 'Add OpenAI key' }).waitFor();
  await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).fill(second);
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await closed(page);
  const [one, two] = [first.apiKey, second].map((key) => `OpenAI · ****...${key.slice(-4)}`);
  await card(page, one ?? '')
    .getByText('Tried as number 1')
    .waitFor();
  await card(page, two ?? '')
    .getByText('Tried as number 2')
    .waitFor();
  expect(await page.getByRole('button', { name: 'Add another key: OpenAI' }).count()).toBe(0);
  await card(page, two ?? '')
    .getByText(`Next request: your key ****...${first.apiKey.slice(-4)}.`)
    .waitFor();

  await page.getByRole('button', { name: `Name and models: ${two}` }).click();
  await dialog(page).getByLabel('Name', { exact: true }).fill('work');
  await dialog(page).getByLabel('Only for these models').fill('gpt-4.1*\n*nano');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await dialog(page).getByText('The name of a model, or the beginning of some').waitFor();
  await dialog(page).getByLabel('Only for these models').fill('gpt-4.1*\no3');
  await lookAt(page, 'key-details');
  await english(page);
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await closed(page);
  await card(page, 'OpenAI · work').getByText('For gpt-4.1*, o3').waitFor();
  await page.getByRole('button', { name: 'Try earlier: OpenAI · work' }).click();
  await card(page, 'OpenAI · work').getByText('Tried as number 1').waitFor();
  await card(page, 'OpenAI · work').getByText('Next request: your key.').waitFor();
  expect(await page.getByRole('button', { name: 'Try earlier: OpenAI · work' }).isDisabled()).toBe(true);
  const titles = await page.getByRole('heading', { level: 2 }).allTextContents();
  expect(titles.slice(0, 2)).toEqual(['OpenAI · work', one]);
  await lookAt(page, 'keys-several');
  await english(page);

  await page.getByRole('button', { name: `Replace: ${one}` }).click();
  const third = newKey('openai');
  stage.provider.key(third, 'good');
  await dialog(page)
    .getByText(`This replaces ****...${first.apiKey.slice(-4)}`)
    .waitFor();
  await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).fill(third);
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await closed(page);
  await card(page, `OpenAI · ****...${third.slice(-4)}`)
    .getByText('Saved. OpenAI accepts this key')
    .waitFor();
  await page.getByRole('button', { name: 'Remove: OpenAI · work' }).click();
  await dialog(page).getByRole('button', { name: 'Remove key' }).click();
  await closed(page);
  await card(page, 'OpenAI').getByText('Your OpenAI key was removed').waitFor();
  expect(complaints()).toEqual([]);
}, 120_000);

test('the cap on fallback: how many today, how many at most, and what the next request does then', async () => {
  const { page, call, complaints } = await stage.user('premium');
  const { id } = await save(call);
  await call('keys.set', { id, isActive: false });
  const { secret } = (await call('tokens.create', { name: 'laptop' })) as { secret: string };
  await page.goto('/settings/api-keys');
  const cap = page.getByRole('region', { name: 'The platform’s key in place of yours' });
  await cap.getByText('No request so far today.').waitFor();
  const change = async (to: string) => {
    await cap.getByRole('button', { name: 'Change cap' }).click();
    await dialog(page).getByLabel('Most requests a day').fill(to);
    await dialog(page).getByRole('button', { name: 'Save' }).click();
  };
  await change('many');
  await dialog(page).getByText('A whole number, or nothing.').waitFor();
  await dialog(page).getByLabel('Most requests a day').fill('1');
  await page.keyboard.press('Enter');
  await closed(page);
  await cap.getByText('At most 1 a day.').waitFor();
  expect(await ask(secret, 5)).toBe(200);
  await cap.getByText('One request so far today.').waitFor();
  await card(page, 'OpenAI').getByText('Next request: fails until midnight UTC').waitFor();
  expect(await ask(secret, 5)).toBe(429);
  await change('');
  await cap.getByText('There is no cap.').waitFor();
  await card(page, 'OpenAI')
    .getByText(/Next request: the platform’s key/)
    .waitFor();
  expect(await ask(secret, 5)).toBe(200);
  await cap.getByText('2 requests so far today.').waitFor();
  expect(complaints()).toEqual([]);
});
