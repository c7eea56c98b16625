import { LimitsView, TierList, UsageQuery, UsageReport, UsageRequests, UsageRequestsQuery } from '@synthstack/core';
import { pageProcedure, router, userProcedure } from './trpc.ts';

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

  /**
   * Says when the caller's usage has changed, at most once a second. A page that comes again (`onStarted`) may have missed something.
   * Completes when the session has ended; after an error, `limit_reached` for one, the page goes on without it.
   */
  live: pageProcedure.subscription(({ ctx, signal }) => ctx.app.live.open(ctx.listener, signal ?? AbortSignal.abort())),

  limits: userProcedure
    .meta({ rest: 'GET /api/v1/limits', summary: "What is left of the platform's keys for you" })
    .output(LimitsView)
    .query(({ ctx }) => ctx.app.limits.view(ctx.caller.userId, ctx.caller.plan.tier)),

  tiers: userProcedure
    .meta({ rest: 'GET /api/v1/tiers', summary: 'What the plans offer on this server' })
    .output(TierList)
    .query(async ({ ctx }) => ({ tiers: await ctx.app.tiers.views() })),
});
