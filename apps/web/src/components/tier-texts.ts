import type { TierName } from '@synthstack/core';

export const tierLabels: Record<TierName, string> = {
  community: 'Community',
  subscriber: 'Subscriber',
  premium: 'Premium',
  lifetime: 'Lifetime',
};
