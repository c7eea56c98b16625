/** Every other page as people see it: phone and desktop, light and dark, with axe. */
import { expect, test } from 'vitest';
import { expectNoJumps, sizes, violations } from './look.ts';
import { playScenes } from './scenes.ts';

/** Names of pictures, in the order in which a new person meets the pages. */
const theatre = playScenes({
  'set-up': { path: (stage) => new URL(stage.setUpLink).pathname + new URL(stage.setUpLink).search, wait: 'Welcome' },
  'sign-in': {
    path: '/sign-in',
    wait: 'Password',
    act: (page) => page.getByRole('button', { name: 'Sign in' }).click(),
  },
  'sign-up': { path: '/sign-up', wait: 'At least 12 characters' },
  'page-not-found': { path: '/no-such-page', wait: 'There is nothing at this address.' },
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
});

test('axe finds what is wrong: an image and a button without a name', async () => {
  const { page, context } = await theatre().stage.visitor();
  await page.goto('/sign-in');
  await page.getByLabel('E-mail').waitFor();
  await page.evaluate(() => document.querySelector('main')?.insertAdjacentHTML('beforeend', '<img src="/favicon.svg"><button></button>'));
  expect(await violations(page)).toEqual([expect.stringContaining('button-name'), expect.stringContaining('image-alt')]);
  await context.close();
});

test.for(['/settings/api-keys', '/settings/api-keys/usage', '/settings/tokens', '/settings/plan', '/settings/notices'])(
  'nothing jumps while %s loads',
  async (path) => {
    const { page, context } = await theatre().stage.visitor({ storageState: await theatre().cookiesOf('full'), viewport: sizes.phone });
    await expectNoJumps(page, async () => {
      await page.goto(path);
      await page.waitForLoadState('networkidle');
    });
    await context.close();
  },
);
