import { expect, test, vi } from 'vitest';
import { testApp } from '../test/app.ts';

test('a server under which a newer one changes the database says so, once, and goes on', async () => {
  await using app = await testApp();
  const instance = async () =>
    ((await (await app.fetch(null, '/trpc/accounts.instance')).json()) as { result: { data: { databaseAhead: boolean } } }).result.data;
  const round = async () => {
    app.clock.advance(10_000);
    await vi.waitFor(() => expect(app.lines.some((line) => line.includes('newer version has changed'))).toBe(true), { timeout: 20_000 });
  };
  expect(await instance()).toMatchObject({ databaseAhead: false });
  await app.app.db.commit([{ sql: `insert into migration (name, applied_at) values ('9999_x', '2030-01-01')`, params: [] }]);
  await round();
  expect(await instance()).toMatchObject({ databaseAhead: true });
  await round();
  expect(app.lines.filter((line) => line.includes('newer version has changed'))).toHaveLength(1);
  const ada = await app.person({ keys: { openai: 'good' } });
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  // PGlite's one database goes on to the next test.
  await app.app.db.commit([{ sql: `delete from migration where name = '9999_x'`, params: [] }]);
});
