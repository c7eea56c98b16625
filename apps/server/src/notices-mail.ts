/**
 * Makes e-mails of notices: whatever was told since the last look, to those who want its kind by e-mail. A notice leaves the queue in the
 * commit that puts its e-mails into the outbox, so each is made once, however many processes look.
 */
import { AppError } from '@synthstack/core';
import { type Db, must, type Statement, statement } from '@synthstack/core/db';
import { and, asc, eq, isNotNull, isNull, lte } from 'drizzle-orm';
import type { MailEntry } from './mail.ts';
import { administrators, type NoticeKind } from './notices.ts';
import type { NoticeWishes } from './notices-preferences.ts';
import type { Clock } from './ports/clock.ts';

export interface NoticeMailParts {
  db: Db;
  clock: Clock;
  preferences: Pick<NoticeWishes, 'wantByMail'>;
  mail(entry: MailEntry): Statement;
}

const mostAtOnce = 200;

export function createNoticeMail({ db, clock, preferences, mail }: NoticeMailParts) {
  const { notice, user } = db.tables;

  /** Who is there and not disabled. */
  async function peopleOf(owner: string): Promise<string[]> {
    const who = owner === administrators ? eq(user.role, 'admin') : eq(user.id, owner);
    const rows = await db.orm
      .select({ id: user.id })
      .from(user)
      .where(and(who, isNull(user.disabledAt)));
    return rows.map(({ id }) => id);
  }

  async function send(row: typeof notice.$inferSelect): Promise<boolean> {
    const kind = row.kind as NoticeKind;
    const readers = await preferences.wantByMail(await peopleOf(row.userId), kind);
    const mine = and(eq(notice.id, row.id), isNotNull(notice.mailAt));
    try {
      await db.commit([
        must(statement(db.orm.update(notice).set({ mailAt: null }).where(mine))),
        ...readers.map((userId) => mail({ userId, kind: `notice.${kind}`, data: row.data })),
      ]);
      return true;
    } catch (error) {
      // Another process has done it, or somebody's account has just gone: the next look sees which.
      if (error instanceof AppError && error.code === 'conflict') return false;
      throw error;
    }
  }

  return {
    /** @returns how many notices it has seen to */
    async run(): Promise<number> {
      const due = await db.orm
        .select()
        .from(notice)
        .where(lte(notice.mailAt, new Date(clock.now())))
        .orderBy(asc(notice.mailAt))
        .limit(mostAtOnce);
      let done = 0;
      for (const row of due) if (await send(row)) done += 1;
      return done;
    },
  };
}
