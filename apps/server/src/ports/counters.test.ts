import fc from 'fast-check';
import { expect, test } from 'vitest';
import { manualClock } from '../../test/clock.ts';
import { createMemoryCounters } from './counters.ts';

const noon = Date.UTC(2026, 10, 1, 12);
const minuteMs = 60_000;
const dayMs = 86_400_000;

test.each([10, 30, 100])('of 1,000 at once at a limit of %i, exactly that many are admitted, every minute', async (perMinute) => {
  const clock = manualClock(noon);
  const counters = createMemoryCounters(clock);
  for (let round = 0; round < 20; round += 1) {
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => counters.take('ada', { perMinute, perDay: 100_000 })));
    expect(answers.filter((one) => one.granted)).toHaveLength(perMinute);
    for (const one of answers) if (!one.granted) expect(one).toMatchObject({ windows: ['minute'], retryAt: clock.now() + minuteMs });
    clock.advance(minuteMs);
  }
  expect((await counters.standing('ada')).dayUsed).toBe(20 * perMinute);
});

test('a refusal takes nothing, of either window', async () => {
  const counters = createMemoryCounters(manualClock(noon));
  const limits = { perMinute: 5, perDay: 3 };
  for (let i = 0; i < 10; i += 1) await counters.take('ada', limits);
  expect(await counters.standing('ada')).toMatchObject({ minuteUsed: 3, dayUsed: 3 });
  expect(await counters.take('ada', limits)).toMatchObject({ granted: false, windows: ['day'], retryAt: noon + dayMs / 2 });
  expect((await counters.take('bob', limits)).granted).toBe(true);
});

test('where both windows refuse, the later one says when to come back', async () => {
  const clock = manualClock(noon + dayMs / 2 - 10_000);
  const counters = createMemoryCounters(clock);
  await counters.take('ada', { perMinute: 1, perDay: 1 });
  expect(await counters.take('ada', { perMinute: 1, perDay: 1 })).toMatchObject({
    windows: ['minute', 'day'],
    retryAt: clock.now() + minuteMs,
  });
  clock.advance(10_000);
  expect((await counters.take('ada', { perMinute: 1, perDay: 1 })).granted).toBe(false);
  clock.advance(50_000);
  expect((await counters.take('ada', { perMinute: 1, perDay: 1 })).granted).toBe(true);
});

test('a place that is given back is free at once, and only that one', async () => {
  const clock = manualClock(noon);
  const counters = createMemoryCounters(clock);
  const limits = { perMinute: 2, perDay: 2 };
  const first = await counters.take('ada', limits);
  clock.advance(1_000);
  await counters.take('ada', limits);
  if (first.granted) await counters.giveBack('ada', first.at);
  expect(await counters.standing('ada')).toMatchObject({ minuteUsed: 1, dayUsed: 1, minuteResetAt: noon + 1_000 + minuteMs });
  expect((await counters.take('ada', limits)).granted).toBe(true);
  expect((await counters.take('ada', limits)).granted).toBe(false);
});

test('a place of yesterday that is given back today frees nothing of today', async () => {
  const clock = manualClock(noon + dayMs / 2 - 1_000);
  const counters = createMemoryCounters(clock);
  const before = await counters.take('ada', { perMinute: 9, perDay: 9 });
  clock.advance(2_000);
  await counters.take('ada', { perMinute: 9, perDay: 9 });
  if (before.granted) await counters.giveBack('ada', before.at);
  expect(await counters.standing('ada')).toMatchObject({ minuteUsed: 1, dayUsed: 1 });
});

type Step = { kind: 'wait' | 'back' | 'take' | 'giveBack' | 'restart'; ms: number };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('wait', 'wait', 'take', 'take', 'take', 'take', 'giveBack', 'back', 'restart'),
  ms: fc.oneof(fc.integer({ min: 0, max: 90_000 }), fc.constantFrom(0, 1, 59_999, 60_000, 60_001, dayMs)),
});

test('whatever the clock does and however often it restarts, no 60 seconds and no day hold more than the limit', async () => {
  const limits = { perMinute: 3, perDay: 7 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      let nowMs = noon;
      const clock = { now: () => nowMs, after: () => () => undefined };
      let counters = createMemoryCounters(clock);
      /** Time that has truly passed, which no setting of the clock changes. */
      let elapsedMs = 0;
      let held: { at: number; elapsedMs: number; utcDay: number }[] = [];
      for (const { kind, ms } of steps) {
        if (kind === 'wait') {
          nowMs += ms;
          elapsedMs += ms;
        } else if (kind === 'back') nowMs -= ms;
        else if (kind === 'giveBack') {
          const last = held.pop();
          if (last) await counters.giveBack('ada', last.at);
        } else if (kind === 'restart') {
          counters = createMemoryCounters(clock);
          for (const { at } of held) counters.restore('ada', at);
        } else {
          const answer = await counters.take('ada', limits);
          if (answer.granted) held.push({ at: answer.at, elapsedMs, utcDay: Math.floor(nowMs / dayMs) });
          const lastMinute = held.filter((one) => one.elapsedMs > elapsedMs - minuteMs);
          expect(lastMinute.length).toBeLessThanOrEqual(limits.perMinute);
        }
        held = held.slice(-50);
      }
      // Days are those of the clock: only where it was never set back do they mean anything.
      if (steps.some((one) => one.kind === 'back')) return;
      for (const places of Map.groupBy(held, (one) => one.utcDay).values()) expect(places.length).toBeLessThanOrEqual(limits.perDay);
    }),
    { numRuns: 300 },
  );
});

test('a clock that is set back frees nothing, and does not stop the windows either', async () => {
  const clock = manualClock(noon);
  const counters = createMemoryCounters(clock);
  const limits = { perMinute: 2, perDay: 100 };
  const take = async () => (await counters.take('ada', limits)).granted;
  expect([await take(), await take(), await take()]).toEqual([true, true, false]);
  clock.advance(-3_600_000);
  expect(await take()).toBe(false);
  clock.advance(minuteMs - 1);
  expect(await take()).toBe(false);
  clock.advance(1);
  expect(await take()).toBe(true);
});

test('a clock that went ahead by years and came back locks nobody out', async () => {
  const clock = manualClock(noon);
  const counters = createMemoryCounters(clock);
  clock.advance(1_000 * dayMs);
  expect((await counters.take('ada', { perMinute: 1, perDay: 1 })).granted).toBe(true);
  clock.advance(-1_000 * dayMs);
  expect((await counters.take('ada', { perMinute: 1, perDay: 1 })).granted).toBe(false);
  clock.advance(dayMs);
  expect((await counters.take('ada', { perMinute: 1, perDay: 1 })).granted).toBe(true);
});
