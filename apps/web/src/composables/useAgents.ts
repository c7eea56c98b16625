import { useQuery } from '@pinia/colada';
import { computed } from 'vue';
import { api } from '../api.ts';

/** The AI Cofounders, as the caller's plan has them. */
export function useAgents() {
  const { data, error, refetch } = useQuery({ key: ['agents'], query: () => api.agents.list.query(), staleTime: 60_000 });
  return { agents: computed(() => data.value?.agents), error, refetch };
}
