import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { AppError, type ErrorCode, errorForms, toAnthropicError, toAppError, toOpenAIError, toProblem } from './errors.ts';

/** INTERFACE.md, to the letter; the last block are codes that only REST, tRPC and the console show. */
const httpStatus = {
  unauthenticated: 401,
  plan_required: 403,
  no_key: 403,
  key_unusable: 403,
  model_not_allowed: 403,
  invalid_input: 400,
  field_not_allowed: 400,
  wrong_provider: 400,
  not_found: 404,
  too_large: 413,
  budget_reached: 402,
  limit_reached: 429,
  platform_busy: 429,
  provider_unreachable: 502,
  provider_timeout: 504,
  platform_unavailable: 503,
  storage_unavailable: 503,
  busy: 503,
  draining: 503,

  second_factor_required: 401,
  forbidden: 403,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  unsupported_media: 415,
  internal: 500,
  invalid_config: 500,
} as const satisfies Record<ErrorCode, number>;

const codes = Object.keys(httpStatus) as ErrorCode[];

test('the table has exactly these codes', () => {
  expect(Object.keys(errorForms).sort()).toEqual([...codes].sort());
});

test.each(codes)('%s has its status in every shape', (code) => {
  const error = new AppError(code, 'A sentence.');
  expect(error.form.http).toBe(httpStatus[code]);
  expect(toProblem(error)).toMatchObject({ status: httpStatus[code], code });
  expect(trpcStatus[error.form.trpc]).toBe(httpStatus[code]);
  expect(anthropicStatus[error.form.anthropic] ?? []).toContain(httpStatus[code]);
});

/** @trpc/server 11, getHTTPStatusCode.ts */
const trpcStatus: Record<string, number> = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  PAYMENT_REQUIRED: 402,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_SUPPORTED: 405,
  TIMEOUT: 408,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  TOO_MANY_REQUESTS: 429,
  INTERNAL_SERVER_ERROR: 500,
  BAD_GATEWAY: 502,
  SERVICE_UNAVAILABLE: 503,
  GATEWAY_TIMEOUT: 504,
};

/** Anthropic's error types and the statuses under which its SDK's users meet them. */
const anthropicStatus: Record<string, readonly number[]> = {
  invalid_request_error: [400, 405, 409, 415],
  authentication_error: [401],
  billing_error: [402],
  permission_error: [403],
  not_found_error: [404],
  request_too_large: [413],
  rate_limit_error: [429],
  api_error: [500, 502, 503],
  timeout_error: [408, 504],
  overloaded_error: [503],
};

test('OpenAI clients read the sentence, the type and the code', () => {
  expect(toOpenAIError(new AppError('limit_reached', 'Your tier allows 10 requests a minute.', { retryAfterMs: 42_000 }))).toEqual({
    error: { message: 'Your tier allows 10 requests a minute.', type: 'requests', param: null, code: 'limit_reached' },
  });
});

test('Anthropic clients read the type that belongs to the status, the code in the details, and the request id', () => {
  expect(toAnthropicError(new AppError('plan_required', 'Your plan does not include own keys.'), 'req_1')).toEqual({
    type: 'error',
    error: { type: 'permission_error', message: 'Your plan does not include own keys.', details: { error_code: 'plan_required' } },
    request_id: 'req_1',
  });
});

test('REST clients read a problem, with the fields where there are some', () => {
  const errors = { apiKey: ['This is too short for a key.'] };
  expect(toProblem(new AppError('invalid_input', 'Look at the marked field.', { errors }))).toEqual({
    type: 'about:blank',
    title: 'Invalid input',
    status: 400,
    code: 'invalid_input',
    detail: 'Look at the marked field.',
    errors,
  });
  expect(toProblem(new AppError('not_found', 'There is no such key.'))).not.toHaveProperty('errors');
});

test.each(codes)('%s shows nothing of its cause outside', (code) => {
  const error = new AppError(code, 'A sentence.', { cause: new Error('planted-cause') });
  const outside = JSON.stringify([toProblem(error), toOpenAIError(error), toAnthropicError(error, 'req_1'), error]);
  expect(outside).not.toContain('planted-cause');
  expect(outside).not.toContain('errors.test.ts');
  expect(inspect(error)).toContain('planted-cause');
});

test('a retry is worth it exactly where time alone can help', () => {
  const mendedByTime = codes.filter((code) => new AppError(code, 'A sentence.').shouldRetry);
  expect(mendedByTime.sort()).toEqual(
    [
      'busy',
      'draining',
      'internal',
      'limit_reached',
      'platform_busy',
      'provider_timeout',
      'provider_unreachable',
      'request_timeout',
      'storage_unavailable',
    ].sort(),
  );
});

test.each([
  [undefined, true],
  [0, true],
  [1_000, true],
  [60_000, true],
  [60_001, false],
  [86_400_000, false],
])('waiting %s ms for a limit: an SDK may retry by itself: %s', (retryAfterMs, retry) => {
  expect(new AppError('limit_reached', 'Later.', retryAfterMs === undefined ? {} : { retryAfterMs }).shouldRetry).toBe(retry);
});

test.each([
  [undefined, undefined],
  [0, '1'],
  [1_001, '2'],
])('waiting %s ms is said to HTTP as %s', (retryAfterMs, retryAfter) => {
  expect(new AppError('limit_reached', 'Later.', { retryAfterMs }).retryAfter).toBe(retryAfter);
});

test('a short wait does not make a hopeless retry worth it', () => {
  expect(new AppError('no_key', 'Add a key.', { retryAfterMs: 1_000 }).shouldRetry).toBe(false);
});

test('an error of ours stays what it is', () => {
  const error = new AppError('not_found', 'There is no such key.');
  expect(toAppError(error)).toBe(error);
});

test.each([
  ['an error', new Error('SQLITE_CORRUPT planted-detail')],
  ['a text', 'planted-detail'],
  ['nothing', undefined],
])('%s from elsewhere becomes one sentence, and is kept for the log', (_what, thrown) => {
  const error = toAppError(thrown);
  expect(error.code).toBe('internal');
  expect(error.message).not.toContain('planted-detail');
  expect(JSON.stringify([toProblem(error), toOpenAIError(error)])).not.toContain('planted-detail');
  expect(error.cause).toBe(thrown);
});

test('an AppError is an Error with a name and a stack', () => {
  const error = new AppError('busy', 'Too much at once.');
  expect(error).toBeInstanceOf(Error);
  expect(error.name).toBe('AppError');
  expect(error.stack).toContain('AppError: Too much at once.');
  expect('cause' in error).toBe(false);
});
