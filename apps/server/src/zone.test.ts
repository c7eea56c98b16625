import fc from 'fast-check';
import { expect, test } from 'vitest';
import { daysAgo, periodStarts } from './zone.ts';

const quarterMs = 15 * 60_000;
const hourMs = 4 * quarterMs;
const dayMs = 24 * hourMs;

/** Changes by an hour in both halves of the globe, none at an odd offset, by half an hour, and at midnight. */
const zones = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'America/Sao_Paulo', 'UTC'];

/** What the clock on the wall shows, by Intl and nothing of ours. */
function wall(timezone: string) {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone: timezone, dateStyle: 'short', timeStyle: 'medium', hourCycle: 'h23' });
  return (ms: number) => {
    const text = format.format(ms);
    return { day: text.slice(0, 10), minutes: text.slice(-5), hour: text.slice(-8, -6) };
  };
}

/** Around each change of 2018 (when Brazil still had them), 2026 and 2027. */
const from = fc
  .tuple(fc.constantFrom(2018, 2026, 2027), fc.constantFrom(1, 2, 3, 9, 10), fc.integer({ min: 0, max: 31 * 96 }))
  .map(([year, month, quarter]) => Date.UTC(year, month, 1) + quarter * quarterMs);

test.each(zones)('%s: days begin where the date on the wall changes, and nowhere else', (timezone) => {
  const shown = wall(timezone);
  fc.assert(
    fc.property(from, fc.integer({ min: 1, max: 5 * 96 }), (fromMs, quarters) => {
      const toMs = fromMs + quarters * quarterMs;
      const starts = periodStarts(fromMs, toMs, timezone, 'day');
      const changes: number[] = [];
      for (let ms = fromMs + quarterMs; ms < toMs; ms += quarterMs) if (shown(ms).day !== shown(ms - quarterMs).day) changes.push(ms);
      const [first = Number.NaN, ...others] = starts;
      expect(others).toEqual(changes);
      expect(first).toBeLessThanOrEqual(fromMs);
      expect(shown(first).day).toBe(shown(fromMs).day);
      expect(shown(first - 1).day).not.toBe(shown(first).day);
    }),
    { numRuns: 40 },
  );
});

test.each(zones)('%s: hours begin at full hours of the wall, follow each other without a gap, and cover the range', (timezone) => {
  const shown = wall(timezone);
  fc.assert(
    fc.property(from, fc.integer({ min: 1, max: 300 }), (fromMs, quarters) => {
      const toMs = fromMs + quarters * quarterMs;
      const starts = periodStarts(fromMs, toMs, timezone, 'hour');
      expect(starts[0]).toBeLessThanOrEqual(fromMs);
      expect(starts.at(-1)).toBeLessThan(toMs);
      const lengths = [...starts.slice(1), Math.max(toMs, (starts.at(-1) ?? 0) + hourMs)].map((start, i) => start - (starts[i] ?? 0));
      for (const length of lengths) expect(timezone === 'Australia/Lord_Howe' ? [hourMs, 1.5 * hourMs] : [hourMs]).toContain(length);
      for (const start of starts) expect(shown(start).minutes).toBe('00:00');
    }),
    { numRuns: 100 },
  );
});

test.each([
  ['Europe/Berlin', '2026-03-29', 23],
  ['Europe/Berlin', '2026-10-25', 25],
  ['America/New_York', '2026-03-08', 23],
  ['America/New_York', '2026-11-01', 25],
  ['Australia/Lord_Howe', '2026-10-04', 23.5],
  ['Australia/Lord_Howe', '2026-04-05', 24.5],
  ['America/Sao_Paulo', '2018-11-04', 23],
  ['America/Sao_Paulo', '2018-02-17', 25],
  ['Asia/Kathmandu', '2026-03-29', 24],
])('%s: %s has %d hours', (timezone, date, hours) => {
  const noon = Date.parse(`${date}T12:00:00Z`);
  const starts = periodStarts(noon - 2 * dayMs, noon + 2 * dayMs, timezone, 'day');
  const at = starts.findIndex((start) => wall(timezone)(start + hourMs).day === date);
  expect(((starts[at + 1] ?? 0) - (starts[at] ?? 0)) / hourMs).toBe(hours);
});

test.each(zones)('%s: so many days ago are so many days, today included', (timezone) => {
  for (const now of [Date.UTC(2026, 2, 30, 12), Date.UTC(2026, 9, 26, 1), Date.UTC(2018, 10, 6, 2)]) {
    for (const days of [1, 2, 7, 30, 366]) {
      const start = daysAgo(now, days, timezone);
      expect(periodStarts(start, now + 1, timezone, 'day')).toHaveLength(days);
      expect(periodStarts(start, now + 1, timezone, 'day')[0]).toBe(start);
    }
  }
});
