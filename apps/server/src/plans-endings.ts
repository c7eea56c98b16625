/** Reminds people that their plan comes to its end: once for each end and threshold, whoever looks and however often. */
import { setImmediate as turn } from 'node:timers/promises';
import { type NoticeKind, reminderDays } from '@synthstack/core';
import type { Db, Statement } from '@synthstack/core/db';
import { and, asc, eq, exists, gt, gte, lte, or, sql } from 'drizzle-orm';
import type { NoticeEntry } from './notices.ts';
import { effectivePlan, type PlanRow } from './plans.ts';
import type { Clock } from './ports/clock.ts';

export interface PlanEndingParts {
  db: Db;
  clock: Clock;
  notice(entry: NoticeEntry): Statement;
}

const dayMs = 86_400_000;
const pageLength = 500;
const kind: NoticeKind = 'plan_ends';

export function createPlanEndings({ db, clock, notice }: PlanEndingParts) {
  const { plan, notice: told } = db.tables;

  /** A page of those that end until `toMs`, in the order in which they end; each with whether it has been told of this threshold. */
  function page(after: { until: Date; userId: string }, toMs: number, days: number) {
    const dedupe = sql`${`${kind}:`} || ${plan.userId} || ':' || cast(${plan.until} as text) || ${`:${days}`}`;
    const later = or(gt(plan.until, after.until), and(eq(plan.until, after.until), gt(plan.userId, after.userId)));
    const isTold = exists(
      db.orm
        .select({ id: told.id })
        .from(told)
        .where(eq(told.dedupe, sql<string>`${dedupe}`)),
    );
    return (
      db.orm
        .select({ row: plan, isTold: sql<number | boolean>`${isTold}` })
        .from(plan)
        // The first bound alone is one that an index is searched by.
        .where(and(gte(plan.until, after.until), lte(plan.until, new Date(toMs)), later))
        .orderBy(asc(plan.until), asc(plan.userId))
        .limit(pageLength)
    );
  }

  async function remind(fromMs: number, toMs: number, days: number): Promise<number> {
    // What ends at `fromMs` itself is the shorter threshold's.
    let after = { until: new Date(fromMs + 1), userId: '' };
    let done = 0;
    for (;;) {
      const rows = (await page(after, toMs, days)).flatMap(({ row, isTold }) => (row.until ? [{ ...row, until: row.until, isTold }] : []));
      const news = rows.filter((row) => !row.isTold && !row.renews && endsWith(row, row.until));
      if (news.length > 0)
        await db.commit(
          news.map(({ userId, tier, until }) => {
            const dedupe = `${kind}:${userId}:${until.getTime()}:${days}`;
            return notice({ userId, kind, dedupe, data: { tier, until: until.toISOString(), days: String(days) } });
          }),
        );
      done += news.length;
      const last = rows.at(-1);
      if (!last || rows.length < pageLength) return done;
      after = last;
      // Of a million plans half a million end within a fortnight: others have their turn in between.
      await turn();
    }
  }

  return {
    /** @returns how many people it has told */
    async run(): Promise<number> {
      const nowMs = clock.now();
      let done = 0;
      for (const [i, days] of reminderDays.entries()) {
        // Whoever is told of three days need not be told of fourteen as well.
        const fromMs = nowMs + (reminderDays[i + 1] ?? 0) * dayMs;
        done += await remind(fromMs, nowMs + days * dayMs, days);
      }
      return done;
    },
  };
}

/** Whether somebody is worse off from then on: a second plan may go on as it was. */
function endsWith(row: PlanRow, until: Date): boolean {
  const [before, after] = [effectivePlan(row, until.getTime() - 1), effectivePlan(row, until.getTime())];
  return before.tier !== 'community' && before.tier !== after.tier;
}
