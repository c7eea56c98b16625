import { EnvironmentKeyRef, KeyRef, OnePlatformKey, PlatformKeyList, PlatformKeySwitch, TypedKey, Verdict } from '@synthstack/core';
import { z } from 'zod';
import type { Caller } from '../callers.ts';
import { adminProcedure, router } from './trpc.ts';

/** The platform's keys belong to nobody; whoever looks after them is named in the audit log, and counted by the limits on checks. */
const platform = (caller: Caller) => ({ userId: 'platform', byok: true, actor: caller.userId });

export const adminPlatformKeys = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/platform-keys', summary: "The platform's keys, and which of them the next request uses" })
    .output(PlatformKeyList)
    .query(async ({ ctx }) => ({ platformKeys: await ctx.app.vault.platformKeys() })),

  save: adminProcedure
    .meta({
      rest: 'POST /api/v1/admin/platform-keys',
      status: 201,
      summary: "Check a key with its provider and store it sealed as the platform's; it comes before the environment's",
    })
    .input(TypedKey)
    .output(OnePlatformKey)
    .mutation(async ({ ctx, input }) => ({ key: await ctx.app.vault.save(platform(ctx.caller), input) })),

  check: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/platform-keys/check', summary: 'Ask the provider whether a typed key works; nothing is stored' })
    .input(TypedKey)
    .output(Verdict)
    .mutation(({ ctx, input }) => ctx.app.vault.check(platform(ctx.caller), input)),

  set: adminProcedure
    .meta({ rest: 'PATCH /api/v1/admin/platform-keys/{id}', summary: "Switch one of the platform's stored keys on or off" })
    .input(PlatformKeySwitch)
    .output(OnePlatformKey)
    .mutation(async ({ ctx, input }) => ({ key: await ctx.app.vault.set(platform(ctx.caller), input) })),

  test: adminProcedure
    .meta({
      rest: 'POST /api/v1/admin/platform-keys/{id}/test',
      summary: "Ask the provider whether one of the platform's stored keys works",
    })
    .input(KeyRef)
    .output(Verdict)
    .mutation(({ ctx, input }) => ctx.app.vault.test(platform(ctx.caller), input.id)),

  testEnvironment: adminProcedure
    .meta({
      rest: 'POST /api/v1/admin/platform-keys/environment/{provider}/test',
      summary: "Ask the provider whether the environment's key works",
    })
    .input(EnvironmentKeyRef)
    .output(Verdict)
    .mutation(({ ctx, input }) => ctx.app.vault.testEnvironmentKey(ctx.caller.userId, input.provider)),

  remove: adminProcedure
    .meta({ rest: 'DELETE /api/v1/admin/platform-keys/{id}', status: 204, summary: "Remove one of the platform's stored keys" })
    .input(KeyRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.vault.remove(platform(ctx.caller), input.id)),
});
