import { beforeAll, expect, test, vi } from 'vitest';
import { formatAgo, formatUntil, formatWait } from './format.ts';
import { setLanguage } from './i18n/i18n.ts';

vi.stubGlobal('document', { documentElement: {} });
beforeAll(() => setLanguage('en'));

const nowMs = Date.parse('2026-11-23T12:00:00Z');
const at = (differenceMs: number) => new Date(nowMs + differenceMs).toISOString();

test.each([
  [-5_000, 'just now', 'in a moment'],
  [0, 'just now', 'in a moment'],
  [5_000, 'just now', 'in a moment'],
  [90 * 60_000, 'just now', 'in 2 hours'],
  [3 * 86_400_000, 'just now', 'in 3 days'],
  [-5 * 60_000, '5 minutes ago', 'in a moment'],
  [-3 * 86_400_000, '3 days ago', 'in a moment'],
])('what is %d ms away is said as past or as future, never the other way round', (differenceMs, ago, until) => {
  expect(formatAgo(at(differenceMs), nowMs)).toBe(ago);
  expect(formatUntil(at(differenceMs), nowMs)).toBe(until);
});

test.each([
  [-1_000, 'in a moment'],
  [400, 'in 1 second'],
  [41_000, 'in 41 seconds'],
  [61_000, 'in 1 minute'],
])('a wait of %d ms is told in seconds while it is less than a minute', (differenceMs, wait) => {
  expect(formatWait(at(differenceMs), nowMs)).toBe(wait);
});

test('what is more than a month away has a date', () => {
  expect(formatAgo(at(-40 * 86_400_000), nowMs)).toBe('Oct 14, 2026');
  expect(formatUntil(at(40 * 86_400_000), nowMs)).toBe('Jan 2, 2027');
});
