/** A vault on a given database, before a scripted provider on a real socket, with time in the test's hands. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProviderId } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { createKeyring, type Keyring } from '@synthstack/core/keyring';
import type { Secret } from '@synthstack/core/secret';
import { createAudit } from '../src/audit.ts';
import { createCheckLimits } from '../src/check-limits.ts';
import { createNotices } from '../src/notices.ts';
import { createOutbound } from '../src/ports/outbound.ts';
import { createSender } from '../src/providers/send.ts';
import { createVault, type KeyCaller, type Vault } from '../src/vault.ts';
import { manualClock } from './clock.ts';
import { type Script, startProvider } from './provider.ts';

export const masterKeys = {
  one: '0f4c2a9be7d15386c0ffa1725e94bd38a6713fd2495cbe8071e3d8f60a2b94c7',
  two: 'b81d60e39f274ac5137ee2d94c06fa8b5097c1ad3e6f4285d90b7e13a4cf5862',
};

export interface VaultStageOptions {
  keyring?: Keyring;
  platformSecrets?: Partial<Record<ProviderId, Secret>>;
}

export async function vaultStage(db: Db, options: VaultStageOptions = {}) {
  const provider = await startProvider();
  const outbound = createOutbound();
  const clock = manualClock(Date.UTC(2026, 10, 2, 12));
  const timeouts = { connectMs: 20_000, firstByteMs: 20_000, idleMs: 20_000, totalMs: 20_000 };
  const sender = createSender({ outbound, clock, timeouts, baseUrls: { openai: provider.openaiUrl, anthropic: provider.anthropicUrl } });
  const audit = createAudit({ db, clock });
  const notices = createNotices({ db, clock });
  const warnings: string[] = [];
  const keyring = options.keyring ?? createKeyring({ current: masterKeys.one });

  /** A vault as another process would have it: the same database and provider, its own memory and master key. */
  function anotherVault(other: Keyring): Vault {
    const limits = createCheckLimits(clock);
    const { platformSecrets = {} } = options;
    const warn = (fields: object, message: string) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
    return createVault({ db, keyring: other, sender, clock, limits, audit: audit.entry, notice: notices.entry, warn, platformSecrets });
  }
  async function end(): Promise<void> {
    await outbound.close();
    await provider.close();
  }
  const vault = anotherVault(keyring);
  try {
    await vault.openCanaries();
  } catch (error) {
    await end();
    throw error;
  }

  /** A fresh random key that does what the script says. */
  function newKey(id: ProviderId, script: Script = 'good'): string {
    const secret = (id === 'openai' ? 'sk-proj-' : 'sk-ant-api03-') + randomBytes(36).toString('base64url');
    provider.key(secret, script, id);
    return secret;
  }

  /** Saves a new key, and gives it with its row. Each has another actor, so that no limit is met that the test is not about. */
  async function stored(owner: string, id: ProviderId = 'openai', script: Script = 'good') {
    const apiKey = newKey(id, script);
    const view = await vault.save(member(owner, randomBytes(6).toString('hex')), { provider: id, apiKey });
    const row = (await vault.sealedOf(owner)).find((one) => one.id === view.id);
    if (!row) throw new Error('The key that was saved is not there.');
    return { apiKey, view, row };
  }

  return {
    ...{ warnings, vault, provider, clock, audit, notices, keyring, db, anotherVault, newKey, stored },
    generation: async () => (await db.orm.select().from(db.tables.generation))[0]?.value ?? 0,
    [Symbol.asyncDispose]: end,
  };
}

/** Somebody whose plan includes own keys. */
export function member(userId: string, actor = userId): KeyCaller {
  return { userId, byok: true, actor };
}

/** The error that a call ends in; it must end in one. */
export async function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error('This should have failed.');
    },
    (error: unknown) => error,
  );
}

/** All bytes of a SQLite database: the file, its WAL and its shared memory. */
export function bytesOf(folder: string): Buffer {
  const files = ['', '-wal', '-shm'].map((end) => join(folder, `byok.db${end}`));
  return Buffer.concat(files.filter((file) => existsSync(file)).map((file) => readFileSync(file)));
}
