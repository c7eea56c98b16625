/**
 * Monthly budgets of people's own keys, in nano-USD. A hard budget is exact under concurrency by reservation: before a request goes out, one
 * conditional statement sets aside what it may cost at most, and the list that closes its row puts what it did cost in the place of that. So
 * spent and reserved together never exceed the limit, whatever ends in whatever order, in however many processes. Months are those of UTC.
 */
import { AppError, type BudgetView, nanoUsdPerUsd, type SetBudget, toUsd } from '@synthstack/core';
import { atomically, bumpGeneration, type Db, must, prepareFind, type Statement, statement, type Tables } from '@synthstack/core/db';
import { and, eq, sql } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import { prepareStatements } from './budgets-statements.ts';
import type { OpenRequest, Settled } from './meter.ts';
import type { NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { KeyPlace, StoredKey } from './vault-rows.ts';

/** What a request under way has set aside. */
export interface Hold {
  amountNanoUsd: number;
  /** The month that it belongs to: its start in ms. */
  period: number;
}

/** What `choose` needs to know of a key's budget. */
export interface BudgetState {
  hard: boolean;
  thenPlatform: boolean;
  /** Nothing is left of a hard one. */
  isReached: boolean;
}

/** A key as a request's journey knows it. */
export type OwnKey = StoredKey & { budget: BudgetState | null };

/** Why a reservation was not made. */
export interface Refused {
  limitNanoUsd: number;
  leftNanoUsd: number;
  thenPlatform: boolean;
  resetsAt: Date;
}

export interface BudgetsParts {
  db: Db;
  clock: Clock;
  log: Pick<Log, 'error'>;
  audit(entry: AuditEntry): Statement;
  notice(entry: NoticeEntry): Statement;
}

type Row = Tables['budget']['$inferSelect'];
/** A request on an own key, as far as budgets are concerned. */
type Paying = Pick<OpenRequest, 'id' | 'userId' | 'provider' | 'keyPosition' | 'source' | 'hold' | 'startedAt'>;

const nothing: readonly Statement[] = [];
/** Before that share of a budget is spent, nobody is told anything. */
const firstShare = 0.8;
const rememberedNews = 10_000;

export type Budgets = ReturnType<typeof createBudgets>;

export function createBudgets({ db, clock, log, audit, notice }: BudgetsParts) {
  const { budget, providerKey } = db.tables;
  const statements = prepareStatements(db);
  const findOfOwner = prepareFind(db, (owner) => db.orm.select().from(budget).where(eq(budget.owner, owner)));
  /**
   * The budgets of those who have some, as this process last saw them: so that it also counts what was under way when a budget was set, and that
   * nobody without one pays for a look.
   */
  const known = new Map<string, readonly Row[]>();
  const told = new Set<string>();
  /** Of whose budgets something has been spent since they were looked at. */
  const asked = new Set<string>();
  let looking: Promise<void> | null = null;

  const at = ({ owner, provider, position }: KeyPlace) =>
    and(eq(budget.owner, owner), eq(budget.provider, provider), eq(budget.position, position));
  const isAt = (place: Omit<KeyPlace, 'owner'>) => (row: Row) => row.provider === place.provider && row.position === place.position;

  async function ofOwner(owner: string): Promise<readonly Row[]> {
    const rows = await findOfOwner(owner);
    if (rows.length > 0) known.set(owner, rows);
    else known.delete(owner);
    return rows;
  }

  const stateOf = (row: Row | undefined, nowMs: number): BudgetState | null =>
    row ? { hard: row.hard, thenPlatform: row.thenPlatform, isReached: row.hard && leftOf(row, nowMs, 'spent') <= 0 } : null;

  function tell(row: Row, share: 80 | 100): Promise<void> | undefined {
    const kind = share === 80 ? ('budget_80' as const) : ('budget_100' as const);
    const { owner, provider, position, limitNanoUsd, hard } = row;
    const month = new Date(monthOf(clock.now())).toISOString().slice(0, 7);
    const dedupe = `${kind}:${owner}:${provider}:${position}:${month}`;
    return told.has(dedupe) ? undefined : write();

    async function write(): Promise<void> {
      const where = and(eq(providerKey.owner, owner), eq(providerKey.provider, provider), eq(providerKey.position, position));
      const [key] = await db.orm.select({ id: providerKey.id, keyHint: providerKey.keyHint }).from(providerKey).where(where);
      if (!key) return;
      const data = { keyId: key.id, provider, keyHint: key.keyHint, limitUsd: toUsd(limitNanoUsd).toFixed(2), hard: `${hard}` };
      await db.commit([notice({ userId: owner, kind, dedupe, data })]);
      if (told.size >= rememberedNews) told.clear();
      told.add(dedupe);
    }
  }

  async function tellWhatIsSpent(row: Row): Promise<void> {
    if (row.period !== monthOf(clock.now())) return;
    if (row.spentNanoUsd >= row.limitNanoUsd) await tell(row, 100);
    if (row.spentNanoUsd >= row.limitNanoUsd * firstShare) await tell(row, 80);
  }

  /** Of many requests that end at once, one look serves all. */
  async function lookWhileAsked(): Promise<void> {
    for (const owner of asked) {
      asked.delete(owner);
      try {
        for (const row of await ofOwner(owner)) await tellWhatIsSpent(row);
      } catch (error) {
        log.error({}, 'News of a budget could not be told; the next request on its key tries again', error);
      }
    }
    looking = null;
  }

  return {
    /** For a cache that the generation drops: the keys with what is known of their budgets. */
    attach,

    /** What is left changes with each request: of keys with a hard budget it is read anew. All others cost nothing. */
    fresh(owner: string, keys: readonly OwnKey[]): readonly OwnKey[] | Promise<readonly OwnKey[]> {
      return keys.some((key) => key.budget?.hard) ? attach(owner, keys) : keys;
    },

    /**
     * Sets aside what a request may cost at most. It is on disk, with the request's id, before anything is sent.
     * @returns what is held, to be part of the request; null: its key has no hard budget any more; or why not
     * @throws AppError `storage_unavailable`
     */
    async reserve(request: Paying, bootId: string, amountNanoUsd: number): Promise<Hold | Refused | null> {
      const place = { owner: request.userId, provider: request.provider, position: request.keyPosition };
      const period = monthOf(clock.now());
      const values = { ...place, period, amountNanoUsd, requestId: request.id, bootId };
      try {
        const [taken] = await db.commit([must(statements.take(values)), statements.note(values)]);
        return { amountNanoUsd, period: Number(taken?.rows[0]?.[0] ?? period) };
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
      }
      const row = (await ofOwner(place.owner)).find(isAt(place));
      if (!row?.hard) return null;
      const nowMs = clock.now();
      // As good as used up: nothing is under way that could still turn out cheaper.
      const isAtItsEnd = leftOf(row, nowMs, 'all') <= row.limitNanoUsd * (1 - firstShare) && row.reservedNanoUsd === 0;
      if (isAtItsEnd) await tell(row, 100);
      return {
        limitNanoUsd: row.limitNanoUsd,
        leftNanoUsd: Math.max(0, leftOf(row, nowMs, 'all')),
        thenPlatform: row.thenPlatform,
        resetsAt: nextMonth(nowMs),
      };
    },

    /** Gives back what was set aside for an attempt that cost nothing, before the request goes on. @throws AppError `storage_unavailable` */
    async release(request: Paying): Promise<void> {
      if (request.hold) await db.commit(settlementOf(request, 0));
    },

    /** The statements that belong into the list that closes a request's row. */
    settlement(closed: Paying & Pick<Settled, 'costNanoUsd' | 'answered'>): readonly Statement[] {
      const { hold, source, costNanoUsd, answered } = closed;
      if (hold === null && (source !== 'user' || known.size === 0 || !known.get(closed.userId)?.some(isHere(closed)))) return nothing;
      // An answer of which nobody knows what it cost counts as what it may have cost at most: unknown is not zero.
      const charged = costNanoUsd ?? (answered && hold ? hold.amountNanoUsd : 0);
      return hold === null && charged === 0 ? nothing : settlementOf(closed, charged);
    },

    /** Called once the row is closed: tells of what it has used up. */
    settled({ userId, source }: Pick<Settled, 'userId' | 'source'>): void {
      if (source !== 'user' || known.size === 0 || !known.has(userId)) return;
      asked.add(userId);
      looking ??= lookWhileAsked();
    },

    /** Gives back what dead processes had set aside. To be called once their rows in `boot` are gone. */
    async releaseDead(): Promise<void> {
      // Looked for first, since this is done every few seconds: nearly always there is nothing to write.
      if ((await statements.someDead()).length > 0) await db.commit(statements.releaseDead);
    },

    /** Of all of an owner's keys. @param keys  places that are to be shown */
    async viewsOf(owner: string): Promise<(place: Omit<KeyPlace, 'owner'>) => BudgetView | null> {
      const rows = await ofOwner(owner);
      return (place) => {
        const row = rows.find(isAt(place));
        return row ? view(row, clock.now()) : null;
      };
    },

    /** Sets the budget of one's own key. What the key has cost this month counts from the first. @throws AppError `conflict`: it was removed meanwhile */
    async set(
      owner: string,
      key: Pick<StoredKey, 'id' | 'provider' | 'position'>,
      { limitUsd, hard, thenPlatform = false }: Omit<SetBudget, 'id'>,
    ): Promise<void> {
      const place = { owner, provider: key.provider, position: key.position };
      const nowMs = clock.now();
      const set = {
        limitNanoUsd: Math.round(limitUsd * nanoUsdPerUsd),
        hard,
        thenPlatform: hard && thenPlatform,
        updatedAt: new Date(nowMs),
      };
      const fresh = { ...place, ...set, period: monthOf(nowMs), spentNanoUsd: sql<number>`(${spentBefore(place, monthOf(nowMs))})` };
      const detail = { keyId: key.id, provider: key.provider, limitUsd: limitUsd.toFixed(2), kind: hard ? 'hard' : 'soft' };
      const list = [
        // Removed meanwhile: a budget that stayed would be the next key's.
        must(db.orm.select({ id: providerKey.id }).from(providerKey).where(eq(providerKey.id, key.id))),
        must(
          db.orm
            .insert(budget)
            .values(fresh)
            .onConflictDoUpdate({ target: [budget.owner, budget.provider, budget.position], set }),
        ),
        audit({ actor: owner, subject: owner, action: 'budget.changed', detail }),
        statement(bumpGeneration(db.orm, db.tables)),
      ];
      // From here on what ends counts: nothing may come between this and the list's leaving.
      known.set(owner, [...(known.get(owner) ?? []).filter((row) => !isAt(place)(row)), { ...fresh, spentNanoUsd: 0, reservedNanoUsd: 0 }]);
      await db.commit(list);
      for (const row of await ofOwner(owner)) if (isAt(place)(row)) await tellWhatIsSpent(row);
    },

    /** Takes a budget away; where there is none, nothing happens. */
    async remove(owner: string, key: Pick<StoredKey, 'id' | 'provider' | 'position'>): Promise<void> {
      const place = { owner, provider: key.provider, position: key.position };
      if (!(await ofOwner(owner)).some(isAt(place))) return;
      const detail = { keyId: key.id, provider: key.provider, kind: 'none' };
      await atomically(db, (tx, t) => [
        ...forget(place),
        audit({ actor: owner, subject: owner, action: 'budget.changed', detail }),
        bumpGeneration(tx, t),
      ]);
      await ofOwner(owner);
    },

    /** The statements that go with the removal of a key. */
    forget,

    /** The statement for a request on an own key whose cost became known later. */
    priced: ({ keyId, startedAt, costNanoUsd }: { keyId: string; startedAt: number; costNanoUsd: number }): Statement =>
      statements.priced({ keyId, period: monthOf(startedAt), costNanoUsd }),

    /** Resolves when all that was to be told has been. */
    async idle(): Promise<void> {
      while (looking) await looking;
    },
  };

  async function attach(owner: string, keys: readonly StoredKey[]): Promise<readonly OwnKey[]> {
    const rows = await ofOwner(owner);
    const nowMs = clock.now();
    return keys.map((key) => ({ ...key, budget: stateOf(rows.find(isAt(key)), nowMs) }));
  }

  function forget(place: KeyPlace): Statement[] {
    const { reservation } = db.tables;
    const held = and(
      eq(reservation.owner, place.owner),
      eq(reservation.provider, place.provider),
      eq(reservation.position, place.position),
    );
    return [statement(db.orm.delete(reservation).where(held)), statement(db.orm.delete(budget).where(at(place)))];
  }

  function settlementOf({ id, userId, provider, keyPosition, hold, startedAt }: Paying, costNanoUsd: number): Statement[] {
    const period = hold?.period ?? monthOf(startedAt);
    const values = { requestId: id, owner: userId, provider, position: keyPosition, period, costNanoUsd };
    return hold ? [statements.spend(values), statements.free(values)] : [statements.spend(values)];
  }

  /** What keys of that provider have cost this month: those of the same place, also such as were replaced, and such as are gone. */
  function spentBefore(place: KeyPlace, period: number) {
    const { usageUser } = db.tables;
    const others = sql`select ${providerKey.id} from ${providerKey} where ${providerKey.owner} = ${place.owner} and ${providerKey.position} <> ${place.position}`;
    return sql`select coalesce(sum(${usageUser.costNanoUsd}), 0) from ${usageUser} where ${usageUser.userId} = ${place.owner}
      and ${usageUser.bucket} >= ${period} and ${usageUser.provider} = ${place.provider} and ${usageUser.source} = 'user'
      and ${usageUser.keyId} not in (${others})`;
  }
}

const isHere =
  ({ provider, keyPosition }: Pick<Paying, 'provider' | 'keyPosition'>) =>
  (row: Row): boolean =>
    row.provider === provider && row.position === keyPosition;

/** @param of  `spent`: what is under way may still turn out to be cheaper; `all`: as if it did not */
function leftOf(row: Row, nowMs: number, of: 'spent' | 'all'): number {
  if (row.period < monthOf(nowMs)) return row.limitNanoUsd;
  return row.limitNanoUsd - row.spentNanoUsd - (of === 'all' ? row.reservedNanoUsd : 0);
}

function view(row: Row, nowMs: number): BudgetView {
  const isOver = row.period < monthOf(nowMs);
  return {
    limitUsd: toUsd(row.limitNanoUsd),
    spentUsd: isOver ? 0 : toUsd(row.spentNanoUsd),
    reservedUsd: isOver ? 0 : toUsd(row.reservedNanoUsd),
    hard: row.hard,
    thenPlatform: row.thenPlatform,
    resetsAt: nextMonth(nowMs).toISOString(),
  };
}

/** The start of the UTC month of a moment, in ms. */
export function monthOf(ms: number): number {
  const day = new Date(ms);
  return Date.UTC(day.getUTCFullYear(), day.getUTCMonth());
}

function nextMonth(ms: number): Date {
  const day = new Date(ms);
  return new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1));
}
