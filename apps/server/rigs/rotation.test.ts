import { expect, test } from 'vitest';
import { rig } from './rotation.ts';

test('killed twice while the master key is changed under load, every key opens, no request fails, and none is left on the former key', async () => {
  const { broken } = await rig.run({ times: 2, seed: 7, say: () => undefined });
  expect(broken.join('\n')).toBe('');
}, 120_000);
