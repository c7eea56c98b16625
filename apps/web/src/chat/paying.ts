/** Whose key pays for an answer, before it is asked and after: what a person is told, and why. Pure. */
import type { FallbackReason, KeySource, KeyView, PlanView, ProviderId, ProviderView } from '@synthstack/core';
import { keyState, nextSource } from '../key-state.ts';
import type { ChatMessage } from './messages.ts';

export interface Paying {
  whose: KeySource | 'nobody';
  why: FallbackReason | KeySource | 'expired' | 'nobody';
}

/** Of an answer that was given; null: no key was tried. */
export function paidBy({ keySource, fallbackReason }: Pick<ChatMessage, 'keySource' | 'fallbackReason'>): Paying | null {
  return keySource === null ? null : { whose: keySource, why: (keySource === 'platform' && fallbackReason) || keySource };
}

export interface Purse {
  keys: readonly KeyView[];
  plan: PlanView;
  providers: readonly ProviderView[];
}

/** Of the next request, as far as one can know beforehand. */
export function wouldPay({ keys, plan, providers }: Purse, id: ProviderId): Paying {
  const provider = providers.find((one) => one.id === id);
  if (!provider) return { whose: 'nobody', why: 'nobody' };
  const { source, key } = nextSource(
    keys.filter((one) => one.provider === id),
    plan,
    provider,
  );
  if (source === 'nobody') return { whose: 'nobody', why: 'nobody' };
  if (source === 'own') return { whose: 'user', why: 'user' };
  const state = keyState(key, plan);
  const isNone = state === 'none' || state === 'valid' || state === 'limited' || state === 'beyond';
  return { whose: 'platform', why: isNone ? 'platform' : state };
}

/** The one that answers where none was chosen: the first whose own key works, else the first with a platform key. */
export function usualProvider(purse: Purse): ProviderId | null {
  const whose = (wanted: Paying['whose']) => purse.providers.find(({ id }) => wouldPay(purse, id).whose === wanted)?.id;
  return whose('user') ?? whose('platform') ?? null;
}
