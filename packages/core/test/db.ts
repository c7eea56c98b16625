/**
 * A fresh database for one test: SQLite in a folder of its own, or PostgreSQL (PGlite, in process) where vitest's project
 * `postgres` asks for it. vitest.config.ts runs every test file that uses this on both.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { test } from 'vitest';
import { type Db, type DbOptions, openDb, type PgConnection } from '../src/db/open.ts';

export const testDialect = process.env.TEST_DATABASE === 'postgres' ? 'postgres' : 'sqlite';

/** A test of SQLite's own files or writer thread: PostgreSQL's run does not have it. */
export function testOnSqlite(name: string, run: () => Promise<void>): void {
  if (testDialect === 'sqlite') test(name, run);
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

export async function testPlace(): Promise<TestPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'byok-test-'));
  const options: DbOptions =
    testDialect === 'sqlite' ? { url: `file:${join(folder, 'byok.db')}` } : { url: 'postgres://pglite', pg: await freshPostgres() };
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

// One PostgreSQL for a whole vitest worker, since it takes seconds to start; each test begins with an empty schema.
const shared = globalThis as { byokPglite?: Promise<PGlite> };

async function freshPostgres(): Promise<PgConnection> {
  shared.byokPglite ??= import('@electric-sql/pglite').then(({ PGlite }) => PGlite.create());
  const pglite = await shared.byokPglite;
  await pglite.exec('drop schema public cascade; create schema public;');
  return connectPglite(pglite);
}

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
