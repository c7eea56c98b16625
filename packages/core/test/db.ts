/**
 * A fresh database for one test: SQLite in a folder of its own, or PostgreSQL (PGlite, in process) where vitest's project
 * `postgres` asks for it. vitest.config.ts runs every test file that uses this on both.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { test } from 'vitest';
import type { Statement } from '../src/db/commit.ts';
import { migrate } from '../src/db/migrate.ts';
import { migrations } from '../src/db/migrations/index.ts';
import { type Db, type DbOptions, openDb, type PgConnection } from '../src/db/open.ts';
import { openPostgres } from '../src/db/postgres.ts';
import { openSqlite } from '../src/db/sqlite.ts';
import { batchOf } from '../src/db/sums.ts';

export const testDialect = process.env.TEST_DATABASE === 'postgres' ? 'postgres' : 'sqlite';

/** A test of SQLite's own files or writer thread: PostgreSQL's run does not have it. */
export function testOnSqlite(name: string, run: () => Promise<void>): void {
  if (testDialect === 'sqlite') test(name, run);
}

/** A test that another one makes up for on SQLite. */
export function testOnPostgres(name: string, run: () => Promise<void>): void {
  if (testDialect === 'postgres') test(name, run);
}

export interface TestDb extends Db, AsyncDisposable {
  /** The folder that holds the files of this database; empty on PostgreSQL. */
  folder: string;
  /** Opens the same database once more, as another process would. */
  reopen(options?: Partial<DbOptions>): Promise<Db>;
}

/** Where a fresh database is: what `openDb` needs, and the folder that goes away with it. */
export interface TestPlace extends AsyncDisposable {
  options: DbOptions;
  folder: string;
}

/** @param migrated  false: on PostgreSQL, too, without any table (a file of SQLite is always new) */
export async function testPlace(migrated = true): Promise<TestPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'byok-test-'));
  const options: DbOptions =
    testDialect === 'sqlite' ? { url: `file:${join(folder, 'byok.db')}` } : { url: 'postgres://pglite', pg: await freshPostgres(migrated) };
  return { options, folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

export async function testDb(options: Partial<DbOptions> = {}): Promise<TestDb> {
  const place = await testPlace();
  const db = await openDb({ ...place.options, ...options });
  return {
    ...db,
    folder: place.folder,
    reopen: (other = {}) => openDb({ ...place.options, ...other }),
    async [Symbol.asyncDispose]() {
      await db.close();
      await place[Symbol.asyncDispose]();
    },
  };
}

/** The schemas that releases had: the names of the last migration of each. */
export const formerSchemas: readonly string[] = migrations.slice(0, -1).map(({ name }) => name);

/** Makes the database of an older release. @param last  its last migration. @param place  without any table yet */
export async function makeFormerDb(
  { options }: TestPlace,
  last: string,
  fill: (run: (statement: Statement) => Promise<unknown[][]>) => Promise<void>,
): Promise<void> {
  const engine = options.pg ? openPostgres(options.pg) : await openSqlite({ path: options.url.slice('file:'.length) });
  try {
    await migrate(engine, { steps: migrations.slice(0, migrations.findIndex(({ name }) => name === last) + 1) });
    await fill(async (statement) => {
      if (engine.reads(statement.sql)) return engine.read(statement.sql, statement.params);
      const [outcome] = (await engine.runBatch(batchOf([[statement]]))).outcomes;
      if (!outcome || 'failure' in outcome) throw new Error(outcome?.message);
      return outcome.results[0]?.rows ?? [];
    });
  } finally {
    await engine.close();
  }
}

// One PostgreSQL for a whole vitest worker, since it takes seconds to start.
const shared = globalThis as { byokPglite?: Promise<PGlite>; byokMigrated?: Migrated };

/** How the database was when it was migrated last: to empty its tables is quicker than to make them anew. */
interface Migrated {
  shape: string;
  /** Fills what the migrations had filled. */
  rows: string;
}

async function freshPostgres(migrated: boolean): Promise<PgConnection> {
  shared.byokPglite ??= import('@electric-sql/pglite').then(({ PGlite }) => PGlite.create());
  const pglite = await shared.byokPglite;
  if (!migrated) await dropAll(pglite);
  // A test may have changed the tables themselves.
  else if (shared.byokMigrated?.shape === (await shapeOf(pglite))) await emptyAll(pglite, shared.byokMigrated.rows);
  else {
    await dropAll(pglite);
    await (await openDb({ url: 'postgres://pglite', pg: connectPglite(pglite) })).close();
    shared.byokMigrated = { shape: await shapeOf(pglite), rows: await rowsOf(pglite) };
  }
  return connectPglite(pglite);
}

const dropAll = (pglite: PGlite) => pglite.exec('drop schema public cascade; create schema public;');

async function emptyAll(pglite: PGlite, rows: string): Promise<void> {
  const used = await filledTables(pglite);
  await pglite.exec(`truncate ${used.join(', ')} restart identity cascade; ${rows}`);
}

/** Tables that hold something, or did. */
async function filledTables(pglite: PGlite): Promise<string[]> {
  const { rows } = await pglite.query<{ name: string }>(
    `select quote_ident(relname) as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and pg_relation_size(oid) > 0`,
  );
  return rows.map(({ name }) => name);
}

async function rowsOf(pglite: PGlite): Promise<string> {
  const inserts = (await filledTables(pglite)).map(async (table) => {
    const { rows } = await pglite.query<{ json: string }>(`select quote_literal(json_agg(t)) as json from ${table} t`);
    return `insert into ${table} select * from json_populate_recordset(null::${table}, ${rows[0]?.json});`;
  });
  return (await Promise.all(inserts)).join('\n');
}

/** Every table, column, index, constraint, trigger and function, as one text. */
async function shapeOf(pglite: PGlite): Promise<string> {
  const { rows } = await pglite.query<{ shape: string }>(shapeQuery);
  return rows[0]?.shape ?? '';
}

const shapeQuery = `with
  relation as (select * from pg_class where relnamespace = 'public'::regnamespace),
  thing as (
    select concat_ws(' ', 'relation', relname, relkind) as told from relation
    union all select concat_ws(' ', 'column', attrelid::regclass, attname, atttypid, attnotnull, atthasdef) from pg_attribute
      where attrelid in (select oid from relation) and attnum > 0 and not attisdropped
    union all select concat_ws(' ', 'constraint', conrelid::regclass, conname, contype) from pg_constraint
      where connamespace = 'public'::regnamespace
    union all select concat_ws(' ', 'trigger', tgrelid::regclass, tgname, tgenabled) from pg_trigger
      where not tgisinternal and tgrelid in (select oid from relation)
    union all select concat_ws(' ', 'function', proname) from pg_proc where pronamespace = 'public'::regnamespace
  )
select string_agg(told, '; ' order by told) as shape from thing`;

function connectPglite(pglite: PGlite): PgConnection {
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(fn: () => Promise<T>): Promise<T> => {
    const turn = queue.then(fn);
    queue = turn.catch(() => undefined);
    return turn;
  };
  const run: PgConnection['run'] = async (sql, params) => {
    const result = await pglite.query(sql, [...params], { rowMode: 'array', parsers: { 20: Number } });
    return { changes: result.affectedRows ?? 0, rows: result.rows as unknown[][] };
  };
  return {
    run: (sql, params) => inTurn(() => run(sql, params)),
    exclusive: (fn) => inTurn(() => fn(run)),
    close: async () => {
      await queue;
    },
  };
}
