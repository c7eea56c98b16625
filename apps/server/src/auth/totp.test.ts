import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { base32, codeAt, matchingStep, otpAuthUri, stepAt } from './totp.ts';

const seed = Buffer.from('12345678901234567890');

// RFC 6238, appendix B, of whose eight digits the last six are ours.
test.each([
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
])('at %d seconds the code is %s', (seconds, code) => {
  expect(codeAt(seed, stepAt(seconds * 1_000))).toBe(code);
});

test('a code counts in its half minute, the one before and the one after, and no longer', () => {
  const at = 1_111_111_111_000;
  const step = stepAt(at);
  const found = (offset: number) => matchingStep(seed, codeAt(seed, step + offset), at);
  expect([-2, -1, 0, 1, 2].map(found)).toEqual([null, step - 1, step, step + 1, null]);
  for (const wrong of ['', '12345', '1234567', 'abcdef', '٠٥٠٤٧١']) expect(matchingStep(seed, wrong, at)).toBeNull();
});

test('base32 is that of RFC 4648, section 10, without padding', () => {
  const words = ['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar'];
  expect(words.map((word) => base32(Buffer.from(word)))).toEqual(['', 'MY', 'MZXQ', 'MZXW6', 'MZXW6YQ', 'MZXW6YTB', 'MZXW6YTBOI']);
  expect(base32(randomBytes(20))).toMatch(/^[A-Z2-7]{32}$/);
});

test('what the square shows names the server and the account, and nothing in a name breaks it', () => {
  const uri = new URL(otpAuthUri({ secret: 'MZXW6', issuer: 'byok.test:3000', email: 'a&b?c#d@example.com' }));
  expect([uri.protocol, uri.searchParams.get('secret'), uri.searchParams.get('issuer')]).toEqual(['otpauth:', 'MZXW6', 'byok.test:3000']);
  expect(decodeURIComponent(uri.pathname)).toContain('byok.test:3000:a&b?c#d@example.com');
});
