import { expect, test, vi } from 'vitest';
import { findPlanted } from '../../test/planted.ts';
import { place } from '../../test/process.ts';

vi.setConfig({ testTimeout: 120_000 });

test('the operator prints what is known of a user, and removes them, in so many words', async () => {
  await using here = await place();
  const add = (name: string, ...more: string[]) =>
    here.run(['users', 'add', '--email', `${name}@example.com`, '--tier', 'premium', '--password-stdin', ...more], {
      input: 'correct horse battery\n',
    });
  expect((await add('ada', '--admin')).code).toBe(0);
  expect((await add('bob')).code).toBe(0);
  const { out: token } = await here.run(['tokens', 'add', '--email', 'bob@example.com', '--name', 'laptop']);

  const exported = await here.run(['users', 'export', '--email', 'Bob@example.com']);
  expect(exported).toMatchObject({ code: 0, err: '' });
  const file = JSON.parse(exported.out) as Record<string, Record<string, unknown>[]>;
  expect(file).toMatchObject({ account: [{ email: 'bob@example.com' }], plan: [{ tier: 'premium' }], tokens: [{ name: 'laptop' }] });
  expect(findPlanted(token.trim(), Buffer.from(exported.out.replace(/"prefix":"[^"]*"/, '')))).toEqual([]);
  expect(exported.out).not.toContain('ada@example.com');

  const remove = (name: string, ...more: string[]) => here.run(['users', 'remove', '--email', `${name}@example.com`, ...more]);
  expect(await remove('bob')).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
  expect(await remove('nobody', '--yes')).toMatchObject({ code: 1, err: expect.stringContaining('no such account') });
  expect(await remove('ada', '--yes')).toMatchObject({ code: 1, err: expect.stringContaining('last administrator') });
  expect(await remove('bob', '--yes')).toMatchObject({ code: 0, out: '', err: expect.stringContaining('bob@example.com is removed') });
  expect((await here.run(['users', 'list'])).out).not.toContain('bob@');
  expect(await here.run(['users', 'export', '--email', 'bob@example.com'])).toMatchObject({ code: 1, out: '' });
});
