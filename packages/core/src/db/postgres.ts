/** PostgreSQL, through `pg` or, in tests, through PGlite: whatever can run a statement and hold one connection. */
import type { Outcome, Result, Statement } from './commit.ts';
import type { Engine } from './engine.ts';

type Run = (sql: string, params: readonly unknown[]) => Promise<Result>;

/** One database, seen as a function that runs a statement and one that lends a connection of its own. */
export interface PgConnection {
  run: Run;
  exclusive<T>(fn: (run: Run) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export function openPostgres(connection: PgConnection): Engine {
  async function runList(run: Run, list: readonly Statement[]): Promise<Result[]> {
    const results: Result[] = [];
    for (const { sql, params, must } of list) {
      const result = await run(sql, params);
      if (must && result.changes === 0 && result.rows.length === 0) throw unmet;
      results.push(result);
    }
    return results;
  }

  return {
    dialect: 'postgres',
    reads: (sql) => /^\s*(select|with|\(\s*select)\b/i.test(sql),
    read: async (sql, params) => (await connection.run(sql, params)).rows,
    runBatch: ({ lists, adding, additions }) =>
      connection.exclusive(async (run) => {
        await run('begin', []);
        try {
          const outcomes: Outcome[] = [];
          for (const list of lists) {
            await run('savepoint list', []);
            try {
              outcomes.push({ results: await runList(run, list) });
              await run('release savepoint list', []);
            } catch (error) {
              await run('rollback to savepoint list', []);
              outcomes.push({ failure: isConflict(error) ? ('conflict' as const) : ('storage' as const), message: textOf(error) });
            }
          }
          const undone = outcomes.some((outcome, i) => adding[i] && 'failure' in outcome);
          if (!undone) for (const { sql, params } of additions) await run(sql, params);
          await run(undone ? 'rollback' : 'commit', []);
          return { outcomes, undone };
        } catch (error) {
          await run('rollback', []).catch(() => undefined);
          throw error;
        }
      }),
    // PostgreSQL keeps deleted rows until its own vacuum; what is in them is sealed.
    scrub: async () => undefined,
    integrity: async () => null,
    async size() {
      const { rows } = await connection.run('select pg_database_size(current_database())', []);
      return { data: Number(rows[0]?.[0]), log: null };
    },
    close: () => connection.close(),
  };
}

/** Connects with `pg`, which is loaded only here: a process on SQLite never pays for it. */
export async function connectPg(url: string): Promise<PgConnection> {
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({ connectionString: url, max: 10, types: { getTypeParser } });
  pool.on('error', () => undefined);

  function getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === int8 ? Number : pg.types.getTypeParser(oid, format as 'text');
  }
  const runOn =
    (client: { query: typeof pool.query }): Run =>
    async (sql, params) => {
      const result = await client.query({ text: sql, values: [...params], rowMode: 'array' });
      return { changes: result.rowCount ?? 0, rows: result.rows as unknown[][] };
    };

  return {
    run: runOn(pool),
    async exclusive(fn) {
      const client = await pool.connect();
      let failure: Error | undefined;
      try {
        return await fn(runOn(client as unknown as { query: typeof pool.query }));
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
        throw error;
      } finally {
        client.release(failure);
      }
    },
    close: () => pool.end(),
  };
}

const int8 = 20;
const unmet = new Error('A row that had to change did not.');
/** Class 23: integrity constraint violation. */
const isConflict = (error: unknown): boolean =>
  error === unmet || (error instanceof Error && 'code' in error && String(error.code).startsWith('23'));
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
