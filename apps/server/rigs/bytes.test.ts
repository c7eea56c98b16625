import { expect, test } from 'vitest';
import { rig } from './bytes.ts';

test('streams cut at every byte in memory, and at one in a hundred over sockets, pass byte for byte, and broken ones raise errors', async () => {
  const { broken } = await rig.run({ times: 1, seed: 11, say: () => undefined });
  expect(broken.join('\n')).toBe('');
}, 120_000);
