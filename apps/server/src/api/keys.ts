import {
  FallbackCapView,
  KeyList,
  KeyRef,
  KeySwitches,
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
      summary: 'Check a key with its provider and store it sealed; it replaces the one of that provider, unless several are allowed',
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
      summary: 'Switch a key on or off, and its fallback; its name, models and place in the order',
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
    .meta({ rest: 'DELETE /api/v1/api-keys/{id}', status: 204, summary: 'Remove a key; its usage stays' })
    .input(KeyRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.vault.remove(owner(ctx.caller), input.id)),

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
