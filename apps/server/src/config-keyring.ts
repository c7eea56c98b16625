import { AppError } from '@synthstack/core';
import { createKeyring, type Keyring } from '@synthstack/core/keyring';
import type { Config } from './config.ts';

/** The master keys of the configuration. @throws AppError `invalid_config`: there is none */
export function keyringOf({ encryptionKey, previousEncryptionKeys: previous }: Config): Keyring {
  if (!encryptionKey) throw new AppError('invalid_config', 'ENCRYPTION_KEY must be set.');
  return createKeyring({ current: encryptionKey.expose(), previous: previous.map((key) => key.expose()) });
}
