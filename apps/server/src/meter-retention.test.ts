import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;

async function anHour({ app, clock }: TestApp): Promise<void> {
  clock.advance(hourMs);
  await app.tidying.idle();
}

const range = (app: TestApp) =>
  `from=${new Date(app.clock.now() - 300 * dayMs).toISOString()}&to=${new Date(app.clock.now() + dayMs).toISOString()}`;

async function listed(app: TestApp, who: Person) {
  const answer = await app.fetch(who, `/api/v1/api-keys/usage/requests?${range(app)}`);
  return (await answer.json()) as { requests: { id: string }[]; rowsFrom: string | null };
}
const csv = (app: TestApp, who: Person) => app.fetch(who, `/api/v1/api-keys/usage.csv?${range(app)}`);
const sums = async (app: TestApp, who: Person) =>
  ((await (await app.fetch(who, `/api/v1/api-keys/usage?${range(app)}`)).json()) as { totals: object }).totals;

test('single requests are deleted for their age, their sums stay, and list and CSV say from when on there are any', async () => {
  await using app = await testApp({ env: { USAGE_RETENTION_DAYS: '30' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  for (let i = 0; i < 3; i += 1) await (await app.chat(ada, 'hello')).text();
  app.clock.advance(29 * dayMs);
  await (await app.chat(ada, 'hello')).text();
  const before = { list: await listed(app, ada), sums: await sums(app, ada), csv: await csv(app, ada) };
  expect(before.list.requests).toHaveLength(4);
  expect(before.list.rowsFrom).toBeNull();
  expect(before.csv.headers.get('x-byok-rows-from')).toBeNull();
  expect(before.sums).toMatchObject({ requests: 4 });

  app.clock.advance(dayMs);
  await anHour(app);
  const { requests, rowsFrom } = await listed(app, ada);
  expect(requests.map(({ id }) => id)).toEqual(before.list.requests.slice(0, 1).map(({ id }) => id));
  expect(Date.parse(rowsFrom ?? '')).toBe(Math.floor((app.clock.now() - 30 * dayMs) / hourMs) * hourMs);
  const after = await csv(app, ada);
  expect(after.headers.get('x-byok-rows-from')).toBe(rowsFrom);
  expect((await after.text()).trim().split('\r\n')).toHaveLength(2);
  expect(await sums(app, ada)).toEqual(before.sums);
  expect(app.lines.filter((line) => line.includes('Deleted single requests'))).toHaveLength(1);
  // Nothing more to do, nothing more to say.
  await anHour(app);
  expect((await listed(app, ada)).rowsFrom).toBe(rowsFrom);
  expect(app.lines.filter((line) => line.includes('Deleted single requests'))).toHaveLength(1);
});

test('unless it is asked for, nothing is deleted, and what is under way never is', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await (await app.chat(ada, 'hello')).text();
  app.clock.advance(4_000 * dayMs);
  await anHour(app);
  expect(await app.requests()).toHaveLength(1);
  expect((await listed(app, ada)).rowsFrom).toBeNull();
});

test('however many there are, no write deletes more than a few hundred, and all are gone in the end', async () => {
  await using app = await testApp();
  const { db, clock } = app.app;
  const { createRetention } = await import('./meter-retention.ts');
  const retention = createRetention({ db, clock, days: 30, batchRows: 7 });
  const ada = await app.person({ keys: { openai: 'good' } });
  for (let i = 0; i < 3; i += 1) await (await app.chat(ada, 'hello')).text();
  const [row] = await app.requests();
  if (!row) throw new Error('There is no row.');
  await db.orm.insert(db.tables.request).values(Array.from({ length: 50 }, (_, i) => ({ ...row, id: row.id + 1_000 + i })));
  await db.orm.insert(db.tables.request).values({ ...row, id: row.id + 2_000, state: 'open' });
  app.clock.advance(31 * dayMs);
  await (await app.chat(ada, 'hello')).text();
  const ends = { left: 4 };
  expect(await retention.run(() => (ends.left -= 1) < 0)).toBe(4 * 7);
  expect(await app.requests()).toHaveLength(55 - 28);
  expect(await retention.run(() => false)).toBe(53 - 28);
  expect((await app.requests()).map(({ state }) => state)).toEqual(['open', 'done']);
});
