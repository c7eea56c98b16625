/** What the program says where the database is of another version. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import { freshSecrets, place } from '../../test/process.ts';

vi.setConfig({ testTimeout: 120_000 });

test('version says whether the database is of another, and changes nothing', async () => {
  await using here = await place(freshSecrets());
  const version = async () => {
    const { code, out, err } = await here.run(['version', '--json']);
    expect(code).toBe(0);
    return { ...(JSON.parse(out) as { version: string; database: string }), err };
  };
  expect(await version()).toMatchObject({ database: 'none', err: '' });
  expect((await here.run(['migrate'])).code).toBe(0);
  expect(await version()).toMatchObject({ database: 'same', err: '' });
  const edit = (sql: string) => {
    using db = new DatabaseSync(join(here.folder, 'data/byok.db'));
    db.exec(sql);
  };
  edit(`insert into migration values ('9999_from_the_future', '2030-01-01')`);
  expect(await version()).toMatchObject({ database: 'newer', err: expect.stringContaining('9999_from_the_future') });
  expect(await here.run(['users', 'list'])).toMatchObject({ code: 1, err: expect.stringContaining('newer version') });
  edit(`delete from migration where name like '9999%'; delete from migration where name = (select max(name) from migration)`);
  expect(await version()).toMatchObject({ database: 'older', err: expect.stringContaining('next start') });
  // It has brought nothing up to date itself.
  expect(await version()).toMatchObject({ database: 'older' });
  expect((await here.run(['version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
});
