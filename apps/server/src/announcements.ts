/** What administrators tell everybody who is signed in: one row an announcement, and one for each person who has closed it. */
import { randomUUID } from 'node:crypto';
import {
  type AdminAnnouncement,
  type AdminAnnouncements,
  type AnnouncementQuery,
  type AnnouncementView,
  AppError,
  type NewAnnouncement,
} from '@synthstack/core';
import { type Db, must, type Statement, statement, type Tables } from '@synthstack/core/db';
import { and, desc, eq, gt, isNull, lt, notExists, or, sql } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';

export interface AnnouncementParts {
  db: Db;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
  /** What people are called, by their ids; who is gone has no name. */
  namesOf(userIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

export type Announcements = ReturnType<typeof createAnnouncements>;

type Row = Tables['announcement']['$inferSelect'];

/** More at a time than anybody reads. */
const mostShown = 5;
const pageLength = 20;
const mostCounted = 10_000;

export function createAnnouncements({ db, clock, audit, namesOf }: AnnouncementParts) {
  const { announcement, announcementClosed: closed, user } = db.tables;
  const isShown = () =>
    and(isNull(announcement.withdrawnAt), or(isNull(announcement.until), gt(announcement.until, new Date(clock.now()))));

  async function find(id: string): Promise<Row> {
    const [row] = await db.orm.select().from(announcement).where(eq(announcement.id, id));
    if (!row) throw new AppError('not_found', 'There is no such announcement.');
    return row;
  }

  /** No further than anybody needs to know: a million people may have closed it. */
  async function closedBy(id: string): Promise<number> {
    const some = db.orm
      .select({ one: sql`1`.as('one') })
      .from(closed)
      .where(eq(closed.announcementId, id))
      .limit(mostCounted)
      .as('some');
    const [row] = await db.orm.select({ n: sql<number>`count(*)` }).from(some);
    return Number(row?.n ?? 0);
  }

  async function adminViews(rows: readonly Row[]): Promise<AdminAnnouncement[]> {
    const names = await namesOf([...new Set(rows.map(({ actor }) => actor))]);
    return Promise.all(
      rows.map(async (row) => {
        const { until, withdrawnAt } = row;
        const isOver = until !== null && until.getTime() <= clock.now();
        return {
          ...viewOf(row),
          until: until?.toISOString() ?? null,
          withdrawnAt: withdrawnAt?.toISOString() ?? null,
          state: withdrawnAt ? ('withdrawn' as const) : isOver ? ('over' as const) : ('shown' as const),
          by: names.get(row.actor) ?? null,
          closedBy: await closedBy(row.id),
        };
      }),
    );
  }

  async function adminView(id: string): Promise<AdminAnnouncement> {
    const [view] = await adminViews([await find(id)]);
    if (!view) throw new AppError('internal', 'An announcement has no view.');
    return view;
  }

  return {
    /** What somebody is to see now, the newest first. */
    async current(userId: string): Promise<AnnouncementView[]> {
      const theirs = db.orm
        .select({ one: sql`1` })
        .from(closed)
        .where(and(eq(closed.announcementId, announcement.id), eq(closed.userId, userId)));
      const rows = await db.orm
        .select()
        .from(announcement)
        .where(and(isShown(), notExists(theirs)))
        .orderBy(desc(announcement.createdAt), desc(announcement.id))
        .limit(mostShown);
      return rows.map(viewOf);
    },

    /** Somebody does not want to see it any more. A second time changes nothing. @throws AppError `not_found` */
    async close(userId: string, id: string): Promise<void> {
      await find(id);
      const row = { announcementId: id, userId, closedAt: new Date(clock.now()) };
      // Who is gone by now closes nothing.
      await db.commit([
        must(statement(db.orm.update(user).set({ id: userId }).where(eq(user.id, userId)))),
        statement(db.orm.insert(closed).values(row).onConflictDoNothing()),
      ]);
    },

    /** Newest first, withdrawn ones too. */
    async list({ cursor }: AnnouncementQuery): Promise<AdminAnnouncements> {
      const [atMs, afterId = ''] = cursor?.split('_') ?? [];
      const at = new Date(Number(atMs));
      const older = cursor
        ? or(lt(announcement.createdAt, at), and(eq(announcement.createdAt, at), lt(announcement.id, afterId)))
        : undefined;
      const rows = await db.orm
        .select()
        .from(announcement)
        .where(older)
        .orderBy(desc(announcement.createdAt), desc(announcement.id))
        .limit(pageLength + 1);
      const last = rows.length > pageLength ? rows[pageLength - 1] : undefined;
      return {
        announcements: await adminViews(rows.slice(0, pageLength)),
        nextCursor: last ? `${last.createdAt.getTime()}_${last.id}` : null,
      };
    },

    /** @throws AppError `invalid_input`: it would be over already */
    async add(actor: string, { kind, english, german = null, link = null, until: end }: NewAnnouncement): Promise<AdminAnnouncement> {
      const [createdAt, until] = [new Date(clock.now()), end ? new Date(end) : null];
      if (until && until <= createdAt) {
        const sentence = 'Choose a moment in the future.';
        throw new AppError('invalid_input', sentence, { errors: { until: [sentence] } });
      }
      const id = randomUUID();
      await db.commit([
        statement(db.orm.insert(announcement).values({ id, kind, english, german, link, until, actor, createdAt })),
        audit({ actor, subject: 'platform', action: 'announcement.made', detail: { announcement: id, kind } }),
      ]);
      return adminView(id);
    },

    /** Nobody sees it from their next page on. A second time changes nothing. @throws AppError `not_found` */
    async withdraw(actor: string, id: string): Promise<AdminAnnouncement> {
      if ((await find(id)).withdrawnAt === null) {
        const isThere = and(eq(announcement.id, id), isNull(announcement.withdrawnAt));
        await db.commit([
          must(
            db.orm
              .update(announcement)
              .set({ withdrawnAt: new Date(clock.now()) })
              .where(isThere),
          ),
          audit({ actor, subject: 'platform', action: 'announcement.withdrawn', detail: { announcement: id } }),
        ]);
      }
      return adminView(id);
    },
  };
}

function viewOf({ id, kind, english, german, link, createdAt }: Row): AnnouncementView {
  return { id, kind, english, german, link, createdAt: createdAt.toISOString() };
}
