/** What went wrong, as a sentence that a page can show: the server's own where it gave one. */
import { AppError, type ErrorCode } from '@synthstack/core';
import { TRPCClientError } from '@trpc/client';
import { fromServer, t } from './i18n/i18n.ts';

export interface Problem {
  code: ErrorCode | 'unreachable';
  message: string;
  /** Field -> what to do about it. */
  errors: Record<string, string[]>;
}

/** The shape of errorFormatter in the server's api/trpc.ts. */
type ErrorData = Partial<Pick<Problem, 'code' | 'errors'>>;

export function problemOf(error: unknown): Problem {
  if (error instanceof AppError) return known(error.code, error.message, error.errors);
  if (!(error instanceof TRPCClientError)) return { code: 'internal', message: t('common.unexpected'), errors: {} };
  const { code, errors = {} } = (error.data ?? {}) as ErrorData;
  return code ? known(code, error.message, errors) : unreachable();
}

function known(code: Problem['code'], message: string, errors: Record<string, string[]> = {}): Problem {
  const translated = Object.entries(errors).map(([field, sentences]) => [field, sentences.map(fromServer)]);
  return { code, message: fromServer(message), errors: Object.fromEntries(translated) };
}

/** An error that says itself what happened; others come from the browser. */
export const isKnown = (error: unknown): boolean => error instanceof AppError || error instanceof TRPCClientError;

export function unreachable(): Problem {
  return { code: 'unreachable', message: t('common.unreachable'), errors: {} };
}

export const isReachable = (): Promise<boolean> =>
  fetch('/healthz', { cache: 'no-store' }).then(
    () => true,
    () => false,
  );

/** Why a file of the pages could not be fetched: the server cannot be reached, or has been updated and has other files now. */
export async function missingFile(error: unknown): Promise<Problem> {
  return isKnown(error) || (await isReachable()) ? problemOf(error) : unreachable();
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
  const message = schema.safeParse(value).error?.issues[0]?.message;
  return message === undefined ? undefined : fromServer(message);
}
