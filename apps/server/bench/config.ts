/** The configuration of this server under test. */
import { randomBytes } from 'node:crypto';
import { type Config, loadConfig } from '../src/config.ts';

export interface Secrets {
  encryptionKey: string;
  authSecret: string;
}

export const newSecrets = (): Secrets => ({ encryptionKey: random(), authSecret: random() });
export const random = (): string => randomBytes(32).toString('hex');

export function benchConfig({ folder, secrets, upstreamPort }: { folder: string; secrets: Secrets; upstreamPort: number }): Config {
  return loadConfig({
    ENCRYPTION_KEY: secrets.encryptionKey,
    AUTH_SECRET: secrets.authSecret,
    PORT: '0',
    // It is counted as always; only the number is out of the way of one user with many connections.
    MAX_CONCURRENT_REQUESTS: '10000',
    PUBLIC_URL: 'http://byok.bench',
    DATA_DIR: folder,
    OPENAI_BASE_URL: `http://127.0.0.1:${upstreamPort}/v1`,
  });
}
