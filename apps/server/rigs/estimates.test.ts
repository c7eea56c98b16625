import { expect, test } from 'vitest';
import { rig } from './estimates.ts';

test("of 200 cut streams, OpenAI's estimated usage is within 2 % at the median and 10 % at p99", async () => {
  const { broken } = await rig.run({ times: 200, seed: 2, say: () => undefined });
  expect(broken.join('\n')).toBe('');
}, 120_000);
