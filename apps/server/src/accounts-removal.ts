/**
 * The end of an account: all that opens something and all that was said goes in one write with it, single requests and the person's own sums
 * after it, in small writes. The operator's sums and the audit log stay, under an id that is nobody's any more (accounts-data.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@synthstack/core';
import { bumpGeneration, type Db, must, type Statement, statement } from '@synthstack/core/db';
import { and, asc, eq, exists, isNull, like, lte, ne, notExists, or, type SQL, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/sqlite-core';
import { ofSomebody } from './accounts-data.ts';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';

export interface AccountRemovalParts {
  db: Db;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
  onError(error: unknown): void;
  /** Rows a write. */
  batchRows?: number;
}

export interface Removal {
  actor: string;
  userId: string;
  /** What must be true in the moment of the removal. */
  provided?: SQL | undefined;
}

export type AccountRemoval = ReturnType<typeof createAccountRemoval>;

/** A row of `setting` for each account of which something may still be there, so that the next process goes on. */
const pendingKey = 'account.removing:';
const longestPauseMs = 250;
/** What was under way while an account went may still write of it: longer than any request or check lasts, it is looked for again. */
const lingersMs = 86_400_000;

/** @returns a function that makes a statement which touches a row as long as that user is there */
export const presentIn =
  ({ orm, tables: { user } }: Db) =>
  (userId: string): Statement =>
    statement(orm.select({ id: user.id }).from(user).where(eq(user.id, userId)));

export function createAccountRemoval({ db, clock, audit, onError, batchRows = 200 }: AccountRemovalParts) {
  const { user, plan, setting, request, usageUser, mailOutbox } = db.tables;
  const other = alias(user, 'other');
  let running: Promise<void> = Promise.resolve();
  let isStopped = false;

  /** In the statement itself: of the last two administrators who go at once, one stays. */
  const isNotTheLastAdmin = () => {
    const isAdmin = and(eq(other.role, 'admin'), isNull(other.disabledAt), sql`${other.id} <> ${user.id}`);
    return or(ne(user.role, 'admin'), exists(db.orm.select({ one: sql`1` }).from(other).where(isAdmin)));
  };

  async function find(userId: string): Promise<{ email: string }> {
    const [row] = await db.orm.select({ email: user.email }).from(user).where(eq(user.id, userId));
    if (!row) throw new AppError('not_found', 'There is no such account.');
    return row;
  }

  /** Stripe asks them for money, now or again: a bill that is open is asked for until it is paid or the subscription ends. */
  const isPaying = (userId: string) => {
    const first = [plan.source, plan.renews, plan.state] as const;
    const beside = [plan.besideSource, plan.besideRenews, plan.besideState] as const;
    const [asks, asksBeside] = [first, beside].map(([source, renews, state]) =>
      and(eq(source, 'billing'), or(eq(renews, true), eq(state, 'past_due')), ne(state, 'lapsed')),
    );
    return db.orm
      .select({ one: sql`1` })
      .from(plan)
      .where(and(eq(plan.userId, userId), or(asks, asksBeside)));
  };

  /** @throws AppError `conflict`: they would go on paying */
  async function refuseSubscriber(userId: string): Promise<void> {
    if ((await isPaying(userId)).length > 0)
      throw new AppError('conflict', 'There is a subscription, which would go on. Cancel it first, in Settings > Plan or in Stripe.');
  }

  const forgetAtOnce = (userId: string): Statement[] =>
    ofSomebody(db.tables)
      .filter(({ leaves }) => leaves === 'now')
      .map(({ table, of }) => statement(db.orm.delete(table as typeof user).where(eq(of, userId))));

  /** The person's rows of one table that has too many for one write. @returns how many are gone */
  async function forgetRequests(userId: string): Promise<number> {
    const mine = eq(request.userId, userId);
    const some = await db.orm.select({ id: request.id }).from(request).where(mine).orderBy(asc(request.id)).limit(batchRows);
    const last = some.at(-1);
    if (last) await db.commit([statement(db.orm.delete(request).where(and(mine, lte(request.id, last.id))))]);
    return some.length;
  }

  async function forgetSums(userId: string): Promise<number> {
    const mine = eq(usageUser.userId, userId);
    const some = await db.orm
      .select({ bucket: usageUser.bucket })
      .from(usageUser)
      .where(mine)
      .orderBy(asc(usageUser.bucket))
      .limit(batchRows);
    const last = some.at(-1);
    if (last) await db.commit([statement(db.orm.delete(usageUser).where(and(mine, lte(usageUser.bucket, last.bucket))))]);
    return some.length;
  }

  async function forgetRest(userId: string): Promise<void> {
    await db.commit(forgetAtOnce(userId));
    for (const forget of [forgetRequests, forgetSums])
      for (let some = batchRows; some > 0 && !isStopped; ) {
        const startedAt = performance.now();
        some = await forget(userId);
        if (some === batchRows) await sleep(Math.min(longestPauseMs, 3 * (performance.now() - startedAt)));
      }
  }

  /** What was said to be deleted and is not yet; also what a process left that died, and what came after the account had gone. */
  async function finish(): Promise<void> {
    const pending = await db.orm
      .select({ key: setting.key, since: setting.updatedAt })
      .from(setting)
      .where(like(setting.key, `${pendingKey}%`));
    for (const { key, since } of pending) {
      if (isStopped) return;
      const isLast = since.getTime() + lingersMs <= clock.now();
      await forgetRest(key.slice(pendingKey.length));
      if (isLast && !isStopped) await db.commit([statement(db.orm.delete(setting).where(eq(setting.key, key)))]);
    }
    if (pending.length > 0) await db.scrub();
  }

  function goOn(): Promise<void> {
    running = running.then(finish).catch(onError);
    return running;
  }

  return {
    /**
     * From the moment it resolves nobody signs in, no token opens and no key is used; what else is to go does so by and by (`idle`).
     * @throws AppError `not_found`; `conflict`: the last administrator, or a subscription goes on
     */
    async remove({ actor, userId, provided }: Removal): Promise<void> {
      const { email } = await find(userId);
      await refuseSubscriber(userId);
      const at = new Date(clock.now());
      try {
        await db.commit([
          // First: on PostgreSQL its one row makes all such lists wait for each other.
          statement(bumpGeneration(db.orm, db.tables)),
          must(db.orm.delete(user).where(and(eq(user.id, userId), isNotTheLastAdmin(), notExists(isPaying(userId)), provided))),
          ...forgetAtOnce(userId),
          statement(db.orm.delete(mailOutbox).where(eq(mailOutbox.address, email))),
          statement(db.orm.insert(setting).values({ key: pendingKey + userId, value: true, updatedAt: at })),
          audit({ actor, subject: userId, action: 'account.removed' }),
        ]);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
        await find(userId);
        await refuseSubscriber(userId);
        if (provided) throw error;
        throw new AppError('conflict', 'This is the last administrator of this server. Make another one first.', { cause: error });
      }
      await db.scrub();
      void goOn();
    },

    /** Goes on with what is left. */
    goOn,

    /** Resolves when nothing is left to delete, or it cannot be deleted now. */
    idle: () => running,

    async stop(): Promise<void> {
      isStopped = true;
      await running;
    },
  };
}
