/**
 * What a key can do, as data: the providers' own error answers (status, headers, body, texts), and names for the faults of a network.
 * Texts and codes: OpenAI's and Anthropic's "error codes" pages and answers quoted in public issues, as of 2026-11.
 */

export interface About {
  key: string;
  model: string;
  path: string;
}

export interface Row {
  status: number;
  headers?: Readonly<Record<string, string>>;
  body: string | ((about: About) => string);
  /** `inference`: met only where tokens are spent; listing models and counting tokens still work. Default: every route. */
  on?: 'inference';
  contentType?: string;
}

const retrySoon = { 'retry-after': '2', 'retry-after-ms': '1200' };
const exhausted = {
  'x-ratelimit-limit-requests': '500',
  'x-ratelimit-limit-tokens': '30000',
  'x-ratelimit-remaining-requests': '0',
  'x-ratelimit-remaining-tokens': '29973',
  'x-ratelimit-reset-requests': '1.2s',
  'x-ratelimit-reset-tokens': '54ms',
};

export function openaiError(message: string, type: string, code: string | null = null, param: string | null = null): string {
  return `${JSON.stringify({ error: { message, type, param, code } }, null, 4)}\n`;
}

export function anthropicError(type: string, message: string, errorCode?: string): string {
  const error = errorCode === undefined ? { type, message } : { type, message, details: { error_code: errorCode } };
  return JSON.stringify({ type: 'error', error, request_id: REQUEST_ID });
}
/** Stands in a body for the answer's own request id, which the sender fills in. */
export const REQUEST_ID = '{request-id}';

const quotaText =
  'You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.';
const invalid = 'invalid_request_error';

function spend(code: string, message: string): Row {
  return { status: 429, on: 'inference', headers: { 'x-should-retry': 'false' }, body: openaiError(message, 'insufficient_quota', code) };
}

/** OpenAI shows head and tail of the key that it refuses. */
function incorrectKey({ key }: About): string {
  const shown = key.length > 12 ? `${key.slice(0, 8)}${'*'.repeat(Math.min(key.length - 12, 40))}${key.slice(-4)}` : key;
  return openaiError(
    `Incorrect API key provided: ${shown}. You can find your API key at https://platform.openai.com/account/api-keys.`,
    invalid,
    'invalid_api_key',
  );
}

function missingScopes({ path }: About): string {
  const scope = path.startsWith('/v1/models')
    ? 'api.model.read'
    : path.startsWith('/v1/responses')
      ? 'api.responses.write'
      : 'model.request';
  return openaiError(
    `You have insufficient permissions for this operation. Missing scopes: ${scope}. Check that you have the correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're using a restricted API key, that it has the necessary scopes.`,
    invalid,
  );
}

export const openaiStates = {
  invalid_api_key: { status: 401, body: incorrectKey },
  account_deactivated: {
    status: 401,
    body: openaiError(
      'Your OpenAI account has been deactivated, please check your email for more information. If you feel this is an error, contact us through our help center at help.openai.com.',
      invalid,
      'account_deactivated',
    ),
  },
  missing_scopes: { status: 401, body: missingScopes },
  ip_not_authorized: {
    status: 401,
    body: openaiError(
      'Your IP address is not authorized to access this API. Please check the IP allowlist of your project.',
      invalid,
      'ip_not_authorized',
    ),
  },
  no_organization: {
    status: 401,
    body: openaiError('You must be a member of an organization to use the API.', invalid, 'no_organization'),
  },
  mismatched_organization: {
    status: 401,
    body: openaiError('OpenAI-Organization header should match organization for API key', invalid, 'mismatched_organization'),
  },
  unsupported_country: {
    status: 403,
    body: openaiError('Country, region, or territory not supported', 'request_forbidden', 'unsupported_country_region_territory'),
  },
  model_not_allowed: {
    status: 403,
    on: 'inference',
    body: ({ model }: About) =>
      openaiError(`Project \`proj_Q2hsb3JvZm9ybQ\` does not have access to model \`${model}\``, invalid, 'model_not_found'),
  },
  model_not_found: {
    status: 404,
    on: 'inference',
    body: ({ model }: About) =>
      openaiError(`The model \`${model}\` does not exist or you do not have access to it.`, invalid, 'model_not_found'),
  },
  invalid_request: {
    status: 400,
    on: 'inference',
    body: openaiError(
      "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead.",
      invalid,
      'invalid_type',
      'messages[0].content',
    ),
  },
  context_length_exceeded: {
    status: 400,
    on: 'inference',
    body: openaiError(
      "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens. Please reduce the length of the messages.",
      invalid,
      'context_length_exceeded',
      'messages',
    ),
  },
  content_policy_violation: {
    status: 400,
    on: 'inference',
    body: openaiError(
      'Your request was rejected as a result of our safety system. Your prompt may contain text that is not allowed by our safety system.',
      invalid,
      'content_policy_violation',
    ),
  },
  body_too_large: { status: 413, on: 'inference', body: openaiError('Request body too large.', invalid, 'request_too_large') },
  unprocessable: { status: 422, on: 'inference', body: openaiError('The request was well-formed but could not be processed.', invalid) },
  request_timeout: { status: 408, on: 'inference', body: openaiError('Request timed out.', 'server_error', 'request_timeout') },
  conflict: { status: 409, on: 'inference', body: openaiError('The resource was updated by another request.', invalid, 'conflict') },
  rate_limit_exceeded: {
    status: 429,
    on: 'inference',
    headers: { ...exhausted, ...retrySoon },
    body: ({ model }: About) =>
      openaiError(
        `Rate limit reached for ${model} in organization org-byokdemo on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 1.2s. Visit https://platform.openai.com/account/rate-limits to learn more.`,
        'requests',
        'rate_limit_exceeded',
      ),
  },
  slow_down: {
    status: 429,
    on: 'inference',
    headers: retrySoon,
    body: openaiError('Your request rate increased too quickly. Please slow down and try again.', 'rate_limit_error', 'slow_down'),
  },
  insufficient_quota: spend('insufficient_quota', quotaText),
  /** As some accounts still see it: the type says it, the code is null. */
  insufficient_quota_by_type: { status: 429, on: 'inference', body: openaiError(quotaText, 'insufficient_quota') },
  credit_balance_exhausted: spend(
    'credit_balance_exhausted',
    'Your organization has no prepaid credits remaining. Add credits to continue.',
  ),
  organization_spend_limit_exceeded: spend('organization_spend_limit_exceeded', 'Your organization reached its monthly spend limit.'),
  project_spend_limit_exceeded: spend('project_spend_limit_exceeded', 'Your project reached its monthly spend limit.'),
  organization_usage_limit_exceeded: spend('organization_usage_limit_exceeded', 'Your organization reached its approved usage limit.'),
  billing_not_active: {
    status: 429,
    on: 'inference',
    body: openaiError(
      'Your account is not active, please check your billing details on our website.',
      'billing_not_active',
      'billing_not_active',
    ),
  },
  billing_hard_limit_reached: {
    status: 400,
    on: 'inference',
    body: openaiError('Billing hard limit has been reached', invalid, 'billing_hard_limit_reached'),
  },
  payment_required: { status: 402, on: 'inference', body: openaiError('Payment required.', 'insufficient_quota', 'payment_required') },
  server_error: {
    status: 500,
    body: openaiError(
      'The server had an error while processing your request. Sorry about that! You can retry your request, or contact us through our help center at help.openai.com if the error persists.',
      'server_error',
    ),
  },
  server_is_overloaded: {
    status: 503,
    on: 'inference',
    headers: { 'retry-after': '5' },
    body: openaiError('The requested model is overloaded. Please try again later.', 'service_unavailable_error', 'server_is_overloaded'),
  },
  slow_down_503: {
    status: 503,
    on: 'inference',
    body: openaiError('Slow down: your request rate increased too quickly.', 'service_unavailable_error', 'slow_down'),
  },
} as const satisfies Record<string, Row>;

function regain(whose: string): string {
  return anthropicError(
    invalid,
    `You have reached your specified ${whose} usage limits. You will regain access on 2026-12-01 at 00:00 UTC.`,
  );
}
const noRetry = { 'x-should-retry': 'false' };
const retry = { 'x-should-retry': 'true' };

export const anthropicStates = {
  authentication_error: { status: 401, headers: noRetry, body: anthropicError('authentication_error', 'invalid x-api-key') },
  permission_error: {
    status: 403,
    headers: noRetry,
    body: anthropicError('permission_error', 'Your API key does not have permission to use the specified resource.'),
  },
  request_not_allowed: { status: 403, headers: noRetry, body: anthropicError('permission_error', 'Request not allowed') },
  not_found_error: {
    status: 404,
    on: 'inference',
    headers: noRetry,
    body: ({ model }: About) => anthropicError('not_found_error', `model: ${model}`),
  },
  invalid_request_error: {
    status: 400,
    on: 'inference',
    headers: noRetry,
    body: anthropicError(invalid, 'messages.0.content: Input should be a valid list'),
  },
  credit_balance_too_low: {
    status: 400,
    on: 'inference',
    headers: noRetry,
    body: anthropicError(
      invalid,
      'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.',
    ),
  },
  usage_limit_reached: { status: 400, on: 'inference', headers: noRetry, body: regain('API') },
  workspace_usage_limit_reached: { status: 400, on: 'inference', headers: noRetry, body: regain('workspace API') },
  billing_error: {
    status: 402,
    on: 'inference',
    headers: noRetry,
    body: anthropicError('billing_error', 'There is an issue with your billing or payment information.'),
  },
  linked_organization_spend_limit_reached: {
    status: 402,
    on: 'inference',
    headers: noRetry,
    body: anthropicError('billing_error', 'The linked organization has reached a spend limit.', 'linked_organization_spend_limit_reached'),
  },
  request_too_large: {
    status: 413,
    on: 'inference',
    headers: noRetry,
    body: anthropicError('request_too_large', 'Request exceeds the maximum size'),
  },
  unprocessable_entity: {
    status: 422,
    on: 'inference',
    headers: noRetry,
    body: anthropicError(invalid, 'The request could not be processed.'),
  },
  conflict_error: {
    status: 409,
    on: 'inference',
    headers: retry,
    body: anthropicError('conflict_error', 'The request conflicts with another one.'),
  },
  anthropic_timeout: { status: 408, on: 'inference', headers: retry, body: anthropicError('timeout_error', 'Request timed out') },
  rate_limit_error: {
    status: 429,
    on: 'inference',
    headers: {
      ...retry,
      'retry-after': '12',
      'anthropic-ratelimit-requests-limit': '50',
      'anthropic-ratelimit-requests-remaining': '0',
      'anthropic-ratelimit-requests-reset': '2026-12-01T00:00:12Z',
    },
    body: anthropicError(
      'rate_limit_error',
      "This request would exceed your organization's rate limit of 50 requests per minute (org: 6f1c4f5e-0000-4000-8000-000000000000). For details, refer to: https://docs.claude.com/en/api/rate-limits.",
    ),
  },
  ramp_limit_exceeded: {
    status: 429,
    on: 'inference',
    headers: { ...retry, 'retry-after': '30' },
    body: anthropicError('rate_limit_error', 'This request would exceed your ramp limit.', 'ramp_limit_exceeded'),
  },
  enforced_spend_limit_reached: {
    status: 429,
    on: 'inference',
    body: anthropicError(
      'rate_limit_error',
      'Your organization has crossed its monthly API usage threshold. You will regain access on 2026-12-01 at 00:00 UTC.',
      'enforced_spend_limit_reached',
    ),
  },
  contract_spend_limit_reached: {
    status: 429,
    on: 'inference',
    body: anthropicError(
      'rate_limit_error',
      'Your organization has reached the spend limit of its contract.',
      'contract_spend_limit_reached',
    ),
  },
  api_error: { status: 500, headers: retry, body: anthropicError('api_error', 'Internal server error') },
  gateway_timeout: { status: 504, on: 'inference', headers: retry, body: anthropicError('timeout_error', 'Gateway timeout') },
  overloaded_error: { status: 529, on: 'inference', headers: retry, body: anthropicError('overloaded_error', 'Overloaded') },
} as const satisfies Record<string, Row>;

const badGateway = `<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n`;

function redirect(status: number): Row {
  return { status, contentType: 'text/html', body: '<html><body>Moved</body></html>\n' };
}

type Pair = { openai: keyof typeof openaiStates; anthropic: keyof typeof anthropicStates };

/** One name for both providers: each answers in its own words. */
export const sharedStates = {
  revoked: { openai: 'invalid_api_key', anthropic: 'authentication_error' },
  no_credit: { openai: 'insufficient_quota', anthropic: 'credit_balance_too_low' },
  rate_limited: { openai: 'rate_limit_exceeded', anthropic: 'rate_limit_error' },
  forbidden: { openai: 'unsupported_country', anthropic: 'permission_error' },
  no_model: { openai: 'model_not_found', anthropic: 'not_found_error' },
  invalid: { openai: 'invalid_request', anthropic: 'invalid_request_error' },
  unpaid: { openai: 'payment_required', anthropic: 'billing_error' },
  too_large: { openai: 'body_too_large', anthropic: 'request_too_large' },
  timed_out: { openai: 'request_timeout', anthropic: 'anthropic_timeout' },
  down: { openai: 'server_error', anthropic: 'api_error' },
  overloaded: { openai: 'server_is_overloaded', anthropic: 'overloaded_error' },
  bad_gateway: { status: 502, contentType: 'text/html', body: badGateway },
  redirect_301: redirect(301),
  redirect_302: redirect(302),
  redirect_303: redirect(303),
  redirect_307: redirect(307),
  redirect_308: redirect(308),
} as const satisfies Record<string, Pair | Row>;

/** Good answers, and good answers that go wrong on the way: fragments of `Answer`. */
export const transportStates = {
  good: {},
  gzip: { encoding: 'gzip' },
  br: { encoding: 'br' },
  drip: { drip: true },
  sse_error: { fault: 'error_event', afterChunks: 0, error: 'overloaded' },
  silent: { fault: 'silent' },
  refuse: { fault: 'refuse' },
  reset: { fault: 'reset' },
  silent_after_head: { fault: 'silent_after_head' },
  reset_after_head: { fault: 'reset_after_head' },
  stall: { fault: 'stall' },
  reset_mid_stream: { fault: 'reset_mid_stream' },
  reset_mid_event: { fault: 'reset_mid_event' },
  truncated: { fault: 'truncated' },
  close_early: { fault: 'close_early' },
  close_mid_event: { fault: 'close_mid_event' },
  endless: { fault: 'endless' },
  long_line: { fault: 'long_line' },
  malformed: { fault: 'malformed' },
} as const;
