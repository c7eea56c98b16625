/** better-auth as this house has it: our tables, our secret, and nothing from the environment. */
import { randomUUID } from 'node:crypto';
import type { Db } from '@synthstack/core/db';
import { drizzleAdapter } from 'better-auth/adapters/drizzle';
import { APIError, createAuthEndpoint } from 'better-auth/api';
import { setSessionCookie } from 'better-auth/cookies';
import { betterAuth } from 'better-auth/minimal';
import { z } from 'zod';
import { addressHeader } from './wire.ts';

interface LibraryParts {
  db: Db;
  origin: string;
  secret: string;
  rateLimit: boolean;
  /** Throws if this user may have no session. */
  refuse: (userId: string) => Promise<void>;
  /** Hears of every new session. */
  opened: (session: OpenedSession) => Promise<void>;
}

export interface OpenedSession {
  id: string;
  userId: string;
  ipAddress?: string | null | undefined;
  userAgent?: string | null | undefined;
}

export function createLibrary({ db, origin, secret, rateLimit, refuse, opened }: LibraryParts) {
  const { user, session, account, verification } = db.tables;
  const ours = { type: 'string', required: false, input: false } as const;
  const theirs = { type: 'string', required: false } as const;
  return betterAuth({
    baseURL: origin,
    basePath: '/api/auth',
    // In this form BETTER_AUTH_SECRETS of the environment cannot take its place.
    secrets: [{ version: 1, value: secret }],
    trustedOrigins: [origin],
    database: drizzleAdapter(db.orm as unknown as Record<string, unknown>, {
      provider: db.dialect === 'sqlite' ? 'sqlite' : 'pg',
      schema: { user, session, account, verification },
    }),
    // Accounts are made by `createUser`, in one write with all that belongs to them.
    emailAndPassword: { enabled: true, disableSignUp: true, minPasswordLength: 12, maxPasswordLength: 128 },
    user: {
      additionalFields: {
        role: ours,
        disabledAt: { type: 'date', required: false, input: false, returned: false },
        timezone: theirs,
        locale: theirs,
      },
    },
    // Nothing in our list needs a session younger than a day. When each was last seen is known to the hour.
    session: { expiresIn: 7 * 86_400, updateAge: 3_600, freshAge: 0 },
    databaseHooks: { session: { create: { before: async ({ userId }) => refuse(userId), after: opened } } },
    rateLimit: { enabled: rateLimit, storage: 'memory', customRules: { '/get-session': false, '/sign-in/email': false } },
    advanced: {
      cookiePrefix: 'byok',
      useSecureCookies: origin.startsWith('https://'),
      database: { generateId: () => randomUUID() },
      ipAddress: { ipAddressHeaders: [addressHeader] },
      // Both are off by default where NODE_ENV or TEST say that a test runs.
      disableOriginCheck: false,
      disableCSRFCheck: false,
    },
    telemetry: { enabled: false },
    logger: { disabled: true },
    plugins: [openSessionPlugin],
    // Else it prints what it did not expect to the console, the parameters of SQL statements included.
    onAPIError: { throw: true },
  });
}

/** Opens a session without a password. It has no address: only auth.ts can call it. */
const openSessionPlugin = {
  id: 'open-session',
  endpoints: {
    openSession: createAuthEndpoint.serverOnly({ method: 'POST', body: z.object({ userId: z.string() }) }, async (ctx) => {
      const { internalAdapter } = ctx.context;
      const user = await internalAdapter.findUserById(ctx.body.userId);
      const session = user && (await internalAdapter.createSession(user.id));
      if (!session) throw new APIError('UNAUTHORIZED');
      await setSessionCookie(ctx, { session, user });
      return ctx.json({ user: { id: user.id } });
    }),
  },
} as const;
