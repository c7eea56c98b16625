import { expect, test } from 'vitest';
import { askAgainMs } from './usePlan.ts';

const nowMs = Date.parse('2026-11-23T12:00:00Z');

test('limits are asked again when the next place comes free', () => {
  expect(askAgainMs('2026-11-23T12:00:42Z', nowMs)).toBe(42_000);
});

test.each([
  ['an hour ahead of', '2026-11-23T11:00:42Z', 1_000],
  ['an hour behind', '2026-11-23T13:00:42Z', 60_000],
  ['years behind, which a timer would take for now,', '2046-11-23T12:00:42Z', 60_000],
])('where this computer’s clock is %s the server’s, they are asked neither all the time nor hardly ever', (_how, resetAt, expected) => {
  expect(askAgainMs(resetAt, nowMs)).toBe(expected);
});
