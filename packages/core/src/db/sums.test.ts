import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOf } from './sums.ts';

const merged = (additions: readonly ReturnType<typeof add>[]) => batchOf([additions]).additions;
const without = ({ sql, params }: ReturnType<typeof add>) => ({ sql, params });
const add = (sql: string, row: string, at: string, n: number, m: number) => ({ sql, params: [row, n, at, m], adds: [1, 3] });

test('additions to the same row become one, those to others stay apart', () => {
  expect(merged([add('x', 'a', 'bc', 1, 10), add('x', 'ab', 'c', 2, 20), add('y', 'a', 'bc', 3, 30), add('x', 'a', 'bc', 4, 40)])).toEqual(
    [add('x', 'a', 'bc', 5, 50), add('x', 'ab', 'c', 2, 20), add('y', 'a', 'bc', 3, 30)].map(without),
  );
});

test('a list keeps what does not only add, in its order, and the batch knows whose the additions are', () => {
  const [first, second] = [
    { sql: 'first', params: [1] },
    { sql: 'second', params: [2], must: true },
  ];
  expect(batchOf([[first, add('x', 'a', 'b', 1, 1), second], [second], [add('x', 'a', 'b', 2, 3)]])).toEqual({
    lists: [[first, second], [second], []],
    adding: [true, false, true],
    additions: [without(add('x', 'a', 'b', 3, 4))],
  });
});

test('whatever is merged, each row gets the same in all, and the inputs stay as they were', () => {
  const addition = fc.tuple(fc.constantFrom('x', 'y'), fc.constantFrom('a', 'b'), fc.constantFrom('', '1:a'), fc.nat(1e6), fc.nat(1e6));
  fc.assert(
    fc.property(fc.array(addition, { maxLength: 40 }), (rows) => {
      const additions = rows.map((row) => add(...row));
      const before = structuredClone(additions);
      const totals = (list: readonly { sql: string; params: readonly unknown[] }[]) =>
        Object.entries(Object.groupBy(list, ({ sql, params }) => JSON.stringify([sql, params[0], params[2]])))
          .map(([row, ones = []]) => [
            row,
            ones.reduce((n, { params }) => n + Number(params[1]), 0),
            ones.reduce((n, { params }) => n + Number(params[3]), 0),
          ])
          .sort();
      const list = merged(additions);
      expect(totals(list)).toEqual(totals(additions));
      expect(new Set(list.map(({ sql, params }) => JSON.stringify([sql, params[0], params[2]]))).size).toBe(list.length);
      expect(additions).toEqual(before);
    }),
    { seed: 7 },
  );
});

test('of addends to the same place one remains, and its statements are merged with all others', () => {
  const made: unknown[] = [];
  const to = (place: string, row: string, ...amounts: [number, number]) => ({
    place,
    amounts,
    statements(all: readonly number[]) {
      made.push([place, ...all]);
      return [add('x', row, 'r', Number(all[0]), Number(all[1])), add('y', 'all', 'r', Number(all[0]), 0)];
    },
  });
  const first = to('ada', 'a', 1, 10);
  expect(batchOf([[{ sql: 'insert', params: [] }, first], [to('ada', 'a', 2, 20)], [to('bob', 'b', 4, 40)]])).toEqual({
    lists: [[{ sql: 'insert', params: [] }], [], []],
    adding: [true, true, true],
    additions: [add('x', 'a', 'r', 3, 30), add('y', 'all', 'r', 7, 0), add('x', 'b', 'r', 4, 40)].map(without),
  });
  expect(made).toEqual([
    ['ada', 3, 30],
    ['bob', 4, 40],
  ]);
  expect(first.amounts).toEqual([1, 10]);
});
