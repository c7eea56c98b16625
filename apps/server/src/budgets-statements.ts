/** The statements of budgets: each is a step of a request's way, made once and only filled. Whatever comes first in a new month begins it. */
import { type Db, prepared, statement } from '@synthstack/core/db';
import { and, eq, inArray, sql } from 'drizzle-orm';
import type { KeyPlace } from './vault-rows.ts';

interface Taking extends KeyPlace {
  requestId: number;
  bootId: string;
  period: number;
  amountNanoUsd: number;
}
interface Spending extends KeyPlace {
  requestId: number;
  period: number;
  costNanoUsd: number;
}

export function prepareStatements(db: Db) {
  const { budget, reservation, boot, providerKey } = db.tables;
  const hole = (name: string) => sql.placeholder(name) as never;
  const here = and(eq(budget.owner, hole('owner')), eq(budget.provider, hole('provider')), eq(budget.position, hole('position')));
  /** An amount of the month at hand: nothing, where the row is about an earlier one. */
  const thisMonths = (column: typeof budget.spentNanoUsd) => sql`case when ${budget.period} < ${hole('period')} then 0 else ${column} end`;
  const period = sql`case when ${budget.period} < ${hole('period')} then ${hole('period')} else ${budget.period} end`;
  const held = sql`coalesce((select ${reservation.amountNanoUsd} from ${reservation}
    where ${reservation.requestId} = ${hole('requestId')} and ${reservation.period} = ${budget.period}), 0)`;
  const isDead = sql`${reservation.bootId} not in (select ${boot.id} from ${boot})`;
  const deadOnes = sql`select sum(${reservation.amountNanoUsd}) from ${reservation} where ${reservation.owner} = ${budget.owner}
    and ${reservation.provider} = ${budget.provider} and ${reservation.position} = ${budget.position} and ${reservation.period} = ${budget.period}
    and ${isDead}`;
  const ownersOfDead = db.orm.select({ owner: reservation.owner }).from(reservation).where(isDead);

  return {
    /** The one conditional step: it changes the row, or there is not enough left. */
    take: prepared<Taking & Record<string, unknown>>(
      db.orm
        .update(budget)
        .set({
          reservedNanoUsd: sql`${thisMonths(budget.reservedNanoUsd)} + ${hole('amountNanoUsd')}`,
          spentNanoUsd: thisMonths(budget.spentNanoUsd),
          period,
        })
        .where(
          and(
            here,
            eq(budget.hard, true),
            sql`${thisMonths(budget.spentNanoUsd)} + ${thisMonths(budget.reservedNanoUsd)} + ${hole('amountNanoUsd')} <= ${budget.limitNanoUsd}`,
          ),
        )
        .returning({ period: budget.period }),
    ),
    note: prepared<Taking & Record<string, unknown>>(
      db.orm.insert(reservation).values({
        requestId: hole('requestId'),
        bootId: hole('bootId'),
        owner: hole('owner'),
        provider: hole('provider'),
        position: hole('position'),
        amountNanoUsd: hole('amountNanoUsd'),
        period: sql`(select ${budget.period} from ${budget} where ${here})` as never,
      }),
    ),
    /** What was held goes, what it cost comes. Of an earlier month than the row's, neither counts any more. */
    spend: prepared<Spending & Record<string, unknown>>(
      db.orm
        .update(budget)
        .set({
          spentNanoUsd: sql`case when ${budget.period} = ${hole('period')} then ${budget.spentNanoUsd} + ${hole('costNanoUsd')}
            when ${budget.period} < ${hole('period')} then ${hole('costNanoUsd')} else ${budget.spentNanoUsd} end`,
          reservedNanoUsd: sql`case when ${budget.period} < ${hole('period')} then 0 else ${budget.reservedNanoUsd} - ${held} end`,
          period,
        })
        .where(here),
    ),
    free: prepared<Spending & Record<string, unknown>>(db.orm.delete(reservation).where(eq(reservation.requestId, hole('requestId')))),
    /** `keyId` may have been replaced since; then nobody knows its place, and it is not counted. */
    priced: prepared<{ keyId: string; period: number; costNanoUsd: number }>(
      db.orm
        .update(budget)
        .set({ spentNanoUsd: sql`${budget.spentNanoUsd} + ${hole('costNanoUsd')}` })
        .where(
          and(
            eq(budget.period, hole('period')),
            sql`exists (select 1 from ${providerKey} where ${providerKey.id} = ${hole('keyId')} and ${providerKey.owner} = ${budget.owner}
              and ${providerKey.provider} = ${budget.provider} and ${providerKey.position} = ${budget.position})`,
          ),
        ),
    ),
    someDead: () => db.orm.select({ requestId: reservation.requestId }).from(reservation).where(isDead).limit(1),
    releaseDead: [
      statement(
        db.orm
          .update(budget)
          .set({ reservedNanoUsd: sql`${budget.reservedNanoUsd} - coalesce((${deadOnes}), 0)` })
          .where(inArray(budget.owner, ownersOfDead)),
      ),
      statement(db.orm.delete(reservation).where(isDead)),
    ],
  };
}
