/** What the program says where the database is of another version. */
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
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

test('doctor says so as well, and does not bring the database up to date', async () => {
  const { ENCRYPTION_KEY: key = '', ...secrets } = freshSecrets();
  await using here = await place(secrets);
  const file = join(here.folder, 'key');
  writeFileSync(file, key, { mode: 0o644 });
  const env = { ...secrets, ENCRYPTION_KEY_FILE: file };
  expect((await here.run(['migrate'], { env })).code).toBe(0);
  const doctor = async () => {
    const { code, out } = await here.run(['doctor', '--json'], { env });
    const { checks } = JSON.parse(out) as { checks: { id: string; state: string; detail: string }[] };
    return { code, of: (id: string) => checks.find((check) => check.id === id) };
  };
  const first = await doctor();
  expect(first.of('version')).toMatchObject({ state: 'ok' });
  expect(first.of('secret-files')).toMatchObject({ state: 'warning', detail: expect.stringContaining(`chmod o= ${file}`) });
  const edit = (sql: string) => {
    using db = new DatabaseSync(join(here.folder, 'data/byok.db'));
    db.exec(sql);
  };
  chmodSync(file, 0o640);
  symlinkSync(join(here.folder, 'nowhere'), join(here.folder, 'data/byok.db.link'));
  writeFileSync(join(here.folder, 'data/backups'), 'no folder', { mode: 0o600 });
  edit('delete from migration where name = (select max(name) from migration)');
  for (const _again of [1, 2]) {
    const { code, of } = await doctor();
    expect([code, of('version'), of('database'), of('secret-files')]).toMatchObject([
      0,
      { state: 'warning', detail: expect.stringContaining('next start') },
      { state: 'ok' },
      { state: 'ok' },
    ]);
  }
  edit(`insert into migration values ('9999_from_the_future', '2030-01-01')`);
  expect((await doctor()).of('version')).toMatchObject({ state: 'failed', detail: expect.stringContaining('update the program') });
  expect((await doctor()).code).toBe(1);
});

test('migrate tells how far it is, and nothing where there is nothing to do', async () => {
  await using here = await place(freshSecrets());
  const first = await here.run(['migrate']);
  const [, done, total] = /^Migrations: (\d+) of (\d+)\nThe database is up to date\.$/m.exec(first.err) ?? [];
  expect([first.code, first.out, Number(done)]).toEqual([0, '', Number(total)]);
  expect(Number(total)).toBeGreaterThan(5);
  expect(await here.run(['migrate'])).toMatchObject({ code: 0, err: 'The database is up to date.\n' });
});
