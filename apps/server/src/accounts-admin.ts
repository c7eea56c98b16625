/**
 * What administrators do to accounts. Each change says in its own statement what it needs to be true, so that of two administrators at
 * once neither undoes the other's, and the last one never goes: whoever acts must still be one while the change is written.
 */
import { AppError } from '@synthstack/core';
import { bumpGeneration, type Db, must, type Statement, statement } from '@synthstack/core/db';
import { and, eq, exists, isNotNull, isNull, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/sqlite-core';
import type { AccountRemoval } from './accounts-removal.ts';
import type { AuditAction, AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';

export interface AccountAdminParts {
  db: Db;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
  remove: AccountRemoval['remove'];
}

/** Who acts on whom. */
export interface Act {
  actor: string;
  userId: string;
}

export type AccountAdmin = ReturnType<typeof createAccountAdmin>;

export function createAccountAdmin({ db, clock, audit, remove }: AccountAdminParts) {
  const { user, account, session } = db.tables;
  const acting = alias(user, 'acting');

  /** Whoever acts is an administrator, and nobody has disabled them: at the very moment of the change. */
  const isStillAdmin = (actor: string) =>
    exists(
      db.orm
        .select({ one: sql`1` })
        .from(acting)
        .where(and(eq(acting.id, actor), eq(acting.role, 'admin'), isNull(acting.disabledAt))),
    );

  async function find(userId: string) {
    const { role, disabledAt } = user;
    const [row] = await db.orm.select({ role, disabledAt }).from(user).where(eq(user.id, userId));
    if (!row) throw new AppError('not_found', 'There is no such account.');
    return row;
  }

  function entry({ actor, userId }: Act, action: AuditAction, detail: Record<string, string> = {}): Statement {
    return audit({ actor, subject: userId, action, detail });
  }

  const signOut = (userId: string): Statement => statement(db.orm.delete(session).where(eq(session.userId, userId)));

  /**
   * The generation comes first: on PostgreSQL its one row makes all such lists wait for each other, so that two administrators who withdraw
   * each other at once are not both gone.
   */
  async function change(statements: readonly Statement[]): Promise<void> {
    await db.commit([statement(bumpGeneration(db.orm, db.tables)), ...statements]);
  }

  function refuseSelf({ actor, userId }: Act, sentence: string): void {
    if (actor === userId) throw new AppError('conflict', sentence);
  }

  const now = () => new Date(clock.now());

  return {
    /**
     * A disabled account opens nothing: its sessions are gone, its tokens and keys stay unused. Doing it twice is doing it once.
     * @throws AppError `not_found`; `conflict`: oneself, or somebody else was quicker
     */
    async setDisabled(act: Act, disabled: boolean): Promise<void> {
      refuseSelf(act, 'You cannot disable your own account. Another administrator can.');
      if (((await find(act.userId)).disabledAt !== null) === disabled) return;
      const isAsBefore = disabled ? isNull(user.disabledAt) : isNotNull(user.disabledAt);
      const set = { disabledAt: disabled ? now() : null, updatedAt: now() };
      await change([
        must(
          db.orm
            .update(user)
            .set(set)
            .where(and(eq(user.id, act.userId), isAsBefore, isStillAdmin(act.actor))),
        ),
        ...(disabled ? [signOut(act.userId)] : []),
        entry(act, disabled ? 'account.disabled' : 'account.enabled'),
      ]);
    },

    /** @throws AppError `not_found`; `conflict`: oneself, or somebody else was quicker */
    async setAdmin(act: Act, admin: boolean): Promise<void> {
      refuseSelf(act, 'You cannot withdraw your own administration. Another administrator can.');
      const [role, before] = admin ? (['admin', 'user'] as const) : (['user', 'admin'] as const);
      if ((await find(act.userId)).role === role) return;
      await change([
        must(
          db.orm
            .update(user)
            .set({ role, updatedAt: now() })
            .where(and(eq(user.id, act.userId), eq(user.role, before), isStillAdmin(act.actor))),
        ),
        entry(act, 'account.role_changed', { role }),
      ]);
    },

    /**
     * The account goes with all that opens something and all that was said; what it has used stays in the sums, and the audit log
     * stays, both under an id that is nobody's any more.
     * @throws AppError `not_found`; `conflict`: oneself, or a subscription goes on
     */
    async remove(act: Act): Promise<void> {
      refuseSelf(act, 'You cannot remove your own account. Another administrator can.');
      await remove({ ...act, provided: isStillAdmin(act.actor) });
    },

    /** They sign in anew everywhere; tokens go on. @returns how many sessions held until now. @throws AppError `not_found` */
    async signOutEverywhere(act: Act): Promise<{ ended: number }> {
      await find(act.userId);
      const held = await db.orm.select({ expiresAt: session.expiresAt }).from(session).where(eq(session.userId, act.userId));
      await change([signOut(act.userId), entry(act, 'account.signed_out')]);
      return { ended: held.filter(({ expiresAt }) => expiresAt.getTime() > clock.now()).length };
    },

    /** How somebody signs in: with a password of this server, with an identity from elsewhere. */
    async waysIn(userId: string): Promise<{ password: boolean; elsewhere: boolean }> {
      const rows = await db.orm.select({ provider: account.providerId }).from(account).where(eq(account.userId, userId));
      return {
        password: rows.some(({ provider }) => provider === 'credential'),
        elsewhere: rows.some(({ provider }) => provider !== 'credential'),
      };
    },
  };
}
