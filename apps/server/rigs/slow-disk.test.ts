import { expect, test } from 'vitest';
import { rig } from './slow-disk.ts';

test('with and without a slow disk, every chunk of every stream arrives, and every stream has its settled row', async () => {
  const { broken } = await rig.run({ times: 20, seed: 5, say: () => undefined });
  expect(broken.join('\n')).toBe('');
}, 120_000);
