import { expect, test } from 'vitest';
import { createGenerationCache } from './generation.ts';

/** A cache of so many entries, and what it had to load. */
function stage(maxEntries: number) {
  let generation = 1;
  const loaded: string[] = [];
  const cache = createGenerationCache<string>({ generation: () => generation }, maxEntries);
  return {
    cache,
    move: () => {
      generation += 1;
    },
    /** What of these had to be loaded, in order. */
    async ask(...keys: string[]) {
      loaded.length = 0;
      for (const key of keys) {
        const value = await cache.get(key, async () => {
          loaded.push(key);
          return `of ${key}`;
        });
        expect(value).toBe(`of ${key}`);
      }
      return loaded.join(' ');
    },
  };
}

test('what was asked for lately is remembered, and what was not is let go', async () => {
  const { ask } = stage(4);
  expect(await ask('a', 'b', 'a', 'c', 'a')).toBe('a b c');
  // Four at most, and of whatever order, the latest two.
  expect(await ask('c', 'a')).toBe('');
  expect(await ask('d', 'e', 'f', 'e', 'f')).toBe('d e f');
  expect(await ask('b')).toBe('b');
});

test('whoever is asked for all the time stays, however many others come and go', async () => {
  const { ask } = stage(10);
  await ask('ada');
  for (let i = 0; i < 100; i += 1) expect(await ask(`other ${i}`, 'ada')).toBe(`other ${i}`);
});

test('nothing outlives a move of the generation or its own deletion', async () => {
  const { cache, ask, move } = stage(4);
  await ask('a', 'b', 'c', 'a');
  cache.delete('a');
  expect(await ask('a', 'b', 'c')).toBe('a');
  move();
  expect(await ask('a', 'b', 'c')).toBe('a b c');
});
