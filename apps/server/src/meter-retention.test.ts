import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { idAt } from './meter.ts';
import { createRetention } from './meter-retention.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;

async function anHour({ app, clock }: TestApp): Promise<void> {
  clock.advance(hourMs);
  await app.tidying.idle();
}

/** Copies of somebody's newest request, as if they had been asked so many days ago. */
async function grewOld({ app, clock, requests }: TestApp, count: number, days: number, state: 'done' | 'open' = 'done'): Promise<void> {
  const row = (await requests()).at(-1);
  if (!row) throw new Error('There is no request.');
  const startedAt = clock.now() - days * dayMs;
  const rows = Array.from({ length: count }, (_, i) => ({ ...row, id: idAt(startedAt) + i, startedAt, state }));
  await app.db.orm.insert(app.db.tables.request).values(rows);
}

const range = (app: TestApp) =>
  `from=${new Date(app.clock.now() - 300 * dayMs).toISOString()}&to=${new Date(app.clock.now() + dayMs).toISOString()}`;
async function listed(app: TestApp, who: Person) {
  const answer = await app.fetch(who, `/api/v1/api-keys/usage/requests?${range(app)}`);
  return (await answer.json()) as { requests: { id: string }[]; rowsFrom: string | null };
}
const csv = (app: TestApp, who: Person) => app.fetch(who, `/api/v1/api-keys/usage.csv?${range(app)}`);

/** All sums, whoever's. */
const sums = async ({ app: { db } }: TestApp) => {
  const { usageUser, usageTotal, usageUserDay, keyTotals } = db.tables;
  return Promise.all([usageUser, usageTotal, usageUserDay, keyTotals].map((table) => db.orm.select().from(table)));
};

test('single requests are deleted for their age, their sums stay, and list and CSV say from when on there are any', async () => {
  await using app = await testApp({ env: { USAGE_RETENTION_DAYS: '30' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  await (await app.chat(ada, 'hello')).text();
  await grewOld(app, 2, 29);
  await anHour(app);
  expect((await listed(app, ada)).rowsFrom).toBeNull();
  expect((await csv(app, ada)).headers.get('x-byok-rows-from')).toBeNull();

  await grewOld(app, 3, 31);
  await grewOld(app, 1, 32, 'open');
  const before = { list: await listed(app, ada), sums: await sums(app) };
  expect(before.list.requests).toHaveLength(7);
  await anHour(app);
  const { requests, rowsFrom } = await listed(app, ada);
  // What is under way stays, whenever it began.
  expect(requests).toEqual([...before.list.requests.slice(0, 3), ...before.list.requests.slice(6)]);
  expect(Date.parse(rowsFrom ?? '')).toBe(Math.floor((app.clock.now() - 30 * dayMs) / hourMs) * hourMs);
  const after = await csv(app, ada);
  expect(after.headers.get('x-byok-rows-from')).toBe(rowsFrom);
  expect((await after.text()).trim().split('\r\n')).toHaveLength(1 + 4);
  expect(await sums(app)).toEqual(before.sums);
  const said = () => app.lines.filter((line) => line.includes('Deleted single requests')).length;
  expect(said()).toBe(1);
  // Nothing more to do, nothing more to say.
  await anHour(app);
  expect((await listed(app, ada)).rowsFrom).toBe(rowsFrom);
  expect(said()).toBe(1);
});

test('unless it is asked for, nothing is deleted', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await (await app.chat(ada, 'hello')).text();
  await grewOld(app, 1, 200);
  await anHour(app);
  expect(await listed(app, ada)).toMatchObject({ requests: [{}, {}], rowsFrom: null });
});

test('however many there are, a write deletes a few, and what was broken off goes on the next time', async () => {
  await using app = await testApp();
  const { db, clock } = app.app;
  const retention = createRetention({ db, clock, days: 30, batchRows: 7 });
  const ada = await app.person({ keys: { openai: 'good' } });
  await (await app.chat(ada, 'hello')).text();
  await grewOld(app, 53, 31);
  let writes = 4;
  expect(await retention.run(() => --writes < 0)).toBe(4 * 7);
  expect(await app.requests()).toHaveLength(54 - 28);
  expect(await retention.run(() => false)).toBe(53 - 28);
  expect(await app.requests()).toHaveLength(1);
  expect(await retention.run(() => false)).toBe(0);
});
