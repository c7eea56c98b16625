/**
 * The database's door. Reads are drizzle's, writes go through the group commit, and nobody outside this folder knows which
 * engine answers. `atomically` takes statements only: a function that waited between two of them could not be undone.
 */
import { type Column, is, Param, Placeholder, type SQL, sql } from 'drizzle-orm';
import { drizzle as drizzlePg } from 'drizzle-orm/pg-proxy';
import { drizzle as drizzleSqlite, type SqliteRemoteDatabase } from 'drizzle-orm/sqlite-proxy';
import { AppError } from '../errors.ts';
import type { Dialect } from './columns.ts';
import { createGroupCommit, type List, type Result, type Statement, storageError, type Ticket } from './commit.ts';
import type { DbSize, Engine } from './engine.ts';
import { migrate, type SchemaState, schemaState } from './migrate.ts';
import { connectPg, openPostgres, type PgConnection } from './postgres.ts';
import { schema, type Tables } from './schema.ts';
import { openSqlite } from './sqlite.ts';
import { type TextOrder, textOrder } from './text-order.ts';

export type { Dialect } from './columns.ts';
export type { Addend, List, Result, Statement, Ticket } from './commit.ts';
export type { DbSize } from './engine.ts';
export { followGeneration } from './follow.ts';
export type { SchemaState } from './migrate.ts';
export type { PgConnection } from './postgres.ts';
export type { MailState, RequestState, Tables } from './schema.ts';
export type { Snapshot } from './snapshot.ts';
export { claimDatabase, copyDatabase, knownMigrations, lookIntoDatabase, settleDatabase } from './snapshot.ts';

/** Builds statements; on PostgreSQL the same builders wear SQLite's types. `.get`, `.run` and `.transaction` belong to one engine and are not here. */
export type Orm = Pick<SqliteRemoteDatabase, 'select' | 'selectDistinct' | 'insert' | 'update' | 'delete' | 'with' | '$with'>;

/** Anything of drizzle's that ends up as one statement, or a statement already made. */
type Buildable = Statement | { toSQL(): { sql: string; params: unknown[] } };

export interface Db {
  dialect: Dialect;
  tables: Tables;
  orm: Orm;
  /** Runs a reading statement that was made before. For the few places where drizzle's microseconds count. */
  read(statement: Statement): unknown[][] | Promise<unknown[][]>;
  /**
   * Moves with every change to keys, tokens, plans and users, whichever process made it (`bumpGeneration`). What this process has written
   * shows at once, what another has within a millisecond: asked more often, the database is asked once.
   */
  generation(): unknown;
  /** Expressions in which texts are looked for by their beginning. */
  order: TextOrder;
  /** SHA-256 of a text expression in hex, computed inside the statement. */
  sha256(text: SQL): SQL<string>;
  /** Hands the list to the group commit; see `atomically`. */
  commit(list: List): Promise<Result[]>;
  /** The same, for whoever may have another list to put in its place before it leaves. */
  enqueue(list: List): Ticket;
  /** Removes what was deleted from the files too. @throws Error: somebody reads for long, or the disk failed; to be tried again */
  scrub(): Promise<void>;
  /** Reads the whole file, unless it is larger than `maxBytes`. @returns what is wrong with it, or null */
  integrity(maxBytes?: number): Promise<string | null>;
  /** How much room it takes. */
  size(): Promise<DbSize>;
  /** Whether the database is of this program's schema. @throws AppError `storage_unavailable` */
  schemaState(): Promise<SchemaState>;
  /** Waits for the writes under way, then closes. */
  close(): Promise<void>;
}

export interface DbOptions {
  /** `file:PATH` or `postgres://...` */
  url: string;
  /** Instead of connecting to `url`'s PostgreSQL. */
  pg?: PgConnection;
  commitDelayMs?: number;
  /** False leaves the schema as it is. */
  migrate?: boolean;
  /** Is waited for where a database that has been used is about to get another schema. What it throws stops that. */
  beforeMigrating?: () => Promise<void>;
  /** Hears how many of the migrations that are to do are done. */
  migrating?: (done: number, total: number) => void;
}

/** @throws AppError `storage_unavailable`: the file or server cannot be opened; `invalid_config`: no such kind of URL */
export async function openDb(options: DbOptions): Promise<Db> {
  const engine = await openEngine(options);
  try {
    if (options.migrate !== false) await migrate(engine, { before: options.beforeMigrating, told: options.migrating });
  } catch (error) {
    await engine.close();
    // PostgreSQL is only reached with the first statement.
    throw error instanceof AppError ? error : cannotOpen(error);
  }
  const tables = schema(engine.dialect);
  const commits = createGroupCommit(engine.runBatch);
  const orm = createOrm(engine, commits.commit);
  return {
    dialect: engine.dialect,
    tables,
    orm,
    generation: createGeneration(engine, statement(orm.select({ value: tables.generation.value }).from(tables.generation)), commits.landed),
    read: (statement) => engine.read(statement.sql, statement.params),
    order: textOrder(engine.dialect),
    sha256: (text) =>
      engine.dialect === 'sqlite' ? sql<string>`sha256(${text})` : sql<string>`encode(sha256(convert_to(${text}, 'UTF8')), 'hex')`,
    commit: commits.commit,
    enqueue: commits.enqueue,
    scrub: engine.scrub,
    integrity: engine.integrity,
    size: engine.size,
    async schemaState() {
      try {
        return await schemaState(engine);
      } catch (cause) {
        throw storageError(cause);
      }
    },
    async close() {
      await commits.idle();
      await engine.close();
    },
  };
}

/**
 * Writes all of the statements or none of them, and resolves when they are on disk.
 * @throws AppError `conflict`: a constraint or a `must` was not met; `storage_unavailable`: the disk or the database failed
 */
export function atomically(db: Db, build: (tx: Orm, tables: Tables) => readonly Buildable[]): Promise<Result[]> {
  return db.commit(build(db.orm, db.tables).map(statement));
}

/** The statement must touch a row, or all of its list is undone. */
export function must(buildable: Buildable): Statement {
  return { ...statement(buildable), must: true };
}

export function statement(buildable: Buildable): Statement {
  if (!('toSQL' in buildable)) return buildable;
  const { sql: text, params } = buildable.toSQL();
  return { sql: text, params };
}

/**
 * A statement whose text is made once and whose `sql.placeholder('name')`s are filled at each use: a microsecond, where building
 * it anew costs fifty, and drizzle's own filling another ten.
 */
export function prepared<Values extends Record<string, unknown>>(
  buildable: Buildable,
  /** The placeholders whose values are only added to a row (`Statement.adds`). */
  addNames: readonly string[] = [],
): (values: Values) => Statement {
  const { sql: text, params } = statement(buildable);
  const fills = params.map(fillOf);
  const adds = params.flatMap((param, i) => (addNames.includes(nameOf(param) ?? '') ? [i] : []));
  const fill = (values: Values) => fills.map((one) => one(values));
  return adds.length > 0 ? (values) => ({ sql: text, params: fill(values), adds }) : (values) => ({ sql: text, params: fill(values) });
}

/** A select from one table, as drizzle builds it, with what it tells of its columns. */
type Find<Row> = { toSQL(): { sql: string; params: unknown[] }; _: { selectedFields: Record<string, unknown>; result: Row[] } };

/**
 * A query by one value, built once and read by hand: drizzle takes some 50 microseconds to build one anew, and 10 to run one that is
 * built. @throws AppError `storage_unavailable`
 * @param build  gets a placeholder in the place of the value
 */
export function prepareFind<Row>(db: Pick<Db, 'read'>, build: (value: Placeholder) => Find<Row>): (value: string) => Promise<Row[]> {
  const query = build(sql.placeholder('value'));
  const make = prepared<{ value: string }>(query);
  const columns = Object.entries(query._.selectedFields as Record<string, Column>);
  const toRow = (values: readonly unknown[]): Row => {
    const row: Record<string, unknown> = {};
    let i = 0;
    for (const [name, column] of columns) {
      const value = values[i++];
      row[name] = value === null ? null : column.mapFromDriverValue(value);
    }
    return row as Row;
  };
  return async (value) => {
    try {
      return (await db.read(make({ value }))).map(toRow);
    } catch (cause) {
      throw storageError(cause);
    }
  };
}

function nameOf(param: unknown): string | null {
  if (is(param, Placeholder)) return param.name;
  return is(param, Param) && is(param.value, Placeholder) ? param.value.name : null;
}

function fillOf(param: unknown): (values: Record<string, unknown>) => unknown {
  if (is(param, Placeholder)) return (values) => values[param.name] ?? null;
  if (!is(param, Param) || !is(param.value, Placeholder)) return () => param;
  const { encoder } = param;
  const { name } = param.value;
  return (values) => {
    const value = values[name];
    return value === null || value === undefined ? null : encoder.mapToDriverValue(value);
  };
}

/** The statement that tells every cache, in every process, that what it knows is old. */
export function bumpGeneration(tx: Orm, tables: Tables): Buildable {
  return tx.update(tables.generation).set({ value: sql`${tables.generation.value} + 1` });
}

const generationMs = 1;

function createGeneration(engine: Engine, { sql: text, params }: Statement, landed: () => number): () => unknown {
  let value: unknown;
  let readAt = Number.NEGATIVE_INFINITY;
  let readAfter = -1;

  function read(): unknown {
    const rows = engine.read(text, params);
    if (Array.isArray(rows)) return rows[0]?.[0];
    const later = rows.then((read) => read[0]?.[0]);
    // Whoever asked hears of it; who asks next asks anew.
    later.catch(() => {
      readAt = Number.NEGATIVE_INFINITY;
    });
    return later;
  }

  return () => {
    const now = performance.now();
    if (now - readAt < generationMs && readAfter === landed()) return value;
    readAfter = landed();
    value = read();
    readAt = now;
    return value;
  };
}

async function openEngine({ url, pg, commitDelayMs }: DbOptions): Promise<Engine> {
  try {
    if (pg) return openPostgres(pg);
    if (/^postgres(ql)?:\/\//.test(url)) return openPostgres(await connectPg(url));
    if (url.startsWith('file:')) return await openSqlite({ path: url.slice('file:'.length), ...(commitDelayMs && { commitDelayMs }) });
  } catch (cause) {
    throw cannotOpen(cause);
  }
  throw new AppError('invalid_config', 'DATABASE_URL must begin with file: or postgres://.');
}

function cannotOpen(cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : 'unknown reason';
  return new AppError('storage_unavailable', `The database cannot be opened: ${reason}`, { cause });
}

/** Drizzle over the engine: what reads is read at once, what writes goes through the group commit as a list of one. */
function createOrm(engine: Engine, commit: (list: List) => Promise<Result[]>): Orm {
  async function run(text: string, params: unknown[]): Promise<unknown[][]> {
    try {
      if (engine.reads(text)) return await engine.read(text, params);
    } catch (cause) {
      throw storageError(cause);
    }
    const [result] = await commit([{ sql: text, params }]);
    return result?.rows ?? [];
  }
  if (engine.dialect === 'postgres') return drizzlePg(async (text, params) => ({ rows: await run(text, params) })) as unknown as Orm;
  return drizzleSqlite(async (text, params, method) => {
    const rows = await run(text, params);
    // With `get`, drizzle's proxy takes the one row itself.
    return { rows: method === 'get' ? (rows[0] as unknown[]) : rows };
  });
}
