/** What went wrong, as a sentence that a page can show: the server's own where it gave one. */
import { AppError, type ErrorCode } from '@synthstack/core';
import { TRPCClientError } from '@trpc/client';

export interface Problem {
  code: ErrorCode | 'unreachable';
  message: string;
  /** Field -> what to do about it. */
  errors: Record<string, string[]>;
}

/** The shape of errorFormatter in the server's api/trpc.ts. */
type ErrorData = Partial<Pick<Problem, 'code' | 'errors'>>;

const texts = {
  unreachable: 'The server cannot be reached. Check your connection and try again.',
  unexpected: 'Something unexpected happened. Reload the page and try again.',
};

export function problemOf(error: unknown): Problem {
  if (error instanceof AppError) return { code: error.code, message: error.message, errors: error.errors ?? {} };
  if (!(error instanceof TRPCClientError)) return { code: 'internal', message: texts.unexpected, errors: {} };
  const { code, errors = {} } = (error.data ?? {}) as ErrorData;
  return code ? { code, message: error.message, errors } : unreachable();
}

/** An error that says itself what happened; others come from the browser. */
export const isKnown = (error: unknown): boolean => error instanceof AppError || error instanceof TRPCClientError;

export function unreachable(): Problem {
  return { code: 'unreachable', message: texts.unreachable, errors: {} };
}

/** The server's complaint about one field, if that is what it complained about. */
export function fieldError(problem: Problem | null, field: string): string | undefined {
  return problem?.errors[field]?.[0];
}

/** What a contract says is wrong with a typed value; undefined: nothing. */
export function complaint(
  schema: { safeParse(value: unknown): { error?: { issues: { message: string }[] } } },
  value: unknown,
): string | undefined {
  return schema.safeParse(value).error?.issues[0]?.message;
}
