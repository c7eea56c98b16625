import { createCipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from './errors.ts';
import { createKeyring, type Keyring, type Purpose, parseMasterKey, type Sealed } from './keyring.ts';

const purposes: readonly Purpose[] = ['provider-key', 'platform-key', 'conversation', 'totp', 'mail', 'canary'];
const freshKey = () => randomBytes(32).toString('hex');
const masterKey = freshKey();
const keyring = createKeyring({ current: masterKey });

/** The error with which a sealed value does not open, or undefined where it does. */
function refusal(of: Keyring, purpose: Purpose, context: readonly string[], sealed: Sealed): AppError | undefined {
  try {
    of.open(purpose, context, sealed);
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.code === 'key_unusable') return error;
    throw error; // anything else would be a 500
  }
}
const opens = (purpose: Purpose, context: readonly string[], sealed: Sealed): boolean =>
  refusal(keyring, purpose, context, sealed) === undefined;

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return copy;
}

describe('what was sealed opens', () => {
  test('for the same purpose and context, as text or as bytes', () => {
    const context = ['ada', 'openai', randomUUID()];
    for (const purpose of purposes) {
      expect(keyring.open(purpose, context, keyring.seal(purpose, context, 'sk-ключ-🔑')).toString()).toBe('sk-ключ-🔑');
      const bytes = randomBytes(300);
      expect(keyring.open(purpose, context, keyring.seal(purpose, context, bytes))).toEqual(bytes);
    }
  });

  test('whatever the text and the context are', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...purposes),
        fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }),
        fc.uint8Array({ maxLength: 600 }),
        (purpose, context, plaintext) => {
          const sealed = keyring.seal(purpose, context, Buffer.from(plaintext));
          expect(sealed.encryptedBlob).toHaveLength(plaintext.length + 16);
          expect(keyring.open(purpose, [...context], sealed).equals(plaintext)).toBe(true);
        },
      ),
    );
  });

  test('in another process with the same key, however its letters are written', () => {
    const sealed = keyring.seal('totp', ['ada'], 'secret');
    const other = createKeyring({ current: masterKey.toUpperCase() });
    expect(other.sealingKeyId).toBe(keyring.sealingKeyId);
    expect(other.open('totp', ['ada'], sealed).toString()).toBe('secret');
  });

  test('into a buffer that the caller may wipe', () => {
    const sealed = keyring.seal('totp', ['ada'], 'secret');
    keyring.open('totp', ['ada'], sealed).fill(0);
    expect(keyring.open('totp', ['ada'], sealed).toString()).toBe('secret');
  });

  test('from rows that were written by the first release', () => {
    const first = createKeyring({ current: '7f1c9a4be2d05836a1f4c87b3e69d20574bd1f8ea360c95d2b7e41f8903c6ad5' });
    const sealed: Sealed = {
      masterKeyId: first.sealingKeyId,
      nonce: Buffer.from('a0a1a2a3a4a5a6a7a8a9aaab', 'hex'),
      encryptedBlob: Buffer.from('4a5131a0072b621b76b96e219d8ad3728f8bc84794b8c3e8ef12b535d4a1f132', 'hex'),
    };
    expect(first.sealingKeyId).toBe('mk_198b17313440da16');
    expect(first.open('provider-key', ['ada', 'openai', 'row-1'], sealed).toString()).toBe('sk-first-release');
  });
});

test('the format is the documented one: HKDF-SHA-256 by purpose, AES-256-GCM, length-prefixed associated data', () => {
  const nonce = randomBytes(12);
  const prefixed = (field: string) => {
    const bytes = Buffer.from(field);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const subkey = Buffer.from(hkdfSync('sha256', Buffer.from(masterKey, 'hex'), Buffer.alloc(0), 'byok/v1/provider-key', 32));
  const cipher = createCipheriv('aes-256-gcm', subkey, nonce);
  cipher.setAAD(Buffer.concat(['byok/v1', 'provider-key', keyring.sealingKeyId, 'ädä', 'openai', ''].map(prefixed)));
  const encryptedBlob = Buffer.concat([cipher.update('sk-text'), cipher.final(), cipher.getAuthTag()]);
  const fixed = createKeyring({ current: masterKey, randomNonce: () => nonce });
  expect(fixed.seal('provider-key', ['ädä', 'openai', ''], 'sk-text')).toEqual({ masterKeyId: keyring.sealingKeyId, nonce, encryptedBlob });
});

describe('what was moved does not open', () => {
  const rows = Array.from({ length: 50 }, (_, user) => `user-${user}`).flatMap((user) =>
    ['openai', 'anthropic'].map((provider) => {
      const context = [user, provider, randomUUID()];
      return { context, sealed: keyring.seal('provider-key', context, `sk-${randomBytes(24).toString('hex')}`) };
    }),
  );
  const swaps = rows.flatMap((to) => rows.filter((from) => from !== to).map((from) => ({ to, from })));

  test('every row of 50 users with 2 providers opens in its own place', () => {
    expect(rows).toHaveLength(100);
    expect(rows.filter(({ context, sealed }) => !opens('provider-key', context, sealed))).toEqual([]);
  });

  test.each<[string, (to: Sealed, from: Sealed) => Sealed]>([
    ['the whole row', (_to, from) => from],
    ['the blob alone', (to, { encryptedBlob }) => ({ ...to, encryptedBlob })],
    ['the nonce alone', (to, { nonce }) => ({ ...to, nonce })],
  ])('%s, from any of them to any other', (_what, swap) => {
    expect(swaps).toHaveLength(9_900);
    expect(swaps.filter(({ to, from }) => opens('provider-key', to.context, swap(to.sealed, from.sealed)))).toEqual([]);
  });

  test('to another user, provider or row id, one at a time, nor to more or fewer of them', () => {
    const sealed = keyring.seal('provider-key', ['ada', 'openai', 'row-1'], 'sk-text');
    expect(opens('provider-key', ['ada', 'openai', 'row-1'], sealed)).toBe(true);
    const others = [
      ['bob', 'openai', 'row-1'],
      ['ada', 'anthropic', 'row-1'],
      ['ada', 'openai', 'row-2'],
      ['openai', 'ada', 'row-1'],
      ['ada', 'openai'],
      ['ada', 'openai', 'row-1', ''],
      ['', 'ada', 'openai', 'row-1'],
      ['ADA', 'openai', 'row-1'],
      [],
    ];
    expect(others.filter((context) => opens('provider-key', context, sealed))).toEqual([]);
  });

  test('to a context whose parts are the same when put together', () => {
    const alike = [
      ['ab', 'c'],
      ['a', 'bc'],
      ['abc'],
      ['', 'abc'],
      ['abc', ''],
      ['a', 'b', 'c'],
      ['a\0b', 'c'],
      ['a', 'b\0c'],
      ['\0\0\0\x01a', 'bc'],
      ['a\0\0\0\x02bc'],
      ['a,bc'],
      ['["a","bc"]'],
    ];
    for (const own of alike) {
      const sealed = keyring.seal('provider-key', own, 'sk-text');
      expect(alike.filter((context) => opens('provider-key', context, sealed))).toEqual([own]);
    }
  });

  test('to any other list of texts', () => {
    const context = fc.array(fc.string({ maxLength: 3, unit: fc.constantFrom('a', 'b', '\0', '\x01', 'é') }), { maxLength: 3 });
    fc.assert(
      fc.property(context, context, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        expect(opens('totp', other, keyring.seal('totp', one, 'x'))).toBe(same);
      }),
      { numRuns: 500 },
    );
  });

  test('to another purpose', () => {
    for (const own of purposes) {
      const sealed = keyring.seal(own, ['ada'], 'secret');
      expect(purposes.filter((purpose) => opens(purpose, ['ada'], sealed))).toEqual([own]);
    }
  });

  test('to another master key, even if the row names that one', () => {
    const other = freshKey();
    const both = createKeyring({ current: other, previous: [masterKey] });
    const sealed = keyring.seal('provider-key', ['ada'], 'sk-text');
    expect(refusal(both, 'provider-key', ['ada'], sealed)).toBeUndefined();
    expect(refusal(both, 'provider-key', ['ada'], { ...sealed, masterKeyId: both.sealingKeyId })).toBeInstanceOf(AppError);
  });

  test('and a context that is not text cannot be sealed: two of them would look alike', () => {
    expect(() => keyring.seal('totp', ['\ud800'], 'x')).toThrow('well-formed');
  });
});

describe('what was changed does not open', () => {
  const context = ['ada', 'openai', randomUUID()];
  const records = Array.from({ length: 100 }, (_, i) => keyring.seal('provider-key', context, randomBytes(i % 64)));

  test('but untouched it does', () => {
    expect(records.filter((sealed) => !opens('provider-key', context, sealed))).toEqual([]);
    expect(
      records.every((sealed) => opens('provider-key', context, { ...sealed, encryptedBlob: flipped(flipped(sealed.encryptedBlob, 7), 7) })),
    ).toBe(true);
  });

  test('by any one bit, of the blob or the nonce, in 100 records', () => {
    let tried = 0;
    const opened: string[] = [];
    for (const [i, sealed] of records.entries()) {
      for (const column of ['encryptedBlob', 'nonce'] as const) {
        for (let bit = 0; bit < sealed[column].length * 8; bit++) {
          tried++;
          if (opens('provider-key', context, { ...sealed, [column]: flipped(sealed[column], bit) })) opened.push(`${i} ${column} ${bit}`);
        }
      }
    }
    expect(opened).toEqual([]);
    expect(tried).toBe(records.reduce((bits, { encryptedBlob, nonce }) => bits + (encryptedBlob.length + nonce.length) * 8, 0));
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])('by a tag of %i bytes', (length) => {
    const cut = records.map((sealed) => ({
      ...sealed,
      encryptedBlob: sealed.encryptedBlob.subarray(0, sealed.encryptedBlob.length - 16 + length),
    }));
    expect(cut.filter((sealed) => opens('provider-key', context, sealed))).toEqual([]);
  });

  test('by a tag of 17 bytes, whatever the last or first one is', () => {
    const [sealed] = records;
    if (sealed === undefined) throw new Error('no record');
    for (let byte = 0; byte < 256; byte++) {
      const more = Buffer.from([byte]);
      for (const encryptedBlob of [Buffer.concat([sealed.encryptedBlob, more]), Buffer.concat([more, sealed.encryptedBlob])]) {
        expect(opens('provider-key', context, { ...sealed, encryptedBlob })).toBe(false);
      }
    }
  });

  test('by a nonce of another length', () => {
    for (const sealed of records) {
      for (const nonce of [
        Buffer.alloc(0),
        sealed.nonce.subarray(0, 11),
        Buffer.concat([sealed.nonce, Buffer.alloc(1)]),
        Buffer.alloc(16),
      ]) {
        expect(opens('provider-key', context, { ...sealed, nonce })).toBe(false);
      }
    }
  });

  test('by an empty blob, or one of nothing but zeros', () => {
    for (const length of [0, 15, 16, 17, 64]) {
      const zeros = { masterKeyId: keyring.sealingKeyId, nonce: Buffer.alloc(12), encryptedBlob: Buffer.alloc(length) };
      expect(opens('provider-key', context, zeros)).toBe(false);
    }
  });
});

describe('nonces', () => {
  test('sealing the same text twice gives nothing in common', () => {
    const [one, two] = [keyring.seal('totp', ['ada'], 'secret'), keyring.seal('totp', ['ada'], 'secret')];
    expect(one.nonce).toHaveLength(12);
    expect(one.nonce.equals(two.nonce)).toBe(false);
    expect(one.encryptedBlob.equals(two.encryptedBlob)).toBe(false);
  });

  test('1,000 seals have 1,000 nonces', () => {
    const nonces = Array.from({ length: 1_000 }, () => keyring.seal('totp', ['ada'], '').nonce.toString('hex'));
    expect(new Set(nonces).size).toBe(1_000);
  });

  test('one of a wrong length is refused before it encrypts anything', () => {
    const short = createKeyring({ current: masterKey, randomNonce: () => randomBytes(8) });
    expect(() => short.seal('totp', ['ada'], 'secret')).toThrow('12 bytes');
  });
});

describe('master keys', () => {
  const [first, second, third] = [freshKey(), freshKey(), freshKey()];
  const [one, two] = [createKeyring({ current: first }), createKeyring({ current: second })];
  const all = createKeyring({ current: third, previous: [second, first] });

  test('several open, the current one seals', () => {
    expect(all.open('totp', ['ada'], one.seal('totp', ['ada'], 'by the first')).toString()).toBe('by the first');
    expect(all.open('totp', ['ada'], two.seal('totp', ['ada'], 'by the second')).toString()).toBe('by the second');
    const sealed = all.seal('totp', ['ada'], 'by the third');
    expect(sealed.masterKeyId).toBe(all.sealingKeyId);
    expect(createKeyring({ current: third }).open('totp', ['ada'], sealed).toString()).toBe('by the third');
  });

  test('are named by an id, the sealing one first', () => {
    expect(all.keyIds).toEqual([all.sealingKeyId, two.sealingKeyId, one.sealingKeyId]);
    for (const id of all.keyIds) expect(id).toMatch(/^mk_[0-9a-f]{16}$/);
    expect(all.keyIds.filter((id) => all.canOpen(id))).toEqual(all.keyIds);
    expect(one.canOpen(two.sealingKeyId)).toBe(false);
  });

  test('are counted once if named twice', () => {
    expect(createKeyring({ current: first, previous: [first.toUpperCase(), first] }).keyIds).toEqual([one.sealingKeyId]);
  });

  test.each(['', 'mk_', 'mk_0000000000000000', '__proto__', 'constructor', 'MK_'])('%j is the id of none', (masterKeyId) => {
    expect(all.canOpen(masterKeyId)).toBe(false);
    const sealed = { ...all.seal('totp', ['ada'], 'secret'), masterKeyId };
    expect(refusal(all, 'totp', ['ada'], sealed)).toBeInstanceOf(AppError);
  });

  test('an id is no part of its key', () => {
    expect(first).not.toContain(one.sealingKeyId.slice(3));
  });
});

describe('a refusal', () => {
  const context = ['ada', 'openai', 'row-1'];
  const sealed = keyring.seal('provider-key', context, 'sk-planted-Zq81vNf4Rm0Tt7wYabc1');
  const missing = createKeyring({ current: freshKey() });
  const refusals = [
    refusal(missing, 'provider-key', context, sealed),
    refusal(keyring, 'provider-key', ['eve', 'openai', 'row-1'], sealed),
    refusal(keyring, 'provider-key', context, { ...sealed, nonce: Buffer.alloc(3) }),
    refusal(keyring, 'provider-key', context, { ...sealed, encryptedBlob: Buffer.alloc(3) }),
    refusal(keyring, 'provider-key', context, { ...sealed, masterKeyId: masterKey }),
  ];

  test('is one sentence for a stranger, and says why only in its cause', () => {
    expect(new Set(refusals.map((error) => error?.message)).size).toBe(1);
    expect(refusals[0]?.message).toBe('The stored key cannot be opened with the master key of this server. Enter it again in Settings.');
    expect(refusals.map((error) => error?.cause)).toEqual(
      [
        `Cannot open a sealed provider-key: the master key ${keyring.sealingKeyId} is not here.`,
        `Cannot open a sealed provider-key: it is not what ${keyring.sealingKeyId} sealed for this place.`,
        'Cannot open a sealed provider-key: the nonce has 3 bytes.',
        'Cannot open a sealed provider-key: the blob has 3 bytes.',
        'Cannot open a sealed provider-key: the master key of a malformed id is not here.',
      ].map((reason) => new Error(reason)),
    );
  });

  test('holds neither key, text nor sealed bytes', () => {
    const forms = (bytes: Buffer) => [
      bytes.toString('hex').slice(0, 16),
      bytes.toString('base64').slice(0, 12),
      inspect(bytes).slice(8, 30),
    ];
    const planted = [...forms(Buffer.from(masterKey, 'hex')), ...forms(sealed.encryptedBlob), 'planted', 'Zq81'];
    const leaked = (text: string) => planted.filter((part) => text.includes(part));
    for (const error of refusals) expect(leaked(inspect(error, { depth: null, showHidden: true }))).toEqual([]);
    expect(leaked(`${masterKey} sk-planted ${inspect(sealed.encryptedBlob)}`)).toHaveLength(3);
  });

  test('is not the only thing without key material: the keyring itself shows only ids', () => {
    const shown = inspect(keyring, { depth: null, showHidden: true }) + JSON.stringify(keyring);
    expect(shown).toContain(keyring.sealingKeyId);
    expect(shown).not.toContain(masterKey.slice(0, 16));
    expect(shown).not.toMatch(/KeyObject|Buffer|subkey/i);
  });
});

const countingUp = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0')).join('');
const good = '7f1c9a4be2d05836a1f4c87b3e69d20574bd1f8ea360c95d2b7e41f8903c6ad5';
const malformedKeys: [string, string, RegExp][] = [
  ['nothing', '', /^It is empty\./],
  ['63 characters', good.slice(1), /^It has 63 characters; it must have exactly 64/],
  ['65 characters', `${good}0`, /^It has 65 characters/],
  ['128 characters', good + good, /^It has 128 characters/],
  ['32 characters, as 16 bytes have', good.slice(32), /^It has 32 characters/],
  ['base64 of 32 bytes', Buffer.from(good, 'hex').toString('base64'), /^It has 44 characters/],
  ['a letter that is not hexadecimal', `g${good.slice(1)}`, /^It contains characters other than 0-9 and a-f/],
  ['a letter that is not hexadecimal at the end, where decoding would stop', `${good.slice(0, 63)}z`, /^It contains characters other/],
  ['a full-width digit', `${good.slice(0, 63)}５`, /^It contains characters other/],
  ['a NUL', `${good.slice(0, 63)}\0`, /^It contains characters other/],
  ['a line end behind it', `${good}\n`, /^It contains white space/],
  ['a line end instead of the last character', `${good.slice(0, 63)}\n`, /^It contains white space/],
  ['a space before it', ` ${good}`, /^It contains white space/],
  ['quotation marks around it', `"${good}"`, /^It contains white space or quotation marks/],
  ['0x before it', `0x${good}`, /^It begins with 0x/],
  ['0x before 62 characters', `0x${good.slice(2)}`, /^It begins with 0x/],
  ['zeros', '0'.repeat(64), /^It is all zeros/],
  ['one byte', 'ab'.repeat(32), /^It is one byte, repeated/],
  ['one letter', 'F'.repeat(64), /^It is one byte, repeated/],
  ['deadbeef', 'deadbeef'.repeat(8), /^It is a pattern of 8 characters/],
  ['DEADBEEF in both cases', 'deadBEEFDEADbeef'.repeat(4), /^It is a pattern of 8 characters/],
  ['the hexadecimal digits', '0123456789abcdef'.repeat(4), /^It is a pattern of 16 characters/],
  ['the digits from 1 to 0, cut at 64', '1234567890'.repeat(7).slice(0, 64), /^It is a pattern of 10 characters/],
  ['a half, twice', good.slice(32).repeat(2), /^It is a pattern of 32 characters/],
  ['00112233...', '00112233445566778899aabbccddeeff'.repeat(2), /^It is a pattern of 32 characters/],
  ['000102...1f', countingUp, /^It counts up or down/],
  ['000102...1F', countingUp.toUpperCase(), /^It counts up or down/],
  [
    '010203...20',
    [...Buffer.from(countingUp, 'hex')].map((byte) => (byte + 1).toString(16).padStart(2, '0')).join(''),
    /^It counts up or down/,
  ],
  ['1f1e...00', Buffer.from(countingUp, 'hex').reverse().toString('hex'), /^It counts up or down/],
  ['zeros and a one', `${'0'.repeat(63)}1`, /^It is made of 8 different bytes or fewer/],
  ['two letters, half each', 'a'.repeat(32) + 'b'.repeat(32), /^It is made of 8 different bytes or fewer/],
  ['typed digits', '3141592653589793238462643383279502884197169399375105820974944592', /^It has only decimal digits/],
  ['a sentence', Buffer.from('this is my very secret 32b key!!').toString('hex'), /^It is readable text/],
  ["NIST's example key", '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', /^It is a published example key/],
  ['the SHA-256 of nothing', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', /^It is a published example key/],
  ['the SHA-256 of "password"', '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8', /^It is a published example key/],
];

describe('ENCRYPTION_KEY', () => {
  test.each(malformedKeys)('made of %s is refused by its rule', (_what, text, rule) => {
    const parsed = parseMasterKey(text);
    if (parsed.ok) throw new Error('it was taken');
    expect(parsed.rule).toMatch(rule);
    expect(parsed.rule).toContain("require('crypto').randomBytes(32)");
    if (text.length > 8) expect(parsed.rule).not.toContain(text.trim().slice(0, 8));
  });

  test.each(malformedKeys)('made of %s makes no keyring, as current or former key', (_what, text, rule) => {
    const said = new RegExp(`^ENCRYPTION_KEY: ${rule.source.slice(1)}`);
    expect(() => createKeyring({ current: text })).toThrow(
      expect.objectContaining({ code: 'invalid_config', message: expect.stringMatching(said) }),
    );
    const saidOfFormer = new RegExp(`^ENCRYPTION_KEY_PREVIOUS, number 2: ${rule.source.slice(1)}`);
    expect(() => createKeyring({ current: good, previous: [freshKey(), text] })).toThrow(saidOfFormer);
  });

  test('of 64 hexadecimal characters is taken, in either case', () => {
    for (const text of [good, good.toUpperCase(), good.slice(0, 32) + good.slice(32).toUpperCase()]) {
      expect(parseMasterKey(text)).toEqual({ ok: true, key: Buffer.from(good, 'hex') });
    }
  });

  test('made as the refusals say is taken', () => {
    expect(Array.from({ length: 2_000 }, freshKey).filter((text) => !parseMasterKey(text).ok)).toEqual([]);
  });
});
