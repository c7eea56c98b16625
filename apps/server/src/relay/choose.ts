/**
 * Which key pays, as a pure function: DESIGN.md's table "Which key pays". It orders the attempts and looks at no limits: taking
 * a place is the first step of a platform attempt.
 */
import { AppError, type FallbackReason } from '@synthstack/core';
import type { Provider } from '../providers/provider.ts';
import { isExpired } from '../vault-expiry.ts';
import type { StoredKey } from '../vault-rows.ts';

export type Candidate = Pick<StoredKey, 'status' | 'isActive' | 'fallback' | 'retryAt' | 'expiresAt'>;

export type Attempt<Key> =
  | { source: 'user'; key: Key /** The key was out of credit; this request finds out whether it still is. */; trial: boolean }
  | { source: 'platform' };

export interface Choice<Key> {
  /** In order; never empty. */
  attempts: Attempt<Key>[];
  /** Why the user's own key is not the first to be tried; null: it is, or there is none. */
  reason: FallbackReason | null;
}

export interface Situation<Key> {
  provider: Pick<Provider, 'name'>;
  /** The caller's keys for this provider, in the caller's order. */
  keys: readonly Key[];
  /** The caller's plan includes own keys. */
  byok: boolean;
  /** The operator has a platform key, and this route may use it. */
  platform: boolean;
  /** The route is served on own keys alone, whatever the operator has. */
  ownOnly?: boolean;
  nowMs: number;
}

/** @throws AppError `no_key`, `plan_required`, `key_unusable`: nothing can be tried; the sentence says what to do */
export function choose<Key extends Candidate>({ provider, keys, byok, platform, ownOnly = false, nowMs }: Situation<Key>): Choice<Key> {
  const attempts: Attempt<Key>[] = [];
  let reason: FallbackReason | null = null;
  for (const key of keys) {
    const obstacle = obstacleOf(key, byok, nowMs);
    if (obstacle === null) attempts.push({ source: 'user', key, trial: key.status === 'no_credit' });
    else reason ??= obstacle;
  }
  if (attempts.length > 0) reason = null;
  if (platform && keys.every((key) => key.fallback)) attempts.push({ source: 'platform' });
  if (attempts.length === 0) {
    const expired = reason === 'inactive' && keys[0]?.isActive === true;
    throw nothingToTry({ provider, byok, platform, ownOnly, reason, expired });
  }
  return { attempts, reason };
}

/** Why a key cannot be tried now; null: it can. */
function obstacleOf(key: Candidate, byok: boolean, nowMs: number): FallbackReason | null {
  if (!byok) return 'plan';
  // Its owner has switched it off, now or from a date on.
  if (!key.isActive || isExpired(key, nowMs)) return 'inactive';
  if (key.status === 'valid') return null;
  if (key.status === 'no_credit') return key.retryAt !== null && key.retryAt.getTime() <= nowMs ? null : 'no_credit';
  return key.status;
}

type Dead = Required<Pick<Situation<Candidate>, 'provider' | 'byok' | 'platform' | 'ownOnly'>> & {
  reason: FallbackReason | null;
  expired: boolean;
};

function nothingToTry({ provider, byok, platform, ownOnly, reason, expired }: Dead): AppError {
  const headers: Record<string, string> = reason ? { 'x-byok-fallback-reason': reason } : {};
  const lack = ownOnly
    ? `This works with your own ${provider.name} key only: on the platform's nothing is kept at ${provider.name}`
    : `There is no platform key of ${provider.name} for this request`;
  if (reason === null) {
    return byok
      ? new AppError('no_key', `${lack}, and you have no ${provider.name} key. Add yours in Settings > API Keys.`)
      : new AppError(
          'plan_required',
          `${lack}, and your plan does not include own keys. With a plan that includes them you can add yours in Settings > API Keys.`,
        );
  }
  const next = platform ? `, or allow the platform's key in its place` : '';
  if (reason === 'plan') {
    return new AppError(
      'plan_required',
      `Your ${provider.name} key is kept, but your plan does not include own keys now. With a plan that includes them it works again as it is (Settings > Plan and limits)${next}.`,
      { headers },
    );
  }
  return new AppError(
    'key_unusable',
    `Your ${provider.name} key cannot be used: ${expired ? whyExpired : why[reason]}${next} (Settings > API Keys).`,
    {
      headers,
    },
  );
}

const whyExpired = 'the date that you have set for it has passed. Replace it, or change the date';
const why: Record<FallbackReason, string> = {
  inactive: 'it is switched off. Switch it on',
  plan: 'your plan does not include own keys. Renew it',
  invalid: 'the provider does not accept it. Test it, or replace it',
  unverified: 'it has not been checked yet, because the provider could not be reached. Test it',
  no_credit: 'its account has no credit. Add credit at the provider, then test it',
  unreadable: 'this server cannot open it any more. Enter it again',
  bad_key: 'the provider does not accept it. Replace it',
  out_of_credit: 'its account has no credit. Add credit at the provider, then test it',
};
