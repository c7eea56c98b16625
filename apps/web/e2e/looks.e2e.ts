/** Every page as people see it: phone and desktop, light and dark, with axe and a picture of each in .screenshots. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { lookAt, settled, sizes, violations } from './look.ts';
import { newKey, openStage, type Stage, until, type Visitor } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ SIGNUP: 'open', PLATFORM_OPENAI_API_KEY: 'sk-platform-0123456789abcdef' });
  return () => stage[Symbol.asyncDispose]();
});

type Person = 'empty' | 'full' | 'lapsed';
let people: Promise<Record<Person, Visitor>> | undefined;

/** Not before the set-up page was seen, which wants a server without anybody. */
async function seed(): Promise<Record<Person, Visitor>> {
  const [empty, full, lapsed] = await Promise.all(Array.from({ length: 3 }, () => stage.user('premium')));
  if (!empty || !full || !lapsed) throw new Error('Three were asked for.');
  const good = newKey('openai');
  stage.provider.key(good, 'good');
  await full.call('keys.save', { provider: 'openai', apiKey: good });
  await full.call('keys.save', { provider: 'anthropic', apiKey: newKey('anthropic') });
  const { secret } = (await full.call('tokens.create', { name: 'My laptop' })) as { secret: string };
  await full.call('tokens.create', { name: 'Deployment', scopes: ['gateway', 'manage'], expiresAt: '2099-01-01T00:00:00Z' });
  for (const model of ['gpt-4.1-mini', 'gpt-4.1-mini', 'gpt-4.1']) {
    const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Tell me about the sea.' }] }),
    });
    await answer.text();
  }
  const kept = newKey('openai');
  stage.provider.key(kept, 'good');
  await lapsed.call('keys.save', { provider: 'openai', apiKey: kept });
  await stage.byok(['users', 'set-tier', '--email', lapsed.email, '--tier', 'premium', '--until', '2026-01-01']);
  return { empty, full, lapsed };
}

const cookiesOf = async (who: Person) => {
  people ??= seed();
  return (await people)[who].context.storageState();
};

interface Scene {
  who?: Person;
  path: string | (() => string);
  /** What must be there before the picture is taken. */
  wait: string;
  act?: (page: Page) => Promise<void>;
}

/** Names of pictures, in the order in which a new person meets the pages. */
const scenes: Record<string, Scene> = {
  'set-up': { path: () => new URL(stage.setUpLink).pathname + new URL(stage.setUpLink).search, wait: 'Welcome' },
  'sign-in': {
    path: '/sign-in',
    wait: 'Password',
    act: (page) => page.getByRole('button', { name: 'Sign in' }).click(),
  },
  'sign-up': { path: '/sign-up', wait: 'At least 12 characters' },
  'page-not-found': { path: '/no-such-page', wait: 'There is nothing at this address.' },
  'keys-empty': { who: 'empty', path: '/settings/api-keys', wait: 'You have not added a key for Anthropic.' },
  'keys-add': {
    who: 'empty',
    path: '/settings/api-keys',
    wait: 'You have not added a key for Anthropic.',
    async act(page) {
      await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
      await page.getByRole('textbox', { name: 'OpenAI key' }).fill(newKey('openai'));
      await page.getByRole('button', { name: 'Check' }).click();
      await page.getByText('You can save it all the same').waitFor();
    },
  },
  keys: { who: 'full', path: '/settings/api-keys', wait: 'Look in your Anthropic account' },
  'keys-replace': {
    who: 'full',
    path: '/settings/api-keys',
    wait: 'Look in your Anthropic account',
    async act(page) {
      await page.getByRole('button', { name: 'Replace: OpenAI' }).click();
      await page.getByRole('textbox', { name: 'OpenAI key' }).fill(newKey('openai'));
      await page.getByRole('button', { name: 'Save Key' }).click();
      await page.getByText('is unchanged').waitFor();
    },
  },
  'keys-remove': {
    who: 'full',
    path: '/settings/api-keys',
    wait: 'Look in your Anthropic account',
    act: (page) => page.getByRole('button', { name: 'Remove: OpenAI' }).click(),
  },
  'keys-lapsed': { who: 'lapsed', path: '/settings/api-keys', wait: 'Stored, not used' },
  usage: { who: 'full', path: '/settings/api-keys/usage', wait: 'By day' },
  'usage-empty': { who: 'empty', path: '/settings/api-keys/usage', wait: 'No requests in this time.' },
  tokens: { who: 'full', path: '/settings/tokens', wait: 'My laptop' },
  'tokens-new': {
    who: 'full',
    path: '/settings/tokens',
    wait: 'My laptop',
    act: (page) => page.getByRole('button', { name: 'New token' }).click(),
  },
  plan: { who: 'full', path: '/settings/plan', wait: 'What the plans offer' },
};

describe.for(Object.entries(scenes))('%s', ([name, { who, path, wait, act }]) => {
  test('is accessible and whole on phone and desktop, in light and dark', async () => {
    const options: BrowserContextOptions = {
      reducedMotion: 'reduce',
      viewport: sizes.phone,
      ...(who && { storageState: await cookiesOf(who) }),
    };
    const { page, complaints, context } = await stage.visitor(options);
    await page.goto(typeof path === 'string' ? path : path());
    await page.getByText(wait).first().waitFor();
    await act?.(page);
    if (act) await until(() => page.getByRole('dialog').or(page.getByRole('alert')).first().isVisible());
    await lookAt(page, name);
    expect(complaints()).toEqual([]);
    await context.close();
  });
});

test('axe finds what is wrong: an image and a button without a name', async () => {
  const { page, context } = await stage.visitor();
  await page.goto('/sign-in');
  await page.getByLabel('E-mail').waitFor();
  await page.evaluate(() => document.querySelector('main')?.insertAdjacentHTML('beforeend', '<img src="/favicon.svg"><button></button>'));
  expect(await violations(page)).toEqual([expect.stringContaining('button-name'), expect.stringContaining('image-alt')]);
  await context.close();
});

/** The page loads in one piece: what is there does not move when data, dialogs or verdicts arrive (Cumulative Layout Shift). */
test.for(['/settings/api-keys', '/settings/api-keys/usage', '/settings/tokens', '/settings/plan'])(
  'nothing jumps while %s loads',
  async (path) => {
    const { page, context } = await stage.visitor({ storageState: await cookiesOf('full'), viewport: sizes.phone });
    await context.addInitScript(() => {
      const shifts = globalThis as unknown as { __shift: number };
      shifts.__shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) shifts.__shift += (entry as unknown as { value: number }).value;
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.goto(path);
    await page.waitForLoadState('networkidle');
    await settled(page);
    expect(await page.evaluate(() => (globalThis as unknown as { __shift: number }).__shift)).toBeLessThan(0.05);
    await context.close();
  },
);
