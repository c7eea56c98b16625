/**
 * One error class, a closed set of codes, and one table that says how each code looks from outside.
 * Nothing else in the house builds an error answer.
 */

/** The names of tRPC's error codes that we use. */
type TrpcCode =
  | 'BAD_REQUEST'
  | 'UNAUTHORIZED'
  | 'PAYMENT_REQUIRED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_SUPPORTED'
  | 'TIMEOUT'
  | 'CONFLICT'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'TOO_MANY_REQUESTS'
  | 'INTERNAL_SERVER_ERROR'
  | 'BAD_GATEWAY'
  | 'SERVICE_UNAVAILABLE'
  | 'GATEWAY_TIMEOUT';

interface ErrorForm {
  http: number;
  trpc: TrpcCode;
  /** `error.type` in OpenAI's shape. */
  openai: string;
  /** `error.type` in Anthropic's shape. */
  anthropic: string;
  /** False: trying again without a change cannot help, so clients are told `x-should-retry: false`. */
  retry: boolean;
  title: string;
}

const form = (http: number, trpc: TrpcCode, openai: string, anthropic: string, retry: boolean, title: string): ErrorForm => ({
  http,
  trpc,
  openai,
  anthropic,
  retry,
  title,
});

export const errorForms = {
  invalid_input: form(400, 'BAD_REQUEST', 'invalid_request_error', 'invalid_request_error', false, 'Invalid input'),
  field_not_allowed: form(400, 'BAD_REQUEST', 'invalid_request_error', 'invalid_request_error', false, 'Field not allowed'),
  wrong_provider: form(400, 'BAD_REQUEST', 'invalid_request_error', 'invalid_request_error', false, 'Wrong provider'),
  unauthenticated: form(401, 'UNAUTHORIZED', 'invalid_request_error', 'authentication_error', false, 'Not signed in'),
  second_factor_required: form(401, 'UNAUTHORIZED', 'invalid_request_error', 'authentication_error', false, 'Second factor required'),
  budget_reached: form(402, 'PAYMENT_REQUIRED', 'insufficient_quota', 'billing_error', false, 'Budget reached'),
  forbidden: form(403, 'FORBIDDEN', 'invalid_request_error', 'permission_error', false, 'Not allowed'),
  plan_required: form(403, 'FORBIDDEN', 'invalid_request_error', 'permission_error', false, 'Plan required'),
  no_key: form(403, 'FORBIDDEN', 'invalid_request_error', 'permission_error', false, 'No key'),
  key_unusable: form(403, 'FORBIDDEN', 'invalid_request_error', 'permission_error', false, 'Key unusable'),
  model_not_allowed: form(403, 'FORBIDDEN', 'invalid_request_error', 'permission_error', false, 'Model not allowed'),
  not_found: form(404, 'NOT_FOUND', 'invalid_request_error', 'not_found_error', false, 'Not found'),
  method_not_allowed: form(405, 'METHOD_NOT_SUPPORTED', 'invalid_request_error', 'invalid_request_error', false, 'Method not allowed'),
  request_timeout: form(408, 'TIMEOUT', 'server_error', 'timeout_error', true, 'Request too slow'),
  conflict: form(409, 'CONFLICT', 'invalid_request_error', 'invalid_request_error', false, 'Conflict'),
  too_large: form(413, 'PAYLOAD_TOO_LARGE', 'invalid_request_error', 'request_too_large', false, 'Too large'),
  unsupported_media: form(415, 'UNSUPPORTED_MEDIA_TYPE', 'invalid_request_error', 'invalid_request_error', false, 'Unsupported media type'),
  limit_reached: form(429, 'TOO_MANY_REQUESTS', 'requests', 'rate_limit_error', true, 'Limit reached'),
  platform_busy: form(429, 'TOO_MANY_REQUESTS', 'requests', 'rate_limit_error', true, 'Platform busy'),
  internal: form(500, 'INTERNAL_SERVER_ERROR', 'server_error', 'api_error', true, 'Internal error'),
  provider_unreachable: form(502, 'BAD_GATEWAY', 'server_error', 'api_error', true, 'Provider unreachable'),
  platform_unavailable: form(503, 'SERVICE_UNAVAILABLE', 'server_error', 'api_error', false, 'Platform unavailable'),
  storage_unavailable: form(503, 'SERVICE_UNAVAILABLE', 'server_error', 'api_error', true, 'Storage unavailable'),
  busy: form(503, 'SERVICE_UNAVAILABLE', 'server_error', 'overloaded_error', true, 'Busy'),
  draining: form(503, 'SERVICE_UNAVAILABLE', 'server_error', 'overloaded_error', true, 'Shutting down'),
  provider_timeout: form(504, 'GATEWAY_TIMEOUT', 'server_error', 'timeout_error', true, 'Provider timeout'),
  /** Before there is anybody to answer: the process prints the sentence and stops. */
  invalid_config: form(500, 'INTERNAL_SERVER_ERROR', 'server_error', 'api_error', false, 'Invalid configuration'),
} as const satisfies Record<string, ErrorForm>;

export type ErrorCode = keyof typeof errorForms;

export interface ErrorOptions {
  cause?: unknown;
  /** How long the caller should wait before it tries again, in milliseconds. */
  retryAfterMs?: number | undefined;
  /** Field -> what to do about it. */
  errors?: Record<string, string[]> | undefined;
  /** Headers that every answer with this error carries, such as the state of the limits. */
  headers?: Record<string, string> | undefined;
}

/** The one error that crosses a module's door: a closed code, and a sentence fit for a stranger. The cause is for the log. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly errors: Record<string, string[]> | undefined;
  readonly headers: Record<string, string> | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.errors = options.errors;
    this.headers = options.headers;
  }

  get form(): ErrorForm {
    return errorForms[this.code];
  }

  /** The wait as the header `retry-after` has it: in whole seconds, and never none. */
  get retryAfter(): string | undefined {
    return this.retryAfterMs === undefined ? undefined : String(Math.max(1, Math.ceil(this.retryAfterMs / 1_000)));
  }

  /** The same error with more headers on its answer. */
  with(headers: Record<string, string>): AppError {
    return Object.assign(
      new AppError(this.code, this.message, {
        cause: this,
        retryAfterMs: this.retryAfterMs,
        errors: this.errors,
        headers: { ...headers, ...this.headers },
      }),
      {
        stack: this.stack,
      },
    );
  }

  /** False where only a change by the user can help; above a minute of waiting, SDKs must not sleep on their own either. */
  get shouldRetry(): boolean {
    return this.form.retry && (this.retryAfterMs ?? 0) <= 60_000;
  }
}

/** What is wrong with one field of an input, and what to do. */
export function wrongField(field: string, sentence: string, cause?: unknown): AppError {
  return new AppError('invalid_input', `${field}: ${sentence}`, { errors: { [field]: [sentence] }, cause });
}

/** Whatever was thrown, as an AppError: strangers see `internal` and one sentence, the cause keeps the rest for the log. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  // Drizzle wraps what its driver threw, and puts the statement's parameters into the wrapper's message.
  if (thrown instanceof Error && thrown.cause instanceof AppError) return thrown.cause;
  return new AppError('internal', 'Something went wrong on this server. Please try again; its log says more.', { cause: thrown });
}

/** RFC 9457, the shape of every REST error. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  errors?: Record<string, string[]>;
}

export function toProblem(error: AppError): Problem {
  return {
    type: 'about:blank',
    title: error.form.title,
    status: error.form.http,
    code: error.code,
    detail: error.message,
    ...(error.errors && { errors: error.errors }),
  };
}

export function toOpenAIError(error: AppError): unknown {
  return { error: { message: error.message, type: error.form.openai, param: null, code: error.code } };
}

export function toAnthropicError(error: AppError, requestId: string): unknown {
  return {
    type: 'error',
    error: { type: error.form.anthropic, message: error.message, details: { error_code: error.code } },
    request_id: requestId,
  };
}
