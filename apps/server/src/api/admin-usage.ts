import { AdminUsageQuery, AdminUsageReport, PeopleQuery, PeopleUsage } from '@synthstack/core';
import { adminProcedure, router } from './trpc.ts';

export const adminUsage = router({
  report: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/usage', summary: 'Requests, tokens and estimated cost of everybody in a range' })
    .input(AdminUsageQuery)
    .output(AdminUsageReport)
    .query(({ ctx, input }) => ctx.app.platformUsage.platformReport(input)),

  users: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/usage/users', summary: 'Who used the most on some UTC days, a page at a time' })
    .input(PeopleQuery)
    .output(PeopleUsage)
    .query(({ ctx, input }) => ctx.app.platformUsage.people(input)),
});
