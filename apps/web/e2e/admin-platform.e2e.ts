/** Limits, platform keys and everybody's usage as administrators work with them, and as everybody else feels it. */
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { regularAdministrator } from './admin.ts';
import { english, expectNoJumps, lookAt, sizes } from './look.ts';
import { newKey, openStage, type Stage, until, type Visitor } from './stage.ts';

const given = newKey('openai');
let stage: Stage;
let ada: Visitor & { email: string; token: string };
beforeAll(async () => {
  stage = await openStage({ PLATFORM_OPENAI_API_KEY: given, PLATFORM_MAX_OUTPUT_COMMUNITY: '2000' });
  stage.provider.key(given, 'good');
  const user = await stage.user('community');
  const { secret } = (await user.call('tokens.create', { name: 'one' })) as { secret: string };
  ada = { ...user, token: secret };
  return () => stage[Symbol.asyncDispose]();
});

/** A request of the user, and @returns its status. */
async function ask(model = 'gpt-4o-mini'): Promise<number> {
  const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ada.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  await answer.text();
  return answer.status;
}

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const field = (page: Page, name: string) => page.getByRole('dialog').getByRole('textbox', { name });

async function openTier(page: Page, plan: string): Promise<void> {
  await page.goto('/admin/limits');
  await button(page, `Change ${plan}`).click();
  await page.getByRole('dialog', { name: `Change ${plan}` }).waitFor();
}

test('limits, models and own keys of a plan are changed, hold at once, show on the page of plans, and go back to what they were', async () => {
  const { page, complaints } = await regularAdministrator(stage);
  await page.goto('/admin/agents');
  await page.getByRole('link', { name: 'Limits and models' }).click();
  const card = page.getByRole('region', { name: 'Community' });
  await card.getByText('2,000 tokens').waitFor();
  await card.getByText('From the environment').waitFor();
  expect(await page.title()).toBe('Limits and models · SynthStack BYOK');

  await button(page, 'Change Community').click();
  expect(await button(page, 'Save').isDisabled()).toBe(true);
  await field(page, 'Requests a minute').fill('many');
  await button(page, 'Save').click();
  await page.getByText('A whole number from 0 to 100000.').waitFor();
  await field(page, 'Requests a minute').fill('2');
  await field(page, 'Requests a day').fill('1234');
  await page.getByLabel('Own keys').selectOption({ label: 'Included' });
  await page.getByRole('radio', { name: 'Only these' }).check();
  await page.getByLabel('Add a known model').selectOption('gpt-4o-mini');
  await page.getByRole('textbox', { name: 'Models, one on each line' }).press('End');
  await page.getByText('1 model', { exact: true }).waitFor();
  await button(page, 'Save').click();
  await page.getByText('Community is changed. It holds from the next request on.').waitFor();
  await card.getByText('1 model', { exact: true }).waitFor();
  await card.getByText(/Changed by Ada/).waitFor();
  expect([await ask('gpt-4.1'), await ask(), await ask(), await ask()]).toEqual([403, 200, 200, 429]);

  await ada.page.goto('/settings/plan');
  const row = ada.page.getByRole('row', { name: /^Community/ });
  await row.waitFor();
  expect(await row.getByRole('cell').allTextContents()).toEqual(['2', '1,234', 'Yes']);

  await button(page, 'Change Community').click();
  for (const name of ['Requests a minute', 'Requests a day']) await field(page, name).fill('');
  await page.getByLabel('Own keys').selectOption({ index: 0 });
  await page.getByRole('radio', { name: 'Default' }).check();
  await button(page, 'Save').click();
  await page.getByText('Community is changed.').waitFor();
  await until(async () => (await card.getByText('Set here').count()) === 0);
  expect(await ask()).toBe(200);
  expect(complaints()).toEqual([]);
});

test('of two administrators who change the same plan the later one decides, and loses nothing', async () => {
  const first = await regularAdministrator(stage);
  const second = await regularAdministrator(stage);
  await openTier(first.page, 'Premium');
  await field(first.page, 'Requests a day').fill('5000');
  await openTier(second.page, 'Premium');
  await field(second.page, 'Requests a minute').fill('300');
  await button(first.page, 'Save').click();
  await first.page.getByText('Premium is changed.').waitFor();

  await button(second.page, 'Save').click();
  await second.page.getByText('Ada has changed this plan meanwhile.').waitFor();
  expect(await field(second.page, 'Requests a minute').inputValue()).toBe('300');
  await lookAt(second.page, 'admin-limits-conflict');
  await english(second.page);
  await button(second.page, 'Take theirs').click();
  expect([await field(second.page, 'Requests a minute').inputValue(), await field(second.page, 'Requests a day').inputValue()]).toEqual([
    '',
    '5000',
  ]);
  await field(second.page, 'Requests a minute').fill('300');
  await button(second.page, 'Save').click();
  await second.page.getByText('Premium is changed.').waitFor();
  const card = second.page.getByRole('region', { name: 'Premium' });
  await until(async () => /300[\s\S]*5,000/.test((await card.textContent()) ?? ''));
  // The browser writes down each answer that is an error.
  expect([first.complaints(), second.complaints(/409/)]).toEqual([[], []]);
});

test("a platform key is stored, comes before the environment's, is tested, switched off and removed", async () => {
  const { page, complaints } = await regularAdministrator(stage, { viewport: sizes.phone });
  const good = newKey('openai');
  stage.provider.key(good, 'good');
  await page.goto('/admin/platform-keys');
  const card = page.getByRole('region', { name: 'OpenAI' });
  await card.getByText(`the key in the environment, ****...${given.slice(-4)}`).waitFor();
  await card.getByText('PLATFORM_OPENAI_API_KEY').waitFor();
  await page.getByRole('region', { name: 'Anthropic' }).getByText('There is no key for Anthropic').waitFor();
  await button(page, 'Test: OpenAI, In the environment').click();
  await card.getByText('The key works: OpenAI accepts it.').waitFor();

  await button(page, 'Store a key: OpenAI').click();
  await field(page, 'OpenAI key').fill(newKey('openai'));
  await button(page, 'Check').click();
  await page
    .getByRole('dialog')
    .getByText(/does not accept/)
    .waitFor();
  await field(page, 'OpenAI key').fill(good);
  await button(page, 'Save Key').click();
  await card.getByText('the next request on the platform’s key uses it').waitFor();
  await card.getByText(`the key stored here, ****...${good.slice(-4)}`).waitFor();
  await lookAt(page, 'admin-platform-keys');
  await english(page);
  await page.setViewportSize(sizes.phone);
  expect(await ask()).toBe(200);
  expect(stage.provider.requests.at(-1)?.headers.authorization).toBe(`Bearer ${good}`);

  stage.provider.key(good, 'revoked');
  await button(page, 'Test: OpenAI, Stored here').click();
  await card.getByText('The key stored here is not used: OpenAI does not accept it.').waitFor();
  await card.getByText(`the key in the environment, ****...${given.slice(-4)}`).waitFor();
  stage.provider.key(good, 'good');
  await button(page, 'Test: OpenAI, Stored here').click();
  await card.getByText('the key stored here, ').waitFor();
  await card.getByRole('switch', { name: 'Active (OpenAI)' }).click();
  await card.getByText('it is switched off.').waitFor();
  await button(page, 'Remove: OpenAI').click();
  await page.getByRole('dialog').getByText('The key in the environment is used then.').waitFor();
  await button(page, 'Remove key').click();
  await card.getByText('was removed from this server').waitFor();
  await until(() => page.evaluate(() => document.activeElement?.id === 'add-platform-openai'));
  expect(await page.content()).not.toContain(good.slice(10, 30));
  expect(complaints()).toEqual([]);
});

test("everybody's usage is shown by model, plan, key and user, cut and narrowed, kept in the address, and given as CSV", async () => {
  const { page, complaints } = await regularAdministrator(stage);
  expect(await ask()).toBe(200);
  await page.goto('/admin/usage');
  await page.getByRole('heading', { name: 'By user' }).waitFor();
  await page.getByRole('row', { name: /user1@example\.com/ }).waitFor();
  await page.getByRole('rowheader', { name: 'Community' }).waitFor();
  await page.getByRole('button', { name: 'Plan', exact: true }).click();
  await page.getByRole('button', { name: '7 days' }).click();
  await page.getByLabel('Plan', { exact: true }).selectOption({ label: 'Premium' });
  await page.getByText('No requests match these filters.').waitFor();
  expect(new URL(page.url()).search).toBe('?range=7d&by=tier&plan=premium');
  await page.goBack();
  await page.getByRole('heading', { name: 'By plan' }).waitFor();
  const csv = await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href');
  const text = await (await page.context().request.get(`${stage.origin}${csv}`)).text();
  expect(text).toMatch(/^period_start,provider,model,key_source,tier,requests,/);
  expect(text).toMatch(/openai,gpt-4o-mini[^,]*,platform,community,\d/);
  await lookAt(page, 'admin-usage');
  expect(complaints()).toEqual([]);
});

test.for(['/admin/limits', '/admin/platform-keys', '/admin/usage'])(
  'nothing jumps while %s loads, and nobody else gets it',
  async (path) => {
    const { page, context } = await regularAdministrator(stage, { viewport: sizes.phone });
    await expectNoJumps(page, async () => {
      await page.goto(path);
      await page.waitForLoadState('networkidle');
    });
    if (path === '/admin/limits') await lookAt(page, 'admin-limits');
    await context.close();
    await ada.page.goto(path);
    await ada.page.getByRole('heading', { name: 'For administrators only' }).waitFor();
  },
);
