/**
 * How conversations lie at rest: each has a data key of its own, which the keyring seals for its owner and its id; title and messages lie
 * under that data key. So a rotation of the master key wraps one row a conversation anew, whatever its length.
 */
import { createSecretKey, randomBytes } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { type Keyring, nonceLength, openGcm, type Sealed, sealGcm } from '@synthstack/core/keyring';

/** Seals and opens the texts of one conversation. */
export interface DataKey {
  /** @param place  what the text is: `title`, or a message's id */
  seal(place: string, text: string): Buffer;
  /** @throws AppError `key_unusable`: it is not what was sealed for this place */
  open(place: string, sealed: Buffer): string;
}

export interface Owned {
  userId: string;
  id: string;
}

/** A fresh data key, and what to keep of it. */
export function newDataKey(keyring: Keyring, { userId, id }: Owned): { key: DataKey; sealed: Sealed } {
  const bytes = randomBytes(32);
  const sealed = keyring.seal('conversation', [userId, id], bytes);
  return { key: dataKey(bytes, id), sealed };
}

/** @throws AppError `key_unusable`: no master key of this process opens it, or something was changed */
export function openDataKey(keyring: Keyring, { userId, id }: Owned, sealed: Sealed): DataKey {
  return dataKey(keyring.open('conversation', [userId, id], sealed), id);
}

/** Wipes `bytes`. */
function dataKey(bytes: Buffer, conversationId: string): DataKey {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  // Both are of a fixed alphabet without the line end between them.
  const boundTo = (place: string) => Buffer.from(`byok/v1/conversation\n${conversationId}\n${place}`);

  return {
    seal(place, text) {
      const nonce = randomBytes(nonceLength);
      return Buffer.concat([nonce, sealGcm({ key, nonce, boundTo: boundTo(place) }, text)]);
    },

    open(place, sealed) {
      const nonce = sealed.subarray(0, nonceLength);
      const plaintext = openGcm({ key, nonce, boundTo: boundTo(place) }, sealed.subarray(nonceLength));
      if (!plaintext) throw unreadable();
      return plaintext.toString('utf8');
    },
  };
}

const unreadable = () => new AppError('key_unusable', 'This conversation cannot be opened: it is not what this server sealed.');
