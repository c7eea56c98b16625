import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { NewPrice, PriceQuery, PriceRef } from '@synthstack/core';
import { computed } from 'vue';
import { api } from '../api.ts';

const key = ['admin', 'prices'];

/** The prices of models that are looked for, and what an administrator can do to them. The verbs reject with the server's error. */
export function useAdminPrices(query: () => PriceQuery) {
  const cache = useQueryCache();
  const { data, error, refetch } = useQuery({
    key: () => [...key, { ...query() }],
    query: () => api.admin.prices.list.query(query()),
    placeholderData: (previous) => previous,
  });
  /** Of the catalog as well, from which people choose models. */
  const refresh = async () => {
    await Promise.all([cache.invalidateQueries({ key }), cache.invalidateQueries({ key: ['providers'] })]);
  };
  const { mutateAsync: save } = useMutation({ mutation: (input: NewPrice) => api.admin.prices.set.mutate(input), onSettled: refresh });
  const { mutateAsync: remove } = useMutation({ mutation: (input: PriceRef) => api.admin.prices.remove.mutate(input), onSettled: refresh });
  return { list: computed(() => data.value), error, refetch, save, remove };
}
