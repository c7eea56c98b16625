import { expect, test } from 'vitest';
import { rig } from './leavers.ts';

test('of 200 clients that leave at any moment, each has one settled row, and none an upstream request that goes on', async () => {
  const { broken } = await rig.run({ times: 200, seed: 3, say: () => undefined });
  expect(broken.join('\n')).toBe('');
}, 120_000);
