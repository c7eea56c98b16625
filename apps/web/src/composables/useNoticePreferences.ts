import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { NoticePreferences, SetNoticePreference } from '@synthstack/core';
import { api } from '../api.ts';

const key = ['notice-preferences'];

/** Which kinds the caller is told on the page and by e-mail. `set` rejects with the server's error. */
export function useNoticePreferences() {
  const cache = useQueryCache();
  const { data: preferences, error, refetch } = useQuery({ key, query: () => api.notices.preferences.query() });
  const { mutateAsync: set } = useMutation({
    mutation: (wish: SetNoticePreference) => api.notices.setPreference.mutate(wish),
    onSuccess(all: NoticePreferences) {
      cache.setQueryData(key, all);
      // What is shown and counted has changed with it.
      void cache.invalidateQueries({ key: ['notices'] });
    },
  });
  return { preferences, error, refetch, set };
}
