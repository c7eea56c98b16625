import { AdminLimitsList, AdminModelsList, OneTierLimits, OneTierModels, SaveTierLimits, SaveTierModels } from '@synthstack/core';
import { adminProcedure, router } from './trpc.ts';

export const adminLimits = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/limits', summary: "What each tier may do on the platform's keys, and which tiers include own keys" })
    .output(AdminLimitsList)
    .query(async ({ ctx }) => ({ limits: await ctx.app.tiers.limits() })),

  save: adminProcedure
    .meta({
      rest: 'PATCH /api/v1/admin/limits/{tier}',
      summary: "Change a tier's limits, from the next request on; null gives a default back",
    })
    .input(SaveTierLimits)
    .output(OneTierLimits)
    .mutation(async ({ ctx, input }) => ({ limits: await ctx.app.tiers.saveLimits(ctx.caller.userId, input) })),
});

export const adminModels = router({
  list: adminProcedure
    .meta({
      rest: 'GET /api/v1/admin/models',
      summary: "Which models each tier may use on the platform's keys, and how long their answers may be",
    })
    .output(AdminModelsList)
    .query(async ({ ctx }) => ({ models: await ctx.app.tiers.models() })),

  save: adminProcedure
    .meta({
      rest: 'PATCH /api/v1/admin/models/{tier}',
      summary: "Change a tier's models, from the next request on; null gives a default back",
    })
    .input(SaveTierModels)
    .output(OneTierModels)
    .mutation(async ({ ctx, input }) => ({ models: await ctx.app.tiers.saveModels(ctx.caller.userId, input) })),
});
