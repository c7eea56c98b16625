/** Which tier a user has, and until when. No row: community. What a plan is worth is asked of the clock each time, never stored. */
import { hash } from 'node:crypto';
import {
  AppError,
  type PlanSource,
  type PlanState,
  type PlanView,
  tiers as released,
  type Tier,
  type TierName,
  tierNames,
} from '@synthstack/core';
import { bumpGeneration, type Db, must, prepareFind, type Statement, statement, type Tables } from '@synthstack/core/db';
import { and, type Column, eq, getTableColumns, isNull, notExists, sql } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';
import type { TierTable } from './settings-tiers.ts';

type Row = Tables['plan']['$inferSelect'];
export type PlanRow = Omit<Row, 'userId' | 'updatedAt'>;
/** One of the two plans that a user may have at a time. */
export type PlanEntry = Pick<PlanRow, 'tier' | 'state' | 'until' | 'renews' | 'source'>;

export interface EffectivePlan {
  /** The tier that counts now. */
  tier: TierName;
  /** The tier of the plan, lapsed or not. */
  plan: TierName;
  state: PlanState;
  lapsed: boolean;
  until: Date | null;
  /** The next payment is due at `until`. */
  renews: boolean;
  /** Null: never had a plan. */
  source: PlanSource | null;
  /** Own keys are used. */
  byok: boolean;
}

export interface PlanChange {
  tier: TierName;
  /** The first moment at which it no longer counts; none: it does not end. */
  until?: Date | null;
  source: Exclude<PlanSource, 'billing'>;
  /** Who decided it, for the audit trail; the source unless given. */
  actor?: string;
}

/** What a claim of the identity issuer gives counts for so long after it was last seen. */
const claimedForMs = 30 * 86_400_000;
const refreshedAfterMs = 86_400_000;

/** What Stripe says that somebody has bought. */
export type Bought = Omit<PlanEntry, 'source'>;

export interface PlansParts {
  db: Db;
  clock: Clock;
  audit?: (entry: AuditEntry) => Statement;
  /** What the tiers include on this server; the release's table unless given. */
  tiers?: { fresh: TierTable['fresh']; of(tier: TierName): Pick<Tier, 'byok'> };
}

export type Plans = ReturnType<typeof createPlans>;

/** A plan that renews counts on for so long after its end: a payment is taken some hours later, and word of it may be late. */
export const renewalGraceMs = 3 * 86_400_000;

/**
 * What a user's plans are worth at an instant. One that was given and one that was bought do not undo each other: of those that count the
 * higher tier does, of equal ones the one in the row's first place. `past_due` is still good until its end; `lapsed` is not, whatever `until` says.
 */
export function effectivePlan(row: PlanRow | undefined, nowMs: number, tierOf = releasedTier): EffectivePlan {
  if (!row) return tierOf('community').byok ? { ...nothing, byok: true } : nothing;
  const beside = besideOf(row);
  const best = beside && isLive(beside, nowMs) && (!isLive(row, nowMs) || worth(beside) > worth(row)) ? beside : row;
  const { tier: plan, until, source } = best;
  const lapsed = !isLive(best, nowMs);
  const tier = lapsed ? 'community' : plan;
  return {
    tier,
    plan,
    state: lapsed ? 'lapsed' : best.state,
    lapsed,
    until,
    renews: best.renews && !lapsed,
    source,
    byok: tierOf(tier).byok,
  };
}

const releasedTier = (tier: TierName): Pick<Tier, 'byok'> => released[tier];

const nothing: EffectivePlan = Object.freeze({
  ...{ tier: 'community', plan: 'community', state: 'active', lapsed: false, until: null, renews: false, source: null, byok: false },
} as const);

function isLive({ tier, state, until, renews }: PlanEntry, nowMs: number): boolean {
  if (tier === 'community') return true;
  return state !== 'lapsed' && (until === null || until.getTime() + (renews ? renewalGraceMs : 0) > nowMs);
}

const worth = ({ tier }: PlanEntry): number => tierNames.indexOf(tier);

function besideOf(row: PlanRow): PlanEntry | null {
  const { besideTier: tier, besideState: state, besideUntil: until, besideRenews: renews, besideSource: source } = row;
  return tier && state && source ? { tier, state, until, renews: renews === true, source } : null;
}

const firstOf = ({ tier, state, until, renews, source }: PlanEntry): PlanEntry => ({ tier, state, until, renews, source });

const rowOf = (first: PlanEntry, beside: PlanEntry | null): PlanRow => ({
  ...firstOf(first),
  besideTier: beside?.tier ?? null,
  besideState: beside?.state ?? null,
  besideUntil: beside?.until ?? null,
  besideRenews: beside?.renews ?? null,
  besideSource: beside?.source ?? null,
});

/**
 * What follows when the identity issuer says somebody's tier. What an administrator has given and still counts is left alone.
 * @param tier  null: the claim names none
 * @param wins  the claim counts even over what an administrator has given
 * @returns null: there is nothing to write; a tier that stays is written once a day
 */
export function afterClaim(row: PlanRow | undefined, tier: TierName | null, wins: boolean, nowMs: number): PlanChange | null {
  const entries = row ? [firstOf(row), besideOf(row)] : [];
  const given = entries.find((entry) => entry && entry.source !== 'billing') ?? null;
  const isClaimed = given?.source === 'identity';
  if (given && !isClaimed && !wins && isLive(given, nowMs)) return null;
  if (tier === null || tier === 'community')
    return isClaimed && given.tier !== 'community' ? { tier: 'community', source: 'identity' } : null;
  const isFresh = isClaimed && given.tier === tier && (given.until?.getTime() ?? 0) > nowMs + claimedForMs - refreshedAfterMs;
  return isFresh ? null : { tier, until: new Date(nowMs + claimedForMs), source: 'identity' };
}

/**
 * The row of a user once Stripe has said what they have bought. What was given is never taken away by it: it stays beside.
 * @param bought  null: nothing is known to Stripe (any more)
 * @returns null: there is nothing to write
 */
export function afterPurchase(row: PlanRow | undefined, bought: Bought | null, nowMs: number): PlanRow | null {
  const entries = row ? [firstOf(row), besideOf(row)] : [];
  const given = entries.find((entry) => entry && entry.source !== 'billing') ?? null;
  const before = entries.find((entry) => entry?.source === 'billing') ?? null;
  const gone = before && {
    ...before,
    state: 'lapsed' as const,
    renews: false,
    until: before.state === 'lapsed' ? before.until : new Date(nowMs),
  };
  const now: PlanEntry | null = bought ? { ...bought, source: 'billing' } : gone;
  if (!now) return null;
  const isFirst = !given || (isLive(now, nowMs) ? !isLive(given, nowMs) || worth(now) > worth(given) : !isLive(given, nowMs));
  const after = isFirst ? rowOf(now, given) : rowOf(given, now);
  return row && JSON.stringify(after) === JSON.stringify(rowOf(row, besideOf(row))) ? null : after;
}

/** What was given and what was bought, as far as there are such. */
export function planParts(row: PlanRow | undefined): { given: PlanEntry | null; bought: PlanEntry | null } {
  const entries = row ? [firstOf(row), besideOf(row)] : [];
  return {
    given: entries.find((entry) => entry && entry.source !== 'billing') ?? null,
    bought: entries.find((entry) => entry?.source === 'billing') ?? null,
  };
}

/** The same as long as nobody has changed the plan. */
export function planVersion(row: PlanRow | undefined): string {
  return row ? hash('sha256', JSON.stringify(rowOf(row, besideOf(row)))).slice(0, 32) : 'none';
}

export function createPlans({ db, clock, audit, tiers = { fresh: () => undefined, of: releasedTier } }: PlansParts) {
  const { plan } = db.tables;
  const { userId: _user, updatedAt: _changed, ...columns } = getTableColumns(plan);

  const find = prepareFind(db, (userId) => db.orm.select(columns).from(plan).where(eq(plan.userId, userId)));

  /** @returns undefined: none, so community */
  async function row(userId: string): Promise<PlanRow | undefined> {
    const [found] = await find(userId);
    return found;
  }

  /** What a row is worth now, as of the last `fresh`. */
  const effective = (row: PlanRow | undefined): EffectivePlan => effectivePlan(row, clock.now(), tiers.of);

  async function of(userId: string): Promise<EffectivePlan> {
    await tiers.fresh();
    return effective(await row(userId));
  }

  const noted = (userId: string, actor: string, detail: Record<string, string>): Statement[] =>
    audit ? [audit({ actor, subject: userId, action: 'plan.changed', detail })] : [];

  /**
   * The statements that give a user a plan, for lists that others write; the user must exist when they run. What was bought stays beside it.
   */
  function writes(userId: string, { tier, until = null, source, actor = source }: PlanChange): Statement[] {
    const values = { tier, until, source, state: 'active' as const, renews: false, updatedAt: new Date(clock.now()) };
    const kept = (first: Column, beside: Column) => sql`case when ${plan.source} = 'billing' then ${first} else ${beside} end`;
    const set = {
      ...values,
      besideTier: kept(plan.tier, plan.besideTier),
      besideState: kept(plan.state, plan.besideState),
      besideUntil: kept(plan.until, plan.besideUntil),
      besideRenews: kept(plan.renews, plan.besideRenews),
      besideSource: kept(plan.source, plan.besideSource),
    };
    return [
      statement(
        db.orm
          .insert(plan)
          .values({ userId, ...values })
          .onConflictDoUpdate({ target: plan.userId, set }),
      ),
      ...noted(userId, actor, { tier, ...(until && { until: until.toISOString() }), source }),
      statement(bumpGeneration(db.orm, db.tables)),
    ];
  }

  /**
   * The statements that follow from what Stripe says, none where nothing has changed.
   * @param before  the row as it was read: had somebody changed it since, the list fails with `conflict`
   */
  function writesOfPurchase(userId: string, before: PlanRow | undefined, bought: Bought | null): Statement[] {
    const after = afterPurchase(before, bought, clock.now());
    if (!after) return [];
    const values = { ...after, updatedAt: new Date(clock.now()) };
    const write = before
      ? db.orm
          .update(plan)
          .set(values)
          .where(and(eq(plan.userId, userId), ...unchanged(before)))
      : db.orm.insert(plan).values({ userId, ...values });
    const { tier, state, until } = bought ?? after;
    return [
      must(statement(write)),
      ...noted(userId, 'system', { tier, state, ...(until && { until: until.toISOString() }), source: 'billing' }),
      statement(bumpGeneration(db.orm, db.tables)),
    ];
  }

  const same = (column: Column, value: unknown) => (value === null ? isNull(column) : eq(column, value));
  const unchanged = (row: PlanRow) => Object.entries(columns).map(([name, column]) => same(column, row[name as keyof PlanRow]));

  /** Touches a row as long as the plan is what it was. */
  function unlessChanged(userId: string, before: PlanRow | undefined): Statement {
    const { user } = db.tables;
    if (before) {
      const isBefore = and(eq(plan.userId, userId), ...unchanged(before));
      return must(db.orm.update(plan).set({ userId }).where(isBefore));
    }
    const theirs = db.orm.select({ one: sql`1` }).from(plan).where(eq(plan.userId, userId));
    return must(
      db.orm
        .update(user)
        .set({ id: userId })
        .where(and(eq(user.id, userId), notExists(theirs))),
    );
  }

  return {
    ...{ row, of, effective, writes, writesOfPurchase },
    /** Takes over what has changed of the tiers, in whatever process. */
    fresh: tiers.fresh,

    /**
     * Gives a plan in the place of the one that somebody has looked at.
     * @param seen  its version then
     * @throws AppError `not_found`: no such user; `conflict`: somebody has changed it since
     */
    async replace(userId: string, change: PlanChange, seen: string): Promise<void> {
      const before = await row(userId);
      if (planVersion(before) !== seen) throw changedMeanwhile();
      await db.commit([unlessChanged(userId, before), ...writes(userId, change)]).catch((error: unknown) => {
        throw error instanceof AppError && error.code === 'conflict' ? changedMeanwhile() : error;
      });
    },

    /** @throws AppError `not_found`: no such user */
    async set(userId: string, change: PlanChange): Promise<EffectivePlan> {
      const { user } = db.tables;
      const found = await db.orm.select({ id: user.id }).from(user).where(eq(user.id, userId));
      if (found.length === 0) throw new AppError('not_found', 'There is no such account.');
      await db.commit(writes(userId, change));
      return of(userId);
    },

    /** The identity issuer says somebody's tier: `afterClaim`. */
    async claim(userId: string, tier: TierName | null, wins: boolean): Promise<void> {
      const change = afterClaim(await row(userId), tier, wins, clock.now());
      if (change) await db.commit(writes(userId, change));
    },

    /** Everyone who has a plan, lapsed or not. */
    async all(): Promise<Map<string, EffectivePlan>> {
      const rows = await db.orm.select({ userId: plan.userId, ...columns }).from(plan);
      await tiers.fresh();
      return new Map(rows.map(({ userId, ...found }) => [userId, effective(found)]));
    },

    async view(userId: string): Promise<PlanView> {
      const { until, ...rest } = await of(userId);
      return { ...rest, until: until?.toISOString() ?? null };
    },
  };
}

const changedMeanwhile = () =>
  new AppError('conflict', 'Somebody has changed this plan meanwhile. Look at what it is now, then make your change.');
