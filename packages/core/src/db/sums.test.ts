import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeAdditions } from './sums.ts';

const add = (sql: string, row: string, at: string, n: number, m: number) => ({ sql, params: [row, n, at, m], adds: [1, 3] });

test('additions to the same row become one, those to others stay apart', () => {
  expect(
    mergeAdditions([add('x', 'a', 'bc', 1, 10), add('x', 'ab', 'c', 2, 20), add('y', 'a', 'bc', 3, 30), add('x', 'a', 'bc', 4, 40)]),
  ).toEqual([add('x', 'a', 'bc', 5, 50), add('x', 'ab', 'c', 2, 20), add('y', 'a', 'bc', 3, 30)]);
});

test('whatever is merged, each row gets the same in all, and the inputs stay as they were', () => {
  const addition = fc.tuple(fc.constantFrom('x', 'y'), fc.constantFrom('a', 'b'), fc.constantFrom('', '1:a'), fc.nat(1e6), fc.nat(1e6));
  fc.assert(
    fc.property(fc.array(addition, { maxLength: 40 }), (rows) => {
      const additions = rows.map((row) => add(...row));
      const before = structuredClone(additions);
      const totals = (list: typeof additions) =>
        Object.entries(Object.groupBy(list, ({ sql, params }) => JSON.stringify([sql, params[0], params[2]])))
          .map(([row, ones = []]) => [
            row,
            ones.reduce((n, { params }) => n + Number(params[1]), 0),
            ones.reduce((n, { params }) => n + Number(params[3]), 0),
          ])
          .sort();
      const merged = mergeAdditions(additions) as typeof additions;
      expect(totals(merged)).toEqual(totals(additions));
      expect(new Set(merged.map(({ sql, params }) => JSON.stringify([sql, params[0], params[2]]))).size).toBe(merged.length);
      expect(additions).toEqual(before);
    }),
    { seed: 7 },
  );
});
