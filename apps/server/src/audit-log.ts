/**
 * The audit log as administrators read it: filtered, newest first, and exported. Rows are numbered without gaps in the order of time, so
 * each filter walks down one index, and a time is found by halving; what further filters leave over is looked for in windows.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Db, Tables } from '@synthstack/core/db';
import { and, asc, desc, eq, gte, lt, type SQL, sql } from 'drizzle-orm';
import { detailOf } from './audit.ts';
import { csvLine } from './csv.ts';

export interface AuditLogParts {
  db: Db;
  /** Rows that one statement looks at, and windows that one call does. */
  windowRows?: number;
  mostWindows?: number;
}

export interface AuditFilter {
  actor?: string | undefined;
  subject?: string | undefined;
  action?: string | undefined;
  fromMs?: number | undefined;
  /** Exclusive. */
  toMs?: number | undefined;
}

type Row = Tables['audit']['$inferSelect'];
export type AuditLog = ReturnType<typeof createAuditLog>;

/** Clocks are set back now and then, by less than this: a row may be so much older than the ones before it. */
const clockSlackMs = 86_400_000;

export function createAuditLog({ db, windowRows = 1_000, mostWindows = 20 }: AuditLogParts) {
  const { audit } = db.tables;

  /** The filter that leads along an index, and all of them together. */
  function conditions({ actor, subject, action, fromMs, toMs }: AuditFilter): {
    path: SQL | undefined;
    all: SQL | undefined;
    more: boolean;
  } {
    const named = [
      { column: audit.subject, value: subject },
      { column: audit.actor, value: actor },
      { column: audit.action, value: action },
    ].filter((one): one is typeof one & { value: string } => one.value !== undefined);
    const [first, ...others] = named;
    const path = first && eq(first.column, first.value);
    // Not as the bare column: else the engine might go along another index, in which the window has no end.
    const rest = others.map(({ column, value }) => sql`coalesce(${column}, '') = ${value}`);
    const times = [fromMs === undefined ? undefined : gte(audit.at, fromMs), toMs === undefined ? undefined : lt(audit.at, toMs)];
    return { path, all: and(path, ...rest, ...times), more: others.length > 0 || times.some(Boolean) };
  }

  /** The first row at or behind a number. */
  async function rowAt(seq: number): Promise<{ seq: number; at: number } | undefined> {
    const [row] = await db.orm
      .select({ seq: audit.seq, at: audit.at })
      .from(audit)
      .where(gte(audit.seq, seq))
      .orderBy(asc(audit.seq))
      .limit(1);
    return row;
  }

  async function newest(): Promise<number> {
    const [row] = await db.orm.select({ seq: audit.seq }).from(audit).orderBy(desc(audit.seq)).limit(1);
    return row?.seq ?? 0;
  }

  /** The number of the first row that is not older than a time, found by halving. */
  async function seqAt(atMs: number, end: number): Promise<number> {
    let [low, high] = [1, end + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = await rowAt(middle);
      if (!row || row.at >= atMs) high = middle;
      else low = row.seq + 1;
    }
    return low;
  }

  /** Between which numbers all rows of a range of time lie, the latter exclusive. */
  async function bounds({ fromMs, toMs }: AuditFilter): Promise<{ from: number; below: number }> {
    const end = await newest();
    return {
      from: fromMs === undefined ? 1 : await seqAt(fromMs - clockSlackMs, end),
      below: toMs === undefined ? end + 1 : await seqAt(toMs + clockSlackMs, end),
    };
  }

  const between = (from: number, below: number) => and(gte(audit.seq, from), lt(audit.seq, below));

  /** The number with which a window ends, seen from one of its ends; null: there are fewer rows than it may hold. */
  async function windowEnd(path: SQL | undefined, from: number, below: number, order: SQL): Promise<number | null> {
    const [row] = await db.orm
      .select({ seq: audit.seq })
      .from(audit)
      .where(and(path, between(from, below)))
      .orderBy(order)
      .limit(1)
      .offset(windowRows - 1);
    return row?.seq ?? null;
  }

  const pick = (where: SQL | undefined, limit: number) => db.orm.select().from(audit).where(where).orderBy(desc(audit.seq)).limit(limit);

  return {
    /** What a page asks the database for, for a test of its plan. */
    statementsOf: (filter: AuditFilter) => {
      const { path, all } = conditions(filter);
      return [
        pick(and(all, between(1, 1_000)), 50).toSQL(),
        db.orm
          .select({ seq: audit.seq })
          .from(audit)
          .where(and(path, between(1, 1_000)))
          .orderBy(desc(audit.seq))
          .limit(1)
          .offset(windowRows - 1)
          .toSQL(),
      ];
    },

    /**
     * Newest first. Looks at so many windows at most.
     * @param before  where the last page ended
     * @returns `next`: where to go on; null: there are no more
     */
    async page(filter: AuditFilter, limit: number, before?: number): Promise<{ rows: Row[]; next: number | null }> {
      const { path, all, more } = conditions(filter);
      const { from, below: end } = await bounds(filter);
      let below = Math.min(end, before ?? Number.POSITIVE_INFINITY);
      const rows: Row[] = [];
      for (let looked = 0; looked < mostWindows; looked += 1) {
        if (looked > 0) await turn();
        const window = more ? await windowEnd(path, from, below, desc(audit.seq)) : null;
        rows.push(...(await pick(and(all, between(window ?? from, below)), limit + 1 - rows.length)));
        if (rows.length > limit) return { rows: rows.slice(0, limit), next: rows[limit - 1]?.seq ?? null };
        if (window === null) return { rows, next: null };
        below = window;
      }
      return { rows, next: below };
    },

    /** Every row, oldest first, as the lines of a file, a window of the table at a time; with the hashes, so that the chain can be held against it. */
    async *lines(filter: AuditFilter, format: 'csv' | 'jsonl'): AsyncGenerator<string> {
      const lineOf = format === 'csv' ? csvOf : jsonOf;
      if (format === 'csv') yield csvLine(csvNames);
      const { path, all } = conditions(filter);
      const { from: first, below } = await bounds(filter);
      for (let from = first; ; ) {
        const end = await windowEnd(path, from, below, asc(audit.seq));
        const rows = await db.orm
          .select()
          .from(audit)
          .where(and(all, between(from, end === null ? below : end + 1)))
          .orderBy(asc(audit.seq));
        if (rows.length > 0) yield rows.map(lineOf).join('');
        if (end === null) return;
        from = end + 1;
        // Where nothing is yielded, nobody else would get a turn.
        await turn();
      }
    },
  };
}

const csvNames = ['seq', 'at', 'actor', 'subject', 'action', 'detail', 'prev_hash', 'hash'];
const csvOf = ({ seq, at, actor, subject, action, detail, prevHash, hash }: Row): string =>
  csvLine([seq, new Date(at).toISOString(), actor, subject, action, detail, prevHash, hash]);
/** The hash is SHA-256 over `prevHash seq [at in ms, actor, subject, action, detail as text]`, the list as JSON. */
const jsonOf = ({ seq, at, actor, subject, action, detail, prevHash, hash }: Row): string =>
  `${JSON.stringify({ seq, at: new Date(at).toISOString(), actor, subject, action, detail: detailOf(detail), prevHash, hash })}\n`;
