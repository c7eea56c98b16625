/** The sign-ins that hold. Their tokens stay in the table: who asks about sessions gets and gives ids, which open nothing. */
import { AppError, type SessionList, type SessionView } from '@synthstack/core';
import { type Db, statement } from '@synthstack/core/db';
import { and, count, desc, eq, gt, ne, sql } from 'drizzle-orm';
import type { Clock } from '../ports/clock.ts';

/** Whose session asks. */
export interface Asking {
  userId: string;
  /** Null: it asks by something else than a session. */
  sessionId: string | null;
}

/** A script that signs in anew for each token leaves hundreds of sessions behind. */
const mostListed = 100;
/** So long after a sign-in it is still the same person who sits there. */
const freshMs = 600_000;

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions({ db, clock }: { db: Db; clock: Clock }) {
  const { user, session } = db.tables;
  const findLive = statement(
    db.orm
      .select({ userId: session.userId, expiresAt: session.expiresAt, disabledAt: user.disabledAt })
      .from(session)
      .innerJoin(user, eq(user.id, session.userId))
      .where(eq(session.id, '')),
  ).sql;
  const holds = () => gt(session.expiresAt, new Date(clock.now()));
  const columns = {
    id: session.id,
    createdAt: session.createdAt,
    lastSeenAt: session.updatedAt,
    address: session.ipAddress,
    userAgent: session.userAgent,
  };

  async function countWhere(...conditions: Parameters<typeof and>): Promise<number> {
    const [row] = await db.orm
      .select({ n: count() })
      .from(session)
      .where(and(holds(), ...conditions));
    return Number(row?.n ?? 0);
  }

  return {
    /** One look-up: the session is there, has not run out, and its user is not disabled. */
    async live(sessionId: string): Promise<{ userId: string } | null> {
      const [row] = await db.read({ sql: findLive, params: [sessionId] });
      if (!row) return null;
      const [userId, expiresAt, disabledAt] = row;
      return disabledAt === null && Number(expiresAt) > clock.now() ? { userId: String(userId) } : null;
    },

    /** It has just begun. */
    async isFresh(sessionId: string): Promise<boolean> {
      const [row] = await db.orm.select({ createdAt: session.createdAt }).from(session).where(eq(session.id, sessionId));
      return row !== undefined && row.createdAt.getTime() > clock.now() - freshMs;
    },

    /** Those that have not run out: the one that asks, then the most recently seen. */
    async list({ userId, sessionId }: Asking): Promise<SessionList> {
      const mine = eq(session.userId, userId);
      const rows = await db.orm
        .select(columns)
        .from(session)
        .where(and(holds(), mine))
        .orderBy(sql`case when ${session.id} = ${sessionId ?? ''} then 0 else 1 end`, desc(session.updatedAt), desc(session.id))
        .limit(mostListed);
      const total = rows.length < mostListed ? rows.length : await countWhere(mine);
      return { sessions: rows.map((row) => toView(row, sessionId)), total };
    },

    /** How many there are beside the one that asks. */
    countOthers: ({ userId, sessionId }: Asking): Promise<number> =>
      countWhere(eq(session.userId, userId), ne(session.id, sessionId ?? '')),

    /** It ends at its next request. @throws AppError `not_found`: no such session, or somebody else's */
    async revoke(userId: string, id: string): Promise<void> {
      const gone = await db.orm
        .delete(session)
        .where(and(eq(session.id, id), eq(session.userId, userId)))
        .returning({ id: session.id });
      if (gone.length === 0) throw new AppError('not_found', 'This session has already ended.');
    },

    /** All but the one that asks end. @returns how many held until now */
    async revokeOthers({ userId, sessionId }: Asking): Promise<{ ended: number }> {
      const gone = await db.orm
        .delete(session)
        .where(and(eq(session.userId, userId), ne(session.id, sessionId ?? '')))
        .returning({ expiresAt: session.expiresAt });
      return { ended: gone.filter(({ expiresAt }) => expiresAt.getTime() > clock.now()).length };
    },
  };
}

interface Row {
  id: string;
  createdAt: Date;
  lastSeenAt: Date;
  address: string | null;
  userAgent: string | null;
}

function toView(row: Row, current: string | null): SessionView {
  return {
    id: row.id,
    createdAt: row.createdAt.toISOString(),
    lastSeenAt: row.lastSeenAt.toISOString(),
    address: row.address || null,
    userAgent: row.userAgent || null,
    current: row.id === current,
  };
}
