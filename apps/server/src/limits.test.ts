import { testOnPostgres } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { createLimits } from './limits.ts';
import { createMemoryCounters } from './ports/counters.ts';

const noon = Date.UTC(2026, 10, 1, 12);
const dayMs = 86_400_000;

async function refusal(act: Promise<unknown>) {
  return act.then(
    () => undefined,
    (error: { message: string; retryAfterMs: number; shouldRetry: boolean; headers: Record<string, string> }) => error,
  );
}

test('the headers count down, in the words of both providers and of the draft standard', async () => {
  const clock = manualClock(noon);
  const limits = createLimits({ counters: createMemoryCounters(clock) });
  const { headers } = await limits.take('ada', 'community', clock.now());
  expect(headers).toEqual({
    'ratelimit-policy': '"minute";q=10;w=60, "day";q=100;w=86400',
    ratelimit: '"minute";r=9;t=60, "day";r=99;t=43200',
    'x-ratelimit-limit-requests': '10',
    'x-ratelimit-remaining-requests': '9',
    'x-ratelimit-reset-requests': '60s',
    'anthropic-ratelimit-requests-limit': '10',
    'anthropic-ratelimit-requests-remaining': '9',
    'anthropic-ratelimit-requests-reset': '2026-11-01T12:01:00.000Z',
  });
});

test('who is refused by the minute is told to wait seconds, who is refused by the day is told not to try again', async () => {
  const clock = manualClock(noon);
  const limits = createLimits({ counters: createMemoryCounters(clock) });
  const take = () => limits.take('ada', 'community', clock.now());
  for (let i = 0; i < 10; i += 1) await take();
  clock.advance(20_500);
  const byMinute = await refusal(take());
  expect(byMinute).toMatchObject({ retryAfterMs: 39_500, shouldRetry: true });
  expect(byMinute?.message).toContain('10 requests a minute');
  expect(byMinute?.message).toContain('Wait 40 s');
  expect(byMinute?.message).toContain('change to a plan with own keys and add yours');
  for (let i = 0; i < 9; i += 1) {
    clock.advance(60_000);
    for (let j = 0; j < 10; j += 1) await take();
  }
  clock.advance(60_000);
  const byDay = await refusal(take());
  expect(byDay?.message).toContain('100 requests a day');
  expect(byDay?.shouldRetry).toBe(false);
  expect(byDay?.headers.ratelimit).toContain('"day";r=0');
});

test('what the page shows is what the counters hold', async () => {
  const clock = manualClock(noon);
  const limits = createLimits({ counters: createMemoryCounters(clock) });
  await limits.take('ada', 'subscriber', clock.now());
  expect(await limits.view('ada', 'subscriber')).toEqual({
    tier: 'subscriber',
    minute: { limit: 30, used: 1, remaining: 29, resetAt: '2026-11-01T12:01:00.000Z' },
    day: { limit: 500, used: 1, remaining: 499, resetAt: '2026-11-02T00:00:00.000Z' },
  });
  // A lower tier than the one in which the places were taken: none is left, and never fewer than none.
  for (let i = 0; i < 19; i += 1) await limits.take('ada', 'subscriber', clock.now());
  expect((await limits.view('ada', 'community')).minute).toMatchObject({ used: 20, remaining: 0 });
});

// On SQLite the rig of this name asks so for each tier, on a socket for each request: rigs/limits.test.ts.
testOnPostgres('through the gateway: of 1,000 at once, community admits exactly 10', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const person = await app.person({ tier: 'community' });
  const statuses = await Promise.all(
    Array.from({ length: 1_000 }, async () => {
      const res = await app.chat(person, 'hello');
      await res.arrayBuffer();
      return res.status;
    }),
  );
  expect(statuses.filter((status) => status === 200)).toHaveLength(10);
  expect(statuses.filter((status) => status === 429)).toHaveLength(990);
  expect(app.provider.requests.filter((one) => one.path === '/v1/chat/completions')).toHaveLength(10);
  expect(await app.requests()).toHaveLength(10);
});

test('a restart rebuilds both windows exactly', async () => {
  // Close to midnight, so that the minute and the day differ.
  const clock = manualClock(Math.ceil(Date.now() / dayMs) * dayMs + 5 * 60_000);
  await using app = await testApp({ platform: { openai: 'good', anthropic: 'overloaded' }, clock });
  const person = await app.person({ tier: 'community' });
  const look = async () => app.app.limits.view(person.id, 'community');
  const chat = async (times: number) => {
    for (let i = 0; i < times; i += 1) expect((await app.chat(person, 'hello')).status).toBe(200);
  };
  await chat(4);
  clock.advance(61_000);
  await chat(3);
  clock.advance(30_000);
  await chat(2);
  // What was given back is not counted, before or after.
  const failed = await app.fetch(person, '/v1/messages', {
    json: { model: 'claude-haiku-4-5', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
    headers: { 'anthropic-version': '2023-06-01' },
  });
  expect(failed.status).toBe(502);
  const before = await look();
  expect([before.minute.used, before.day.used]).toEqual([5, 9]);
  await app.restart();
  expect(await look()).toEqual(before);
  clock.advance(30_000);
  expect((await look()).minute.used).toBe(2);
  await chat(8);
  expect((await app.chat(person, 'hello')).status).toBe(429);
});

test('a restart just after midnight still knows the last minute', async () => {
  const clock = manualClock(Math.ceil(Date.now() / dayMs) * dayMs + dayMs - 20_000);
  await using app = await testApp({ platform: { openai: 'good' }, clock });
  const person = await app.person({ tier: 'community' });
  for (let i = 0; i < 10; i += 1) await app.chat(person, 'hello');
  clock.advance(30_000);
  const before = await app.app.limits.view(person.id, 'community');
  expect([before.minute.used, before.day.used]).toEqual([10, 0]);
  await app.restart();
  expect(await app.app.limits.view(person.id, 'community')).toEqual(before);
});
