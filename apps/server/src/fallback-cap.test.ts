/** The cap on what goes to the platform's key in place of one's own: exact with many at once, across restarts, and given back as places are. */
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';

const cap = async (app: TestApp, who: Person, perDay?: number | null) => {
  const path = '/api/v1/api-keys/fallback-cap';
  const res = await app.fetch(who, path, perDay === undefined ? {} : { method: 'PATCH', json: { perDay } });
  return (await res.json()) as { perDay: number | null; usedToday: number; resetsAt: string };
};
const codeOf = async (res: Response) => ((await res.json()) as { error?: { code: string } }).error?.code;

test('of many requests at once exactly as many fall back as the cap allows, and the rest hear why', async () => {
  // A day's worth of a waiting server's rounds would take minutes.
  const clock = manualClock(Date.UTC(2026, 10, 23, 23, 50));
  await using app = await testApp({ platform: { openai: 'good', anthropic: 'good' }, clock });
  const ada = await app.person({ keys: { openai: 'revoked' } });
  expect(await cap(app, ada)).toMatchObject({ perDay: null, usedToday: 0 });
  expect(await cap(app, ada, 7)).toMatchObject({ perDay: 7, usedToday: 0 });
  const answers = await Promise.all(Array.from({ length: 60 }, () => app.chat(ada, 'hello')));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(7);
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(53);
  const [one] = refused;
  expect([one?.headers.get('x-should-retry'), one?.headers.get('x-byok-fallback-reason')]).toEqual([
    'false',
    expect.stringMatching(/^(bad_key|invalid)$/),
  ]);
  expect(Number(one?.headers.get('retry-after'))).toBeLessThanOrEqual(86_400);
  expect(await one?.json()).toMatchObject({
    error: { code: 'limit_reached', message: expect.stringContaining('You allow 7 requests a day') },
  });
  expect(await cap(app, ada)).toMatchObject({ usedToday: 7 });
  // What the cap refuses takes no place in the tier's limits.
  expect((await app.app.limits.view(ada.id, 'premium')).day.used).toBe(7);
  // Requests that are nobody's fallback are none of its business.
  const version = { 'anthropic-version': '2023-06-01' };
  const message = { model: 'claude-haiku-4-5', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] };
  expect((await app.fetch(ada, '/v1/messages', { json: message, headers: version })).status).toBe(200);
  expect(await cap(app, ada)).toMatchObject({ usedToday: 7 });

  await app.restart();
  expect(await cap(app, ada)).toMatchObject({ perDay: 7, usedToday: 7 });
  expect((await app.chat(ada, 'hello')).status).toBe(429);
  const { resetsAt } = await cap(app, ada);
  app.clock.advance(Date.parse(resetsAt) - app.clock.now());
  expect(await cap(app, ada)).toMatchObject({ usedToday: 0 });
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  expect(await cap(app, ada, null)).toMatchObject({ perDay: null, usedToday: 1 });
});

test('what was used before there was a cap counts; 0 allows none, and waiting does not help', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'revoked' } });
  for (let i = 0; i < 3; i += 1) await (await app.chat(ada, 'hello')).text();
  expect(await cap(app, ada, 3)).toMatchObject({ perDay: 3, usedToday: 3 });
  expect(await codeOf(await app.chat(ada, 'hello'))).toBe('limit_reached');
  await cap(app, ada, 0);
  const none = await app.chat(ada, 'hello');
  expect([none.status, none.headers.get('retry-after'), none.headers.get('x-should-retry')]).toEqual([403, null, 'false']);
  expect(await codeOf(none)).toBe('key_unusable');
});

test('a place comes back where the platform’s own trouble, or the tier’s limit, kept the answer away', async () => {
  await using app = await testApp({ platform: { openai: 'no_credit' } });
  const ada = await app.person({ keys: { openai: 'revoked' } });
  await cap(app, ada, 1);
  for (let i = 0; i < 3; i += 1) expect(await codeOf(await app.chat(ada, 'hello'))).toBe('platform_unavailable');
  expect(await cap(app, ada)).toMatchObject({ usedToday: 0 });
  await cap(app, ada, 500);
  app.provider.key(app.platformSecrets.openai ?? '', 'good', 'openai');
  const answers = await Promise.all(Array.from({ length: 120 }, () => app.chat(ada, 'hello')));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
  expect(await cap(app, ada)).toMatchObject({ usedToday: 100 });
});
