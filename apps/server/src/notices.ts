/** What a user should know although nobody asked. Other modules put `entry` into the list of their own write. */
import { randomUUID } from 'node:crypto';
import { AppError, type NoticeKind, type NoticePage, type NoticeQuery } from '@synthstack/core';
import { type Db, type Statement, statement } from '@synthstack/core/db';
import { and, count, desc, eq, inArray, isNull, lt, notInArray, or, type SQL } from 'drizzle-orm';
import { createNoticePreferences } from './notices-preferences.ts';
import type { Clock } from './ports/clock.ts';

export type { NoticeKind } from '@synthstack/core';

/** Stands in `userId` for all administrators together: whoever reads such a notice has read it for all. */
export const administrators = 'administrators';
export type Administrators = typeof administrators;

export interface NoticeEntry {
  userId: string;
  kind: NoticeKind;
  /** The same news has the same text here, and is told once. Unique over all users, so it names what it is about. */
  dedupe: string;
  /** What the page needs to say it in the reader's language, without any secret (contracts/notices.ts). */
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

/** Whose notices, and whose wishes hide some of them: an administrator reads the administrators' under their own. */
export interface Reading {
  owner: string;
  reader: string;
}

export interface NoticesParts {
  db: Db;
  clock: Clock;
  audit?: Parameters<typeof createNoticePreferences>[0]['audit'];
  /** This server sends e-mail: what is told from now on is also for notices-mail.ts. */
  mail?: boolean;
}

export type Notices = ReturnType<typeof createNotices>;

const pageLength = 30;
const listLength = 100;
/** Longer than any news that is told once is looked for: a removed row keeps it from being told again. */
const keptMs = 90 * 86_400_000;
const mostAtOnce = 1_000;

export function createNotices({ db, clock, audit, mail = false }: NoticesParts) {
  const { notice } = db.tables;
  const preferences = createNoticePreferences({ db, clock, audit });
  const columns = { id: notice.id, kind: notice.kind, data: notice.data, createdAt: notice.createdAt, readAt: notice.readAt };
  const ownedBy = (owner: string) => and(eq(notice.userId, owner), isNull(notice.removedAt));

  /** What that reader wants to see of the owner's. */
  async function shown({ owner, reader }: Reading): Promise<SQL | undefined> {
    const off = await preferences.offThePage(reader);
    return and(ownedBy(owner), off.length > 0 ? notInArray(notice.kind, off) : undefined);
  }

  async function read(where: SQL | undefined, limit: number): Promise<Notice[]> {
    const rows = await db.orm.select(columns).from(notice).where(where).orderBy(desc(notice.createdAt), desc(notice.id)).limit(limit);
    return rows.map((row) => ({ ...row, kind: row.kind as NoticeKind }));
  }

  /** @throws AppError `not_found`: no such notice, or someone else's */
  async function mine(owner: string, id: string): Promise<SQL | undefined> {
    const where = and(eq(notice.id, id), ownedBy(owner));
    const [row] = await db.orm.select({ id: notice.id }).from(notice).where(where);
    if (!row) throw new AppError('not_found', 'There is no such notice.');
    return where;
  }

  return {
    preferences,

    /** The statement that tells it, or does nothing where it has been told. */
    entry({ userId, kind, dedupe, data }: NoticeEntry): Statement {
      const createdAt = new Date(clock.now());
      const row = { id: randomUUID(), userId, kind, dedupe, data, createdAt, mailAt: mail ? createdAt : null };
      return statement(db.orm.insert(notice).values(row).onConflictDoNothing({ target: notice.dedupe }));
    },

    /** The last 100, newest first, wanted or not. @param userId  a user's id, or `administrators` */
    list: (userId: string): Promise<Notice[]> => read(ownedBy(userId), listLength),

    /** What the page shows, newest first, a part at a time. */
    async page(reading: Reading, { cursor }: NoticeQuery): Promise<NoticePage> {
      const [atMs, afterId = ''] = cursor?.split('_') ?? [];
      const at = new Date(Number(atMs));
      const older = cursor ? or(lt(notice.createdAt, at), and(eq(notice.createdAt, at), lt(notice.id, afterId))) : undefined;
      const rows = await read(and(await shown(reading), older), pageLength + 1);
      const last = rows.length > pageLength ? rows[pageLength - 1] : undefined;
      return {
        notices: rows.slice(0, pageLength).map(({ createdAt, readAt, ...rest }) => {
          return { ...rest, createdAt: createdAt.toISOString(), readAt: readAt?.toISOString() ?? null };
        }),
        nextCursor: last ? `${last.createdAt.getTime()}_${last.id}` : null,
      };
    },

    /** How many are not read, of those that the reader wants to see. */
    async unread(reading: Reading): Promise<number> {
      const [row] = await db.orm
        .select({ n: count() })
        .from(notice)
        .where(and(await shown(reading), isNull(notice.readAt)));
      return Number(row?.n ?? 0);
    },

    /** @throws AppError `not_found`. A second time changes nothing. */
    async markRead(owner: string, id: string): Promise<void> {
      const where = and(await mine(owner, id), isNull(notice.readAt));
      const readAt = new Date(clock.now());
      await db.commit([statement(db.orm.update(notice).set({ readAt }).where(where))]);
    },

    async markAllRead(owner: string): Promise<void> {
      const readAt = new Date(clock.now());
      await db.commit([
        statement(
          db.orm
            .update(notice)
            .set({ readAt })
            .where(and(ownedBy(owner), isNull(notice.readAt))),
        ),
      ]);
    },

    /** It is gone for its reader, and is not told again. @throws AppError `not_found` */
    async remove(owner: string, id: string): Promise<void> {
      const where = await mine(owner, id);
      // What it said goes at once; that it was told is remembered.
      const gone = { removedAt: new Date(clock.now()), data: {}, mailAt: null };
      await db.commit([statement(db.orm.update(notice).set(gone).where(where))]);
    },

    /** Deletes what is older than 90 days, some at a time. @returns how many */
    async forgetOld(): Promise<number> {
      const old = await db.orm
        .select({ id: notice.id })
        .from(notice)
        .where(lt(notice.createdAt, new Date(clock.now() - keptMs)))
        .limit(mostAtOnce);
      const ids = old.map(({ id }) => id);
      if (ids.length > 0) await db.commit([statement(db.orm.delete(notice).where(inArray(notice.id, ids)))]);
      return ids.length;
    },
  };
}
