import { expect, test } from 'vitest';
import { median, quantile, spread, table } from './figures.ts';

test('the median of an even number of values lies between the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 6])).toBe(5.5);
  expect(median([])).toBeNaN();
});

test('a quantile is one of the values, at most the last', () => {
  const sorted = Array.from({ length: 100 }, (_, i) => i);
  expect([quantile(sorted, 0.5), quantile(sorted, 0.99), quantile(sorted, 1)]).toEqual([50, 99, 99]);
  expect(quantile([], 0.5)).toBeNaN();
});

test('ratios are told by their median and their ends', () => {
  expect(spread([0.5, 0.7, 0.6])).toBe('0.60 (from 0.50 to 0.70)');
});

test('columns line up', () => {
  expect(
    table([
      ['', 'req/s'],
      ['(a)', '9'],
      ['(b) more', '10,000'],
    ]),
  ).toBe('             req/s\n  (a)            9\n  (b) more  10,000');
});
