import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import { api } from '../api.ts';

export const fallbackCapKey = ['fallback-cap'];

/** How often a day the platform's key may stand in for the person's own, and how often it has today. */
export function useFallbackCap() {
  const cache = useQueryCache();
  const { data: cap } = useQuery({ key: fallbackCapKey, query: () => api.keys.fallbackCap.query() });
  const { mutateAsync: setCap } = useMutation({
    mutation: (perDay: number | null) => api.keys.setFallbackCap.mutate({ perDay }),
    onSuccess: (stored) => cache.setQueryData(fallbackCapKey, stored),
  });
  return { cap, setCap };
}
