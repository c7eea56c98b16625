import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOf } from './sums.ts';
import { createPacker, createTexts, packResults, unpackBatch, unpackOutcome, type WireBatch } from './wire.ts';

const batch = (...texts: string[]) => batchOf([texts.map((sql) => ({ sql, params: [] }))]);
const numbersIn = (packed: WireBatch) =>
  unpackBatch(packed)
    .lists.flat()
    .map(([number]) => number);

test('a text travels once, and is known by its number on the other side', () => {
  const pack = createPacker();
  const known = createTexts((sql) => sql.toUpperCase());
  const read = (...texts: string[]) => {
    const packed = pack(batch(...texts));
    known.learn(structuredClone(packed));
    return { sent: packed.texts, got: numbersIn(packed).map(known.get) };
  };
  expect(read('a', 'b', 'a')).toEqual({ sent: ['a', 'b'], got: ['A', 'B', 'A'] });
  expect(read('b', 'c')).toEqual({ sent: ['c'], got: ['B', 'C'] });
  expect(read('a')).toEqual({ sent: [], got: ['A'] });
});

test('after a thousand texts both sides begin anew, and still agree', () => {
  const pack = createPacker();
  let prepared = 0;
  const known = createTexts((sql) => {
    prepared += 1;
    return sql;
  });
  for (let i = 0; i < 3_500; i++) {
    const packed = pack(batch(`text ${i}`, 'always'));
    known.learn(packed);
    expect(numbersIn(packed).map(known.get)).toEqual([`text ${i}`, 'always']);
  }
  expect(prepared).toBeLessThan(3_510);
});

test('a text that cannot be prepared fails only the statement that needs it', () => {
  const pack = createPacker();
  const known = createTexts((sql) => {
    if (sql === 'wrong') throw new Error('syntax');
    return sql;
  });
  known.learn(pack(batch('right', 'wrong')));
  expect(known.get(0)).toBe('right');
  expect(() => known.get(1)).toThrow('syntax');
});

test('whatever the values are, they arrive as they left', () => {
  const value = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constant(null),
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.bigInt(),
    fc.uint8Array({ maxLength: 20 }),
  );
  const statement = fc.record({ sql: fc.constantFrom('a', 'b', 'c'), params: fc.array(value, { maxLength: 8 }), must: fc.boolean() });
  const lists = fc.array(fc.array(statement, { maxLength: 4 }), { maxLength: 6 });
  fc.assert(
    fc.property(lists, fc.array(statement, { maxLength: 4 }), (sent, additions) => {
      const arrived = structuredClone(createPacker()({ lists: sent, adding: [], additions }));
      const texts = createTexts((sql) => sql);
      texts.learn(arrived);
      const got = unpackBatch(arrived);
      const told = ([text, params, must]: [number, unknown[], boolean]) => ({ sql: texts.get(text), params, must });
      expect(got.lists.map((list) => list.map(told))).toEqual(sent);
      expect(got.additions.map(told)).toEqual(additions);
    }),
    { seed: 7 },
  );
});

test('results arrive as they were, of one statement or of several, with rows or without', () => {
  const changed = { changes: 2, rows: [] };
  const found = {
    changes: 0,
    rows: [
      ['a', 1],
      [null, 2],
    ],
  };
  for (const results of [[changed], [found], [changed, found], []]) expect(unpackOutcome(packResults(results))).toEqual({ results });
  const failure = { failure: 'conflict' as const, message: 'no' };
  expect(unpackOutcome(failure)).toEqual(failure);
});
