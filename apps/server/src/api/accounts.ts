import {
  AccessToken,
  AddPasskey,
  AppError,
  AskReset,
  BackupCodes,
  ConfirmEmail,
  Credentials,
  EndedSessions,
  Instance,
  Me,
  NewFactor,
  PasskeyOptions,
  PasskeyRef,
  PlanView,
  RemoveMe,
  ResetPassword,
  SecurityView,
  SessionList,
  SessionRef,
  SetUp,
  UpdateMe,
  Visitor,
  WithBoth,
  WithCode,
  WithPassword,
} from '@synthstack/core';
import { z } from 'zod';
import { personProcedure, publicProcedure, router, userProcedure } from './trpc.ts';

export const accounts = router({
  instance: publicProcedure.output(Instance).query(async ({ ctx }) => ({
    version: ctx.app.config.version,
    needsSetUp: await ctx.app.accounts.needsSetUp(),
    signUp: ctx.app.config.signUp !== 'closed',
    mail: ctx.app.mail.available,
    demo: ctx.app.config.demo,
    databaseAhead: ctx.app.databaseAhead,
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
      const from = { ip: ctx.address, userAgent: ctx.userAgent, code: input.code };
      const session = await ctx.app.auth.signIn(input.email, input.password, from);
      const { token, expiresAt } = await ctx.app.auth.issueJwt(session);
      return { token, expiresAt: expiresAt.toISOString() };
    }),

  askReset: publicProcedure
    .input(AskReset)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.auth.askReset(input.email, ctx.address)),

  resetPassword: publicProcedure
    .input(ResetPassword)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.auth.useLink(ctx.address, () => ctx.app.auth.links.reset(input.token, input.password))),

  confirmEmail: publicProcedure
    .input(ConfirmEmail)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.auth.useLink(ctx.address, () => ctx.app.auth.links.confirm(input.token))),

  security: personProcedure.output(SecurityView).query(async ({ ctx }) => {
    const { userId } = ctx.caller;
    const factor = await ctx.app.auth.factors.state(userId);
    return {
      factor: factor && { ...factor, since: factor.since.toISOString() },
      passkeys: await ctx.app.auth.passkeys.list(userId),
      password: await ctx.app.auth.hasPassword(userId),
    };
  }),

  beginFactor: personProcedure
    .input(WithPassword)
    .output(NewFactor)
    .mutation(async ({ ctx, input }) => {
      const { userId } = ctx.caller;
      await ctx.app.auth.demandPassword(userId, input.password, ctx.address);
      return ctx.app.auth.factors.begin(userId, (await ctx.app.accounts.me(userId)).email);
    }),

  confirmFactor: personProcedure
    .input(WithCode)
    .output(BackupCodes)
    .mutation(async ({ ctx, input }) => ({ codes: await ctx.app.auth.factors.confirm(ctx.caller, input.code) })),

  renewBackupCodes: personProcedure
    .input(WithBoth)
    .output(BackupCodes)
    .mutation(async ({ ctx, input }) => {
      await ctx.app.auth.demandPassword(ctx.caller.userId, input.password, ctx.address);
      return { codes: await ctx.app.auth.factors.renewCodes(ctx.caller.userId, input.code) };
    }),

  disableFactor: personProcedure
    .input(WithBoth)
    .output(z.void())
    .mutation(async ({ ctx, input }) => {
      await ctx.app.auth.demandPassword(ctx.caller.userId, input.password, ctx.address);
      await ctx.app.auth.factors.disable(ctx.caller.userId, input.code);
    }),

  passkeyOptions: personProcedure
    .input(WithPassword)
    .output(PasskeyOptions)
    .mutation(async ({ ctx, input }) => {
      const { userId } = ctx.caller;
      await ctx.app.auth.demandPassword(userId, input.password, ctx.address);
      const { email, name } = await ctx.app.accounts.me(userId);
      return { options: { ...(await ctx.app.auth.passkeys.addOptions({ userId, email, name })) } };
    }),

  addPasskey: personProcedure
    .input(AddPasskey)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.auth.passkeys.add(ctx.caller.userId, input.name, input.response)),

  removePasskey: personProcedure
    .input(PasskeyRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.auth.passkeys.remove(ctx.caller.userId, input.id)),

  /** Whose page this is, by its cookie; null: nobody's. That is not an error, so that the page of somebody who is to sign in has none. */
  who: publicProcedure.output(Visitor).query(async ({ ctx: { app, identify } }) => {
    const caller = await identify().catch(nobody);
    if (caller?.via !== 'cookie') return { me: null, announcements: [] };
    const [me, announcements] = await Promise.all([app.accounts.me(caller.userId), app.announcements.current(caller.userId)]);
    return { me, announcements };
  }),

  me: userProcedure.output(Me).query(({ ctx }) => ctx.app.accounts.me(ctx.caller.userId)),

  update: personProcedure
    .input(UpdateMe)
    .output(Me)
    .mutation(({ ctx, input }) => ctx.app.accounts.update(ctx.caller.userId, input)),

  /** The end of the caller's own account. */
  remove: personProcedure
    .input(RemoveMe)
    .output(z.void())
    .mutation(async ({ ctx, input }) => {
      const { userId } = ctx.caller;
      await ctx.app.auth.demandOwner(ctx.caller, input, ctx.address);
      await ctx.app.removal.remove({ actor: userId, userId });
    }),

  sessions: personProcedure.output(SessionList).query(({ ctx }) => ctx.app.auth.sessions.list(ctx.caller)),

  revokeSession: personProcedure
    .input(SessionRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.auth.sessions.revoke(ctx.caller.userId, input.id)),

  revokeOtherSessions: personProcedure.output(EndedSessions).mutation(({ ctx }) => ctx.app.auth.sessions.revokeOthers(ctx.caller)),

  plan: userProcedure.output(PlanView).query(({ ctx }) => ctx.app.plans.view(ctx.caller.userId)),
});

/** A credential that is not good is nobody's. */
function nobody(error: unknown): null {
  if (error instanceof AppError && error.code === 'unauthenticated') return null;
  throw error;
}
