import { expect, test } from 'vitest';
import { agesOf, createStamp } from './stamp.ts';

test('the ages of all chunks of a piece are read, but not of one whose stamp was cut', () => {
  const stamp = createStamp('data: {"choices":[{"delta":{"content":" tea"},"index":0}]}\n\n');
  const chunk = stamp();
  expect(chunk.toString()).toMatch(/^4b\r\ndata: \{"choices":\[\{"delta":\{"content":"ns:\d{16}"\},"index":0\}\]\}\n\n\r\n$/);
  const ages = agesOf(Buffer.concat([chunk, stamp(), chunk.subarray(0, -30)]));
  expect(ages).toHaveLength(2);
  for (const age of ages) expect(age).toBeGreaterThanOrEqual(0);
  expect(agesOf(Buffer.from('data: [DONE]\n\n'))).toEqual([]);
});
