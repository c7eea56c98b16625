import { useQuery } from '@pinia/colada';
import { computed } from 'vue';
import { api } from '../api.ts';

/** What the plans offer on this server. */
export function useTiers() {
  const { data, error, refetch } = useQuery({ key: ['tiers'], query: () => api.usage.tiers.query() });
  return { tiers: computed(() => data.value?.tiers), error, refetch };
}
