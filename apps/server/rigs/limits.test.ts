import { expect, test } from 'vitest';
import { rig } from './limits.ts';

test('of 1,000 requests at once on sockets of their own, each tier admits exactly its limit', async () => {
  const { broken } = await rig.run({ times: 1, seed: 1, say: () => undefined });
  expect(broken.join('\n')).toBe('');
}, 120_000);
