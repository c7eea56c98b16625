/** Both official clients at their default settings, retries included: the right error class, and no error of ours makes them hang. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import type { Script } from '../test/provider.ts';

const messages = [{ role: 'user' as const, content: 'Say hello' }];

/** What a program of theirs would do, and how often it asked. */
function clients(app: TestApp, who: { token: string }) {
  let calls = 0;
  const counting: typeof fetch = (input, init) => {
    calls += 1;
    return fetch(input, init);
  };
  const quiet = { logLevel: 'off', fetch: counting } as const;
  const openai = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: who.token, ...quiet });
  const anthropic = new Anthropic({ baseURL: app.url, apiKey: who.token, ...quiet });
  return {
    openai: (more: object = {}): Promise<unknown> => openai.chat.completions.create({ model: 'gpt-4o-mini', messages, ...more }),
    anthropic: (more: object = {}): Promise<unknown> =>
      anthropic.messages.create({ model: 'claude-haiku-4-5', max_tokens: 50, messages, ...more }),
    unknown: { openai: (): Promise<unknown> => openai.get('/nope'), anthropic: (): Promise<unknown> => anthropic.get('/v1/nope') },
    get calls() {
      return calls;
    },
  };
}

const failure = (act: Promise<unknown>): Promise<unknown> =>
  act.then(
    () => undefined,
    (error: unknown) => error,
  );

type ErrorClass = abstract new (...args: never) => Error;
const providers = ['openai', 'anthropic'] as const;
const classes = {
  openai: {
    400: OpenAI.BadRequestError,
    401: OpenAI.AuthenticationError,
    403: OpenAI.PermissionDeniedError,
    404: OpenAI.NotFoundError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
  },
  anthropic: {
    400: Anthropic.BadRequestError,
    401: Anthropic.AuthenticationError,
    403: Anthropic.PermissionDeniedError,
    404: Anthropic.NotFoundError,
    429: Anthropic.RateLimitError,
    500: Anthropic.InternalServerError,
  },
} satisfies Record<string, Record<number, ErrorClass>>;
type Class = keyof typeof classes.openai;

test('what a retry cannot mend comes back at once: one call, and the class of its status', async () => {
  await using app = await testApp();
  await using withPlatform = await testApp({ platform: { openai: 'revoked', anthropic: 'revoked' } });
  const nobody = { token: 'byok_nothing' };
  const none = await app.person({ tier: 'premium' });
  const community = await app.person({ tier: 'community' });
  const switchedOff = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  for (const key of await app.keysOf(switchedOff))
    await app.app.vault.set({ userId: switchedOff.id, byok: true }, { id: key.id, isActive: false });
  const other = await withPlatform.person();
  const table: [name: string, stage: TestApp, who: Pick<Person, 'token'>, more: object, code: string, status: Class][] = [
    ['no such token', app, nobody, {}, 'unauthenticated', 401],
    ['no key', app, none, {}, 'no_key', 403],
    ['no plan', app, community, {}, 'plan_required', 403],
    ['a key that is switched off', app, switchedOff, {}, 'key_unusable', 403],
    ["the platform's key does not work", withPlatform, other, {}, 'platform_unavailable', 500],
    ['a model that the platform does not have', withPlatform, other, { model: 'nobodys-model' }, 'model_not_allowed', 403],
    ['a field that the platform does not allow', withPlatform, other, { service_tier: 'priority' }, 'field_not_allowed', 400],
    ['a field of a wrong type', withPlatform, other, { max_tokens: 'many' }, 'invalid_input', 400],
  ];
  for (const provider of providers) {
    for (const [name, stage, who, more, code, status] of table) {
      const client = clients(stage, who);
      const error = await failure(client[provider](more));
      expect(error, `${provider}: ${name}`).toBeInstanceOf(classes[provider][status]);
      expect({ name, calls: client.calls }).toEqual({ name, calls: 1 });
      const said = error as { error?: { code?: string; error?: { details?: { error_code?: string } } }; requestID?: string };
      expect(provider === 'openai' ? said.error?.code : said.error?.error?.details?.error_code).toBe(code);
      expect(said.requestID).toMatch(/^req_/);
    }
    const lost = clients(app, none);
    expect(await failure(lost.unknown[provider]())).toBeInstanceOf(classes[provider][404]);
    const astray = clients(app, none);
    expect(await failure(astray[provider]({ model: provider === 'openai' ? 'claude-haiku-4-5' : 'gpt-4o-mini' }))).toBeInstanceOf(
      classes[provider][400],
    );
    expect([lost.calls, astray.calls]).toEqual([1, 1]);
  }
});

test("a provider's own errors on the user's key raise the client's own classes, and are retried as the provider wants it", async () => {
  await using app = await testApp();
  const soon = { 'retry-after': '1' };
  const limited: Script = {
    status: 429,
    headers: soon,
    body: { type: 'error', error: { type: 'rate_limit_error', message: 'Slow down.', code: 'rate_limit_exceeded' } },
  };
  const table: [state: Script, status: Class, calls: number][] = [
    ['revoked', 401, 1],
    ['forbidden', 403, 1],
    ['no_model', 404, 1],
    ['invalid', 400, 1],
    [limited, 429, 3],
    ['down', 500, 3],
    ['refuse', 500, 3],
    ['redirect_302', 500, 3],
  ];
  await Promise.all(
    providers.flatMap((provider) =>
      table.map(async ([state, status, calls]) => {
        const person = await app.person({ keys: { [provider]: state } });
        const client = clients(app, person);
        const error = await failure(client[provider]());
        expect(error, `${provider}: ${JSON.stringify(state)}`).toBeInstanceOf(classes[provider][status]);
        expect({ provider, state, calls: client.calls }).toEqual({ provider, state, calls });
        expect((await app.requests()).filter((row) => row.userId === person.id)).toHaveLength(calls);
      }),
    ),
  );
});

test.each(providers)(
  '%s: at the limit of the minute the client waits as told and is answered; at that of the day it is told at once',
  async (provider) => {
    await using app = await testApp({ platform: { [provider]: 'good' } });
    const person = await app.person({ tier: 'community' });
    // All within one UTC day, also shortly before midnight.
    app.clock.advance(86_400_000 - (app.clock.now() % 86_400_000));
    const client = clients(app, person);
    for (let i = 0; i < 10; i += 1) await client[provider]();
    app.clock.advance(59_000);
    const waiting = client[provider]();
    await expect.poll(() => client.calls).toBe(11);
    await expect.poll(() => app.lines.filter((line) => line.includes('limit_reached')).length).toBe(1);
    app.clock.advance(1_000);
    expect(await waiting).toBeTruthy();
    expect(client.calls).toBe(12);

    const limits = { perMinute: 1_000, perDay: 1_000 };
    expect(limits.perDay).toBeGreaterThan(100);
    for (let i = 0; i < 9; i += 1) {
      app.clock.advance(60_000);
      for (let j = 0; j < (i === 8 ? 9 : 10); j += 1) await client[provider]();
    }
    const before = client.calls;
    app.clock.advance(60_000);
    const error = await failure(client[provider]());
    expect(error).toBeInstanceOf(classes[provider][429]);
    expect(String(error)).toContain('100 requests a day');
    expect(client.calls).toBe(before + 1);
  },
);

test.each(providers)("%s: the platform's own limit is waited for if it is short, and told at once if it is long", async (provider) => {
  await using app = await testApp({ platform: { [provider]: 'good' } });
  const person = await app.person();
  const busy = (retryAfter: string): Script => ({
    status: 429,
    headers: { 'retry-after': retryAfter },
    body: { error: { message: 'Slow down.' } },
  });
  const secret = app.platformSecrets[provider] ?? '';
  app.provider.next(busy('1'), { key: secret });
  const short = clients(app, person);
  expect(await short[provider]()).toBeTruthy();
  expect(short.calls).toBe(2);
  app.provider.key(secret, busy('3600'), provider);
  const long = clients(app, person);
  expect(await failure(long[provider]())).toBeInstanceOf(classes[provider][429]);
  expect(long.calls).toBe(1);
  expect((await app.app.limits.view(person.id, 'premium')).day.used).toBe(1);
});
