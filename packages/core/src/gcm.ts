/** AES-256-GCM as everything here is sealed with it: fresh nonces of 12 bytes, and tags of 16, which stand behind the ciphertext. */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

const algorithm = 'aes-256-gcm';
export const nonceLength = 12;
export const tagLength = 16;

/** What a sealed text belongs to. */
interface Place {
  /** 32 bytes. */
  key: KeyObject;
  nonce: Buffer;
  /** Must be the same when it is opened. */
  boundTo: Buffer;
}

/** @param nonce  never used with this key before */
export function sealGcm({ key, nonce, boundTo }: Place, plaintext: Buffer | string): Buffer {
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagLength });
  cipher.setAAD(boundTo);
  const ciphertext = typeof plaintext === 'string' ? cipher.update(plaintext, 'utf8') : cipher.update(plaintext);
  return Buffer.concat([ciphertext, cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext in a buffer of its own; null: it is too short, or not what was sealed for this place. */
export function openGcm({ key, nonce, boundTo }: Place, sealed: Buffer): Buffer | null {
  const tagAt = sealed.length - tagLength;
  if (nonce.length !== nonceLength || tagAt < 0) return null;
  const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagLength });
  decipher.setAAD(boundTo);
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plaintext = decipher.update(sealed.subarray(0, tagAt));
  try {
    decipher.final(); // verifies the tag; in this mode it adds no bytes
  } catch {
    plaintext.fill(0);
    return null;
  }
  return plaintext;
}
