/** What a stored key's fields mean together: one state to show, and whose key the next request would use. Pure, so that a table can test it. */
import type { KeyView, PlanView, ProviderView } from '@synthstack/core';

/**
 * none: no key stored · plan: stored, but the plan does not include own keys (any more) · inactive: switched off ·
 * expired: past the date that its owner has set · limited: valid, with something the owner should know · the others are the key's own status.
 */
export type KeyState = 'none' | 'plan' | 'inactive' | 'expired' | 'limited' | KeyView['status'];

/** The first that applies is what keeps the key from being used, and so what its owner has to mend first. */
export function keyState(key: KeyView | undefined, plan: PlanView): KeyState {
  if (!key) return 'none';
  if (!plan.byok) return 'plan';
  if (!key.isActive) return 'inactive';
  if (key.isExpired) return 'expired';
  if (key.status === 'valid' && key.lastError) return 'limited';
  return key.status;
}

export type NextSource = 'own' | 'platform' | 'nobody';

/** DESIGN.md, "Which key pays". */
export function nextSource(key: KeyView | undefined, plan: PlanView, provider: ProviderView): NextSource {
  const state = keyState(key, plan);
  if (state === 'valid' || state === 'limited') return 'own';
  if (key && !key.fallback) return 'nobody';
  return provider.platform ? 'platform' : 'nobody';
}

const prefixOf = (provider: ProviderView) => provider.keyFormat.replace(/\.+$/, '');

/** Whose key a text looks like: `sk-ant-...` also begins as `sk-...`, so the longest beginning wins. */
export function recognise(text: string, providers: readonly ProviderView[]): ProviderView | undefined {
  const longestFirst = [...providers].sort((a, b) => prefixOf(b).length - prefixOf(a).length);
  return longestFirst.find((provider) => text.trim().startsWith(prefixOf(provider)));
}
