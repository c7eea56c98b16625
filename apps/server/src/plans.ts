/** Which tier a user has, and until when. No row: community. What a plan is worth is asked of the clock each time, never stored. */
import { AppError, type PlanView, type TierName, tiers } from '@synthstack/core';
import { bumpGeneration, type Db, prepareFind, type Statement, statement, type Tables } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';

export type PlanRow = Pick<Tables['plan']['$inferSelect'], 'tier' | 'state' | 'until'>;

export interface EffectivePlan {
  /** The tier that counts now. */
  tier: TierName;
  /** The tier of the plan, lapsed or not. */
  plan: TierName;
  lapsed: boolean;
  until: Date | null;
  /** Own keys are used. */
  byok: boolean;
}

export interface PlanChange {
  tier: TierName;
  /** The first moment at which it no longer counts; none: it does not end. */
  until?: Date | null;
  source: 'admin' | 'cli' | 'billing';
  /** Who decided it, for the audit trail; the source unless given. */
  actor?: string;
}

export interface PlansParts {
  db: Db;
  clock: Clock;
  audit?: (entry: AuditEntry) => Statement;
}

export type Plans = ReturnType<typeof createPlans>;

/** What a plan is worth at an instant. `past_due` is still paid for until its end; `lapsed` is not, whatever `until` says. */
export function effectivePlan(row: PlanRow | undefined, nowMs: number): EffectivePlan {
  const plan = row?.tier ?? 'community';
  const until = row?.until ?? null;
  const lapsed = plan !== 'community' && (row?.state === 'lapsed' || (until !== null && until.getTime() <= nowMs));
  const tier = lapsed ? 'community' : plan;
  return { tier, plan, lapsed, until, byok: tiers[tier].byok };
}

export function createPlans({ db, clock, audit }: PlansParts) {
  const { plan } = db.tables;
  const columns = { tier: plan.tier, state: plan.state, until: plan.until };

  const find = prepareFind(db, (userId) => db.orm.select(columns).from(plan).where(eq(plan.userId, userId)));

  /** @returns undefined: none, so community */
  async function row(userId: string): Promise<PlanRow | undefined> {
    const [found] = await find(userId);
    return found;
  }

  const of = async (userId: string): Promise<EffectivePlan> => effectivePlan(await row(userId), clock.now());

  /** The statements that give a user a plan, for lists that others write; the user must exist when they run. */
  function writes(userId: string, { tier, until = null, source, actor = source }: PlanChange): Statement[] {
    const values = { tier, until, source, state: 'active' as const, updatedAt: new Date(clock.now()) };
    const detail = { tier, ...(until && { until: until.toISOString() }), source };
    return [
      statement(
        db.orm
          .insert(plan)
          .values({ userId, ...values })
          .onConflictDoUpdate({ target: plan.userId, set: values }),
      ),
      ...(audit ? [audit({ actor, subject: userId, action: 'plan.changed', detail })] : []),
      statement(bumpGeneration(db.orm, db.tables)),
    ];
  }

  return {
    ...{ row, of, writes },

    /** @throws AppError `not_found`: no such user */
    async set(userId: string, change: PlanChange): Promise<EffectivePlan> {
      const { user } = db.tables;
      const found = await db.orm.select({ id: user.id }).from(user).where(eq(user.id, userId));
      if (found.length === 0) throw new AppError('not_found', 'There is no such account.');
      await db.commit(writes(userId, change));
      return of(userId);
    },

    /** Everyone who has a plan, lapsed or not. */
    async all(): Promise<Map<string, EffectivePlan>> {
      const rows = await db.orm.select({ userId: plan.userId, ...columns }).from(plan);
      return new Map(rows.map(({ userId, ...found }) => [userId, effectivePlan(found, clock.now())]));
    },

    async view(userId: string): Promise<PlanView> {
      const { until, ...rest } = await of(userId);
      return { ...rest, until: until?.toISOString() ?? null };
    },
  };
}
