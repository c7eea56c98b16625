/** Administration of the agents as administrators do it: what an agent is told, and what becomes of two who change it at once. */
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { administrator, regularAdministrator, signedIn } from './admin.ts';
import { answered, ask, button, type ChatStage, openChatStage } from './chat.ts';
import { english, lookAt, settled, sizes } from './look.ts';
import { password, until } from './stage.ts';

const list = '/admin/agents';

let chat: ChatStage;
beforeAll(async () => {
  chat = await openChatStage();
  return () => chat.stage[Symbol.asyncDispose]();
});

const prompt = (page: Page) => page.getByRole('textbox', { name: 'System prompt' });
const purpose = (page: Page) => page.getByRole('textbox', { name: 'Purpose' });
const state = (page: Page) => page.locator('.edit__state');

/** Says no to what a dialog asks. */
async function cancel(page: Page): Promise<void> {
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
}

/** Waits until the form says this of itself. */
const stateIs = (page: Page, text: string) => until(async () => (await state(page).textContent()) === text);

async function openAgent(page: Page, slug: string): Promise<void> {
  await page.goto(`${list}/${slug}`);
  await prompt(page).waitFor();
  await page.getByRole('heading', { name: 'History' }).waitFor();
}

/** Saves what is in the form, as that version. */
async function save(page: Page, version: number): Promise<void> {
  await button(page, 'Save').click();
  await stateIs(page, `Saved as version ${version}`);
}

/** Asks in a page of its own, and @returns what the provider was told to be. */
async function toldTo(page: Page, slug: string, name: string): Promise<{ system: string; model: string; temperature?: number }> {
  await page.goto(`/agents/${slug}`);
  chat.answerWith('Here I am.');
  await ask(page, 'Who are you?', name);
  await answered(page, 'Here I am.');
  const { model, temperature, messages } = JSON.parse(chat.bodies().at(-1) ?? '');
  return { model, system: messages[0].content, ...(temperature !== undefined && { temperature }) };
}

test('a changed prompt, model and temperature hold at the next question; a reset brings back what was delivered', async () => {
  const { page, complaints } = await regularAdministrator(chat.stage);
  await page.goto('/settings/api-keys');
  await page.getByRole('link', { name: 'Administration' }).click();
  await page.waitForURL(`**${list}`);
  expect(await page.title()).toBe('Agents · SynthStack BYOK');
  await page.getByRole('link', { name: 'Marketer' }).click();
  await prompt(page).waitFor();
  const delivered = await prompt(page).inputValue();
  await stateIs(page, 'Everything is saved');
  expect(await button(page, 'Save').isDisabled()).toBe(true);
  expect(await button(page, 'Reset to delivered').count()).toBe(0);

  await prompt(page).fill('You are a pirate who sells rum.');
  await page.getByText('31 of 16,000 characters').waitFor();
  await page.getByLabel('Preferred model of OpenAI').selectOption({ label: 'gpt-4o · $2.50 / $10.00' });
  await page.getByRole('textbox', { name: 'Temperature' }).fill('0,3');
  await stateIs(page, 'Not saved yet');
  await save(page, 1);
  expect(await page.getByRole('textbox', { name: 'Temperature' }).inputValue()).toBe('0.3');
  await page.getByText('Changed: System prompt, Model of OpenAI, Temperature').waitFor();
  await page.getByText('Ada, just now').waitFor();
  const told = await toldTo(page, 'marketer', 'Marketer');
  expect(told).toMatchObject({ model: 'gpt-4o', temperature: 0.3 });
  expect(told.system).toMatch(/^You are a pirate who sells rum\.\n\n/);

  await page.goto(list);
  await page.getByRole('listitem').filter({ hasText: 'Marketer' }).getByText('Edited').waitFor();
  await page.getByRole('link', { name: 'Marketer' }).click();
  await button(page, 'Reset to delivered').click();
  await page.getByRole('dialog').getByText('stays in the history, from where you can take it back').waitFor();
  await cancel(page);
  expect(await prompt(page).inputValue()).toBe('You are a pirate who sells rum.');
  await button(page, 'Reset to delivered').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Reset to delivered' }).click();
  await stateIs(page, 'Marketer is as it was delivered again.');
  expect(await prompt(page).inputValue()).toBe(delivered);
  expect((await toldTo(page, 'marketer', 'Marketer')).system.startsWith(delivered)).toBe(true);
  expect(complaints()).toEqual([]);
});

test('versions are compared and taken back; what comes back is saved only when one saves it', async () => {
  const { page, complaints } = await regularAdministrator(chat.stage, { viewport: sizes.phone });
  await openAgent(page, 'researcher');
  const delivered = await prompt(page).inputValue();
  await prompt(page).fill(delivered.replace(/^.*$/m, 'You are a detective.'));
  await save(page, 1);
  await purpose(page).fill('Finds out who did it.');
  await page.getByRole('radio', { name: 'All plans' }).check();
  await save(page, 2);
  await page.getByText('Changed: Purpose, Who may ask it').waitFor();

  await button(page, 'Compare: As delivered').click();
  const dialog = page.getByRole('dialog', { name: 'What differs' });
  await dialog.getByRole('heading', { name: 'System prompt' }).waitFor();
  expect(await dialog.locator('ins').allTextContents()).toEqual([
    'new: Finds out who did it.',
    'new: You are a detective.',
    'new: All plans',
  ]);
  expect(await dialog.locator('del').count()).toBe(3);
  await dialog.getByText(/\d+ lines are the same/).waitFor();
  await lookAt(page, 'admin-agent-compare');
  await english(page);
  await dialog.locator('.modal__actions').getByRole('button', { name: 'Close' }).click();

  await button(page, 'Restore: Version 1').click();
  await page.getByText('Version 1 is in the form. Look at it, then save it').waitFor();
  expect(await purpose(page).inputValue()).not.toBe('Finds out who did it.');
  const { agents } = (await page.evaluate(async () => (await fetch('/api/v1/admin/agents')).json())) as {
    agents: { slug: string; version: number }[];
  };
  expect(agents.find(({ slug }) => slug === 'researcher')?.version).toBe(2);
  // Over what is typed it is restored only if one says so.
  await purpose(page).fill('Typed.');
  await button(page, 'Restore: As delivered').click();
  await cancel(page);
  expect(await purpose(page).inputValue()).toBe('Typed.');
  await button(page, 'Restore: As delivered').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drop and restore' }).click();
  await until(async () => (await prompt(page).inputValue()) === delivered);
  await save(page, 3);
  await lookAt(page, 'admin-agent-history');
  expect(complaints()).toEqual([]);
});

test('an agent is added, talked to, and removed; what is wrong stands at its field', async () => {
  const { page, complaints } = await regularAdministrator(chat.stage, { viewport: sizes.phone });
  await page.goto(list);
  await page.getByRole('link', { name: 'Add agent' }).click();
  const name = page.getByRole('textbox', { name: 'Name' });
  const slug = page.getByRole('textbox', { name: 'Slug' });
  await name.fill('Tax Adviser');
  expect(await slug.inputValue()).toBe('tax_adviser');
  await slug.fill('General!');
  await page.getByRole('textbox', { name: 'Temperature' }).fill('hot');
  await page.getByRole('textbox', { name: 'Starter questions' }).fill(`One?\n${'x'.repeat(201)}`);
  await button(page, 'Add agent').click();
  await page.getByText('A slug: 2 to 32 small letters, digits and underscores').waitFor();
  await page.getByText('Line 2: At most 200 characters.').waitFor();
  await page.getByText('From 0 to 2.', { exact: true }).waitFor();
  expect(await page.getByText('Say something here.').count()).toBe(2);
  await until(() => slug.evaluate((element) => element === document.activeElement));
  await lookAt(page, 'admin-agent-new');
  await english(page);

  await slug.fill('general');
  await purpose(page).fill('Knows what you owe,\nand why.');
  await prompt(page).fill('You know taxes.');
  await page.getByRole('textbox', { name: 'Temperature' }).fill('');
  await page.getByRole('textbox', { name: 'Starter questions' }).fill('What do I owe?');
  await page.getByRole('radio', { name: 'All plans' }).check();
  await button(page, 'Add agent').click();
  await page.getByText('There is an agent of that slug already.').waitFor();
  expect(await prompt(page).inputValue()).toBe('You know taxes.');
  await slug.fill('tax_adviser');
  await button(page, 'Add agent').click();
  await page.getByRole('status').filter({ hasText: 'Tax Adviser is added' }).waitFor();
  await lookAt(page, 'admin-agents');
  await english(page);

  const eve = await chat.stage.user('community', { reducedMotion: 'reduce' });
  await eve.page.goto('/agents');
  const card = eve.page.getByRole('region', { name: 'Tax Adviser' });
  await card.getByText('Knows what you owe, and why.').waitFor();
  await card.getByRole('link', { name: 'What do I owe?' }).waitFor();
  expect((await toldTo(eve.page, 'tax_adviser', 'Tax Adviser')).system).toMatch(/^You know taxes\./);

  await page.getByRole('link', { name: 'Tax Adviser' }).click();
  await button(page, 'Remove agent').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove agent' }).click();
  await page.getByRole('status').filter({ hasText: 'Tax Adviser is removed' }).waitFor();
  expect(await page.getByRole('listitem').filter({ hasText: 'tax_adviser' }).count()).toBe(0);
  await page.goto(`${list}/tax_adviser`);
  await page.getByText('There is no agent “tax_adviser” (any more).').waitFor();
  expect(complaints(/status of 409/)).toEqual([]);
  expect(eve.complaints()).toEqual([]);
});

test('of two who change an agent at once the second is told by whom, sees both, and loses nothing', async () => {
  const [ada, bob] = [await regularAdministrator(chat.stage, { viewport: sizes.phone }), await administrator(chat.stage, 'Bob')];
  await openAgent(ada.page, 'designer');
  await openAgent(bob.page, 'designer');
  await purpose(bob.page).fill('Bob was here.');
  await save(bob.page, 1);
  await purpose(ada.page).fill('Ada was here.');
  await button(ada.page, 'Save').click();
  const told = ada.page.getByRole('status').filter({ hasText: 'Bob has saved this agent meanwhile, as version 1.' });
  await told.waitFor();
  await until(() => ada.page.locator('.edit__note').evaluate((element) => element === document.activeElement));
  expect(await purpose(ada.page).inputValue()).toBe('Ada was here.');
  await lookAt(ada.page, 'admin-agent-conflict');
  await english(ada.page);
  await button(ada.page, 'Compare with mine').click();
  const dialog = ada.page.getByRole('dialog', { name: 'What differs' });
  expect(await dialog.locator('del, ins').allTextContents()).toEqual(['gone: Bob was here.', 'new: Ada was here.']);
  await dialog.locator('.modal__actions').getByRole('button', { name: 'Close' }).click();
  await button(ada.page, 'Save mine over it').click();
  await stateIs(ada.page, 'Saved as version 2');
  expect(await told.count()).toBe(0);

  // The other way round: what the other has saved is taken, after a question.
  await purpose(bob.page).fill('Bob again.');
  await button(bob.page, 'Save').click();
  await button(bob.page, 'Take theirs').click();
  await bob.page.getByRole('dialog').getByText('version 2, as Ada has saved it').waitFor();
  await bob.page.getByRole('dialog').getByRole('button', { name: 'Drop mine' }).click();
  await until(async () => (await purpose(bob.page).inputValue()) === 'Ada was here.');
  await stateIs(bob.page, 'Everything is saved');
  // A reset of what one has not seen is refused as well.
  await purpose(ada.page).fill('Ada, third.');
  await save(ada.page, 3);
  await button(bob.page, 'Reset to delivered').click();
  await bob.page.getByRole('dialog').getByRole('button', { name: 'Reset to delivered' }).click();
  await bob.page.getByRole('dialog').getByText('Somebody has changed this agent meanwhile.').waitFor();
  await cancel(bob.page);
  await until(async () => (await purpose(bob.page).inputValue()) === 'Ada, third.');
  expect([...ada.complaints(/status of 409/), ...bob.complaints(/status of 409/)]).toEqual([]);
});

test('an agent that another removes under one’s hands can be added again with what one has typed', async () => {
  const [ada, bob] = [await regularAdministrator(chat.stage), await regularAdministrator(chat.stage)];
  const cook = { name: 'Cook', description: 'Cooks.', prompt: 'You cook.', starters: [], temperature: null, inAllPlans: true };
  await ada.call('admin.agents.add', { slug: 'cook', ...cook, models: { openai: 'my-own-model', anthropic: 'claude-haiku-4-5' } });
  await openAgent(ada.page, 'cook');
  // A model that is in no price list stays what it is.
  expect(await ada.page.getByLabel('Preferred model of OpenAI').inputValue()).toBe('my-own-model');
  await prompt(ada.page).fill('You cook well.');
  await bob.call('admin.agents.reset', { slug: 'cook' });
  await button(ada.page, 'Save').click();
  await ada.page.getByRole('status').filter({ hasText: 'This agent has been removed meanwhile.' }).waitFor();
  expect(await prompt(ada.page).inputValue()).toBe('You cook well.');
  await button(ada.page, 'Add it again with mine').click();
  await stateIs(ada.page, 'Saved as version 3');
  expect(ada.complaints(/status of 404/)).toEqual([]);
});

test('leaving with unsaved text asks; where it cannot be saved it stays, and so it does over the end of a session', async () => {
  const { page, email, complaints } = await administrator(chat.stage, 'Ada', { viewport: sizes.phone });
  await openAgent(page, 'seo_writer');
  await prompt(page).fill('You are an unsaved writer.');
  await page.getByRole('link', { name: 'All agents' }).click();
  const dialog = page.getByRole('dialog', { name: 'Leave without saving?' });
  await dialog.waitFor();
  await lookAt(page, 'admin-agent-leave');
  await english(page);
  await cancel(page);
  expect(new URL(page.url()).pathname).toBe(`${list}/seo_writer`);
  // The browser's own question, on closing or loading anew.
  const asked = page.waitForEvent('dialog');
  const reloaded = page.reload({ timeout: 2_000 }).catch(() => undefined);
  const question = await asked;
  expect(question.type()).toBe('beforeunload');
  await question.dismiss();
  await reloaded;
  expect(await prompt(page).inputValue()).toBe('You are an unsaved writer.');

  await page.route('**/trpc/admin.agents.save', (route) => route.abort());
  await button(page, 'Save').click();
  await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor();
  await page.unroute('**/trpc/admin.agents.save');
  expect(await prompt(page).inputValue()).toBe('You are an unsaved writer.');

  const other = await signedIn(chat.stage, email);
  await other.call('accounts.revokeOtherSessions', {});
  // It may have heard of it by itself already, since it listens: then there is nothing left to press.
  await button(page, 'Save')
    .click({ timeout: 1_000 })
    .catch(() => button(page, 'Save').waitFor({ state: 'detached' }));
  await page.getByText('Your session has ended.').waitFor();
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await page.getByText('What you had typed before your session ended is here again.').waitFor();
  expect(await prompt(page).inputValue()).toBe('You are an unsaved writer.');
  await save(page, 1);
  await page.getByRole('link', { name: 'All agents' }).click();
  await page.getByRole('link', { name: 'SEO Writer' }).waitFor();
  expect(complaints(/status of 401|ERR_FAILED|beforeunload/)).toEqual([]);
});

test('what one drops is gone, and the agent as it was; what another tab saves is told at once', async () => {
  const { page, newPage, complaints } = await regularAdministrator(chat.stage);
  await openAgent(page, 'general');
  const before = await prompt(page).inputValue();
  await prompt(page).fill('Gone.');
  await page.getByRole('link', { name: 'All agents' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('link', { name: 'General Assistant' }).click();
  expect(await prompt(page).inputValue()).toBe(before);
  await prompt(page).fill('Gone again.');
  await button(page, 'Discard').click();
  expect(await prompt(page).inputValue()).toBe(before);
  await prompt(page).fill('Here.');
  const other = await newPage();
  await openAgent(other, 'general');
  await purpose(other).fill('There.');
  await save(other, 1);
  await page.getByText('You have saved this agent meanwhile somewhere else, as version 1.').waitFor();
  expect(await prompt(page).inputValue()).toBe('Here.');
  // What nobody has changed here follows by itself.
  await prompt(page).fill(before);
  await button(page, 'Take theirs').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drop mine' }).click();
  await until(async () => (await purpose(page).inputValue()) === 'There.');
  await purpose(other).fill('There again.');
  await save(other, 2);
  await until(async () => (await purpose(page).inputValue()) === 'There again.');
  expect(complaints()).toEqual([]);
});

test('who is no administrator finds no way there, is told so at the address, and refused by the server', async () => {
  const { page, complaints, call } = await chat.stage.user('premium', { reducedMotion: 'reduce', viewport: sizes.phone });
  const files: string[] = [];
  page.on('request', (request) => void (/\/assets\/.*admin/i.test(request.url()) && files.push(request.url())));
  await page.goto('/settings/plan');
  await page.waitForLoadState('networkidle');
  await page.getByRole('heading', { name: 'Plan and limits', level: 1 }).waitFor();
  expect(files).toEqual([]);
  expect(await page.getByRole('link', { name: 'Administration' }).count()).toBe(0);
  const asked: string[] = [];
  page.on('request', (request) => void (request.url().includes('/admin.') && asked.push(request.url())));
  for (const path of ['/admin', list, `${list}/developer`, `${list}/new-agent`]) {
    await page.goto(path);
    await page.getByRole('heading', { name: 'For administrators only' }).waitFor();
    expect(await page.getByRole('navigation', { name: 'Administration' }).count()).toBe(0);
  }
  await lookAt(page, 'admin-refused');
  expect(asked).toEqual([]);
  await expect(call('admin.agents.reset', { slug: 'developer' })).rejects.toThrow('Only an administrator can do this.');
  expect(complaints()).toEqual([]);
});

test('by keyboard alone a prompt is found, changed and saved', async () => {
  const { page, complaints } = await regularAdministrator(chat.stage);
  await page.goto(list);
  const link = page.getByRole('link', { name: 'Software Developer' });
  await link.focus();
  await page.keyboard.press('Enter');
  await until(() => page.getByRole('heading', { name: 'Software Developer', level: 1 }).evaluate((it) => it === document.activeElement));
  await prompt(page).waitFor();
  const isAt = (place: ReturnType<typeof prompt>) => place.evaluate((element) => element === document.activeElement);
  for (let i = 0; i < 8 && !(await isAt(prompt(page))); i += 1) await page.keyboard.press('Tab');
  expect(await isAt(prompt(page))).toBe(true);
  await page.keyboard.press('Control+Home');
  await page.keyboard.type('Typed by hand. ');
  for (let i = 0; i < 12 && !(await isAt(button(page, 'Save'))); i += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await stateIs(page, 'Saved as version 1');
  expect((await toldTo(page, 'developer', 'Software Developer')).system).toMatch(/^Typed by hand\. You are/);
  expect(complaints()).toEqual([]);
});

test.each([list, `${list}/marketer`])('nothing jumps while %s loads', async (path) => {
  const { page, context } = await regularAdministrator(chat.stage, { viewport: sizes.phone });
  await context.addInitScript(() => {
    const shifts = globalThis as unknown as { __shift: number };
    shifts.__shift = 0;
    new PerformanceObserver((found) => {
      for (const entry of found.getEntries()) shifts.__shift += (entry as unknown as { value: number }).value;
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(path);
  await page.waitForLoadState('networkidle');
  await settled(page);
  expect(await page.evaluate(() => (globalThis as unknown as { __shift: number }).__shift)).toBeLessThan(0.05);
});
