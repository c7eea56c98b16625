/** One suite over every provider: whoever adds one adds no tests of this kind, only its own facts. */
import { inspect } from 'node:util';
import { ProviderView, providerIds } from '@synthstack/core';
import { Secret } from '@synthstack/core/secret';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allProviders, misfit, providerOf, providers, providerViews, recognise } from './catalog.ts';
import type { AskAnswer, CheckResult, Outcome } from './provider.ts';

test('the catalog holds every provider of the contract, under its own id', () => {
  expect(Object.keys(providers).sort()).toEqual([...providerIds].sort());
  for (const id of providerIds) expect(providerOf(id).id).toBe(id);
});

describe.each(allProviders.map((provider) => [provider.name, provider] as const))('%s', (_name, provider) => {
  const readers = provider.routes.flatMap((route) => (route.usage ? [route.usage] : []));
  const planted = new Secret(`${provider.keyFormat.replace('...', '')}planted-0123456789`);

  test('has a page where keys are made, and keys that nobody else claims', () => {
    expect(provider.keysUrl).toMatch(/^https:\/\//);
    expect(provider.keyPattern.test(planted.expose())).toBe(true);
    expect(provider.keyPattern.flags).not.toMatch(/[gy]/);
    expect(recognise(planted.expose())).toBe(provider.id);
    for (const other of allProviders) {
      if (other !== provider) expect(other.keyPattern.test(planted.expose())).toBe(false);
    }
  });

  test('carries the credential in one header, in lower case, and nowhere else', () => {
    const headers = Object.entries(provider.credential(planted));
    expect(headers).toHaveLength(1);
    expect(headers[0]?.[0]).toMatch(/^[a-z-]+$/);
    expect(headers[0]?.[1]).toContain(planted.expose());
    expect(Object.keys(provider.ownHeaders)).not.toContain(headers[0]?.[0]);
    expect(inspect(provider, { depth: 9 })).not.toContain('planted');
  });

  test('has exact routes, each once', () => {
    const keys = provider.routes.map((route) => `${route.method} ${route.path}`);
    expect(new Set(keys).size).toBe(keys.length);
    for (const route of provider.routes) {
      expect(route.path).toMatch(/^\/v1(\/([a-z_]+|\{id\}))+$/);
      if (route.method !== 'POST') expect(route.body).toBe('none');
      // Where the output can be capped there is something to count, and a count is asked for only where it can be read.
      if (route.outputCap || route.asksForUsage) expect(route.usage).not.toBeNull();
    }
    expect(keys).toContain('GET /v1/models');
  });

  test('reads usage from anything without throwing, and never finds more than whole numbers', () => {
    const anything = fc.oneof(fc.anything(), fc.record({ model: fc.anything(), usage: fc.dictionary(fc.string(), fc.anything()) }));
    fc.assert(
      fc.property(anything, (body) => {
        for (const reader of readers) {
          const usage = reader.plain(body);
          for (const count of usage ? [usage.total, ...Object.values(usage.tokens)] : []) expect(Number.isSafeInteger(count)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('reads any stream without throwing, and keeps little of it', () => {
    const names = fc.constantFrom(
      '',
      'error',
      'message_start',
      'message_delta',
      'content_block_delta',
      'response.completed',
      'response.x.delta',
      'x',
    );
    const data = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom('{"usage":{', '"usage":{}', '{"choices":[],"usage":{}}', '{"choices":[null,{"delta":[]}]}'),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(names, data)), (events) => {
        for (const reader of readers) {
          const stream = reader.stream();
          for (const event of events) expect(['pass', 'usage_only', 'terminal', 'error']).toContain(stream.event(...event));
          stream.usage();
          expect(typeof stream.text()).toBe('string');
        }
      }),
      { numRuns: 200 },
    );
  });

  test.each<[number, Outcome]>([
    [200, 'ok'],
    [299, 'ok'],
    [302, 'down'],
    [400, 'refused'],
    [401, 'not_allowed'],
    [402, 'no_credit'],
    [403, 'not_allowed'],
    [404, 'refused'],
    [408, 'down'],
    [413, 'refused'],
    [422, 'refused'],
    [429, 'rate_limited'],
    [500, 'down'],
    [529, 'down'],
  ])('says of a bare %i: %s', (status, outcome) => {
    for (const body of [undefined, null, 'x', [], {}, { error: null }, { error: 'x' }])
      expect(provider.classify(status, body)).toBe(outcome);
  });

  test('takes no error in a stream for success, whatever it holds', () => {
    for (const data of ['', 'x', '{}', 'null', '{"error":null}', '{"error":{"type":"__proto__"}}']) {
      expect(provider.classifyEvent(data)).toBe('down');
    }
  });

  const said = { error: { type: 'x', message: 'You have no scope for sk-fragment' } };
  test.each<[string, AskAnswer, CheckResult['status'], boolean]>([
    ['an answer', { status: 200, body: {} }, 'valid', false],
    ['a rate limit', { status: 429, body: said }, 'valid', false],
    ['a 403 that says why', { status: 403, body: said }, 'valid', true],
    ['a 403 page of some proxy', { status: 403, body: undefined }, 'unverified', true],
    ['a bill', { status: 402, body: said }, 'no_credit', true],
    ['a fault', { status: 500, body: said }, 'unverified', true],
    ['overload', { status: 529, body: said }, 'unverified', true],
    ['a slow one', { status: 408, body: undefined }, 'unverified', true],
    ['a redirect', { status: 302, body: undefined }, 'unverified', true],
    ['a refusal of our own request', { status: 400, body: said }, 'unverified', true],
    ['another refusal', { status: 422, body: said }, 'unverified', true],
    ['a page not found', { status: 404, body: undefined }, 'unverified', true],
  ])('a check that meets %s', async (_what, answer, status, isKept) => {
    const result = await provider.check(async () => answer);
    expect(result.status).toBe(status);
    expect(result.lastError).toBe(isKept ? result.message : null);
    expect(result.message).toContain(provider.name);
    expect(result.message).not.toContain('fragment');
  });

  test('does not swallow trouble on the way', async () => {
    await expect(provider.check(() => Promise.reject(new Error('unplugged')))).rejects.toThrow('unplugged');
  });

  test('knows the price of every model that it shows, each once', () => {
    expect(new Set(provider.models).size).toBe(provider.models.length);
    expect(provider.models.length).toBeGreaterThan(5);
    for (const model of provider.models) {
      const price = provider.price(model);
      expect(price, model).not.toBeNull();
      for (const { tiers, ...prices } of [price, ...(price?.tiers ?? [])].flatMap((each) => (each ? [{ tiers: [], ...each }] : []))) {
        for (const value of Object.values(prices)) expect(Number.isSafeInteger(value)).toBe(true);
        expect(tiers).toEqual(tiers.toSorted((a, b) => a.aboveInputTokens - b.aboveInputTokens));
      }
    }
    expect(provider.price('no-such-model')).toBeNull();
  });
});

describe('whose key it is', () => {
  test.each([
    ['sk-0123456789abcdef', 'openai'],
    ['sk-proj-0123456789abcdef', 'openai'],
    ['sk-svcacct-0123456789abcdef', 'openai'],
    ['sk-ant-api03-0123456789', 'anthropic'],
    ['sk-antelope-0123456789', 'openai'],
    ['byok_0123456789abcdef', null],
    ['SK-0123456789abcdef', null],
    ['xsk-0123456789abcdef', null],
    ['', null],
  ] as const)('%s: %s', (key, id) => {
    expect(recognise(key)).toBe(id);
  });

  test('a key that fits has nothing wrong with it', () => {
    expect(misfit('openai', 'sk-proj-0123456789')).toBeNull();
    expect(misfit('anthropic', 'sk-ant-0123456789')).toBeNull();
  });

  test('a key pasted under the wrong provider is noticed', () => {
    expect(misfit('openai', 'sk-ant-0123456789')).toBe(
      'This looks like a key of Anthropic (sk-ant-...), not of OpenAI. Choose Anthropic as the provider, or paste a key of OpenAI (sk-...).',
    );
    expect(misfit('anthropic', 'sk-proj-0123456789')).toMatch(/^This looks like a key of OpenAI/);
  });

  test('a gateway token and other texts are not taken for keys, and never repeated', () => {
    expect(misfit('openai', 'byok_planted0123456789')).toMatch(/gateway token/);
    for (const text of ['byok_planted0123456789', 'planted0123456789', 'sk-planted0123456789']) {
      expect(misfit('anthropic', text)).not.toContain('planted');
    }
  });
});

test('people see each provider with prices in dollars', () => {
  const views = providerViews((id) => id === 'openai', { price: (id, model) => providerOf(id).price(model), moreModels: () => [] });
  for (const view of views) expect(ProviderView.parse(view)).toEqual(view);
  expect(views.map(({ id, platform }) => [id, platform])).toEqual([
    ['openai', true],
    ['anthropic', false],
  ]);
  expect(views[0]?.models).toContainEqual({ id: 'gpt-3.5-turbo', inputUsdPerMillion: 0.5, outputUsdPerMillion: 1.5 });
});
