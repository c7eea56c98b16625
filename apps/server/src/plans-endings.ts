/** Reminds people that their plan comes to its end: once for each end and threshold, whoever looks and however often. */
import { type NoticeKind, reminderDays } from '@synthstack/core';
import type { Db, Statement } from '@synthstack/core/db';
import { and, asc, eq, gt, lte, ne, notExists, sql } from 'drizzle-orm';
import type { NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';

export interface PlanEndingParts {
  db: Db;
  clock: Clock;
  notice(entry: NoticeEntry): Statement;
}

const dayMs = 86_400_000;
const mostAtOnce = 500;
const kind: NoticeKind = 'plan_ends';

export function createPlanEndings({ db, clock, notice }: PlanEndingParts) {
  const { plan, notice: told } = db.tables;

  /** Of those that end after `fromMs` and until `toMs`, the ones that have not been told of this threshold. */
  function untold(fromMs: number, toMs: number, days: number) {
    const dedupe = sql`${`${kind}:`} || ${plan.userId} || ':' || cast(${plan.until} as text) || ${`:${days}`}`;
    const isTold = db.orm
      .select({ id: told.id })
      .from(told)
      .where(eq(told.dedupe, sql<string>`${dedupe}`));
    return db.orm
      .select({ userId: plan.userId, tier: plan.tier, until: plan.until })
      .from(plan)
      .where(
        and(
          gt(plan.until, new Date(fromMs)),
          lte(plan.until, new Date(toMs)),
          ne(plan.state, 'lapsed'),
          ne(plan.tier, 'community'),
          notExists(isTold),
        ),
      )
      .orderBy(asc(plan.until))
      .limit(mostAtOnce);
  }

  return {
    /** @returns how many people it has told */
    async run(): Promise<number> {
      const nowMs = clock.now();
      let done = 0;
      for (const [i, days] of reminderDays.entries()) {
        // Whoever is told of three days need not be told of fourteen as well.
        const fromMs = nowMs + (reminderDays[i + 1] ?? 0) * dayMs;
        for (;;) {
          const rows = await untold(fromMs, nowMs + days * dayMs, days);
          if (rows.length > 0)
            await db.commit(
              rows.map(({ userId, tier, until }) => {
                const end = until ?? new Date(nowMs);
                const dedupe = `${kind}:${userId}:${end.getTime()}:${days}`;
                return notice({ userId, kind, dedupe, data: { tier, until: end.toISOString(), days: String(days) } });
              }),
            );
          done += rows.length;
          if (rows.length < mostAtOnce) break;
        }
      }
      return done;
    },
  };
}
