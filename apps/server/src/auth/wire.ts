/** HTTP framing of /api/auth: a bounded JSON body in, an answer of the library's or a problem of ours out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError, type ErrorCode, toProblem } from '@synthstack/core';
import { z } from 'zod';
import { readText } from '../body.ts';

/** What the library may know of a request. Its address comes in a header of our own, which nobody outside can set. */
const passedOn = ['cookie', 'origin', 'referer', 'user-agent', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest'] as const;
export const addressHeader = 'x-byok-address';

/** @throws AppError `unsupported_media`, `too_large`, or `invalid_input` with what to do about each field */
export async function readBody<T>(req: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const text = await readText(req);
  const type = req.headers['content-type'] ?? '';
  // A page elsewhere can send forms and plain text across origins without asking; JSON it cannot.
  const isJson = type === '' ? text === '' : type.split(';')[0]?.trim().toLowerCase() === 'application/json';
  if (!isJson || req.headers['content-encoding'] !== undefined) throw new AppError('unsupported_media', 'Send plain application/json.');
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw invalidInput(parsed.error);
}

/** Zod's findings as our one error: field -> what to do. */
export function invalidInput(error: z.ZodError): AppError {
  const { fieldErrors, formErrors } = z.flattenError(error);
  const errors = fieldErrors as Record<string, string[]>;
  const detail = [...formErrors, ...Object.values(errors).flat()][0] ?? 'The input is not valid.';
  return new AppError('invalid_input', detail, { errors });
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    throw new AppError('invalid_input', 'The body is not valid JSON.');
  }
}

/** The request that the library sees: our own origin, a path of our table, and a body that was checked. */
export function toLibrary(req: IncomingMessage, options: { url: string; address: string; body: unknown; withCookies: boolean }): Request {
  const headers = new Headers({ [addressHeader]: options.address });
  for (const name of passedOn) {
    const value = req.headers[name];
    if (typeof value === 'string' && (name !== 'cookie' || options.withCookies))
      headers.set(name, name === 'user-agent' ? value.slice(0, 512) : value);
  }
  if (req.method === 'GET') return new Request(options.url, { headers });
  headers.set('content-type', 'application/json');
  return new Request(options.url, { method: 'POST', headers, body: JSON.stringify(options.body ?? {}) });
}

/**
 * @param more  stands in the answer beside what the library says
 * @throws AppError where the library refused, so that all refusals of the house look alike
 */
export async function fromLibrary(res: ServerResponse, answer: Response, more: Record<string, number> = {}): Promise<void> {
  const text = await answer.text();
  if (answer.status >= 400) throw refusalOf(answer, text);
  const cookies = answer.headers.getSetCookie();
  if (cookies.length > 0) res.setHeader('set-cookie', cookies);
  const said = withoutToken(text);
  sendJson(res, JSON.stringify(said && { ...said, ...more }));
}

/** A session's token belongs in the cookie that no script can read, and the library repeats it in the body of many an answer. */
function withoutToken(text: string): object | null {
  return JSON.parse(text, (name, value: unknown) => (name === 'token' ? undefined : value)) as object | null;
}

export function sendJson(res: ServerResponse, text: string): void {
  res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(text);
}

export function sendProblem(req: IncomingMessage, res: ServerResponse, error: AppError): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  if (error.retryAfter) res.setHeader('retry-after', error.retryAfter);
  // A body that was not read to its end would be taken for the next request.
  if (!req.complete) res.setHeader('connection', 'close');
  res.writeHead(error.form.http, { 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
  res.end(JSON.stringify(toProblem(error)));
}

/** One sentence for a wrong password and for an account that is not there. */
export const wrongCredentials = () => new AppError('unauthenticated', 'The e-mail address or the password is wrong.');
export const accountDisabled = () => new AppError('forbidden', 'This account is disabled. Ask an administrator of this server.');
export const disabledCode = 'ACCOUNT_DISABLED';
export const unconfirmedCode = 'EMAIL_UNCONFIRMED';
const addressUnconfirmed = () =>
  new AppError('forbidden', 'Confirm your e-mail address first: open the link that was sent to it. If it is old, a new one is on its way.');
export const wrongCurrentPassword = () =>
  new AppError('invalid_input', 'The current password is wrong.', { errors: { currentPassword: ['The current password is wrong.'] } });

const known: Record<string, () => AppError> = {
  INVALID_EMAIL_OR_PASSWORD: wrongCredentials,
  // Only where no schema stands before: whoever asks about such an account learns no more than about any other.
  INVALID_EMAIL: wrongCredentials,
  PASSWORD_TOO_LONG: wrongCredentials,
  [disabledCode]: accountDisabled,
  [unconfirmedCode]: addressUnconfirmed,
};
const byStatus: Record<number, [ErrorCode, string]> = {
  400: ['invalid_input', 'The input is not valid.'],
  401: ['unauthenticated', 'Sign in first.'],
  403: ['forbidden', 'This request does not come from a page of this server.'],
  404: ['not_found', 'There is nothing here.'],
  415: ['unsupported_media', 'Send plain application/json.'],
  429: ['limit_reached', 'Too many requests. Please try again later.'],
};

/** @param code  the library's own, as it stands in its answers and in its errors */
export function refusal(status: number, code: string | undefined, options: { retryAfterMs?: number; cause?: unknown } = {}): AppError {
  const sentence = known[code ?? ''];
  if (sentence) return sentence();
  const [ours, detail] = byStatus[status] ?? ['internal', 'Something went wrong on this server. Please try again; its log says more.'];
  return new AppError(ours, detail, options);
}

function refusalOf(answer: Response, text: string): AppError {
  const retryAfter = Number(answer.headers.get('x-retry-after') ?? 0);
  let code: string | undefined;
  try {
    code = (JSON.parse(text) as { code?: string }).code;
  } catch {
    code = undefined;
  }
  const cause = new Error(`The sign-in library answered ${answer.status} ${code ?? ''}`);
  return refusal(answer.status, code, retryAfter > 0 ? { retryAfterMs: retryAfter * 1_000, cause } : { cause });
}
