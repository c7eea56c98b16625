import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import { api } from '../api.ts';

const key = ['sessions'];

/** Where the caller is signed in, refreshed after every change. Verbs reject with the server's error. */
export function useSessions() {
  const cache = useQueryCache();
  const { data: list, error, refetch } = useQuery({ key, query: () => api.accounts.sessions.query() });
  const refresh = () => cache.invalidateQueries({ key });
  const { mutateAsync: end } = useMutation({ mutation: (id: string) => api.accounts.revokeSession.mutate({ id }), onSettled: refresh });
  const { mutateAsync: endOthers } = useMutation({ mutation: () => api.accounts.revokeOtherSessions.mutate(), onSettled: refresh });
  return { list, error, refetch, refresh, end, endOthers };
}
