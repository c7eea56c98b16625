import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { type CheckKind, createCheckLimits } from './check-limits.ts';

function stage() {
  const clock = manualClock(1_790_000_000_000);
  const limits = createCheckLimits(clock);
  /** null: granted; else how long to wait. */
  const take = (kind: CheckKind, userId = 'ada'): number | null => {
    try {
      limits.take(userId, kind);
      return null;
    } catch (error) {
      expect(error).toMatchObject({ code: 'limit_reached' });
      return (error as { retryAfterMs: number }).retryAfterMs;
    }
  };
  const times = (count: number, kind: CheckKind) => Array.from({ length: count }, () => take(kind)).filter((wait) => wait === null).length;
  return { clock, take, times };
}

test('the sixth test in a minute waits until the first is a minute old; a refusal counts for nothing', () => {
  const { clock, take } = stage();
  for (let i = 0; i < 5; i += 1) {
    expect(take('test')).toBeNull();
    clock.advance(1_000);
  }
  expect(take('test')).toBe(55_000);
  for (let i = 0; i < 50; i += 1) take('test');
  expect(take('check')).toBeNull();
  expect(take('save')).toBeNull();
  clock.advance(54_999);
  expect(take('test')).toBe(1);
  clock.advance(1);
  expect(take('test')).toBeNull();
  expect(take('test')).toBe(1_000);
});

test('checks of all kinds share 20 a minute and 100 an hour; another user has their own', () => {
  const { clock, take, times } = stage();
  expect(times(6, 'test') + times(6, 'check') + times(20, 'save')).toBe(20);
  expect(take('save')).toBe(60_000);
  expect(take('save', 'bob')).toBeNull();
  for (let minute = 1; minute < 5; minute += 1) {
    clock.advance(60_000);
    expect(times(30, 'save')).toBe(20);
  }
  clock.advance(60_000);
  expect(take('save')).toBe(55 * 60_000);
  clock.advance(55 * 60_000);
  expect(times(30, 'save')).toBe(20);
});

test('a clock that runs back frees nothing', () => {
  const { clock, take, times } = stage();
  expect(times(20, 'save')).toBe(20);
  clock.advance(-3_600_000);
  expect(take('save')).toBe(60_000);
  clock.advance(3_600_000 + 60_000);
  expect(take('save')).toBeNull();
});

test('in any minute no more than 20 are let through, however they come', () => {
  const { clock, take } = stage();
  const granted: number[] = [];
  for (let i = 0; i < 2_000; i += 1) {
    if (take('save') === null) granted.push(clock.now());
    clock.advance((i * 7_919) % 4_001);
  }
  for (const at of granted) expect(granted.filter((one) => one >= at && one < at + 60_000).length).toBeLessThanOrEqual(20);
  for (const at of granted) expect(granted.filter((one) => one >= at && one < at + 3_600_000).length).toBeLessThanOrEqual(100);
  expect(granted.length).toBeGreaterThan(100);
});
