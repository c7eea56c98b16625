/** The platform's keys: one that an administrator has stored comes before the environment's as long as it works. */
import { AppError, type PlatformKeys, type ProviderId, providerIds, type Verdict } from '@synthstack/core';
import type { Db, Statement } from '@synthstack/core/db';
import type { Secret } from '@synthstack/core/secret';
import type { AuditEntry } from './audit.ts';
import type { CheckLimits } from './check-limits.ts';
import { providerOf } from './providers/catalog.ts';
import type { Sender } from './providers/send.ts';
import { type KeyRows, platform, type UsableKey } from './vault-rows.ts';

export interface PlatformKeyParts {
  db: Db;
  rows: KeyRows;
  sender: Pick<Sender, 'check'>;
  limits: CheckLimits;
  audit(entry: AuditEntry): Statement;
  /** The operator's keys from the environment. */
  secrets: Partial<Record<ProviderId, Secret>>;
}

/** Where the environment names a provider's key. */
const variableOf = (provider: ProviderId): string => `PLATFORM_${provider.toUpperCase()}_API_KEY`;

export function createPlatformKeys({ db, rows, sender, limits, audit, secrets }: PlatformKeyParts) {
  /**
   * The platform's key for a provider: the stored one if it works, else the one from the environment, else a stored one that is not
   * known to be bad; null: the platform has none.
   */
  async function usable(provider: ProviderId): Promise<UsableKey | null> {
    const stored = await rows.at({ owner: platform, provider, position: 0 });
    const works = stored?.isActive && stored.status !== 'unreadable' && stored.status !== 'invalid' ? stored : null;
    const secret = secrets[provider];
    if (works?.status === 'valid' || !secret) return works;
    return { owner: platform, provider, keyHint: secret.hint, environment: secret };
  }

  async function viewsOf(provider: ProviderId): Promise<PlatformKeys> {
    const stored = await rows.at({ owner: platform, provider, position: 0 });
    const [view] = stored ? await rows.views([stored]) : [];
    const used = await usable(provider);
    const secret = secrets[provider];
    return {
      provider,
      name: providerOf(provider).name,
      stored: view ?? null,
      environment: secret ? { keyHint: secret.hint, variable: variableOf(provider) } : null,
      used: used && ('environment' in used ? 'environment' : 'stored'),
    };
  }

  return {
    usable,

    /** One for each provider, without any secret. */
    views: (): Promise<PlatformKeys[]> => Promise.all(providerIds.map(viewsOf)),

    /**
     * Asks the provider whether the environment's key works. Nothing is remembered of it.
     * @throws AppError `not_found`: there is none; `limit_reached`
     */
    async testEnvironment(actor: string, provider: ProviderId): Promise<Verdict> {
      const secret = secrets[provider];
      if (!secret) throw new AppError('not_found', 'The environment has no key for this provider.');
      limits.take(actor, 'test');
      const { status, message, latencyMs } = await sender.check(providerOf(provider), secret);
      await db.commit([audit({ actor, subject: platform, action: 'key.tested', detail: { keyId: 'environment', provider, status } })]);
      return { valid: status === 'valid', status, message, latencyMs };
    },
  };
}
