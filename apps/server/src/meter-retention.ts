/**
 * USAGE_RETENTION_DAYS: single requests are deleted when they are that old; what they added up to stays. A few hundred rows a write, with
 * longer pauses than writes between them, so that requests under way hardly notice, however many rows there are at first.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Db, statement } from '@synthstack/core/db';
import { and, asc, eq, lt, lte, ne } from 'drizzle-orm';
import { idAt } from './meter.ts';
import type { Clock } from './ports/clock.ts';

export interface RetentionParts {
  db: Db;
  clock: Clock;
  days: number;
  /** Rows a write. */
  batchRows?: number;
}

const rowsFromKey = 'usage.rows_from';
const dayMs = 86_400_000;
const hourMs = 3_600_000;
const longestPauseMs = 250;

/** From when on there are single requests, in ms; null: none was deleted for its age yet. */
export async function readRowsFrom({ orm, tables: { setting } }: Pick<Db, 'orm' | 'tables'>): Promise<number | null> {
  const [row] = await orm.select({ value: setting.value }).from(setting).where(eq(setting.key, rowsFromKey));
  return row ? Number(row.value) : null;
}

export type Retention = ReturnType<typeof createRetention>;

export function createRetention({ db, clock, days, batchRows = 200 }: RetentionParts) {
  const { request, setting } = db.tables;
  const isClosed = ne(request.state, 'open');

  /** Says first what it does: whoever reads the list meanwhile may miss rows, but is told. @returns how many */
  async function forgetSome(beforeMs: number): Promise<number> {
    const isOld = and(lt(request.id, idAt(beforeMs)), isClosed);
    const some = await db.orm.select({ id: request.id }).from(request).where(isOld).orderBy(asc(request.id)).limit(batchRows);
    const last = some.at(-1);
    if (!last) return 0;
    const values = { value: beforeMs, updatedAt: new Date(clock.now()) };
    const say = db.orm
      .insert(setting)
      .values({ key: rowsFromKey, ...values })
      .onConflictDoUpdate({ target: setting.key, set: values });
    const forget = db.orm.delete(request).where(and(lte(request.id, last.id), isClosed));
    const [, deleted] = await db.commit([statement(say), statement(forget)]);
    return deleted?.changes ?? 0;
  }

  return {
    /**
     * Deletes all that is too old.
     * @param isOver  asked before each write: true ends it, and the next round goes on
     * @returns how many rows
     */
    async run(isOver: () => boolean): Promise<number> {
      const beforeMs = Math.floor((clock.now() - days * dayMs) / hourMs) * hourMs;
      let rows = 0;
      while (!isOver()) {
        const startedAt = performance.now();
        const some = await forgetSome(beforeMs);
        rows += some;
        if (some < batchRows) break;
        await sleep(Math.min(longestPauseMs, 3 * (performance.now() - startedAt)));
      }
      return rows;
    },
  };
}
