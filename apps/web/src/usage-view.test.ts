import { describe, expect, test } from 'vitest';
import { addDays, complaintOf, dayOf, periodOf, queryOf, startOfDay, viewOf } from './usage-view.ts';

const usual = viewOf({});
const iso = (ms: number) => new Date(ms).toISOString();

test('an address without a query shows the cost of 30 days by model, and the usual is not in the address', () => {
  expect(usual).toMatchObject({ range: '30d', days: null, filters: {}, outcome: null, measure: 'cost', split: 'model' });
  expect(queryOf(usual)).toEqual({});
});

test('whatever is chosen comes back from the address', () => {
  const query = {
    range: 'custom',
    from: '2026-10-01',
    to: '2026-10-31',
    provider: 'openai',
    model: '',
    key: 'platform',
    outcome: 'fallback',
    show: 'tokens',
    by: 'key',
  };
  expect(queryOf(viewOf(query))).toEqual(query);
});

test.each([
  { range: 'forever' },
  { range: 'custom' },
  { range: 'custom', from: '2026-10-01' },
  { range: 'custom', from: '2026-02-31', to: '2026-03-02' },
  { range: 'custom', from: '2026-10-02', to: '2026-10-01' },
  { range: 'custom', from: '2024-10-02', to: '2026-10-01' },
  { model: 'x'.repeat(513) },
  { model: 'a\0' },
  { provider: 'nobody', key: ['user'], outcome: 'x', show: 'y', by: 'z', model: null },
])('%j in an address counts as not said', (query) => {
  expect(viewOf(query)).toEqual(usual);
});

test('24 hours end now, days are counted by the server, and own days are whole days of the time zone', () => {
  const zone = 'Europe/Berlin';
  expect(periodOf(viewOf({ range: '24h' }), zone)).toEqual({ hours: 24, timezone: zone, groupBy: 'hour' });
  expect(periodOf(viewOf({ range: '90d' }), zone)).toEqual({ days: 90, timezone: zone, groupBy: 'day' });
  expect(periodOf(viewOf({ range: 'custom', from: '2026-10-24', to: '2026-10-25' }), zone)).toEqual({
    from: '2026-10-23T22:00:00.000Z',
    to: '2026-10-25T23:00:00.000Z',
    timezone: zone,
    groupBy: 'hour',
  });
  expect(periodOf(viewOf({ range: 'custom', from: '2026-10-24', to: '2026-10-26' }), zone).groupBy).toBe('day');
});

test('366 days of which one has 25 hours are not more than the server takes', () => {
  const { from = '', to = '' } = periodOf(viewOf({ range: 'custom', from: '2025-10-25', to: '2026-10-25' }), 'Europe/Berlin') as {
    from?: string;
    to?: string;
  };
  expect(Date.parse(to) - Date.parse(from)).toBe(366 * 86_400_000);
});

describe('a day begins', () => {
  test.each([
    ['2026-11-01', 'UTC', '2026-11-01T00:00:00.000Z'],
    ['2026-03-29', 'Europe/Berlin', '2026-03-28T23:00:00.000Z'],
    ['2026-03-30', 'Europe/Berlin', '2026-03-29T22:00:00.000Z'],
    ['2026-11-02', 'America/New_York', '2026-11-02T05:00:00.000Z'],
    ['2026-11-01', 'Asia/Kolkata', '2026-10-31T18:30:00.000Z'],
    // Midnight is skipped there.
    ['2026-09-06', 'America/Santiago', '2026-09-06T04:00:00.000Z'],
  ])('%s in %s at %s', (day, zone, start) => {
    expect(iso(startOfDay(day, zone))).toBe(start);
    expect(dayOf(startOfDay(day, zone), zone)).toBe(day);
    expect(dayOf(startOfDay(day, zone) - 1, zone)).toBe(addDays(day, -1));
  });
});

test.each([
  [
    { first: '', last: '2026-11-01' },
    { field: 'first', mistake: 'first' },
  ],
  [
    { first: '2026-11-01', last: '' },
    { field: 'last', mistake: 'last' },
  ],
  [
    { first: '2026-11-24', last: '2026-11-25' },
    { field: 'first', mistake: 'future' },
  ],
  [
    { first: '2026-11-22', last: '2026-11-25' },
    { field: 'last', mistake: 'future' },
  ],
  [
    { first: '2026-11-22', last: '2026-11-21' },
    { field: 'last', mistake: 'order' },
  ],
  [
    { first: '2025-11-22', last: '2026-11-23' },
    { field: 'last', mistake: 'length' },
  ],
  [{ first: '2025-11-23', last: '2026-11-23' }, null],
  [{ first: '2026-11-23', last: '2026-11-23' }, null],
])('of the days %j is said: %j', (days, complaint) => {
  expect(complaintOf(days, '2026-11-23')).toEqual(complaint);
});
