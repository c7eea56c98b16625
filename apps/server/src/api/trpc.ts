/**
 * The procedures' context, and the kinds of procedure there are. Who may call is decided before the input is looked at;
 * every error leaves as an AppError, whatever it began as.
 */
import { AppError, type ErrorCode, toAppError } from '@synthstack/core';
import { initTRPC, type TRPCError } from '@trpc/server';
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc';
import { ZodError } from 'zod';
import type { Modules } from '../app.ts';
import type { Caller } from '../callers.ts';
import { signOfLifeMs } from './stream.ts';

export interface Context {
  app: Modules;
  /** Who is asking; null: nobody. Looked up when first needed. @throws AppError `unauthenticated`: a credential that is not good */
  identify(): Promise<Caller | null>;
  /** The caller's address, for limits on sign-in. */
  address: string;
  /** How the caller's program names itself; '' where it does not. */
  userAgent: string;
}

/** `rest`: the procedure's door under /api/v1; `status`: of its success, 200 unless told; `bodyBytes`: the largest body, 64 KiB unless told. */
export interface Meta {
  rest?: `${'GET' | 'POST' | 'PATCH' | 'DELETE'} /api/v1/${string}`;
  status?: 200 | 201 | 204;
  summary?: string;
  bodyBytes?: number;
}

const t = initTRPC
  .context<Context>()
  .meta<Meta>()
  .create({
    isDev: false,
    // A page whose connection has died without a word opens another.
    sse: { ping: { enabled: true, intervalMs: signOfLifeMs }, client: { reconnectAfterInactivityMs: 60_000 } },
    errorFormatter({ error }) {
      const known = appErrorOf(error);
      return {
        // After most numbers a client that listens gives up; after those of a server in trouble it asks again by itself.
        code: TRPC_ERROR_CODES_BY_KEY[known.form.trpc],
        message: known.message,
        data: { httpStatus: known.form.http, code: known.code, errors: known.errors, retryAfterMs: known.retryAfterMs },
      };
    },
  });

export const router = t.router;

/** Anyone. */
export const publicProcedure = t.procedure;

/** @throws AppError `unauthenticated`: nobody; `forbidden`: a token that is for AI requests only */
export function admit(caller: Caller | null): Caller {
  if (!caller) throw new AppError('unauthenticated', 'Sign in first, or send a token: Authorization: Bearer <token>.');
  if (!caller.scopes.includes('manage')) {
    throw new AppError('forbidden', 'This token may only send AI requests. Make one with the scope "manage" for this.');
  }
  return caller;
}

/** In person: no gateway token, so that a stolen one cannot make more of its kind. @throws AppError as `admit` */
export function admitPerson(found: Caller | null): Caller {
  const caller = admit(found);
  if (caller.via === 'token') throw new AppError('forbidden', 'A token cannot do this. Sign in, or use a JWT of your own.');
  return caller;
}

const signedIn = t.middleware(async ({ ctx, next }) => next({ ctx: { caller: admit(await ctx.identify()) } }));

/** A signed-in user, or a token with the scope `manage`. */
export const userProcedure = publicProcedure.use(signedIn);

/** A user in person. */
export const personProcedure = userProcedure.use(({ ctx, next }) => {
  admitPerson(ctx.caller);
  return next();
});

/** The page in a browser, by its session's cookie. */
export const pageProcedure = userProcedure.use(({ ctx, next }) => {
  const { userId, sessionId, via } = ctx.caller;
  if (via !== 'cookie' || sessionId === null) throw new AppError('forbidden', 'This is for the pages: sign in with a browser.');
  return next({ ctx: { listener: { userId, sessionId } } });
});

/** @throws AppError `forbidden` */
export function admitAdmin({ isAdmin }: Caller): void {
  if (!isAdmin) throw new AppError('forbidden', 'Only an administrator can do this.');
}

export const adminProcedure = userProcedure.use(({ ctx, next }) => {
  admitAdmin(ctx.caller);
  return next();
});

/** An administrator in person: for what decides who gets in. */
export const adminInPersonProcedure = adminProcedure.use(({ ctx, next }) => {
  if (ctx.caller.via === 'token') throw new AppError('forbidden', 'A token cannot do this. Sign in, or use a JWT of your own.');
  return next();
});

/** The AppError in what tRPC caught: ours, a schema's complaint about the input, or tRPC's own about the call. */
export function appErrorOf(error: TRPCError): AppError {
  if (error.cause instanceof AppError) return error.cause;
  if (error.code === 'BAD_REQUEST' && error.cause instanceof ZodError) return inputError(error.cause);
  const code = ownCodes[error.code];
  return code
    ? new AppError(code, callMessages[code] ?? 'This call is not understood.', { cause: error })
    : toAppError(error.cause ?? error);
}

/** A schema's complaints, field by field. */
export function inputError(zod: ZodError): AppError {
  // A field may be called `constructor` or `__proto__`.
  const errors: Record<string, string[]> = Object.create(null);
  for (const issue of zod.issues) {
    const fields = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    for (const path of fields) {
      const field = path.map(String).join('.') || 'body';
      const message = issue.code === 'unrecognized_keys' ? 'Unknown field: leave it out.' : issue.message;
      errors[field] = [...(errors[field] ?? []), message];
    }
  }
  const [field, messages] = Object.entries(errors)[0] ?? ['body', ['It is not understood.']];
  return new AppError('invalid_input', `${field}: ${messages[0]}`, { errors, cause: zod });
}

const ownCodes: Partial<Record<TRPCError['code'], ErrorCode>> = {
  PARSE_ERROR: 'invalid_input',
  BAD_REQUEST: 'invalid_input',
  NOT_FOUND: 'not_found',
  METHOD_NOT_SUPPORTED: 'method_not_allowed',
  UNSUPPORTED_MEDIA_TYPE: 'unsupported_media',
  PAYLOAD_TOO_LARGE: 'too_large',
};
const callMessages: Partial<Record<ErrorCode, string>> = {
  invalid_input: 'The body is not valid JSON of the expected shape.',
  not_found: 'There is no such procedure.',
  method_not_allowed: 'Queries are GET, mutations are POST.',
  unsupported_media: 'Send application/json.',
  too_large: 'The body is too large.',
};
