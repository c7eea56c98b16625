import { expect, test } from 'vitest';
import { adminQueryOf, adminViewOf, peopleDaysOf } from './admin-usage-view.ts';

test('every view has an address, and that address shows it', () => {
  const queries = [
    {},
    { range: '7d', plan: 'premium', by: 'tier', most: 'tokens', page: '3' },
    { range: 'custom', from: '2026-11-01', to: '2026-11-05', key: 'platform', provider: 'openai', model: '' },
  ];
  for (const query of queries) expect(adminQueryOf(adminViewOf(query))).toEqual(query);
});

test('what an address says wrongly counts as not said', () => {
  const usual = adminViewOf({});
  expect(usual).toMatchObject({ range: '30d', filters: {}, split: 'model', sort: 'cost', page: 1 });
  for (const query of [
    { plan: 'gold' },
    { by: 'weather' },
    { most: 'luck' },
    { page: '0' },
    { page: '-1' },
    { page: 'x' },
    { page: '1e3' },
  ])
    expect(adminViewOf(query)).toEqual(usual);
  expect(adminViewOf({ page: '999' }).page).toBe(400);
});

test('users are summed in whole days of UTC', () => {
  const now = Date.UTC(2026, 10, 23, 0, 30);
  expect(peopleDaysOf({ range: '24h', days: null }, now)).toEqual({ first: '2026-11-22', last: '2026-11-23' });
  expect(peopleDaysOf({ range: '7d', days: null }, now)).toEqual({ first: '2026-11-17', last: '2026-11-23' });
  const days = { first: '2026-11-01', last: '2026-11-02' };
  expect(peopleDaysOf({ range: 'custom', days }, now)).toEqual(days);
});
