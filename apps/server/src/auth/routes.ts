/**
 * All that answers under /api/auth; what people change about themselves, and the list of their sessions, are procedures
 * (api/accounts.ts). What is not in this table does not exist, whatever the library behind it could do; and
 * of a body only what its schema names gets through, so that no column can be set by a field that nobody thought of.
 */
import { Email, FactorCode, PasskeyAssertion, Password, PersonName } from '@synthstack/core';
import { z } from 'zod';

const Nothing = z.strictObject({});
const CurrentPassword = z.string({ error: 'Enter the password.' }).min(1, 'Enter the password.').max(128, 'At most 128 characters.');

export const SignIn = z.strictObject({
  email: Email,
  password: CurrentPassword,
  rememberMe: z.boolean().optional(),
  code: FactorCode.optional(),
});
export const SignUp = z.strictObject({ name: PersonName, email: Email, password: Password });
/** Whoever changes a password wants everyone else out, whatever `revokeOtherSessions` says. */
export const ChangePassword = z.strictObject({
  currentPassword: CurrentPassword,
  newPassword: Password,
  revokeOtherSessions: z.boolean().optional(),
});
export const PasskeySignIn = z.strictObject({ response: PasskeyAssertion });

interface Route {
  method: 'GET' | 'POST';
  path: string;
  /** Who gets more than a refusal. */
  access: 'anyone' | 'signed_in';
  /** Only where people may sign themselves up. */
  when?: 'sign_up';
  body?: z.ZodType;
}

export const authRoutes = [
  { method: 'POST', path: '/api/auth/sign-in/email', access: 'anyone', body: SignIn },
  { method: 'POST', path: '/api/auth/passkey/options', access: 'anyone', body: Nothing },
  { method: 'POST', path: '/api/auth/passkey/sign-in', access: 'anyone', body: PasskeySignIn },
  { method: 'POST', path: '/api/auth/sign-up/email', access: 'anyone', body: SignUp, when: 'sign_up' },
  { method: 'POST', path: '/api/auth/sign-out', access: 'anyone', body: Nothing },
  { method: 'GET', path: '/api/auth/get-session', access: 'anyone' },
  { method: 'POST', path: '/api/auth/revoke-sessions', access: 'signed_in', body: Nothing },
  { method: 'POST', path: '/api/auth/change-password', access: 'signed_in', body: ChangePassword },
  { method: 'GET', path: '/api/auth/jwks', access: 'anyone' },
  { method: 'GET', path: '/api/auth/ok', access: 'anyone' },
] as const satisfies readonly Route[];

export type AuthRoute = Route;

const byName = new Map<string, Route>(authRoutes.map((route) => [`${route.method} ${route.path}`, route]));

/** The exact path or nothing: no trailing slash, no encoding, no case. The query is not read. */
export function routeOf(method: string | undefined, url: string | undefined): Route | null {
  const [path = ''] = (url ?? '').split('?');
  return byName.get(`${method} ${path}`) ?? null;
}
