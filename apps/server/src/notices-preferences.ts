/** Who wants which kind of notice on the page, and which by e-mail. What nobody has decided is as contracts/notices.ts says. */
import {
  AppError,
  adminNoticeKinds,
  type NoticeKind,
  type NoticePreference,
  noticeDefaults,
  noticeKinds,
  type SetNoticePreference,
  userNoticeKinds,
} from '@synthstack/core';
import { type Db, type Statement, statement } from '@synthstack/core/db';
import { and, eq, inArray } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';

export interface PreferenceParts {
  db: Db;
  clock: Clock;
  audit?: ((entry: AuditEntry) => Statement) | undefined;
}

interface Wish {
  page: boolean;
  email: boolean;
}

export type NoticeWishes = ReturnType<typeof createNoticePreferences>;

export function createNoticePreferences({ db, clock, audit }: PreferenceParts) {
  const { noticePref } = db.tables;

  async function of(userId: string): Promise<Record<NoticeKind, Wish>> {
    const rows = await db.orm.select().from(noticePref).where(eq(noticePref.userId, userId));
    const chosen = new Map(rows.map((row) => [row.kind, row]));
    const wishes = noticeKinds.map((kind): [NoticeKind, Wish] => {
      const { page, email } = chosen.get(kind) ?? noticeDefaults[kind];
      return [kind, { page, email: email === true && noticeDefaults[kind].email !== null }];
    });
    return Object.fromEntries(wishes) as Record<NoticeKind, Wish>;
  }

  /** The kinds that concern somebody, in their order. */
  async function list(userId: string, isAdmin: boolean): Promise<NoticePreference[]> {
    const wishes = await of(userId);
    return [...userNoticeKinds, ...(isAdmin ? adminNoticeKinds : [])].map((kind) => {
      return { kind, page: wishes[kind].page, email: noticeDefaults[kind].email === null ? null : wishes[kind].email };
    });
  }

  return {
    list,

    /** The kinds that somebody does not want to see. */
    async offThePage(userId: string): Promise<NoticeKind[]> {
      const wishes = await of(userId);
      return noticeKinds.filter((kind) => !wishes[kind].page);
    },

    /** Those of the users who want a kind by e-mail. */
    async wantByMail(userIds: readonly string[], kind: NoticeKind): Promise<string[]> {
      const { email } = noticeDefaults[kind];
      if (userIds.length === 0 || email === null) return [];
      const rows = await db.orm
        .select({ userId: noticePref.userId, email: noticePref.email })
        .from(noticePref)
        .where(and(inArray(noticePref.userId, [...userIds]), eq(noticePref.kind, kind)));
      const chosen = new Map(rows.map((row) => [row.userId, row.email]));
      return userIds.filter((id) => chosen.get(id) ?? email);
    },

    /** @throws AppError `not_found`: a kind for administrators, and this is none; `invalid_input`: never by e-mail */
    async set(userId: string, isAdmin: boolean, { kind, page, email }: SetNoticePreference): Promise<NoticePreference[]> {
      const now = (await list(userId, isAdmin)).find((one) => one.kind === kind);
      if (!now) throw new AppError('not_found', 'There is no such kind of notice.');
      if (email && now.email === null) throw new AppError('invalid_input', 'This is never told by e-mail.');
      const wish = { page: page ?? now.page, email: email ?? now.email ?? false };
      const updatedAt = new Date(clock.now());
      const detail = { fields: 'notices', kind, page: String(wish.page), email: String(wish.email) };
      await db.commit([
        statement(
          db.orm
            .insert(noticePref)
            .values({ userId, kind, ...wish, updatedAt })
            .onConflictDoUpdate({ target: [noticePref.userId, noticePref.kind], set: { ...wish, updatedAt } }),
        ),
        ...(audit ? [audit({ actor: userId, subject: userId, action: 'account.changed', detail })] : []),
      ]);
      return list(userId, isAdmin);
    },
  };
}
