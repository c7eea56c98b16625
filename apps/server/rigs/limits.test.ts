import { expect, test } from 'vitest';
import { rig } from './limits.ts';

test('of 1,000 requests at once on sockets of their own, each tier admits exactly its limit', async () => {
  const { broken } = await rig.run({ times: 1, seed: 1, say: () => undefined });
  expect(broken).toEqual([]);
}, 120_000);
