import { createSecretKey, hash, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { AppError } from './errors.ts';
import { nonceLength, openGcm, sealGcm, tagLength } from './gcm.ts';

export { nonceLength, openGcm, sealGcm } from './gcm.ts';

/** One subkey a purpose, so that what was sealed for one can never be opened as another. */
export type Purpose = 'provider-key' | 'platform-key' | 'conversation' | 'totp' | 'mail' | 'backup' | 'canary';

/** One sealed value, as it lies in three columns. */
export interface Sealed {
  /** Which master key sealed it: public, `mk_` and 16 hex characters. */
  masterKeyId: string;
  /** 12 bytes. */
  nonce: Buffer;
  /** The ciphertext, as long as the plaintext, and a tag of 16 bytes. */
  encryptedBlob: Buffer;
}

/** Seals with one master key and opens with that and all former ones. Key material cannot be had from it. */
export interface Keyring {
  /** Id of the master key that seals. */
  readonly sealingKeyId: string;
  /** Ids of all master keys that open; the sealing one is the first. */
  readonly keyIds: readonly string[];
  /** Encrypts `plaintext` so that it opens only for the same purpose and the same context (owner, provider, row id: what the row is). */
  seal(purpose: Purpose, context: readonly string[], plaintext: Buffer | string): Sealed;
  /**
   * The plaintext, in a buffer of its own that the caller may wipe. Takes 4 microseconds.
   * @throws AppError `key_unusable`: unknown master key, wrong length, or anything at all was changed; the cause says which
   */
  open(purpose: Purpose, context: readonly string[], sealed: Sealed): Buffer;
  /** Whether the master key of that id is here; says nothing about a row that it sealed. */
  canOpen(masterKeyId: string): boolean;
}

export interface KeyringParts {
  /** ENCRYPTION_KEY, 64 hex characters. */
  current: string;
  /** ENCRYPTION_KEY_PREVIOUS, each 64 hex characters. */
  previous?: readonly string[];
  /** 12 fresh bytes; only tests replace it. */
  randomNonce?: () => Buffer;
}

/** What a stranger reads; the same for every reason, so that it tells nothing about the row. */
const unreadableSentences = {
  'provider-key': 'The stored key cannot be opened with the master key of this server. Enter it again in Settings.',
  'platform-key': 'The stored platform key cannot be opened with the master key of this server. An administrator has to enter it again.',
  conversation: 'This conversation cannot be opened with the master key of this server.',
  totp: 'Your second factor cannot be opened with the master key of this server. An administrator has to reset it.',
  mail: 'This e-mail cannot be opened with the master key of this server.',
  backup: 'This backup cannot be opened with the master key of this server.',
  canary: 'ENCRYPTION_KEY is not the key with which the data of this server was sealed.',
} as const satisfies Record<Purpose, string>;

/** AES-256-GCM under subkeys of the master keys (HKDF-SHA-256, RFC 5869), bound to purpose, master key and context. */
export function createKeyring({ current, previous = [], randomNonce = () => randomBytes(nonceLength) }: KeyringParts): Keyring {
  const sealing = deriveMasterKey('ENCRYPTION_KEY', current);
  const former = previous.map((hex, i) => deriveMasterKey(`ENCRYPTION_KEY_PREVIOUS, number ${i + 1}`, hex));
  const masterKeys = new Map([sealing, ...former].map((masterKey) => [masterKey.id, masterKey]));

  return Object.freeze<Keyring>({
    sealingKeyId: sealing.id,
    keyIds: Object.freeze([...masterKeys.keys()]),

    seal(purpose, context, plaintext) {
      const { key, binding } = sealing.subkeys[purpose];
      const nonce = randomNonce();
      if (nonce.length !== nonceLength) throw new AppError('internal', 'A nonce must be 12 bytes.');
      const boundTo = associatedData(binding, context);
      return { masterKeyId: sealing.id, nonce, encryptedBlob: sealGcm({ key, nonce, boundTo }, plaintext) };
    },

    open(purpose, context, { masterKeyId, nonce, encryptedBlob }) {
      const masterKey = masterKeys.get(masterKeyId);
      if (!masterKey) throw unreadable(purpose, `the master key ${nameOf(masterKeyId)} is not here`);
      if (nonce.length !== nonceLength) throw unreadable(purpose, `the nonce has ${nonce.length} bytes`);
      if (encryptedBlob.length < tagLength) throw unreadable(purpose, `the blob has ${encryptedBlob.length} bytes`);
      const { key, binding } = masterKey.subkeys[purpose];
      const plaintext = openGcm({ key, nonce, boundTo: associatedData(binding, context) }, encryptedBlob);
      if (!plaintext) throw unreadable(purpose, `it is not what ${nameOf(masterKeyId)} sealed for this place`);
      return plaintext;
    },

    canOpen: (masterKeyId) => masterKeys.has(masterKeyId),
  });
}

interface Subkey {
  key: KeyObject;
  /** The fields of the associated data that never change, encoded. */
  binding: Buffer;
}

interface MasterKey {
  id: string;
  subkeys: Readonly<Record<Purpose, Subkey>>;
}

/** Everything that is derived from one master key, once; the key itself is wiped. */
function deriveMasterKey(name: string, hex: string): MasterKey {
  const parsed = parseMasterKey(hex);
  if (!parsed.ok) throw new AppError('invalid_config', `${name}: ${parsed.rule}`);
  const derive = (label: string, length: number) => Buffer.from(hkdfSync('sha256', parsed.key, '', `byok/v1/${label}`, length));
  // HKDF's outputs are independent, so the id, which is public, says nothing about the subkeys.
  const id = `mk_${derive('master-key-id', 8).toString('hex')}`;
  const subkey = (purpose: Purpose): Subkey => {
    const bytes = derive(purpose, 32);
    const key = createSecretKey(bytes);
    bytes.fill(0);
    return { key, binding: associatedData(Buffer.alloc(0), ['byok/v1', purpose, id]) };
  };
  const subkeys = {
    'provider-key': subkey('provider-key'),
    'platform-key': subkey('platform-key'),
    conversation: subkey('conversation'),
    totp: subkey('totp'),
    mail: subkey('mail'),
    backup: subkey('backup'),
    canary: subkey('canary'),
  };
  parsed.key.fill(0);
  return { id, subkeys };
}

/** `start`, then each field in UTF-8 behind its length (4 bytes, big-endian): no two lists of fields give the same bytes. */
function associatedData(start: Buffer, fields: readonly string[]): Buffer {
  let length = start.length;
  for (const field of fields) {
    // UTF-8 writes every lone surrogate as the same three bytes, so two different fields could look alike.
    if (!field.isWellFormed()) throw new AppError('internal', 'A sealing context must be well-formed text.');
    length += 4 + Buffer.byteLength(field);
  }
  const bytes = Buffer.allocUnsafe(length);
  let at = start.copy(bytes);
  for (const field of fields) {
    const written = bytes.write(field, at + 4);
    at = bytes.writeUInt32BE(written, at) + written;
  }
  return bytes;
}

function unreadable(purpose: Purpose, reason: string): AppError {
  return new AppError('key_unusable', unreadableSentences[purpose], { cause: new Error(`Cannot open a sealed ${purpose}: ${reason}.`) });
}

/** A master key id for the log. It comes from a column that someone may have written, so only what looks like one is repeated. */
const nameOf = (masterKeyId: string): string => (/^mk_[0-9a-f]{16}$/.test(masterKeyId) ? masterKeyId : 'of a malformed id');

/** The key, or the rule that it broke as a sentence without the key. */
export type ParsedMasterKey = { ok: true; key: Buffer } | { ok: false; rule: string };

/** Checks the text before decoding it: `Buffer.from(text, 'hex')` stops at the first wrong character without a word. */
export function parseMasterKey(text: string): ParsedMasterKey {
  const broken = malformed(text) ?? guessable(text.toLowerCase());
  return broken === undefined ? { ok: true, key: Buffer.from(text, 'hex') } : { ok: false, rule: `${broken} ${howToMakeOne}` };
}

const howToMakeOne = `Make one with: node -e "console.log(require('crypto').randomBytes(32).toString('hex'))"`;

function malformed(text: string): string | undefined {
  if (text === '') return 'It is empty.';
  if (/[\s"']/.test(text)) return 'It contains white space or quotation marks; it must be 64 hexadecimal characters and nothing else.';
  if (/^0x/i.test(text)) return 'It begins with 0x; it must be 64 hexadecimal characters and nothing else.';
  if (text.length !== 64) return `It has ${text.length} characters; it must have exactly 64 (32 bytes in hexadecimal).`;
  if (!/^[0-9a-f]{64}$/i.test(text)) return 'It contains characters other than 0-9 and a-f.';
  return undefined;
}

/** Keys that people type or copy. A random key meets one of these rules less than once in 2^40 times. */
function guessable(hex: string): string | undefined {
  const bytes = [...Buffer.from(hex, 'hex')];
  const step = (i: number) => ((bytes[i] ?? 0) - (bytes[i - 1] ?? 0)) & 0xff;
  const period = Array.from({ length: 32 }, (_, i) => i + 1).find((length) => hex.slice(length) === hex.slice(0, -length));
  if (/^0+$/.test(hex)) return 'It is all zeros.';
  if (period !== undefined && period <= 2) return 'It is one byte, repeated.';
  if (period !== undefined) return `It is a pattern of ${period} characters, repeated, as in the examples of documentation.`;
  if (bytes.every((_, i) => i < 2 || step(i) === step(1))) return 'It counts up or down evenly, as in the examples of documentation.';
  if (new Set(bytes).size <= 8) return 'It is made of 8 different bytes or fewer.';
  if (/^[0-9]+$/.test(hex)) return 'It has only decimal digits.';
  if (bytes.every((byte) => byte >= 0x20 && byte <= 0x7e)) return 'It is readable text, written in hexadecimal.';
  if (publishedKeys.has(hex)) return 'It is a published example key.';
  return undefined;
}

/** The AES-256 key of NIST SP 800-38A, and the hashes that tutorials take for keys. */
const publishedKeys: ReadonlySet<string> = new Set([
  '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
  ...['', 'secret', 'password', 'test', 'hello', 'hello world', 'key', 'changeme'].map((word) => hash('sha256', word)),
]);
