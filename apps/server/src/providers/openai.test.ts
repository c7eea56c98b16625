import { describe, expect, test } from 'vitest';
import { openai } from './openai.ts';
import type { Outcome, UsageReader } from './provider.ts';

const reader = (path: string): UsageReader => {
  const usage = openai.routes.find((route) => route.method === 'POST' && route.path === path)?.usage;
  if (!usage) throw new Error(`${path} reads no usage`);
  return usage;
};

/** Feeds a stream and returns what was said of each event. */
function feed(path: string, events: ([string, unknown] | string)[]) {
  const stream = reader(path).stream();
  const verdicts = events.map((event) => {
    if (typeof event === 'string') return stream.event('', event);
    return stream.event(event[0], JSON.stringify(event[1]));
  });
  return { verdicts, usage: stream.usage(), text: stream.text() };
}

const chunk = (delta: unknown, more = {}) =>
  JSON.stringify({ object: 'chat.completion.chunk', model: 'gpt-4o-2024-08-06', choices: [{ index: 0, delta }], ...more });

test('the routes are those of INTERFACE.md, and no others', () => {
  expect(
    openai.routes.map(({ method, path, stateless, body }) => `${method} ${path} ${stateless ? 'stateless' : 'stateful'} ${body}`),
  ).toEqual([
    'POST /v1/chat/completions stateless json',
    'POST /v1/responses stateless json',
    'GET /v1/responses/{id} stateful none',
    'DELETE /v1/responses/{id} stateful none',
    'POST /v1/responses/{id}/cancel stateful none',
    'GET /v1/responses/{id}/input_items stateful none',
    'POST /v1/embeddings stateless json',
    'POST /v1/completions stateless json',
    'POST /v1/moderations stateless json',
    'POST /v1/images/generations stateless json',
    'POST /v1/audio/speech stateless json',
    'POST /v1/audio/transcriptions stateless multipart',
    'GET /v1/models stateless none',
    'GET /v1/models/{id} stateless none',
  ]);
  expect(openai.routes.filter((route) => route.asksForUsage).map((route) => route.path)).toEqual([
    '/v1/chat/completions',
    '/v1/completions',
  ]);
  expect(Object.fromEntries(openai.routes.flatMap((route) => (route.outputCap ? [[route.path, route.outputCap]] : [])))).toEqual({
    '/v1/chat/completions': ['max_completion_tokens', 'max_tokens'],
    '/v1/responses': ['max_output_tokens'],
    '/v1/completions': ['max_tokens'],
  });
});

describe('usage in a plain answer', () => {
  test('chat: cached, audio and reasoning tokens are inside their whole', () => {
    const body = {
      model: 'gpt-4o-2024-08-06',
      usage: {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 40, audio_tokens: 10, cache_write_tokens: 20, image_tokens: 7 },
        completion_tokens_details: { reasoning_tokens: 30, audio_tokens: 5 },
      },
    };
    expect(reader('/v1/chat/completions').plain(body)).toEqual({
      model: 'gpt-4o-2024-08-06',
      tokens: { input: 100, cachedInput: 40, cacheWrite: 20, cacheWrite1h: 0, audioInput: 10, output: 50, reasoning: 30, audioOutput: 5 },
      total: 150,
    });
  });

  test('responses', () => {
    const usage = {
      input_tokens: 9,
      output_tokens: 4,
      total_tokens: 13,
      input_tokens_details: { cached_tokens: 3 },
      output_tokens_details: { reasoning_tokens: 2 },
    };
    expect(reader('/v1/responses').plain({ model: 'gpt-5', usage })).toMatchObject({
      model: 'gpt-5',
      tokens: { input: 9, cachedInput: 3, output: 4, reasoning: 2 },
      total: 13,
    });
  });

  test('embeddings have input only', () => {
    const body = { model: 'text-embedding-3-small', usage: { prompt_tokens: 8, total_tokens: 8 } };
    expect(reader('/v1/embeddings').plain(body)).toMatchObject({ tokens: { input: 8, output: 0 }, total: 8 });
  });

  test('images: image tokens take the place of the dearer medium', () => {
    const usage = {
      input_tokens: 50,
      input_tokens_details: { text_tokens: 10, image_tokens: 40 },
      output_tokens: 1_000,
      output_tokens_details: { image_tokens: 900, text_tokens: 100 },
      total_tokens: 1_050,
    };
    expect(reader('/v1/images/generations').plain({ usage })).toMatchObject({
      model: null,
      tokens: { input: 50, audioInput: 40, output: 1_000, audioOutput: 900 },
      total: 1_050,
    });
  });

  test('transcriptions: tokens where they are told, nothing where minutes are', () => {
    const { plain } = reader('/v1/audio/transcriptions');
    const usage = {
      type: 'tokens',
      input_tokens: 14,
      input_token_details: { audio_tokens: 12, text_tokens: 2 },
      output_tokens: 5,
      total_tokens: 19,
    };
    expect(plain({ text: 'hi', usage })).toMatchObject({ tokens: { input: 14, audioInput: 12, output: 5 }, total: 19 });
    expect(plain({ text: 'hi', usage: { type: 'duration', seconds: 9 } })).toBeNull();
    expect(plain(undefined)).toBeNull();
  });

  test('without a total, input and output are added up; odd values count nothing', () => {
    expect(reader('/v1/chat/completions').plain({ usage: { prompt_tokens: 3, completion_tokens: 4 } })?.total).toBe(7);
    expect(reader('/v1/chat/completions').plain({ usage: { prompt_tokens: 3, completion_tokens: -4, total_tokens: '9' } })).toMatchObject({
      tokens: { input: 3, output: 0 },
      total: 3,
    });
    for (const usage of [null, {}, [], 'x', { prompt_tokens: 1.5 }]) expect(reader('/v1/chat/completions').plain({ usage })).toBeNull();
  });
});

describe('a stream of chat completions', () => {
  const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };

  test('tells usage in an event of its own, and ends with [DONE]', () => {
    const {
      verdicts,
      usage: read,
      text,
    } = feed('/v1/chat/completions', [
      chunk({ role: 'assistant', content: '' }, { usage: null }),
      chunk({ content: 'Hel' }, { usage: null }),
      chunk({ content: 'lo' }, { usage: null }),
      chunk({}, { usage: null }),
      JSON.stringify({ model: 'gpt-4o-2024-08-06', choices: [], usage }),
      '[DONE]',
    ]);
    expect(verdicts).toEqual(['pass', 'pass', 'pass', 'pass', 'usage_only', 'terminal']);
    expect(read).toMatchObject({ model: 'gpt-4o-2024-08-06', tokens: { input: 5, output: 2 }, total: 7 });
    expect(text).toBe('Hello');
  });

  test('an event with empty choices and no usage object is not taken out, nor one with choices and usage', () => {
    const { verdicts, usage: read } = feed('/v1/chat/completions', [
      JSON.stringify({ choices: [], prompt_filter_results: [] }),
      JSON.stringify({ choices: [], usage: null }),
      chunk({ content: '!' }, { usage }),
    ]);
    expect(verdicts).toEqual(['pass', 'pass', 'pass']);
    expect(read?.total).toBe(7);
  });

  test('is read with any white space, and text that speaks of usage is only text', () => {
    const spaced = JSON.stringify({ choices: [], usage }, null, 1).replace('"usage":', '"usage" : ');
    expect(feed('/v1/chat/completions', [spaced]).verdicts).toEqual(['usage_only']);
    const said = '"usage":{"prompt_tokens":99} "choices":[]';
    const { verdicts, usage: read, text } = feed('/v1/chat/completions', [chunk({ content: said }), chunk({ content: 'usage' })]);
    expect(verdicts).toEqual(['pass', 'pass']);
    expect(read).toBeNull();
    expect(text).toBe(`${said}usage`);
  });

  test('text is what the model wrote: content, refusals, tool calls', () => {
    const { text } = feed('/v1/chat/completions', [
      chunk({ refusal: 'No. ' }),
      chunk({ tool_calls: [{ index: 0, function: { name: 'find', arguments: '' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"q":1}' } }] }),
      chunk({ audio: { data: 'AAAA', transcript: ' Yes' } }),
    ]);
    expect(text).toBe('No. find{"q":1} Yes');
  });

  test('an error in the stream is said to be one', () => {
    const error = { error: { message: 'The server had an error', type: 'server_error', code: null } };
    expect(feed('/v1/chat/completions', [JSON.stringify(error)]).verdicts).toEqual(['error']);
    expect(feed('/v1/chat/completions', [['error', error]]).verdicts).toEqual(['error']);
  });

  test('of a very long text a megabyte is kept', () => {
    const stream = reader('/v1/chat/completions').stream();
    const data = chunk({ content: 'x'.repeat(1_000) });
    for (let i = 0; i < 5_000; i += 1) stream.event('', data);
    expect(stream.text()).toHaveLength(1_048_576);
  });
});

test('a stream of text completions', () => {
  const { verdicts, text, usage } = feed('/v1/completions', [
    JSON.stringify({ choices: [{ text: 'Hi', index: 0 }], usage: null }),
    JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }),
    '[DONE]',
  ]);
  expect(verdicts).toEqual(['pass', 'usage_only', 'terminal']);
  expect(text).toBe('Hi');
  expect(usage?.total).toBe(2);
});

describe('a stream of responses', () => {
  const usage = { input_tokens: 5, output_tokens: 2, total_tokens: 7 };

  test.each(['completed', 'incomplete', 'failed'])('ends with response.%s, which tells the usage', (last) => {
    const {
      verdicts,
      usage: read,
      text,
    } = feed('/v1/responses', [
      ['response.created', { type: 'response.created', response: { model: 'gpt-5', usage: null } }],
      ['response.output_text.delta', { type: 'response.output_text.delta', delta: 'Hel' }],
      ['response.output_text.delta', { type: 'response.output_text.delta', delta: 'lo' }],
      ['response.audio.delta', { type: 'response.audio.delta', delta: 'AAAA' }],
      ['response.output_text.done', { type: 'response.output_text.done', text: 'Hello' }],
      [`response.${last}`, { type: `response.${last}`, response: { model: 'gpt-5', usage } }],
    ]);
    expect(verdicts).toEqual(['pass', 'pass', 'pass', 'pass', 'pass', 'terminal']);
    expect(read).toMatchObject({ model: 'gpt-5', total: 7 });
    expect(text).toBe('Hello');
  });

  test('is understood without `event:` lines', () => {
    const { verdicts, usage: read } = feed('/v1/responses', [
      JSON.stringify({ type: 'response.output_text.delta', delta: 'x' }),
      JSON.stringify({ type: 'response.completed', response: { usage } }),
    ]);
    expect(verdicts).toEqual(['pass', 'terminal']);
    expect(read?.total).toBe(7);
  });

  test('an error event is said to be one', () => {
    expect(feed('/v1/responses', [['error', { type: 'error', code: 'server_error', message: 'x' }]]).verdicts).toEqual(['error']);
  });
});

test('streams of images, speech and transcriptions tell usage in their last event and have no terminal one', () => {
  const usage = { input_tokens: 5, output_tokens: 2, total_tokens: 7, input_tokens_details: { image_tokens: 3 } };
  const images = feed('/v1/images/generations', [
    ['image_generation.partial_image', { b64_json: 'AAAA' }],
    ['image_generation.completed', { b64_json: 'AAAA', usage }],
  ]);
  expect(images).toMatchObject({ verdicts: ['pass', 'pass'], usage: { tokens: { input: 5, audioInput: 3 }, total: 7 }, text: '' });
  expect(feed('/v1/audio/speech', [['speech.audio.done', { type: 'speech.audio.done', usage }]])).toMatchObject({
    verdicts: ['pass'],
    usage: { total: 7 },
  });
  const heard = feed('/v1/audio/transcriptions', [
    ['transcript.text.delta', { type: 'transcript.text.delta', delta: 'Hi' }],
    ['transcript.text.done', { type: 'transcript.text.done', text: 'Hi', usage: { ...usage, input_token_details: { audio_tokens: 4 } } }],
  ]);
  expect(heard).toMatchObject({ verdicts: ['pass', 'pass'], usage: { total: 7 }, text: 'Hi' });
});

describe('what an answer says about the key', () => {
  const error = (code: string | null, type = 'invalid_request_error') => ({ error: { message: 'x', type, param: null, code } });
  const rows: [string, number, unknown, Outcome][] = [
    ['an answer', 200, {}, 'ok'],
    ['a created thing', 201, undefined, 'ok'],
    ['a wrong key', 401, error('invalid_api_key'), 'bad_key'],
    ['a deactivated account', 401, error('account_deactivated'), 'bad_key'],
    ['missing scopes', 401, error(null), 'not_allowed'],
    ['a foreign organisation', 401, error('mismatched_organization'), 'not_allowed'],
    ['an address that is not allowed', 401, error('ip_not_authorized'), 'not_allowed'],
    ['a 401 without a body', 401, undefined, 'not_allowed'],
    ['a country that is not served', 403, error('unsupported_country_region_territory', 'request_forbidden'), 'not_allowed'],
    ['a bill', 402, undefined, 'no_credit'],
    ['no quota by type', 429, error(null, 'insufficient_quota'), 'no_credit'],
    ['no quota by code', 429, error('insufficient_quota', 'x'), 'no_credit'],
    ['no balance', 429, error('credit_balance_exhausted'), 'no_credit'],
    ['the organisation spent', 429, error('organization_spend_limit_exceeded'), 'no_credit'],
    ['the project spent', 429, error('project_spend_limit_exceeded'), 'no_credit'],
    ['the organisation used', 429, error('organization_usage_limit_exceeded'), 'no_credit'],
    ['no billing', 429, error('billing_not_active'), 'no_credit'],
    ['a hard limit', 400, error('billing_hard_limit_reached'), 'no_credit'],
    ['a rate limit', 429, error('rate_limit_exceeded', 'requests'), 'rate_limited'],
    ['a rate limit without a body', 429, undefined, 'rate_limited'],
    ['a bad request', 400, error(null), 'refused'],
    ['a content policy', 400, error('content_policy_violation'), 'refused'],
    ['no such model', 404, error('model_not_found'), 'refused'],
    ['too large', 413, undefined, 'refused'],
    ['not understood', 422, undefined, 'refused'],
    ['a conflict', 409, undefined, 'refused'],
    ['too slow a request', 408, undefined, 'down'],
    ['a fault', 500, error(null, 'server_error'), 'down'],
    ['a bad gateway', 502, undefined, 'down'],
    ['unavailable', 503, undefined, 'down'],
    ['a slow gateway', 504, undefined, 'down'],
    ['overloaded', 529, undefined, 'down'],
    ['a redirect', 302, undefined, 'down'],
  ];
  test.each(rows)('%s (%i)', (_what, status, body, outcome) => {
    expect(openai.classify(status, body)).toBe(outcome);
  });

  test.each<[unknown, Outcome]>([
    [error('invalid_api_key'), 'bad_key'],
    [error('insufficient_quota', 'insufficient_quota'), 'no_credit'],
    [error('billing_hard_limit_reached'), 'no_credit'],
    [error('rate_limit_exceeded', 'requests'), 'rate_limited'],
    [error(null), 'refused'],
    [error(null, 'server_error'), 'down'],
    [{ type: 'error', code: 'insufficient_quota', message: 'x' }, 'no_credit'],
    [{ type: 'response.failed', response: { error: { code: 'rate_limit_exceeded', message: 'x' } } }, 'rate_limited'],
  ])('an error inside a stream: %j', (event, outcome) => {
    expect(openai.classifyEvent(JSON.stringify(event))).toBe(outcome);
  });
});

test('no text that a client can think of is slow to count, or keeps others waiting while it is counted', async () => {
  await openai.countTokens('warm', 'gpt-4o-mini');
  for (const [text, about] of [
    ['中'.repeat(1_000_000), 1_000_000],
    [`!${'a'.repeat(1_000_000)}`, 125_000],
    [' '.repeat(1_000_000), 16_000],
    ['!?'.repeat(500_000), 281_000],
    ['Two words. '.repeat(1_000_000), 3_000_000],
  ] as const) {
    let turns = 0;
    const others = setInterval(() => (turns += 1), 1);
    const counted = await openai.countTokens(text, 'gpt-4o-mini');
    clearInterval(others);
    expect(turns).toBeGreaterThan(5);
    expect(Math.abs(counted / about - 1)).toBeLessThan(0.05);
  }
});
