import { LimitsView, UsageQuery, UsageReport, UsageRequests, UsageRequestsQuery } from '@synthstack/core';
import { router, userProcedure } from './trpc.ts';

export const usage = router({
  report: userProcedure
    .meta({ rest: 'GET /api/v1/api-keys/usage', summary: 'Requests, tokens and estimated cost of a range' })
    .input(UsageQuery)
    .output(UsageReport)
    .query(({ ctx, input }) => ctx.app.meter.report(ctx.caller.userId, input)),

  requests: userProcedure
    .meta({ rest: 'GET /api/v1/api-keys/usage/requests', summary: 'Single requests of a range, newest first, a page at a time' })
    .input(UsageRequestsQuery)
    .output(UsageRequests)
    .query(({ ctx, input }) => ctx.app.meter.requests(ctx.caller.userId, input)),

  limits: userProcedure
    .meta({ rest: 'GET /api/v1/limits', summary: "What is left of the platform's keys for you" })
    .output(LimitsView)
    .query(({ ctx }) => ctx.app.limits.view(ctx.caller.userId, ctx.caller.plan.tier)),
});
