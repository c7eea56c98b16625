import { UsageQuery } from '@synthstack/core';
import { expect, test } from 'vitest';
import { rangeOf } from './meter-range.ts';

/** With the minute of the wall in Berlin: what people there would say. */
const berlin = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin', dateStyle: 'short', timeStyle: 'short' });

function shown(input: object, now: string): string[] {
  const { fromMs, toMs, previousFromMs, previousToMs } = rangeOf(
    UsageQuery.parse({ timezone: 'Europe/Berlin', ...input }),
    Date.parse(now),
  );
  const said = (ms: number) => berlin.format(ms);
  return [`${said(fromMs)} to ${said(toMs)}`, `${said(previousFromMs)} to ${said(previousToMs)}`];
}

test.each([
  [
    'a morning is held against yesterday morning',
    { days: 1 },
    '2026-11-23T09:07+01:00',
    ['2026-11-23 00:00 to 2026-11-23 09:15', '2026-11-22 00:00 to 2026-11-22 09:15'],
  ],
  [
    'the last minutes of a day against all of the day before',
    { days: 1 },
    '2026-11-23T23:50+01:00',
    ['2026-11-23 00:00 to 2026-11-24 00:00', '2026-11-22 00:00 to 2026-11-23 00:00'],
  ],
  [
    'seven days with today against the seven before, up to this time of day',
    { days: 7 },
    '2026-11-23T09:07+01:00',
    ['2026-11-17 00:00 to 2026-11-23 09:15', '2026-11-10 00:00 to 2026-11-16 09:15'],
  ],
  [
    'thirty days, where the clocks go back on the way: midnights stay midnights',
    {},
    '2026-11-10T12:00+01:00',
    ['2026-10-12 00:00 to 2026-11-10 12:15', '2026-09-12 00:00 to 2026-10-11 12:15'],
  ],
  [
    'the evening of a day of 25 hours against all of a day of 24',
    { days: 1 },
    '2026-10-25T23:55+01:00',
    ['2026-10-25 00:00 to 2026-10-26 00:00', '2026-10-24 00:00 to 2026-10-25 00:00'],
  ],
  [
    '24 hours against the 24 before',
    { hours: 24 },
    '2026-11-23T09:07+01:00',
    ['2026-11-22 09:00 to 2026-11-23 09:15', '2026-11-21 08:45 to 2026-11-22 09:00'],
  ],
  [
    'a month against as many days',
    { from: '2026-11-01T00:00+01:00', to: '2026-12-01T00:00+01:00' },
    '2026-12-24T12:00+01:00',
    ['2026-11-01 00:00 to 2026-12-01 00:00', '2026-10-02 00:00 to 2026-11-01 00:00'],
  ],
  [
    'a month that is still running against the same part',
    { from: '2026-11-01T00:00+01:00', to: '2026-12-01T00:00+01:00' },
    '2026-11-23T09:07+01:00',
    ['2026-11-01 00:00 to 2026-12-01 00:00', '2026-10-02 00:00 to 2026-10-24 09:15'],
  ],
  [
    'a range that has not begun against nothing',
    { from: '2026-12-01T00:00+01:00', to: '2026-12-03T00:00+01:00' },
    '2026-11-23T09:07+01:00',
    ['2026-12-01 00:00 to 2026-12-03 00:00', '2026-11-29 00:00 to 2026-11-29 00:00'],
  ],
  [
    'two instants against the same length',
    { from: '2026-11-20T10:05+01:00', to: '2026-11-20T11:20+01:00' },
    '2026-11-23T09:07+01:00',
    ['2026-11-20 10:00 to 2026-11-20 11:30', '2026-11-20 08:30 to 2026-11-20 10:00'],
  ],
  [
    'two instants that still run against the elapsed part',
    { from: '2026-11-23T08:30+01:00', to: '2026-11-23T10:30+01:00' },
    '2026-11-23T09:07+01:00',
    ['2026-11-23 08:30 to 2026-11-23 10:30', '2026-11-23 06:30 to 2026-11-23 07:15'],
  ],
])('%s', (_what, query, now, expected) => {
  const instants = Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, typeof value === 'string' ? value.replace('+', ':00+') : value]),
  );
  expect(shown(instants, now)).toEqual(expected);
});

test('in every zone and at every time of a year, the earlier period ends before the range begins and is no longer than it', () => {
  for (const timezone of ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'UTC']) {
    for (let nowMs = Date.UTC(2026, 0, 1); nowMs < Date.UTC(2027, 0, 1); nowMs += 133 * 3_600_000 + 7 * 60_000) {
      for (const days of [1, 7, 30]) {
        const { fromMs, toMs, previousFromMs, previousToMs } = rangeOf(UsageQuery.parse({ timezone, days }), nowMs);
        expect(previousToMs).toBeLessThanOrEqual(fromMs);
        expect(previousFromMs).toBeLessThanOrEqual(previousToMs);
        // Clocks change by an hour at most here, once in 30 days.
        expect(Math.abs(previousToMs - previousFromMs - (toMs - fromMs))).toBeLessThanOrEqual(3_600_000);
        for (const ms of [fromMs, toMs, previousFromMs, previousToMs]) expect(ms % (15 * 60_000)).toBe(0);
      }
    }
  }
});

test('the last day of the calendar ends where answers can still write it', () => {
  const query = UsageQuery.parse({ from: '9999-12-31T00:00:00Z', to: '9999-12-31T23:59:59.999Z' });
  const { toMs } = rangeOf(query, Date.parse('2026-11-23T09:07:00Z'));
  expect(new Date(toMs).toISOString()).toBe('9999-12-31T23:45:00.000Z');
});

test('the first day of the calendar is held against none before it that answers could not write', () => {
  const query = UsageQuery.parse({ from: '0001-01-01T00:00:00Z', to: '0002-01-01T00:00:00Z' });
  const { previousFromMs } = rangeOf(query, Date.parse('2026-11-23T09:07:00Z'));
  expect(new Date(previousFromMs).toISOString()).toMatch(/^0000-/);
});
