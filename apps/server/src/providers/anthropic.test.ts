import { describe, expect, test } from 'vitest';
import { anthropic } from './anthropic.ts';
import type { AskAnswer, AskRequest, Outcome } from './provider.ts';

const messages = anthropic.routes[0]?.usage;
if (!messages) throw new Error('messages read no usage');

const wire = (event: Record<string, unknown>): [string, string] => [String(event.type), JSON.stringify(event)];

function feed(events: Record<string, unknown>[]) {
  const stream = messages?.stream();
  if (!stream) throw new Error('no stream');
  const verdicts = events.map((event) => stream.event(...wire(event)));
  return { verdicts, usage: stream.usage(), text: stream.text() };
}

test('the routes are those of INTERFACE.md, and no others', () => {
  expect(
    anthropic.routes.map(({ method, path, stateless, body, outputCap }) => `${method} ${path} ${stateless} ${body} ${outputCap ?? ''}`),
  ).toEqual([
    'POST /v1/messages true json max_tokens',
    'POST /v1/messages/count_tokens true json ',
    'GET /v1/models true none ',
    'GET /v1/models/{id} true none ',
  ]);
});

describe('usage in a plain answer', () => {
  test('cached input stands beside the input and is added to it', () => {
    const usage = {
      input_tokens: 10,
      cache_creation_input_tokens: 100,
      cache_read_input_tokens: 1_000,
      cache_creation: { ephemeral_5m_input_tokens: 60, ephemeral_1h_input_tokens: 40 },
      output_tokens: 7,
      output_tokens_details: { thinking_tokens: 3 },
    };
    expect(messages.plain({ model: 'claude-haiku-4-5-20251001', usage })).toEqual({
      model: 'claude-haiku-4-5-20251001',
      tokens: {
        input: 1_110,
        cachedInput: 1_000,
        cacheWrite: 100,
        cacheWrite1h: 40,
        audioInput: 0,
        output: 7,
        reasoning: 3,
        audioOutput: 0,
      },
      total: 1_117,
    });
  });

  test('nulls and missing fields count nothing', () => {
    const usage = {
      input_tokens: 10,
      cache_creation_input_tokens: null,
      cache_read_input_tokens: null,
      cache_creation: null,
      output_tokens: 5,
    };
    expect(messages.plain({ model: 'm', usage })).toMatchObject({
      tokens: { input: 10, cachedInput: 0, cacheWrite: 0, output: 5 },
      total: 15,
    });
    expect(messages.plain({ usage: {} })).toBeNull();
    expect(messages.plain(undefined)).toBeNull();
  });

  test('iterations are the whole, counted once, where there are any', () => {
    const usage = {
      input_tokens: 30,
      output_tokens: 20,
      iterations: [
        {
          type: 'compaction',
          input_tokens: 500,
          output_tokens: 50,
          cache_read_input_tokens: 0,
          cache_creation_input_tokens: 0,
          cache_creation: null,
        },
        {
          type: 'message',
          input_tokens: 30,
          output_tokens: 20,
          cache_read_input_tokens: 5,
          cache_creation_input_tokens: 8,
          cache_creation: { ephemeral_1h_input_tokens: 8, ephemeral_5m_input_tokens: 0 },
        },
      ],
    };
    expect(messages.plain({ model: 'm', usage })).toMatchObject({
      tokens: { input: 543, cachedInput: 5, cacheWrite: 8, cacheWrite1h: 8, output: 70 },
      total: 613,
    });
    for (const iterations of [[], null]) expect(messages.plain({ usage: { ...usage, iterations } })?.total).toBe(50);
  });
});

describe('a stream', () => {
  const start = {
    type: 'message_start',
    message: {
      model: 'claude-haiku-4-5-20251001',
      usage: {
        input_tokens: 25,
        cache_creation_input_tokens: 10,
        cache_read_input_tokens: 5,
        cache_creation: { ephemeral_1h_input_tokens: 10, ephemeral_5m_input_tokens: 0 },
        output_tokens: 1,
      },
    },
  };
  const delta = (text: string) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });

  test('adds up what message_start and the last message_delta tell, which are sums already', () => {
    const { verdicts, usage, text } = feed([
      start,
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'ping' },
      delta('Hel'),
      delta('lo'),
      { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"a":1}' } },
      { type: 'content_block_delta', index: 2, delta: { type: 'signature_delta', signature: 'zzz' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: {}, usage: { output_tokens: 4, input_tokens: null } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 12, cache_read_input_tokens: 5 } },
      { type: 'message_stop' },
    ]);
    expect(verdicts).toEqual([...Array(10).fill('pass'), 'terminal']);
    expect(usage).toEqual({
      model: 'claude-haiku-4-5-20251001',
      tokens: { input: 40, cachedInput: 5, cacheWrite: 10, cacheWrite1h: 10, audioInput: 0, output: 12, reasoning: 0, audioOutput: 0 },
      total: 52,
    });
    expect(text).toBe('Hello{"a":1}');
  });

  test('knows the input from its first event on', () => {
    expect(feed([start, delta('Hi')])).toMatchObject({ usage: { tokens: { input: 40, output: 1 } }, text: 'Hi' });
    expect(feed([]).usage).toBeNull();
  });

  test('takes the iterations of the last message_delta as the whole', () => {
    const iteration = { type: 'message', input_tokens: 100, output_tokens: 10, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
    const { usage } = feed([
      start,
      { type: 'message_delta', delta: {}, usage: { output_tokens: 10, iterations: [iteration] } },
      { type: 'message_delta', delta: {}, usage: { output_tokens: 20, iterations: [iteration, iteration] } },
      { type: 'message_stop' },
    ]);
    expect(usage).toMatchObject({ tokens: { input: 200, output: 20, cacheWrite: 0 }, total: 220 });
  });

  test('says that an error is one', () => {
    expect(feed([start, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }]).verdicts).toEqual([
      'pass',
      'error',
    ]);
  });
});

const error = (type: string, message = 'x', details?: unknown) => ({
  type: 'error',
  error: { type, message, ...(details ? { details } : {}) },
});

describe('what an answer says about the key', () => {
  const rows: [string, number, unknown, Outcome][] = [
    ['an answer', 200, {}, 'ok'],
    ['a wrong key', 401, error('authentication_error', 'invalid x-api-key'), 'bad_key'],
    ['another 401', 401, error('permission_error'), 'not_allowed'],
    ['a 401 without a body', 401, undefined, 'not_allowed'],
    ['no permission', 403, error('permission_error'), 'not_allowed'],
    ['a bill', 402, error('billing_error'), 'no_credit'],
    ['an enforced limit', 429, error('rate_limit_error', 'x', { error_code: 'enforced_spend_limit_reached' }), 'no_credit'],
    ['a contract limit', 429, error('rate_limit_error', 'x', { error_code: 'contract_spend_limit_reached' }), 'no_credit'],
    ['a ramp limit', 429, error('rate_limit_error', 'x', { error_code: 'ramp_limit_exceeded' }), 'rate_limited'],
    ['a rate limit', 429, error('rate_limit_error'), 'rate_limited'],
    ['no balance', 400, error('invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'), 'no_credit'],
    [
      'own limit',
      400,
      error('invalid_request_error', 'You have reached your specified API usage limits. You will regain access on'),
      'no_credit',
    ],
    ['workspace limit', 400, error('invalid_request_error', 'You have reached your specified workspace API usage limits.'), 'no_credit'],
    ['the words elsewhere', 400, error('invalid_request_error', 'messages: Your credit balance is too low'), 'refused'],
    ['a bad request', 400, error('invalid_request_error'), 'refused'],
    ['no such model', 404, error('not_found_error'), 'refused'],
    ['too large', 413, error('request_too_large'), 'refused'],
    ['not understood', 422, undefined, 'refused'],
    ['too slow a request', 408, undefined, 'down'],
    ['a fault', 500, error('api_error'), 'down'],
    ['a slow gateway', 504, error('timeout_error'), 'down'],
    ['overloaded', 529, error('overloaded_error'), 'down'],
    ['a redirect', 307, undefined, 'down'],
  ];
  test.each(rows)('%s (%i)', (_what, status, body, outcome) => {
    expect(anthropic.classify(status, body)).toBe(outcome);
  });

  test.each<[unknown, Outcome]>([
    [error('authentication_error'), 'bad_key'],
    [error('billing_error'), 'no_credit'],
    [error('rate_limit_error', 'x', { error_code: 'enforced_spend_limit_reached' }), 'no_credit'],
    [error('rate_limit_error'), 'rate_limited'],
    [error('permission_error'), 'not_allowed'],
    [error('invalid_request_error'), 'refused'],
    [error('overloaded_error'), 'down'],
    [error('something_new'), 'down'],
    [error('constructor'), 'down'],
  ])('an error inside a stream: %j', (event, outcome) => {
    expect(anthropic.classifyEvent(JSON.stringify(event))).toBe(outcome);
  });
});

describe('a check', () => {
  const missing: AskAnswer = { status: 404, body: error('not_found_error', 'model: ...') };
  const offer = (...ids: string[]): AskAnswer => ({ status: 200, body: { data: ids.map((id) => ({ type: 'model', id })) } });

  /** Answers each request by what it asks for, and notes it. */
  function provider(answers: Record<string, AskAnswer>) {
    const asked: string[] = [];
    const ask = async ({ method, path, body }: AskRequest) => {
      const model = (body as { model?: string } | undefined)?.model;
      asked.push(model ?? `${method} ${path}`);
      return answers[model ?? path] ?? missing;
    };
    return { ask, asked };
  }

  test('asks for one token of the cheapest current model', async () => {
    const requests: AskRequest[] = [];
    const result = await anthropic.check(async (request) => {
      requests.push(request);
      return { status: 200, body: {} };
    });
    expect(result).toMatchObject({ status: 'valid', lastError: null });
    expect(requests).toEqual([
      {
        method: 'POST',
        path: '/v1/messages',
        body: { model: 'claude-haiku-4-5', max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] },
      },
    ]);
  });

  test('goes on to the cheapest model that the account has', async () => {
    const { ask, asked } = provider({
      '/v1/models': offer('claude-opus-5-5', 'claude-unheard-of', 'claude-sonnet-5', 'claude-haiku-4-5'),
      'claude-sonnet-5': { status: 200, body: {} },
    });
    expect(await anthropic.check(ask)).toMatchObject({ status: 'valid', lastError: null });
    expect(asked).toEqual(['claude-haiku-4-5', 'GET /v1/models', 'claude-sonnet-5']);
  });

  test('tries three of them, and then says that the key is genuine but has no model', async () => {
    const { ask, asked } = provider({ '/v1/models': offer('a', 'b', 'c', 'd', 'e') });
    const result = await anthropic.check(ask);
    expect(result.status).toBe('valid');
    expect(result.lastError).toMatch(/none of the models/);
    expect(asked).toHaveLength(5);
  });

  test('says what the list of models says, if that is refused', async () => {
    const { ask } = provider({ '/v1/models': { status: 401, body: error('authentication_error') } });
    expect(await anthropic.check(ask)).toMatchObject({ status: 'invalid' });
  });

  test('a 404 of another shape is not from Anthropic', async () => {
    const { status, lastError } = await anthropic.check(async () => ({ status: 404, body: undefined }));
    expect(status).toBe('unverified');
    expect(lastError).toMatch(/administrator/);
  });
});
