import { useQuery, useQueryCache } from '@pinia/colada';
import type { ProviderId, TypedKey } from '@synthstack/core';
import { computed } from 'vue';
import { api } from '../api.ts';

const key = ['admin', 'platform-keys'];

/** The platform's keys, and what an administrator can do to them. The verbs reject with the server's error. */
export function usePlatformKeys() {
  const cache = useQueryCache();
  const { data, error, refetch } = useQuery({ key, query: () => api.admin.platformKeys.list.query() });
  /** Of the catalog as well, which says whether the platform has a key. */
  const refresh = async () => {
    await Promise.all([cache.invalidateQueries({ key }), cache.invalidateQueries({ key: ['providers'] })]);
  };
  // None of these is a mutation of the cache: it would keep what was typed for a while.
  return {
    platformKeys: computed(() => data.value?.platformKeys),
    ...{ error, refetch },
    check: (input: TypedKey, signal?: AbortSignal) => api.admin.platformKeys.check.mutate(input, { signal }),
    save: (input: TypedKey) => api.admin.platformKeys.save.mutate(input).finally(refresh),
    test: (id: string) => api.admin.platformKeys.test.mutate({ id }).finally(refresh),
    testEnvironment: (provider: ProviderId) => api.admin.platformKeys.testEnvironment.mutate({ provider }).finally(refresh),
    set: (id: string, isActive: boolean) => api.admin.platformKeys.set.mutate({ id, isActive }).finally(refresh),
    remove: (id: string) => api.admin.platformKeys.remove.mutate({ id }).finally(refresh),
  };
}
