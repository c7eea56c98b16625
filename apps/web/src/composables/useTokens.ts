import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { NewToken } from '@synthstack/core';
import { computed } from 'vue';
import { api } from '../api.ts';

const key = ['tokens'];

/** The caller's gateway tokens. The secret of a new one is in the answer to `create` and nowhere else. */
export function useTokens() {
  const cache = useQueryCache();
  const { data, error, refetch } = useQuery({ key, query: () => api.tokens.list.query() });
  const refresh = () => cache.invalidateQueries({ key });
  // No mutation of the cache: that would keep the answer, and so the secret, for a while.
  const create = (input: NewToken) => api.tokens.create.mutate(input).finally(refresh);
  const { mutateAsync: revoke } = useMutation({ mutation: (id: string) => api.tokens.revoke.mutate({ id }), onSettled: refresh });
  return { tokens: computed(() => data.value?.tokens), error, refetch, create, revoke };
}
