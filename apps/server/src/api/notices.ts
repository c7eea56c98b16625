import {
  type NoticeChange,
  NoticePage,
  NoticePreferences,
  NoticeQuery,
  NoticeRef,
  SetNoticePreference,
  UnreadNotices,
} from '@synthstack/core';
import { z } from 'zod';
import type { Modules } from '../app.ts';
import type { Caller } from '../callers.ts';
import { adminProcedure, pageProcedure, personProcedure, router, userProcedure } from './trpc.ts';

/** For all administrators together: whoever reads one has read it for all. */
const owner = 'administrators';

export const notices = router({
  list: userProcedure
    .meta({ rest: 'GET /api/v1/notices', summary: 'What you should know, newest first, a page at a time' })
    .input(NoticeQuery)
    .output(NoticePage)
    .query(({ ctx, input }) => ctx.app.notices.page(ownOf(ctx.caller), input)),

  unread: userProcedure
    .meta({ rest: 'GET /api/v1/notices/unread', summary: 'How many are not read' })
    .output(UnreadNotices)
    .query(async ({ ctx: { app, caller } }) => ({
      unread: await app.notices.unread(ownOf(caller)),
      administrators: caller.isAdmin ? await app.notices.unread({ owner, reader: caller.userId }) : null,
    })),

  markRead: userProcedure
    .meta({ rest: 'POST /api/v1/notices/{id}/read', status: 204, summary: 'Mark one as read' })
    .input(NoticeRef)
    .output(z.void())
    .mutation(({ ctx, input }) => changing(ctx.app, ctx.caller.userId, ctx.app.notices.markRead(ctx.caller.userId, input.id))),

  markAllRead: userProcedure
    .meta({ rest: 'POST /api/v1/notices/read', status: 204, summary: 'Mark all as read' })
    .output(z.void())
    .mutation(({ ctx }) => changing(ctx.app, ctx.caller.userId, ctx.app.notices.markAllRead(ctx.caller.userId))),

  remove: userProcedure
    .meta({ rest: 'DELETE /api/v1/notices/{id}', status: 204, summary: 'Remove one; the same news is not told again' })
    .input(NoticeRef)
    .output(z.void())
    .mutation(({ ctx, input }) => changing(ctx.app, ctx.caller.userId, ctx.app.notices.remove(ctx.caller.userId, input.id))),

  preferences: userProcedure
    .meta({ rest: 'GET /api/v1/notices/preferences', summary: 'Which kinds you are told on the page, and which by e-mail' })
    .output(NoticePreferences)
    .query(async ({ ctx: { app, caller } }) => {
      return { mail: app.mail.available, kinds: await app.notices.preferences.list(caller.userId, caller.isAdmin) };
    }),

  /** In person: who has stolen a token should not be able to hide that they sign in. */
  setPreference: personProcedure
    .meta({ rest: 'PATCH /api/v1/notices/preferences/{kind}', summary: 'Choose where a kind is told' })
    .input(SetNoticePreference)
    .output(NoticePreferences)
    .mutation(async ({ ctx: { app, caller }, input }) => {
      const kinds = await app.notices.preferences.set(caller.userId, caller.isAdmin, input);
      app.noticesLive.changed(caller.userId);
      return { mail: app.mail.available, kinds };
    }),

  /** Says when there is something new, or something was read. Completes when the session has ended. */
  live: pageProcedure.subscription(
    ({ ctx, signal }): Promise<AsyncIterable<NoticeChange>> =>
      ctx.app.noticesLive.open({ ...ctx.listener, isAdmin: ctx.caller.isAdmin }, signal ?? AbortSignal.abort()),
  ),
});

export const adminNotices = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/notices', summary: 'What administrators should know, newest first' })
    .input(NoticeQuery)
    .output(NoticePage)
    .query(({ ctx, input }) => ctx.app.notices.page({ owner, reader: ctx.caller.userId }, input)),

  markRead: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/notices/{id}/read', status: 204, summary: 'Mark one as read, for all administrators' })
    .input(NoticeRef)
    .output(z.void())
    .mutation(({ ctx, input }) => changing(ctx.app, owner, ctx.app.notices.markRead(owner, input.id))),

  markAllRead: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/notices/read', status: 204, summary: 'Mark all as read, for all administrators' })
    .output(z.void())
    .mutation(({ ctx }) => changing(ctx.app, owner, ctx.app.notices.markAllRead(owner))),

  remove: adminProcedure
    .meta({ rest: 'DELETE /api/v1/admin/notices/{id}', status: 204, summary: 'Remove one, for all administrators' })
    .input(NoticeRef)
    .output(z.void())
    .mutation(({ ctx, input }) => changing(ctx.app, owner, ctx.app.notices.remove(owner, input.id))),
});

const ownOf = ({ userId }: Caller) => ({ owner: userId, reader: userId });

async function changing(app: Modules, whose: string, change: Promise<void>): Promise<void> {
  await change;
  app.noticesLive.changed(whose);
}
