/**
 * The ten builders with which every table is declared once. Values are the same on both engines: integers are numbers,
 * instants are `Date`s kept as milliseconds, bytes are `Buffer`s. PostgreSQL's builders wear SQLite's types, so that the
 * house knows one set of table types.
 */
import * as pg from 'drizzle-orm/pg-core';
import * as sqlite from 'drizzle-orm/sqlite-core';

export type Dialect = 'sqlite' | 'postgres';

const onSqlite = {
  table: sqlite.sqliteTable,
  index: sqlite.index,
  unique: sqlite.uniqueIndex,
  primaryKey: sqlite.primaryKey,
  text: (name: string) => sqlite.text(name),
  integer: (name: string) => sqlite.integer(name),
  boolean: (name: string) => sqlite.integer(name, { mode: 'boolean' }),
  instant: (name: string) => sqlite.integer(name, { mode: 'timestamp_ms' }),
  bytes: (name: string) => sqlite.blob(name, { mode: 'buffer' }),
  json: (name: string) => sqlite.text(name, { mode: 'json' }),
};

type Columns = typeof onSqlite;

const pgInstant = pg.customType<{ data: Date; driverData: number | string }>({
  dataType: () => 'bigint',
  toDriver: (date) => date.getTime(),
  fromDriver: (ms) => new Date(Number(ms)),
});
const pgBytes = pg.customType<{ data: Buffer; driverData: Uint8Array }>({
  dataType: () => 'bytea',
  toDriver: (bytes) => bytes,
  fromDriver: (bytes) => Buffer.from(bytes),
});
const pgJson = pg.customType<{ data: unknown; driverData: string }>({
  dataType: () => 'text',
  toDriver: (value) => JSON.stringify(value),
  fromDriver: (text) => JSON.parse(text),
});

const onPostgres = {
  table: pg.pgTable,
  index: pg.index,
  unique: pg.uniqueIndex,
  primaryKey: pg.primaryKey,
  text: (name: string) => pg.text(name),
  integer: (name: string) => pg.bigint(name, { mode: 'number' }),
  boolean: (name: string) => pg.boolean(name),
  instant: (name: string) => pgInstant(name),
  bytes: (name: string) => pgBytes(name),
  json: (name: string) => pgJson(name),
} as unknown as Columns;

export function columns(dialect: Dialect): Columns {
  return dialect === 'sqlite' ? onSqlite : onPostgres;
}
