/** Migrations: forward only, each in one transaction, under a lock, known by its name. */
import { AppError } from '../errors.ts';
import type { Statement } from './commit.ts';
import type { Engine } from './engine.ts';
import { migrations } from './migrations/index.ts';
import { batchOf } from './sums.ts';

type Migration = (typeof migrations)[number];

export interface MigrateOptions {
  /** Is waited for where a database that has been used is about to change. */
  before?: (() => Promise<void>) | undefined;
  /** Hears of the beginning and of each migration, where there are any. @param done  of `total` */
  told?: ((done: number, total: number) => void) | undefined;
  /** Only tests: as an older release had them. */
  steps?: typeof migrations;
}

/** What stands between a database and this program; both empty: nothing. */
export interface SchemaState {
  /** Migrations that the next start will run: the database is older. */
  pending: string[];
  /** Migrations that this program does not know: the database is newer. */
  unknown: string[];
}

/** Changes nothing. */
export async function schemaState(engine: Engine): Promise<SchemaState> {
  const applied = await appliedTo(engine);
  const known = migrations.map(({ name }) => name);
  return { pending: known.filter((name) => !applied.has(name)), unknown: [...applied].filter((name) => !known.includes(name)) };
}

/** None where nothing was ever set up. */
async function appliedTo(engine: Engine): Promise<Set<string>> {
  try {
    return new Set((await engine.read('select name from migration', [])).map(([name]) => String(name)));
  } catch (error) {
    if (error instanceof Error && /no such table|does not exist/.test(`${error.message} ${error.cause}`)) return new Set();
    throw error;
  }
}

/** @throws AppError `storage_unavailable`: a migration failed, or the database is newer than this program; whatever `before` throws */
export async function migrate(engine: Engine, { before, told, steps = migrations }: MigrateOptions = {}): Promise<void> {
  await run(engine, [statement(`create table if not exists migration (name text primary key, applied_at text not null)`)]);
  const applied = new Set((await engine.read('select name from migration', [])).map(([name]) => String(name)));
  const known = new Set(migrations.map((migration) => migration.name));
  const unknown = [...applied].find((name) => !known.has(name));
  if (unknown) {
    throw new AppError(
      'storage_unavailable',
      `This database was written by a newer version (migration ${unknown}). Start that version, or restore an older backup.`,
    );
  }
  const pending = steps.filter(({ name }) => !applied.has(name));
  if (applied.size > 0 && pending.length > 0) await before?.();
  // Nothing is lost where a new database fails as a whole, and one commit is waited for instead of a dozen.
  const parts = applied.size === 0 ? [pending] : pending.map((migration) => [migration]);
  let done = 0;
  for (const part of parts) {
    told?.(done, pending.length);
    const outcome = await run(engine, [...lock(engine), ...part.flatMap((migration) => statementsOf(migration, engine))]);
    if (outcome === 'conflict') await requireApplied(engine, part);
    done += part.length;
    told?.(done, pending.length);
  }
}

/** Another process may be at the same work: the name's primary key lets one of us through, and the other finds it done. */
function statementsOf(migration: Migration, { dialect }: Engine): Statement[] {
  const record = `insert into migration (name, applied_at) values ('${migration.name}', '${new Date().toISOString()}')`;
  return [record, ...migration[dialect]].map(statement);
}

async function requireApplied(engine: Engine, part: readonly Migration[]): Promise<void> {
  for (const { name } of part) {
    if (!(await has(engine, name))) throw new AppError('storage_unavailable', `The migration ${name} could not be applied.`);
  }
}

async function run(engine: Engine, list: Statement[]): Promise<'done' | 'conflict'> {
  const [outcome] = (await engine.runBatch(batchOf([list]))).outcomes;
  if (outcome && 'results' in outcome) return 'done';
  if (outcome?.failure === 'conflict') return 'conflict';
  throw new AppError('storage_unavailable', `The database cannot be prepared: ${outcome?.message ?? 'no answer'}`);
}

async function has(engine: Engine, name: string): Promise<boolean> {
  return (await engine.read(`select 1 from migration where name = '${name}'`, [])).length > 0;
}

const statement = (sql: string): Statement => ({ sql, params: [] });
/** SQLite's writers are one at a time anyway. */
const lock = (engine: Engine): Statement[] => (engine.dialect === 'postgres' ? [statement('select pg_advisory_xact_lock(7203914)')] : []);
