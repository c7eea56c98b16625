/** What a stored key's fields mean together: one state to show, and whose key the next request would use. Pure, so that a table can test it. */
import type { KeyView, PlanView, ProviderView } from '@synthstack/core';

/**
 * none: no key stored · plan: stored, but the plan does not include own keys (any more) · beyond: one more than this server allows · inactive:
 * switched off · expired: past the date that its owner has set · budget: nothing is left of its hard budget · limited: valid, with something
 * the owner should know · the others are the key's own status.
 */
export type KeyState = 'none' | 'plan' | 'beyond' | 'inactive' | 'expired' | 'budget' | 'limited' | KeyView['status'];

/** The first that applies is what keeps the key from being used, and so what its owner has to mend first. */
export function keyState(key: KeyView | undefined, plan: PlanView): KeyState {
  if (!key) return 'none';
  if (!plan.byok) return 'plan';
  if (key.isBeyond) return 'beyond';
  if (!key.isActive) return 'inactive';
  if (key.isExpired) return 'expired';
  if (key.status === 'valid' && isSpent(key)) return 'budget';
  if (key.status === 'valid' && key.lastError) return 'limited';
  return key.status;
}

export const isSpent = ({ budget }: Pick<KeyView, 'budget'>): boolean => budget?.hard === true && budget.spentUsd >= budget.limitUsd;

export interface Next {
  source: 'own' | 'platform' | 'nobody';
  /** Of one's own keys the one that is tried, or that is the reason why none is; undefined: there is none. */
  key: KeyView | undefined;
}

/**
 * DESIGN.md, "Which key pays".
 * @param keys  of this provider, in their owner's order
 */
export function nextSource(keys: readonly KeyView[], plan: PlanView, provider: ProviderView): Next {
  const used = keys.filter((key) => !key.isBeyond);
  const stateOf = (key: KeyView) => keyState(key, plan);
  const works = (key: KeyView) => stateOf(key) === 'valid' || stateOf(key) === 'limited';
  const own = used.find(works);
  if (own) return { source: 'own', key: own };
  const forbids = used.find((key) => !key.fallback || (stateOf(key) === 'budget' && !key.budget?.thenPlatform));
  if (forbids) return { source: 'nobody', key: forbids };
  return { source: provider.platform ? 'platform' : 'nobody', key: used[0] };
}

const prefixOf = (provider: ProviderView) => provider.keyFormat.replace(/\.+$/, '');

/** Whose key a text looks like: `sk-ant-...` also begins as `sk-...`, so the longest beginning wins. */
export function recognise(text: string, providers: readonly ProviderView[]): ProviderView | undefined {
  const longestFirst = [...providers].sort((a, b) => prefixOf(b).length - prefixOf(a).length);
  return longestFirst.find((provider) => text.trim().startsWith(prefixOf(provider)));
}
