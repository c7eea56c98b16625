/**
 * Which key pays, as a pure function: DESIGN.md's table "Which key pays". It orders the attempts and looks at no limits: taking
 * a place is the first step of a platform attempt.
 */
import { AppError, type FallbackReason } from '@synthstack/core';
import type { BudgetState } from '../budgets.ts';
import type { Provider } from '../providers/provider.ts';
import { isExpired } from '../vault-expiry.ts';
import type { StoredKey } from '../vault-rows.ts';

export type Candidate = Pick<StoredKey, 'status' | 'isActive' | 'fallback' | 'retryAt' | 'expiresAt' | 'models'> & {
  budget: BudgetState | null;
};

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
  /** null: the request names none, as far as anybody can tell. */
  model: string | null;
  nowMs: number;
}

/**
 * @throws AppError `no_key`, `plan_required`, `key_unusable`, `budget_reached`: nothing can be tried; the sentence says what to do
 */
export function choose<Key extends Candidate>(situation: Situation<Key>): Choice<Key> {
  const { provider, keys, byok, platform, ownOnly = false, model, nowMs } = situation;
  const attempts: Attempt<Key>[] = [];
  let reason: FallbackReason | null = null;
  let isSpent = false;
  let isDated = false;
  for (const key of keys) {
    const obstacle = obstacleOf(key, { byok, model, nowMs });
    if (obstacle === null) attempts.push({ source: 'user', key, trial: key.status === 'no_credit' });
    else if (reason === null) [reason, isDated] = [obstacle, obstacle === 'inactive' && key.isActive];
    isSpent ||= obstacle === 'budget' && !key.budget?.thenPlatform;
  }
  if (attempts.length > 0) reason = null;
  if (platform && !isSpent && keys.every((key) => key.fallback || isForOthers(key, byok, model))) attempts.push({ source: 'platform' });
  if (attempts.length === 0) {
    throw nothingToTry({ provider, byok, platform, ownOnly, reason: isSpent ? 'budget' : reason, isDated });
  }
  return { attempts, reason };
}

type Circumstances = Pick<Situation<Candidate>, 'byok' | 'model' | 'nowMs'>;

/** Why a key cannot be tried now; null: it can. The budget of a key that would not be used anyway is of no matter. */
function obstacleOf(key: Candidate, { byok, model, nowMs }: Circumstances): FallbackReason | null {
  if (!byok) return 'plan';
  // Its owner has switched it off, now or from a date on.
  if (!key.isActive || isExpired(key, nowMs)) return 'inactive';
  if (!isFor(key, model)) return 'model';
  const isDue = key.status === 'no_credit' && key.retryAt !== null && key.retryAt.getTime() <= nowMs;
  if (key.status !== 'valid' && !isDue) return key.status;
  return key.budget?.isReached ? 'budget' : null;
}

/** Such a key has no say in what becomes of this request. */
const isForOthers = (key: Candidate, byok: boolean, model: string | null): boolean => byok && !isFor(key, model);

/** Whether its owner keeps a key for this model, each named as it is or by its beginning with a * after it. */
function isFor({ models }: Pick<Candidate, 'models'>, model: string | null): boolean {
  if (models === null || model === null) return true;
  return models.some((one) => (one.endsWith('*') ? model.startsWith(one.slice(0, -1)) : model === one));
}

type Dead = Required<Pick<Situation<Candidate>, 'provider' | 'byok' | 'platform' | 'ownOnly'>> & {
  reason: FallbackReason | null;
  /** Its owner has set a date for it, which has passed. */
  isDated: boolean;
};

function nothingToTry({ provider, byok, platform, ownOnly, reason, isDated }: Dead): AppError {
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
  if (reason === 'budget') {
    return new AppError(
      'budget_reached',
      `The monthly budget of your ${provider.name} key is used up. Raise it in Settings > API Keys, or wait until the month ends (UTC).`,
      { headers },
    );
  }
  const because = isDated ? whyDated : why[reason];
  return new AppError('key_unusable', `Your ${provider.name} key cannot be used: ${because}${next} (Settings > API Keys).`, { headers });
}

const whyDated = 'the date that you have set for it has passed. Replace it, or change the date';
const why: Record<FallbackReason, string> = {
  inactive: 'it is switched off. Switch it on',
  plan: 'your plan does not include own keys. Renew it',
  invalid: 'the provider does not accept it. Test it, or replace it',
  unverified: 'it has not been checked yet, because the provider could not be reached. Test it',
  no_credit: 'its account has no credit. Add credit at the provider, then test it',
  unreadable: 'this server cannot open it any more. Enter it again',
  budget: 'its monthly budget is used up. Raise it',
  model: 'you keep it for other models. Name this model among its own',
  bad_key: 'the provider does not accept it. Replace it',
  out_of_credit: 'its account has no credit. Add credit at the provider, then test it',
};
