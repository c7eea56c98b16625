import { useQuery } from '@pinia/colada';
import { computed } from 'vue';
import { api } from '../api.ts';

/** How the server is, asked anew with each visit and when somebody wants it. */
export function useHealth() {
  const { data, error, refetch, isLoading } = useQuery({ key: ['admin', 'health'], query: () => api.admin.health.query(), staleTime: 0 });
  return { health: computed(() => data.value), error, refetch, isLoading };
}
