import type { AdminUserQuery, PlanSource, PlanState, TierName } from '@synthstack/core';
import { atomically, type Db } from '@synthstack/core/db';
import { testDb, testDialect } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { createAccountSearch } from './accounts-search.ts';
import { effectivePlan } from './plans.ts';

const nowMs = 1_790_000_000_000;
const dayMs = 86_400_000;

interface Somebody {
  email: string;
  name?: string;
  role?: 'admin';
  disabled?: true;
  plan?: { tier: TierName; until?: Date; state?: PlanState; source?: PlanSource; beside?: TierName };
}

const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** People who came one after the other, a minute each. */
async function stage(people: readonly Somebody[], windows: { windowRows?: number; mostWindows?: number } = {}) {
  const db = await testDb();
  const { user, plan } = db.tables;
  const at = (n: number) => new Date(nowMs - dayMs + n * 60_000);
  await atomically(db, (tx) =>
    people.flatMap(({ email, name = 'Somebody', role = 'user' as const, disabled, plan: theirs }, n) => {
      const who = { id: idOf(n), email, name, role, disabledAt: disabled ? at(n) : null, createdAt: at(n), updatedAt: at(n) };
      const { tier = 'community' as const, until = null, state = 'active', source = 'admin', beside } = theirs ?? {};
      const besides = beside && { besideTier: beside, besideState: 'active' as const, besideSource: 'admin' as const };
      const row = { userId: idOf(n), tier, until, state, source, updatedAt: at(n), ...besides };
      return [tx.insert(user).values(who), ...(theirs ? [tx.insert(plan).values(row)] : [])];
    }),
  );
  const search = createAccountSearch({ db, clock: manualClock(nowMs), worthOf: effectivePlan, ...windows });
  const query = (input: Partial<AdminUserQuery>): AdminUserQuery => ({ limit: 30, ...input });
  return {
    db,
    search,
    /** The addresses that are found, all pages of them. */
    async find(input: Partial<AdminUserQuery>): Promise<string[]> {
      const found: string[] = [];
      for (let cursor: string | undefined; ; ) {
        const page = await search.search(query({ ...input, ...(cursor && { cursor }) }));
        found.push(...page.users.map(({ email }) => email));
        if (page.nextCursor === null) return found;
        cursor = page.nextCursor;
      }
    },
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

test('people are found by how their address or name begins, by domain and by id', async () => {
  await using place = await stage([
    { email: 'ada@example.org', name: 'Ada Lovelace' },
    { email: 'lovelace@example.com', name: 'ada king' },
    { email: 'adam@example.org', name: 'Smith' },
    { email: 'zoe@sub.example.org', name: 'Ärne ÅS' },
    { email: 'eve@example.organic', name: 'Eve 100%_' },
  ]);
  const { find } = place;
  expect((await find({ search: 'ada' })).sort()).toEqual(['ada@example.org', 'adam@example.org', 'lovelace@example.com']);
  expect(await find({ search: 'ADA@' })).toEqual(['ada@example.org']);
  expect(await find({ search: 'Ada L' })).toEqual(['ada@example.org']);
  expect(await find({ search: '@example.org' })).toEqual(['ada@example.org', 'adam@example.org', 'eve@example.organic']);
  expect(await find({ search: '@sub.' })).toEqual(['zoe@sub.example.org']);
  expect(await find({ search: 'ärn' })).toEqual(['zoe@sub.example.org']);
  expect(await find({ search: 'Ärne Å' })).toEqual(['zoe@sub.example.org']);
  expect(await find({ search: idOf(2) })).toEqual(['adam@example.org']);
  expect(await find({ search: idOf(99) })).toEqual([]);
  // What means something in a pattern or a statement means itself.
  for (const search of ['%', '_', 'a_a', "'", '"; --', '\\', '*', 'lace']) expect(await find({ search }), search).toEqual([]);
  expect(await find({ search: 'eve 100%_' })).toEqual(['eve@example.organic']);
});

test('pages follow each other without a gap or a repetition, whatever comes meanwhile', async () => {
  const people = Array.from({ length: 45 }, (_, n) => ({ email: `person${n}@example.org`, name: `Person ${n}` }));
  await using place = await stage(people, { windowRows: 4, mostWindows: 3 });
  const all = people.map(({ email }) => email);
  for (const limit of [1, 7, 45, 100]) {
    expect((await place.find({ limit })).toReversed(), `limit ${limit}`).toEqual(all);
    // Each of them stands in both indexes.
    const found = await place.find({ search: 'person', limit });
    expect([found.length, new Set(found).size], `limit ${limit}`).toEqual([45, 45]);
  }
  const first = await place.search.search({ limit: 10 });
  const { user } = place.db.tables;
  const late = { name: 'Late', createdAt: new Date(nowMs), updatedAt: new Date(nowMs) };
  await atomically(place.db, (tx) => [tx.insert(user).values({ id: idOf(99), email: 'late@example.org', ...late })]);
  const second = await place.search.search({ limit: 10, cursor: first.nextCursor ?? '' });
  expect(second.users[0]?.email).toBe('person34@example.org');
});

test('filters keep those whom they name, also where most are left over', async () => {
  const past = new Date(nowMs - 10 * dayMs);
  await using place = await stage(
    [
      { email: 'root@example.org', role: 'admin', plan: { tier: 'lifetime' } },
      { email: 'paid@example.org', plan: { tier: 'premium', until: new Date(nowMs + dayMs) } },
      { email: 'over@example.org', plan: { tier: 'premium', until: past } },
      { email: 'unpaid@example.org', plan: { tier: 'subscriber', state: 'lapsed', source: 'billing', until: past } },
      { email: 'both@example.org', plan: { tier: 'premium', state: 'lapsed', source: 'billing', until: past, beside: 'lifetime' } },
      { email: 'off@example.org', disabled: true, plan: { tier: 'premium' } },
      ...Array.from({ length: 60 }, (_, n) => ({ email: `many${n}@example.org` })),
    ],
    { windowRows: 5, mostWindows: 2 },
  );
  const { find } = place;
  expect(await find({ admins: true })).toEqual(['root@example.org']);
  expect(await find({ tier: 'lifetime' })).toEqual(['both@example.org', 'root@example.org']);
  expect(await find({ tier: 'premium' })).toEqual(['off@example.org', 'over@example.org', 'paid@example.org']);
  expect(await find({ tier: 'premium', state: 'active' })).toEqual(['paid@example.org']);
  expect(await find({ tier: 'premium', state: 'lapsed' })).toEqual(['over@example.org']);
  expect((await find({ state: 'lapsed' })).sort()).toEqual(['over@example.org', 'unpaid@example.org']);
  expect(await find({ state: 'disabled' })).toEqual(['off@example.org']);
  expect(await find({ admins: true, state: 'disabled' })).toEqual([]);
  expect((await find({ tier: 'community' })).length).toBe(60);
  expect((await find({ state: 'active' })).length).toBe(63);
  expect(await find({ search: 'o', tier: 'premium' })).toEqual(['off@example.org', 'over@example.org']);
  // A page says how far it has looked, and is not silent about the rest.
  const { users, nextCursor } = await place.search.search({ tier: 'premium', search: '@example', limit: 1 });
  expect([users.length, nextCursor !== null]).toEqual([0, true]);
});

test('a cursor of another search, or of nobody, is refused', async () => {
  await using place = await stage([{ email: 'a@example.org' }, { email: 'b@example.org' }]);
  const { nextCursor } = await place.search.search({ limit: 1 });
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const cursor of ['x', encoded({}), encoded([1]), encoded([{}, 'x']), encoded(['a', 'b'])])
    await expect(place.search.search({ limit: 1, cursor }), cursor).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(place.search.search({ limit: 1, search: 'a', cursor: nextCursor ?? '' })).rejects.toMatchObject({ code: 'invalid_input' });
});

async function plansOf(db: Db, statements: readonly { sql: string; params: unknown[] }[]): Promise<string[]> {
  const explain = db.dialect === 'sqlite' ? 'explain query plan ' : 'explain ';
  const lines: string[] = [];
  for (const { sql, params } of statements)
    lines.push(...(await db.read({ sql: explain + sql, params })).map((row) => String(row.at(db.dialect === 'sqlite' ? 3 : 0))));
  return lines;
}

test('no way of looking reads the table of users or sorts what it has found', async () => {
  await using place = await stage([{ email: 'a@example.org' }]);
  const { db, search } = place;
  // With one row PostgreSQL would read it straight away.
  if (testDialect === 'postgres')
    for (const way of ['seqscan', 'bitmapscan']) await db.read({ sql: `set enable_${way} = off`, params: [] });
  const after: [string | number, string][] = [
    ['b', idOf(1)],
    [nowMs, idOf(1)],
  ];
  for (const query of [
    { search: 'ada' },
    { search: 'ada@' },
    { search: '@example' },
    { admins: true },
    { state: 'disabled' },
    { state: 'lapsed' },
    { state: 'active' },
    { tier: 'premium' },
    {},
  ] as const)
    for (const start of [null, after['search' in query ? 0 : 1] ?? null]) {
      const lines = await plansOf(db, search.statementsOf({ limit: 30, ...query }, start));
      const said = `${JSON.stringify(query)} ${start}: ${lines.join(' | ')}`;
      const bad = testDialect === 'sqlite' ? /TEMP B-TREE|SCAN \w+(?! USING)$/ : /Seq Scan|^\s*(->\s*)?(Incremental )?Sort/;
      expect(
        lines.filter((line) => bad.test(line)),
        said,
      ).toEqual([]);
      expect(said).toMatch(/plan_(lapsed|until|tier|beside)|user_(created|email|name|domain|admin|disabled)/);
    }
  // The control: a search in the middle of a name would be one.
  const control = { sql: `select * from "user" where name like '%a%' order by email || name`, params: [] };
  if (testDialect === 'postgres') for (const way of ['seqscan', 'bitmapscan']) await db.read({ sql: `reset enable_${way}`, params: [] });
  expect((await plansOf(db, [control])).join()).toMatch(testDialect === 'sqlite' ? /SCAN user,.*TEMP B-TREE/ : /Sort.*Seq Scan/);
});
