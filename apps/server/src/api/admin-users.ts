import { randomBytes } from 'node:crypto';
import {
  AddedUser,
  type AdminUser,
  AdminUserDetails,
  AdminUserList,
  AdminUserQuery,
  AdminUserRef,
  AppError,
  EndedSessions,
  NewUser,
  ResetLink,
  SetUserAccess,
  SetUserPlan,
} from '@synthstack/core';
import { z } from 'zod';
import type { Modules } from '../app.ts';
import type { Caller } from '../callers.ts';
import { type PlanEntry, planParts, planVersion } from '../plans.ts';
import { adminInPersonProcedure, adminProcedure, router } from './trpc.ts';

const usageDays = 30;

export const adminUsers = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/users', summary: 'Look for users, the newest first or in the order of what was looked for' })
    .input(AdminUserQuery)
    .output(AdminUserList)
    .query(({ ctx, input }) => ctx.app.accountSearch.search(input)),

  get: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/users/{id}', summary: 'All that administrators may know of a user' })
    .input(AdminUserRef)
    .output(AdminUserDetails)
    .query(({ ctx, input }) => detailsOf(ctx.app, ctx.caller, input.id)),

  add: adminInPersonProcedure
    .meta({ rest: 'POST /api/v1/admin/users', status: 201, summary: 'Add a user; a password that is made is told this once' })
    .input(NewUser)
    .output(AddedUser)
    .mutation(async ({ ctx: { app, caller }, input: { name, password: given, ...input } }) => {
      const password = given ?? randomBytes(18).toString('base64url');
      const { userId } = await app.accounts.add({ ...input, ...(name && { name }), password, actor: caller.userId });
      return { user: await find(app, userId), password: given ? null : password };
    }),

  setPlan: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/users/{id}/plan', summary: 'Give a plan; it holds at the next request' })
    .input(SetUserPlan)
    .output(AdminUserDetails)
    .mutation(async ({ ctx: { app, caller }, input: { id, tier, until, planVersion: seen } }) => {
      await find(app, id);
      const end = until === null ? null : new Date(until);
      await app.plans.replace(id, { tier, until: end, source: 'admin', actor: caller.userId }, seen);
      return detailsOf(app, caller, id);
    }),

  /** In person, like all that decides who gets in: who has stolen a token should not be able to. */
  setAccess: adminInPersonProcedure
    .meta({ rest: 'PATCH /api/v1/admin/users/{id}', summary: 'Disable or enable an account, or make or withdraw an administrator' })
    .input(SetUserAccess)
    .output(AdminUserDetails)
    .mutation(async ({ ctx: { app, caller }, input: { id: userId, disabled, admin } }) => {
      const act = { actor: caller.userId, userId };
      if (disabled !== undefined) await app.accountAdmin.setDisabled(act, disabled);
      if (admin !== undefined) await app.accountAdmin.setAdmin(act, admin);
      return detailsOf(app, caller, userId);
    }),

  remove: adminInPersonProcedure
    .meta({ rest: 'DELETE /api/v1/admin/users/{id}', status: 204, summary: 'Remove an account with its keys, tokens and conversations' })
    .input(AdminUserRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.accountAdmin.remove({ actor: ctx.caller.userId, userId: input.id })),

  makeResetLink: adminInPersonProcedure
    .meta({
      rest: 'POST /api/v1/admin/users/{id}/reset-link',
      summary: 'A link to a new password: sent, or told this once where no e-mail is',
    })
    .input(AdminUserRef)
    .output(ResetLink)
    .mutation(async ({ ctx: { app, caller }, input: { id } }) => {
      const way = resetWay(app, await find(app, id), await app.accountAdmin.waysIn(id), caller);
      if (way === null) throw new AppError('forbidden', 'A link to a new password is not possible for this account.');
      const { links } = app.auth;
      if (way === 'send') return { url: null, expiresAt: (await links.sendReset(id, caller.userId)).expiresAt.toISOString() };
      const url = await links.makeReset(id, caller.userId);
      return { url, expiresAt: new Date(app.clock.now() + links.resetMs).toISOString() };
    }),

  resetFactors: adminInPersonProcedure
    .meta({ rest: 'POST /api/v1/admin/users/{id}/reset-factors', summary: 'Take away second factor and passkeys; all sessions end' })
    .input(AdminUserRef)
    .output(AdminUserDetails)
    .mutation(async ({ ctx: { app, caller }, input: { id } }) => {
      if (id === caller.userId) throw new AppError('conflict', 'Change your own second factor and passkeys on your profile page.');
      await find(app, id);
      await app.auth.resetFactors(id, caller.userId);
      return detailsOf(app, caller, id);
    }),

  signOut: adminInPersonProcedure
    .meta({ rest: 'POST /api/v1/admin/users/{id}/sign-out', summary: 'End all sessions of a user; tokens go on' })
    .input(AdminUserRef)
    .output(EndedSessions)
    .mutation(({ ctx, input }) => ctx.app.accountAdmin.signOutEverywhere({ actor: ctx.caller.userId, userId: input.id })),
});

async function find(app: Modules, id: string): Promise<AdminUser> {
  const user = await app.accountSearch.one(id);
  if (!user) throw new AppError('not_found', 'There is no such account.');
  return user;
}

async function detailsOf(app: Modules, caller: Caller, id: string): Promise<AdminUserDetails> {
  const [user, me, ways, row] = [
    await find(app, id),
    await app.accounts.me(id),
    await app.accountAdmin.waysIn(id),
    await app.plans.row(id),
  ];
  const { given, bought } = planParts(row);
  const { factors, passkeys, sessions, links } = app.auth;
  const factor = await factors.state(id);
  const keys = await app.vault.list(id);
  const tokens = await app.tokens.list(id);
  const { totals } = await app.meter.report(id, { days: usageDays, timezone: 'UTC', groupBy: 'day' });
  return {
    user,
    ...{ timezone: me.timezone, locale: me.locale, self: id === caller.userId },
    signsIn: ways.password ? (ways.elsewhere ? 'password_and_elsewhere' : 'password') : ways.elsewhere ? 'elsewhere' : 'not_at_all',
    unconfirmed: await links.mustConfirm(id),
    ...{ given: given && partOf(given), bought: bought && partOf(bought), planVersion: planVersion(row) },
    sessions: await sessions.countOthers({ userId: id, sessionId: null }),
    factor: factor && { ...factor, since: factor.since.toISOString() },
    passkeys: (await passkeys.list(id)).length,
    keys: keys.map(({ provider, status, isActive }) => ({ provider, status, isActive })),
    tokens: tokens.map(({ name, lastUsedAt }) => ({ name, lastUsedAt })),
    usage: totals,
    reset: resetWay(app, user, ways, caller),
  };
}

const partOf = ({ until, ...entry }: PlanEntry) => ({ ...entry, until: until?.toISOString() ?? null });

/**
 * Whoever holds such a link has the account: where this server sends e-mail nobody but its owner gets to see it. Not for oneself, which
 * would go round the second factor, nor for who signs in elsewhere.
 */
function resetWay(app: Modules, user: AdminUser, ways: { password: boolean }, caller: Caller): AdminUserDetails['reset'] {
  const isPossible = ways.password && user.disabledAt === null && user.id !== caller.userId;
  if (!isPossible || !(app.config.localAccounts || user.isAdmin)) return null;
  return app.mail.available ? 'send' : 'show';
}
