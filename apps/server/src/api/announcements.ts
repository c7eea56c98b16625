import {
  AdminAnnouncements,
  AnnouncementList,
  AnnouncementQuery,
  AnnouncementRef,
  NewAnnouncement,
  OneAnnouncement,
} from '@synthstack/core';
import { z } from 'zod';
import { adminProcedure, router, userProcedure } from './trpc.ts';

export const announcements = router({
  current: userProcedure
    .meta({ rest: 'GET /api/v1/announcements', summary: 'What administrators tell everybody, as far as you have not closed it' })
    .output(AnnouncementList)
    .query(async ({ ctx }) => ({ announcements: await ctx.app.announcements.current(ctx.caller.userId) })),

  close: userProcedure
    .meta({ rest: 'POST /api/v1/announcements/{id}/close', status: 204, summary: 'Not to be shown to you any more' })
    .input(AnnouncementRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.announcements.close(ctx.caller.userId, input.id)),
});

export const adminAnnouncements = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/announcements', summary: 'All announcements, newest first' })
    .input(AnnouncementQuery)
    .output(AdminAnnouncements)
    .query(({ ctx, input }) => ctx.app.announcements.list(input)),

  add: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/announcements', status: 201, summary: 'Tell everybody something on their pages, in plain text' })
    .input(NewAnnouncement)
    .output(OneAnnouncement)
    .mutation(async ({ ctx, input }) => ({ announcement: await ctx.app.announcements.add(ctx.caller.userId, input) })),

  withdraw: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/announcements/{id}/withdraw', summary: 'Nobody sees it any more' })
    .input(AnnouncementRef)
    .output(OneAnnouncement)
    .mutation(async ({ ctx, input }) => ({ announcement: await ctx.app.announcements.withdraw(ctx.caller.userId, input.id) })),
});
