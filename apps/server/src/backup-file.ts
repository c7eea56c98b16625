/**
 * What stands behind the database's bytes in a backup: the manifest as one line of JSON, the seal over exactly that line as another, then
 * the length of both, their SHA-256, and a mark. The manifest names the SHA-256 of the database; the seal opens only with the master key
 * that made it, so that a backup that somebody else has put together is told from one of ours.
 */
import { hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Keyring, Sealed } from '@synthstack/core/keyring';
import { z } from 'zod';

const Manifest = z.strictObject({
  format: z.literal(1),
  /** Of the program that made it. */
  version: z.string(),
  /** ISO 8601. */
  madeAt: z.iso.datetime(),
  /** Those that made its tables: which version of them it has. */
  migrations: z.array(z.string()),
  masterKeyIds: z.array(z.string()),
  /** By table. */
  rows: z.record(z.string(), z.int()),
  database: z.strictObject({ bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
});
export type Manifest = z.infer<typeof Manifest>;

const Seal = z.strictObject({ masterKeyId: z.string(), nonce: z.base64(), encryptedBlob: z.base64() });

const mark = Buffer.from('SYNTHSTACK-BYOK-BACKUP\n');
const tailLength = 4 + 32 + mark.length;
/** Far more than any manifest has. */
const mostBytes = 1_048_576;
const word = 'backup';

export function endOf(manifest: Manifest, keyring: Keyring): Buffer {
  const line = JSON.stringify(manifest);
  const { masterKeyId, nonce, encryptedBlob } = keyring.seal('backup', [line], word);
  const seal = JSON.stringify({ masterKeyId, nonce: nonce.toString('base64'), encryptedBlob: encryptedBlob.toString('base64') });
  const text = Buffer.from(`\n${line}\n${seal}\n`);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([text, length, digestOf(text), mark]);
}

/** @returns null: there is no such end, or it is not whole. @throws whatever reading the file throws */
export function readEnd(file: string): { manifest: Manifest; masterKeyId: string; opens(keyring: Keyring): boolean } | null {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const tail = read(fd, size - tailLength, tailLength);
    if (!tail?.subarray(-mark.length).equals(mark)) return null;
    const length = tail.readUInt32BE(0);
    const text = length <= mostBytes ? read(fd, size - tailLength - length, length) : null;
    if (!text || !digestOf(text).equals(tail.subarray(4, 36))) return null;
    const [, line = '', sealLine = ''] = text.toString('utf8').split('\n');
    const [manifest, seal] = [parse(Manifest, line), parse(Seal, sealLine)];
    if (!manifest || !seal || manifest.database.bytes !== size - tailLength - length) return null;
    const { masterKeyId } = seal;
    const sealed = { masterKeyId, nonce: Buffer.from(seal.nonce, 'base64'), encryptedBlob: Buffer.from(seal.encryptedBlob, 'base64') };
    return { manifest, masterKeyId, opens: (keyring) => opens(keyring, line, sealed) };
  } finally {
    closeSync(fd);
  }
}

function opens(keyring: Keyring, line: string, sealed: Sealed): boolean {
  try {
    return keyring.open('backup', [line], sealed).toString() === word;
  } catch {
    return false;
  }
}

function read(fd: number, at: number, length: number): Buffer | null {
  if (at < 0) return null;
  const bytes = Buffer.alloc(length);
  return readSync(fd, bytes, 0, length, at) === length ? bytes : null;
}

function parse<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

const digestOf = (bytes: Buffer): Buffer => hash('sha256', bytes, 'buffer');
