import { expect, test } from 'vitest';
import { batchOf } from './sums.ts';
import { createPacker, createUnpacker } from './wire.ts';

const batch = (...texts: string[]) => batchOf([texts.map((sql) => ({ sql, params: [] }))]);

test('a text travels once, and is known by its number on the other side', () => {
  const pack = createPacker();
  const unpacker = createUnpacker((sql) => sql.toUpperCase());
  const read = (...texts: string[]) => {
    const packed = pack(batch(...texts));
    unpacker.learn(structuredClone(packed));
    return { sent: packed.texts, got: packed.lists[0]?.map(([number]) => unpacker.get(number)) };
  };
  expect(read('a', 'b', 'a')).toEqual({ sent: ['a', 'b'], got: ['A', 'B', 'A'] });
  expect(read('b', 'c')).toEqual({ sent: ['c'], got: ['B', 'C'] });
  expect(read('a')).toEqual({ sent: [], got: ['A'] });
});

test('after a thousand texts both sides begin anew, and still agree', () => {
  const pack = createPacker();
  let prepared = 0;
  const unpacker = createUnpacker((sql) => {
    prepared += 1;
    return sql;
  });
  for (let i = 0; i < 3_500; i++) {
    const packed = pack(batch(`text ${i}`, 'always'));
    unpacker.learn(packed);
    expect(packed.lists[0]?.map(([number]) => unpacker.get(number))).toEqual([`text ${i}`, 'always']);
  }
  expect(prepared).toBeLessThan(3_510);
});

test('a text that cannot be prepared fails only the statement that needs it', () => {
  const pack = createPacker();
  const unpacker = createUnpacker((sql) => {
    if (sql === 'wrong') throw new Error('syntax');
    return sql;
  });
  unpacker.learn(pack(batch('right', 'wrong')));
  expect(unpacker.get(0)).toBe('right');
  expect(() => unpacker.get(1)).toThrow('syntax');
});
