/** The page of the keys, in each of its states, as people see it: phone and desktop, light and dark. */
import { playScenes } from './scenes.ts';
import { newKey } from './stage.ts';

playScenes({
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
});
