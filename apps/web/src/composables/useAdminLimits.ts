import { useQuery, useQueryCache } from '@pinia/colada';
import { type SaveTierLimits, type SaveTierModels, tierNames } from '@synthstack/core';
import { computed } from 'vue';
import { api } from '../api.ts';
import type { TierState } from '../tier-draft.ts';

const key = ['admin', 'limits'];

/** What each tier may do, and how to change it. `save` rejects with the server's error; what it has written until then stays. */
export function useAdminLimits() {
  const cache = useQueryCache();
  const { data, error, refetch } = useQuery({
    key,
    query: async () => {
      const [{ limits }, { models }] = await Promise.all([api.admin.limits.list.query(), api.admin.models.list.query()]);
      return { limits, models };
    },
  });
  const tiers = computed<TierState[] | undefined>(() => {
    const { limits = [], models = [] } = data.value ?? {};
    if (!data.value) return undefined;
    return tierNames.flatMap((tier) => {
      const [mine, theirs] = [limits.find((one) => one.tier === tier), models.find((one) => one.tier === tier)];
      return mine && theirs ? [{ tier, limits: mine, models: theirs }] : [];
    });
  });

  async function save(changes: { limits: SaveTierLimits | null; models: SaveTierModels | null }): Promise<void> {
    try {
      if (changes.limits) await api.admin.limits.save.mutate(changes.limits);
      if (changes.models) await api.admin.models.save.mutate(changes.models);
    } finally {
      const others = [['tiers'], ['limits'], ['plan']].map((other) => cache.invalidateQueries({ key: other }));
      await Promise.all([cache.invalidateQueries({ key }), ...others]);
    }
  }

  return { tiers, error, refetch, save };
}
