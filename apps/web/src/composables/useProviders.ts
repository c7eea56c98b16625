import { useQuery } from '@pinia/colada';
import { computed } from 'vue';
import { api } from '../api.ts';

/** The providers that there are; they change only when the server is updated or its operator sets a platform key. */
export function useProviders() {
  const { data, error, refetch } = useQuery({ key: ['providers'], query: () => api.keys.providers.query(), staleTime: 60_000 });
  const providers = computed(() => data.value?.providers);
  /** As people know it; its id while that is not known. */
  const nameOf = (id: string): string => providers.value?.find((provider) => provider.id === id)?.name ?? id;
  return { providers, nameOf, error, refetch };
}
