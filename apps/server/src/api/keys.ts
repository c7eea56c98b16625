import {
  FallbackCapView,
  KeyHistory,
  KeyHistoryQuery,
  KeyList,
  KeyRef,
  KeySwitches,
  KeyUses,
  KeyUsesQuery,
  NewKey,
  OneKey,
  ProviderList,
  SetBudget,
  SetFallbackCap,
  TypedKey,
  Verdict,
} from '@synthstack/core';
import { z } from 'zod';
import type { Caller } from '../callers.ts';
import { providerViews } from '../providers/catalog.ts';
import { router, userProcedure } from './trpc.ts';

const owner = (caller: Caller) => ({ userId: caller.userId, byok: caller.plan.byok });

export const keys = router({
  list: userProcedure
    .meta({ rest: 'GET /api/v1/api-keys', summary: 'Your provider keys' })
    .output(KeyList)
    .query(async ({ ctx }) => ({ keys: await ctx.app.vault.list(ctx.caller.userId), perProvider: ctx.app.vault.perProvider })),

  save: userProcedure
    .meta({
      rest: 'POST /api/v1/api-keys',
      status: 201,
      summary:
        'Check a key with its provider and store it sealed; unless several are allowed it replaces the one of that provider, which can be restored for 24 hours',
    })
    .input(NewKey)
    .output(OneKey)
    .mutation(async ({ ctx, input }) => ({ key: await ctx.app.vault.save(owner(ctx.caller), input) })),

  check: userProcedure
    .meta({ rest: 'POST /api/v1/api-keys/check', summary: 'Ask the provider whether a typed key works; nothing is stored' })
    .input(TypedKey)
    .output(Verdict)
    .mutation(({ ctx, input }) => ctx.app.vault.check(owner(ctx.caller), input)),

  set: userProcedure
    .meta({
      rest: 'PATCH /api/v1/api-keys/{id}',
      summary: 'Switch a key on or off, and its fallback; until when to use it; its name, models and place in the order',
    })
    .input(KeySwitches)
    .output(OneKey)
    .mutation(async ({ ctx, input }) => ({ key: await ctx.app.vault.set(owner(ctx.caller), input) })),

  test: userProcedure
    .meta({ rest: 'POST /api/v1/api-keys/{id}/test', summary: 'Ask the provider whether a stored key works' })
    .input(KeyRef)
    .output(Verdict)
    .mutation(({ ctx, input }) => ctx.app.vault.test(owner(ctx.caller), input.id)),

  remove: userProcedure
    .meta({ rest: 'DELETE /api/v1/api-keys/{id}', status: 204, summary: 'Remove a key, and the one that it replaced; its usage stays' })
    .input(KeyRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.vault.remove(owner(ctx.caller), input.id)),

  restore: userProcedure
    .meta({ rest: 'POST /api/v1/api-keys/former/{id}/restore', summary: 'Put a replaced key back, within 24 hours, if it still works' })
    .input(KeyRef)
    .output(OneKey)
    .mutation(async ({ ctx, input }) => ({ key: await ctx.app.vault.restore(owner(ctx.caller), input.id) })),

  forget: userProcedure
    .meta({ rest: 'DELETE /api/v1/api-keys/former/{id}', status: 204, summary: 'Delete a replaced key before its 24 hours are over' })
    .input(KeyRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.vault.forget(owner(ctx.caller), input.id)),

  uses: userProcedure
    .meta({ rest: 'GET /api/v1/api-keys/uses', summary: 'How often your keys were opened for a request, by day, key and token' })
    .input(KeyUsesQuery)
    .output(KeyUses)
    .query(({ ctx, input }) => ctx.app.meter.uses(ctx.caller.userId, input)),

  history: userProcedure
    .meta({
      rest: 'GET /api/v1/api-keys/history',
      summary: 'What was done to your keys, by whom, newest first: your part of the audit log',
    })
    .input(KeyHistoryQuery)
    .output(KeyHistory)
    .query(({ ctx, input }) => ctx.app.audit.ofKeys(ctx.caller.userId, input)),
  setBudget: userProcedure
    .meta({ rest: 'PATCH /api/v1/api-keys/{id}/budget', summary: 'Set the monthly budget of a key' })
    .input(SetBudget)
    .output(OneKey)
    .mutation(async ({ ctx, input: { id, ...budget } }) => {
      const { vault, budgets } = ctx.app;
      const { userId } = ctx.caller;
      await budgets.set(userId, await vault.mine(userId, id), budget);
      return { key: await vault.viewOf(userId, id) };
    }),

  removeBudget: userProcedure
    .meta({ rest: 'DELETE /api/v1/api-keys/{id}/budget', status: 204, summary: 'Take the budget of a key away' })
    .input(KeyRef)
    .output(z.void())
    .mutation(async ({ ctx, input }) => {
      const { vault, budgets } = ctx.app;
      await budgets.remove(ctx.caller.userId, await vault.mine(ctx.caller.userId, input.id));
    }),

  fallbackCap: userProcedure
    .meta({ rest: 'GET /api/v1/api-keys/fallback-cap', summary: 'How many requests a day may use the platform key in place of yours' })
    .output(FallbackCapView)
    .query(({ ctx }) => ctx.app.fallbackCap.view(ctx.caller.userId)),

  setFallbackCap: userProcedure
    .meta({ rest: 'PATCH /api/v1/api-keys/fallback-cap', summary: 'Set or take away that cap' })
    .input(SetFallbackCap)
    .output(FallbackCapView)
    .mutation(async ({ ctx, input }) => {
      const { userId } = ctx.caller;
      await ctx.app.fallbackCap.set(userId, input.perDay);
      return ctx.app.fallbackCap.view(userId);
    }),

  providers: userProcedure
    .meta({ rest: 'GET /api/v1/api-keys/providers', summary: 'The providers, their models and public prices' })
    .output(ProviderList)
    .query(async ({ ctx }) => {
      const platform = await ctx.app.vault.platformProviders();
      await ctx.app.prices.fresh();
      return { providers: providerViews((provider) => platform.has(provider), ctx.app.prices) };
    }),
});
