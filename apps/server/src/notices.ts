/** What a user should know although nobody asked. Other modules put `entry` into the list of their own write. */
import { randomUUID } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { type Db, type Statement, statement } from '@synthstack/core/db';
import { and, desc, eq, isNull, sql } from 'drizzle-orm';
import type { Clock } from './ports/clock.ts';

/**
 * key_invalid, key_no_credit: a provider no longer takes the user's key · key_unreadable: the master key does not open it ·
 * fallback_used: the platform's key answered instead · platform_key_failed, rotation_due, prices_failed (PRICES_URL): for administrators.
 */
export const noticeKinds = [
  'key_invalid',
  'key_no_credit',
  'key_unreadable',
  'fallback_used',
  'platform_key_failed',
  'rotation_due',
  'prices_failed',
] as const;
export type NoticeKind = (typeof noticeKinds)[number];

/** Stands in `userId` for all administrators together: whoever reads such a notice has read it for all. */
export const administrators = 'administrators';
export type Administrators = typeof administrators;

export interface NoticeEntry {
  userId: string;
  kind: NoticeKind;
  /** The same news has the same text here, and is told once. Unique over all users, so it names what it is about. */
  dedupe: string;
  /** What the page needs to say it in the reader's language, without any secret. */
  data: Record<string, string>;
}

export interface Notice {
  id: string;
  kind: NoticeKind;
  data: Record<string, string>;
  createdAt: Date;
  /** null: not read. */
  readAt: Date | null;
}

export type Notices = ReturnType<typeof createNotices>;

const listLength = 100;

export function createNotices({ db, clock }: { db: Db; clock: Clock }) {
  const { notice } = db.tables;

  return {
    /** The statement that tells it, or does nothing where it has been told. */
    entry({ userId, kind, dedupe, data }: NoticeEntry): Statement {
      const row = { id: randomUUID(), userId, kind, dedupe, data, createdAt: new Date(clock.now()) };
      return statement(db.orm.insert(notice).values(row).onConflictDoNothing({ target: notice.dedupe }));
    },

    /** The last 100, newest first. @param userId  a user's id, or `administrators` */
    async list(userId: string): Promise<Notice[]> {
      const rows = await db.orm
        .select()
        .from(notice)
        .where(eq(notice.userId, userId))
        .orderBy(desc(notice.createdAt), desc(notice.id))
        .limit(listLength);
      return rows.map(({ id, kind, data, createdAt, readAt }) => ({ id, kind: kind as NoticeKind, data, createdAt, readAt }));
    },

    /** @throws AppError `not_found`: no such notice, or someone else's. A second time changes nothing. */
    async markRead(userId: string, id: string): Promise<void> {
      const mine = and(eq(notice.id, id), eq(notice.userId, userId));
      const [row] = await db.orm.select({ id: notice.id }).from(notice).where(mine);
      if (!row) throw new AppError('not_found', 'There is no such notice.');
      const readAt = new Date(clock.now());
      await db.commit([
        statement(
          db.orm
            .update(notice)
            .set({ readAt })
            .where(and(mine, isNull(notice.readAt))),
        ),
      ]);
    },

    /** How many are not read, for the page's badge. */
    async unread(userId: string): Promise<number> {
      const [row] = await db.orm
        .select({ count: sql<number>`count(*)` })
        .from(notice)
        .where(and(eq(notice.userId, userId), isNull(notice.readAt)));
      return Number(row?.count ?? 0);
    },
  };
}
