import { getTableName } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { expect, test } from 'vitest';
import { formerSchemas, makeFormerDb, testDialect, testPlace } from '../../test/db.ts';
import { openDb, type Statement } from './open.ts';

type Run = (statement: Statement) => Promise<unknown[][]>;

const columnsQuery =
  testDialect === 'sqlite'
    ? `select m.name, c.name, lower(c.type) from sqlite_schema m, pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%'`
    : `select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'`;

async function columnsOf(run: Run): Promise<Map<string, { name: string; type: string }[]>> {
  const tables = new Map<string, { name: string; type: string }[]>();
  for (const [table, name, type] of (await run({ sql: columnsQuery, params: [] })) as string[][]) {
    if (!table || !name || !type || table === 'migration') continue;
    tables.set(table, [...(tables.get(table) ?? []), { name, type }]);
  }
  return tables;
}

/** All texts alike, and JSON too: so each row names the one that it belongs to. */
function sampleOf(type: string): unknown {
  if (type === 'blob' || type === 'bytea') return Buffer.from([1, 2, 3]);
  if (type === 'text') return '"x1"';
  return type === 'boolean' ? true : 1;
}

const read = (run: Run, table: string, names: string[]) =>
  run({ sql: `select ${names.map((name) => `"${name}"`).join(', ')} from "${table}"`, params: [] });

/** One row in each table, each value given. @returns what is in them */
async function fillAll(run: Run): Promise<Map<string, { names: string[]; rows: unknown[][] }>> {
  const tables = await columnsOf(run);
  const left = new Set(tables.keys());
  for (let before = left.size + 1; left.size > 0 && left.size < before; ) {
    before = left.size;
    for (const table of left) {
      const columns = tables.get(table) ?? [];
      const names = columns.map(({ name }) => name);
      if ((await read(run, table, names)).length > 0) left.delete(table);
      else {
        const places = names.map((_name, i) => (testDialect === 'sqlite' ? '?' : `$${i + 1}`));
        const sql = `insert into "${table}" (${names.map((name) => `"${name}"`).join(', ')}) values (${places.join(', ')})`;
        // One that belongs to another that is not there yet has its turn later.
        await run({ sql, params: columns.map(({ type }) => sampleOf(type)) }).then(
          () => left.delete(table),
          () => undefined,
        );
      }
    }
  }
  expect([...left]).toEqual([]);
  const filled = new Map<string, { names: string[]; rows: unknown[][] }>();
  for (const [table, columns] of tables) {
    const names = columns.map(({ name }) => name);
    filled.set(table, { names, rows: await read(run, table, names) });
  }
  return filled;
}

test('there is a former schema to come from', () => {
  expect(formerSchemas.length).toBeGreaterThan(5);
});

test.each(formerSchemas)('a database of schema %s keeps every value, and is whole and of use afterwards', async (last) => {
  await using place = await testPlace(false);
  let before: Awaited<ReturnType<typeof fillAll>> = new Map();
  await makeFormerDb(place, last, async (run) => {
    before = await fillAll(run);
  });
  expect(before.size).toBeGreaterThan(15);
  let asked = 0;
  const db = await openDb({
    ...place.options,
    beforeMigrating: async () => {
      asked += 1;
    },
  });
  expect(asked).toBe(1);
  const run: Run = async (statement) => db.read(statement);
  const now = await columnsOf(run);
  for (const [table, { names, rows }] of before) {
    expect(
      now.get(table)?.map(({ name }) => name),
      table,
    ).toEqual(expect.arrayContaining(names));
    expect(await read(run, table, names), table).toEqual(rows);
  }
  // Through the program's own eyes: every column is there, and every value is understood.
  for (const table of Object.values(db.tables)) {
    const found = await db.orm.select().from(table as SQLiteTable);
    if (before.has(getTableName(table))) expect(found, getTableName(table)).toHaveLength(1);
  }
  expect(await db.integrity()).toBeNull();
  await db.close();
  const again = await openDb({
    ...place.options,
    beforeMigrating: () => Promise.reject(new Error('there is nothing left to migrate')),
  });
  await again.close();
});

test('what is done before a migration and fails keeps the tables as they were; a new database is asked nothing', async () => {
  await using place = await testPlace(false);
  const [first = ''] = formerSchemas;
  await makeFormerDb(place, first, async () => undefined);
  const refuse = () => Promise.reject(new Error('no room for a backup'));
  await expect(openDb({ ...place.options, beforeMigrating: refuse })).rejects.toThrow('no room for a backup');
  const db = await openDb({ ...place.options, migrate: false });
  expect(await db.read({ sql: 'select name from migration', params: [] })).toEqual([[first]]);
  await db.close();
  await using fresh = await testPlace(false);
  await (await openDb({ ...fresh.options, beforeMigrating: refuse })).close();
});
