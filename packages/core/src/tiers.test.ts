import { expect, test } from 'vitest';
import { tierNames, tiers } from './tiers.ts';

test('the tiers allow what the price page says', () => {
  expect(tiers).toEqual({
    community: { requestsPerMinute: 10, requestsPerDay: 100, byok: false },
    subscriber: { requestsPerMinute: 30, requestsPerDay: 500, byok: false },
    premium: { requestsPerMinute: 100, requestsPerDay: 2_000, byok: true },
    lifetime: { requestsPerMinute: 100, requestsPerDay: 2_000, byok: true },
  });
});

test('every name has its row, from the least to the most', () => {
  expect(Object.keys(tiers)).toEqual([...tierNames]);
  const rows = tierNames.map((name) => tiers[name]);
  for (const [i, row] of rows.entries()) {
    const below = rows[i - 1];
    if (below === undefined) continue;
    expect(row.requestsPerMinute).toBeGreaterThanOrEqual(below.requestsPerMinute);
    expect(row.requestsPerDay).toBeGreaterThanOrEqual(below.requestsPerDay);
    expect(Number(row.byok)).toBeGreaterThanOrEqual(Number(below.byok));
  }
});

test('only premium and lifetime bring their own keys', () => {
  expect(tierNames.filter((name) => tiers[name].byok)).toEqual(['premium', 'lifetime']);
});
