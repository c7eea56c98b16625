import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { KeyList, KeySwitches, KeyView, NewKey, SetBudget, TypedKey } from '@synthstack/core';
import { computed } from 'vue';
import { api } from '../api.ts';

export const keysKey = ['keys'];

/** The caller's provider keys, refreshed after every change. Verbs reject with the server's error. */
export function useKeys() {
  const cache = useQueryCache();
  const { data, error, refetch } = useQuery({ key: keysKey, query: () => api.keys.list.query() });
  const keys = computed(() => data.value?.keys);
  /** How many keys of a provider this server allows. */
  const perProvider = computed(() => data.value?.perProvider ?? 1);
  const refresh = () => cache.invalidateQueries({ key: keysKey });

  const patch = (id: string, fields: Partial<KeyView>) =>
    cache.setQueryData(keysKey, (list: KeyList | undefined) => ({
      perProvider: list?.perProvider ?? 1,
      keys: (list?.keys ?? []).map((one) => (one.id === id ? { ...one, ...fields } : one)),
    }));

  // The typed key is a parameter on its way and stays in nobody's state: these two are no mutations of the cache on purpose,
  // since that would keep their input for a while.
  const check = (input: TypedKey, signal?: AbortSignal) => api.keys.check.mutate(input, { signal });
  const save = (input: NewKey) => api.keys.save.mutate(input).finally(refresh);

  const { mutateAsync: test } = useMutation({ mutation: (id: string) => api.keys.test.mutate({ id }), onSettled: refresh });
  const { mutateAsync: remove } = useMutation({ mutation: (id: string) => api.keys.remove.mutate({ id }), onSettled: refresh });

  const { mutateAsync: setBudget } = useMutation({
    mutation: (input: SetBudget) => api.keys.setBudget.mutate(input),
    onSettled: refresh,
  });
  const { mutateAsync: removeBudget } = useMutation({ mutation: (id: string) => api.keys.removeBudget.mutate({ id }), onSettled: refresh });
  /** Name, models and order: shown once they are stored. */
  const { mutateAsync: arrange } = useMutation({ mutation: (input: KeySwitches) => api.keys.set.mutate(input), onSettled: refresh });

  /** Shows the new position at once, and goes back to the old one if the server refuses. */
  const { mutateAsync: set } = useMutation({
    mutation: (switches: Pick<KeySwitches, 'id' | 'isActive' | 'fallback'>) => api.keys.set.mutate(switches),
    onMutate({ id, ...switches }) {
      cache.cancelQueries({ key: keysKey });
      const before = keys.value?.find((one) => one.id === id);
      patch(id, switches);
      return { before };
    },
    onError(_error, { id, isActive }, { before }) {
      if (!before) return;
      patch(id, isActive === undefined ? { fallback: before.fallback } : { isActive: before.isActive });
    },
    onSettled: refresh,
  });

  return { keys, perProvider, error, refetch, check, save, test, remove, set, arrange, setBudget, removeBudget };
}
