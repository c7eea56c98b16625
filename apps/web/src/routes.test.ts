import { expect, test } from 'vitest';
import { backFrom, home } from './routes.ts';

test('whoever signs in comes back to the page of this server that they wanted', () => {
  const page = '/settings/api-keys/usage?range=7d#list';
  expect(backFrom(page)).toBe(page);
});

// Browsers leave tabs and line ends out of an address.
test.each([
  ...['https://evil.example', '//evil.example', '/\\evil.example', '/\t/evil.example', '/\n\\evil.example', '\t//evil.example'],
  ...['javascript:alert(1)', 'settings', '', undefined, ['/settings']],
])('%j leads nowhere but home', (back) => {
  expect(backFrom(back)).toBe(home);
});
