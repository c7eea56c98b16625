import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { findPlanted } from './planted.ts';

const secret = 'sk-ant-api03-kJ7vQ2mXw9LzR4tYb8NcF1hGp5Ds0aEu+/"\\üTq3WnZ6xVr2KfM8j';
/** Bytes that hold no zero byte, so that nothing is found at a border by chance. */
const noise = (length: number) => Buffer.from(randomBytes(length).map((byte) => byte | 1));
const hidden = (text: string | Buffer) => Buffer.concat([noise(997), Buffer.from(text as string), noise(1_001)]);
/** 11 characters from the middle, which begin and end at no border of anything. */
const piece = secret.slice(20, 31);

test('bytes without the secret hold no find', () => {
  expect(findPlanted(secret, noise(200_000))).toEqual([]);
  expect(findPlanted(secret, Buffer.from('Keys begin with sk-ant-api03-... and end as ****...abc1'))).toEqual([]);
});

test('a piece is found in every form in which it may be written', () => {
  const forms: Record<string, string | Buffer> = {
    raw: piece,
    'UTF-16': Buffer.from(piece, 'utf16le'),
    hex: Buffer.from(piece).toString('hex'),
    'hex, upper case': Buffer.from(piece).toString('hex').toUpperCase(),
    'URL, all escaped': Buffer.from(piece).toString('hex').replace(/../g, '%$&'),
    'JSON, all escaped': Buffer.from(piece).toString('hex').replace(/../g, '\\u00$&'),
  };
  for (const [form, text] of Object.entries(forms)) {
    expect(findPlanted(secret, hidden(text)), form).toContainEqual(expect.stringMatching(new RegExp(`^${form} of characters 20-27 at`)));
  }
});

test('a piece is found in base64 and base64url, whatever stands before and after it', () => {
  for (const encoding of ['base64', 'base64url'] as const) {
    for (let before = 0; before < 9; before += 1) {
      const text = Buffer.concat([noise(before), Buffer.from(piece), noise(7)]).toString(encoding);
      expect(findPlanted(secret, hidden(text)), `${encoding}, ${before} bytes before`).not.toEqual([]);
    }
  }
});

test('the characters that URLs and JSON escape are found escaped', () => {
  const special = secret.slice(secret.indexOf('+') - 3, secret.indexOf('+') + 5);
  expect(findPlanted(secret, hidden(encodeURIComponent(special))).join()).toContain('URL of');
  expect(findPlanted(secret, hidden(JSON.stringify(special))).join()).toContain('JSON of');
});

test('a find names where it is and never what it is', () => {
  const finds = findPlanted(secret, hidden(secret));
  expect(finds.length).toBeGreaterThan(secret.length - 30);
  for (let start = 13; start + 8 <= secret.length; start += 1) expect(finds.join('\n')).not.toContain(secret.slice(start, start + 8));
});
