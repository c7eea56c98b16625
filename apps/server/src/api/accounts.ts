import {
  AccessToken,
  Credentials,
  EndedSessions,
  Instance,
  Me,
  PlanView,
  SessionList,
  SessionRef,
  SetUp,
  UpdateMe,
} from '@synthstack/core';
import { z } from 'zod';
import { personProcedure, publicProcedure, router, userProcedure } from './trpc.ts';

export const accounts = router({
  instance: publicProcedure.output(Instance).query(async ({ ctx }) => ({
    version: ctx.app.config.version,
    needsSetUp: await ctx.app.accounts.needsSetUp(),
    signUp: ctx.app.config.signUp !== 'closed',
    demo: ctx.app.config.demo,
    external: ctx.app.oidc !== null,
    passwords: ctx.app.config.localAccounts,
  })),

  setUp: publicProcedure
    .input(SetUp)
    .output(Me)
    .mutation(async ({ ctx, input }) => {
      const { userId } = await ctx.app.accounts.setUp(input);
      return ctx.app.accounts.me(userId);
    }),

  token: publicProcedure
    .meta({ rest: 'POST /api/v1/auth/token', summary: 'A JWT for 15 minutes, for the REST API and the gateway' })
    .input(Credentials)
    .output(AccessToken)
    .mutation(async ({ ctx, input }) => {
      const session = await ctx.app.auth.signIn(input.email, input.password, { ip: ctx.address, userAgent: ctx.userAgent });
      const { token, expiresAt } = await ctx.app.auth.issueJwt(session);
      return { token, expiresAt: expiresAt.toISOString() };
    }),

  me: userProcedure.output(Me).query(({ ctx }) => ctx.app.accounts.me(ctx.caller.userId)),

  update: personProcedure
    .input(UpdateMe)
    .output(Me)
    .mutation(({ ctx, input }) => ctx.app.accounts.update(ctx.caller.userId, input)),

  sessions: personProcedure.output(SessionList).query(({ ctx }) => ctx.app.auth.sessions.list(ctx.caller)),

  revokeSession: personProcedure
    .input(SessionRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.auth.sessions.revoke(ctx.caller.userId, input.id)),

  revokeOtherSessions: personProcedure.output(EndedSessions).mutation(({ ctx }) => ctx.app.auth.sessions.revokeOthers(ctx.caller)),

  plan: userProcedure.output(PlanView).query(({ ctx }) => ctx.app.plans.view(ctx.caller.userId)),
});
