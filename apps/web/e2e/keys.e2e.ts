import type { Page, Response } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { newKey, openStage, type Stage, until } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ PLATFORM_OPENAI_API_KEY: 'sk-platform-0123456789abcdef' });
  return () => stage[Symbol.asyncDispose]();
});

const card = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
const dialog = (page: Page) => page.getByRole('dialog');

async function keysPage() {
  const user = await stage.user('premium');
  await user.page.goto('/settings/api-keys');
  await card(user.page, 'OpenAI').waitFor();
  return user;
}

test('a first key: whose it is and its mistakes are said while typing, it is checked, saved and valid', async () => {
  const { page, complaints } = await keysPage();
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await card(page, 'OpenAI').getByText('Next request: the platform’s key').waitFor();
  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  const field = dialog(page).getByRole('textbox', { name: 'OpenAI key' });
  await until(() => field.evaluate((input) => input === document.activeElement));
  expect(await dialog(page).getByRole('link', { name: 'platform.openai.com/api-keys' }).getAttribute('rel')).toContain('noopener');

  await field.fill('hello there');
  await dialog(page).getByText('This does not look like a key for OpenAI').waitFor();
  await field.fill(`sk-${'a'.repeat(10)} ${'b'.repeat(10)}`);
  await dialog(page).getByText('A key has no spaces').waitFor();
  await field.fill('byok_0123456789012345');
  await dialog(page).getByText('This is an access token of this server').waitFor();
  expect(await dialog(page).getByRole('button', { name: 'Save Key' }).isDisabled()).toBe(true);

  await field.fill(newKey('anthropic'));
  await dialog(page).getByRole('heading', { name: 'Add Anthropic key' }).waitFor();
  await dialog(page).getByRole('button', { name: 'OpenAI', exact: true }).click();
  await dialog(page).getByText('This looks like a key for Anthropic, not for OpenAI.').waitFor();
  expect(stage.provider.requests).toHaveLength(0);

  const gate = stage.provider.gate();
  await field.fill(`  ${key}\n`);
  await dialog(page).getByText('Recognised').waitFor();
  await dialog(page).getByRole('button', { name: 'Check' }).click();
  await dialog(page).getByText('Asking OpenAI whether this key works…').waitFor();
  await gate.reached;
  gate.open();
  await dialog(page).getByRole('status').filter({ hasText: 'OpenAI accepts it' }).waitFor();
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await card(page, 'OpenAI').getByText('Valid', { exact: true }).waitFor();
  await card(page, 'OpenAI')
    .getByText(`****...${key.slice(-4)}`)
    .waitFor();
  await card(page, 'OpenAI').getByText('Next request: your key').waitFor();
  await until(async () => (await dialog(page).count()) === 0);
  expect(complaints()).toEqual([]);
});

test('a failed check keeps the typed key; saved all the same it is invalid, with what to do; a replacement mends it', async () => {
  const { page, complaints } = await keysPage();
  const bad = newKey('anthropic');
  await page.getByRole('button', { name: 'Add key: Anthropic' }).click();
  await dialog(page).getByRole('textbox', { name: 'Anthropic key' }).fill(bad);
  await dialog(page).getByRole('button', { name: 'Check' }).click();
  await dialog(page).getByText('You can save it all the same').waitFor();
  expect(await dialog(page).getByRole('textbox', { name: 'Anthropic key' }).inputValue()).toBe(bad);
  await page.keyboard.press('Enter');
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await card(page, 'Anthropic').getByText('Invalid', { exact: true }).waitFor();
  await card(page, 'Anthropic').getByText('Look in your Anthropic account whether the key still exists').waitFor();
  await card(page, 'Anthropic').getByText('Next request: fails, because your key is not accepted.').waitFor();

  const good = newKey('anthropic');
  stage.provider.key(good, 'good');
  await page.getByRole('button', { name: 'Replace: Anthropic' }).click();
  await dialog(page)
    .getByText(`This replaces ****...${bad.slice(-4)}`)
    .waitFor();
  expect(await dialog(page).getByRole('textbox', { name: 'Anthropic key' }).inputValue()).toBe('');
  await dialog(page).getByRole('textbox', { name: 'Anthropic key' }).fill(good);
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await card(page, 'Anthropic').getByText('Valid', { exact: true }).waitFor();

  await card(page, 'Anthropic').getByText('Last checked').locator('xpath=..').getByText('just now').waitFor();

  stage.provider.key(good, 'no_credit');
  await page.getByRole('button', { name: 'Test Key: Anthropic' }).click();
  await card(page, 'Anthropic').getByText('No credit', { exact: true }).waitFor();
  await card(page, 'Anthropic').getByText('When that is done, press “Test Key”').waitFor();
  await card(page, 'Anthropic')
    .getByText(/^Tested: without credit \(\d+\sms\)$/)
    .waitFor();
  await page.getByRole('button', { name: 'Test Key: Anthropic' }).click();
  await card(page, 'Anthropic')
    .getByText(/^Tested: still without credit \(\d+\sms\)$/)
    .waitFor();
  expect(await card(page, 'Anthropic').getByText('has no credit left').count()).toBe(1);
  stage.provider.key(good, 'good');
  await page.getByRole('button', { name: 'Test Key: Anthropic' }).click();
  await card(page, 'Anthropic').getByText('Valid', { exact: true }).waitFor();
  expect(complaints()).toEqual([]);
});

test('a key that works is not given up for one that does not, unless its owner insists', async () => {
  const { page, call, complaints } = await keysPage();
  const [good, bad, better] = [newKey('openai'), newKey('openai'), newKey('openai')];
  stage.provider.key(good, 'good');
  stage.provider.key(better, 'good');
  await call('keys.save', { provider: 'openai', apiKey: good });
  await page.reload();
  const field = dialog(page).getByRole('textbox', { name: 'OpenAI key' });
  const replaceWith = async (key: string) => {
    await page.getByRole('button', { name: 'Replace: OpenAI' }).click();
    await field.fill(key);
    await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  };
  const shows = (key: string) =>
    card(page, 'OpenAI')
      .getByText(`****...${key.slice(-4)}`)
      .waitFor();
  const closed = () => until(async () => (await dialog(page).count()) === 0);

  await replaceWith(bad);
  await dialog(page).getByText('OpenAI does not accept the new key').waitFor();
  await dialog(page)
    .getByText(`Your present key ****...${good.slice(-4)} is unchanged.`)
    .waitFor();
  const link = dialog(page).getByRole('alert').getByRole('link', { name: 'platform.openai.com/api-keys' });
  expect(await link.getAttribute('rel')).toContain('noopener');
  expect(await field.inputValue()).toBe(bad);
  await field.press('Enter');
  await dialog(page).getByText('is unchanged').waitFor();
  await dialog(page).getByRole('button', { name: 'Keep the present key' }).click();
  await closed();
  await shows(good);
  await card(page, 'OpenAI').getByText('Valid', { exact: true }).waitFor();

  await replaceWith(bad);
  await dialog(page).getByText('is unchanged').waitFor();
  await field.fill(better);
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await closed();
  await shows(better);

  await replaceWith(bad);
  await dialog(page).getByRole('button', { name: 'Replace all the same' }).click();
  await closed();
  await shows(bad);
  await card(page, 'OpenAI').getByText('Invalid', { exact: true }).waitFor();
  expect(complaints()).toEqual([]);
});

test('what the server could not ask about is said to be so, and the server’s refusals too', async () => {
  const { page, complaints } = await keysPage();
  const key = newKey('openai');
  stage.provider.key(key, 'down');
  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).fill(key);
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await card(page, 'OpenAI').getByText('Not checked yet').waitFor();
  for (let i = 0; i < 6; i++) {
    const answered = page.waitForResponse((response) => response.url().includes('/trpc/keys.test'));
    await page.getByRole('button', { name: 'Test Key: OpenAI' }).click();
    await answered;
    await card(page, 'OpenAI').locator('.card__outcome .notice:not(:has-text("Asking"))').waitFor();
  }
  await card(page, 'OpenAI').getByRole('alert').waitFor();
  expect(complaints(/status of 429/)).toEqual([]);
});

test('the switches move at once, go back when the server refuses, and a removal says what will happen', async () => {
  const { page, call, complaints } = await keysPage();
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await call('keys.save', { provider: 'openai', apiKey: key });
  await page.reload();
  const active = page.getByRole('switch', { name: 'Active (OpenAI)' });
  const fallback = page.getByRole('switch', { name: 'Fallback (OpenAI)' });

  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route('**/trpc/keys.set', async (route) => {
    await held;
    await route.abort();
  });
  await active.click();
  await until(async () => (await active.getAttribute('aria-checked')) === 'false');
  release();
  await until(async () => (await active.getAttribute('aria-checked')) === 'true');
  await card(page, 'OpenAI').getByText('The server cannot be reached').waitFor();
  await page.unroute('**/trpc/keys.set');

  await active.focus();
  await page.keyboard.press('Space');
  await card(page, 'OpenAI').getByText('Switched off').waitFor();
  await card(page, 'OpenAI').getByText('Next request: the platform’s key').waitFor();
  await fallback.click();
  await card(page, 'OpenAI').getByText('Next request: fails, because your key is switched off.').waitFor();
  await page.reload();
  expect(await fallback.getAttribute('aria-checked')).toBe('false');
  await active.click();
  await card(page, 'OpenAI').getByText('Valid', { exact: true }).waitFor();

  await page.getByRole('button', { name: 'Remove: OpenAI' }).click();
  for (const sentence of ['cannot be brought back', 'within your limits (100 a minute, 2,000 a day)', 'delete it there, too']) {
    await dialog(page).getByText(sentence).waitFor();
  }
  await page.keyboard.press('Escape');
  await until(async () => (await dialog(page).count()) === 0);
  await page.getByRole('button', { name: 'Remove: OpenAI' }).click();
  await dialog(page).getByRole('button', { name: 'Remove key' }).click();
  await card(page, 'OpenAI').getByText('No key', { exact: true }).waitFor();
  await page.getByText('Your OpenAI key was removed').waitFor();
  await until(() => page.getByRole('button', { name: 'Add key: OpenAI' }).evaluate((button) => button === document.activeElement));
  expect(complaints(/ERR_FAILED/)).toEqual([]);
});

test('the card counts requests that are made elsewhere, without a reload', async () => {
  const { page, call, complaints } = await keysPage();
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await call('keys.save', { provider: 'openai', apiKey: key });
  const { secret } = (await call('tokens.create', { name: 'elsewhere' })) as { secret: string };
  await page.reload();
  const requests = card(page, 'OpenAI').locator('.facts div', { hasText: 'Requests' }).locator('dd');
  await until(async () => (await requests.textContent()) === '0');
  for (const count of ['1', '2']) {
    const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'Hello!' }] }),
    });
    await answer.text();
    await until(async () => (await requests.textContent()) === count);
  }
  expect(complaints()).toEqual([]);
});

test('a lapsed plan shows its keys as stored and not used', async () => {
  const { page, call, email, complaints } = await keysPage();
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await call('keys.save', { provider: 'openai', apiKey: key });
  await stage.office.setTier(email, 'premium', new Date('2026-01-01'));
  await page.reload();
  await card(page, 'OpenAI').getByText('Stored, not used').waitFor();
  await page.getByText('Your Premium plan has ended').waitFor();
  expect(await page.getByRole('button', { name: 'Replace: OpenAI' }).isDisabled()).toBe(true);
  await page.getByRole('button', { name: 'Test Key: OpenAI' }).click();
  await card(page, 'OpenAI').getByText('OpenAI accepts it').waitFor();
  expect(complaints()).toEqual([]);
});

test('the typed key is nowhere once it is saved, and nowhere after a cancelled dialog', async () => {
  const { page, context, complaints } = await keysPage();
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  const answers: Promise<string>[] = [];
  const carriers: string[] = [];
  const bodyOf = (response: Response) => response.text().catch(() => '');
  context.on('response', (response) => {
    // What says that there are notices goes on as long as the page.
    if (response.request().resourceType() !== 'eventsource') answers.push(bodyOf(response));
  });
  context.on('request', (request) => {
    const headers = JSON.stringify(request.headers());
    if (`${request.url()}${headers}`.includes(key)) carriers.push(`outside of a body: ${request.url()}`);
    if (request.postData()?.includes(key)) carriers.push(new URL(request.url()).pathname);
  });

  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).fill(key);
  // The search must be able to find: here the key is in the page.
  expect(await traces(page, key)).not.toEqual([]);
  await page.keyboard.press('Escape');
  await until(async () => (await dialog(page).count()) === 0);
  expect(await traces(page, key)).toEqual([]);

  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  expect(await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).inputValue()).toBe('');
  await dialog(page).getByRole('textbox', { name: 'OpenAI key' }).fill(key);
  await dialog(page).getByRole('button', { name: 'Check' }).click();
  await dialog(page).getByText('OpenAI accepts it').waitFor();
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await card(page, 'OpenAI').getByText('Valid', { exact: true }).waitFor();
  await until(async () => (await dialog(page).count()) === 0);
  expect(await traces(page, key)).toEqual([]);
  expect(JSON.stringify(await context.storageState({ indexedDB: true }))).not.toContain(key.slice(0, 20));
  expect(carriers).toEqual(['/trpc/keys.check', '/trpc/keys.save']);
  for (const answer of await Promise.all(answers)) expect(answer).not.toContain(key.slice(0, 20));
  expect(stage.console()).not.toContain(key.slice(0, 20));
  expect(complaints()).toEqual([]);
});

/** Where in the page a text is: markup, fields, storage, address, history, what the page's own state can reach. */
async function traces(page: Page, text: string): Promise<string[]> {
  return page.evaluate((needle) => {
    const seen = new WeakSet<object>();
    const flat = (value: unknown) =>
      JSON.stringify(value, (_name, held: unknown) => {
        if (typeof held !== 'object' || held === null) return held;
        if (seen.has(held)) return undefined;
        seen.add(held);
        return held instanceof Map || held instanceof Set ? [...held] : held;
      });
    const app = document.querySelector('#app') as
      | (Element & { __vue_app__?: { config: { globalProperties: { $pinia?: { state: unknown } } } } })
      | null;
    const places: Record<string, string> = {
      markup: document.documentElement.outerHTML,
      fields: [...document.querySelectorAll('input, textarea')].map((field) => (field as HTMLInputElement).value).join(' '),
      address: location.href,
      history: JSON.stringify(history.state),
      local: JSON.stringify(localStorage),
      session: JSON.stringify(sessionStorage),
      cookies: document.cookie,
      state: flat(app?.__vue_app__?.config.globalProperties.$pinia?.state ?? null) ?? '',
    };
    const found = Object.entries(places).filter(([, held]) => held.includes(needle));
    return found.map(([place]) => place);
  }, text);
}

test('a key that is still being saved when its dialog is closed leaves the next dialog and what is typed there alone', async () => {
  const { page, complaints } = await keysPage();
  const [first, second] = [newKey('openai'), newKey('anthropic')];
  stage.provider.key(first, 'good');
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route('**/trpc/keys.save', async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  await dialog(page).getByRole('textbox').fill(first);
  await dialog(page).getByRole('button', { name: 'Save Key' }).click();
  await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  await until(async () => (await dialog(page).count()) === 0);
  await page.getByRole('button', { name: 'Add key: Anthropic' }).click();
  await dialog(page).getByRole('textbox').fill(second);
  release();
  await card(page, 'OpenAI').getByText('saved').waitFor();
  // A dialog takes a moment to vanish.
  await page.waitForTimeout(300);
  expect(await dialog(page).getByRole('textbox').inputValue()).toBe(second);
  expect(await page.content()).not.toContain(first.slice(-12));
  expect(complaints()).toEqual([]);
});

test('a dialog whose file went with an update of the server says to reload; one that could not be reached opens at the next try', async () => {
  const { page, context, complaints } = await keysPage();
  const add = page.getByRole('button', { name: 'Add key: OpenAI' });
  await page.route('**/assets/KeyDialog-*.js', (route) => route.fulfill({ status: 404 }));
  await add.click();
  await card(page, 'OpenAI').getByText('Reload the page and try again').waitFor();
  await page.unroute('**/assets/KeyDialog-*.js');
  await context.setOffline(true);
  await add.click();
  await card(page, 'OpenAI').getByText('The server cannot be reached').waitFor();
  await context.setOffline(false);
  await add.click();
  await dialog(page).getByRole('textbox').waitFor();
  expect(await card(page, 'OpenAI').getByText('cannot be reached').count()).toBe(0);
  expect(complaints(/404|DISCONNECTED/)).toEqual([]);
});
