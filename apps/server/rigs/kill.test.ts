import { expect, test } from 'vitest';
import { rig } from './kill.ts';

test('killed three times under load, the program keeps every promise about its rows, sums and limits', async () => {
  const { broken } = await rig.run({ times: 3, seed: 7, say: () => undefined });
  expect(broken.join('\n')).toBe('');
}, 120_000);
