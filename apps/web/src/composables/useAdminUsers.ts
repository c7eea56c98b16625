import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { AdminUser, NewUser, SetUserAccess, SetUserPlan, TierName, UserState } from '@synthstack/core';
import { computed, ref, watch } from 'vue';
import { api } from '../api.ts';

const key = ['admin', 'users'];

export interface UserFilters {
  search: string;
  state: UserState | 'all';
  tier: TierName | 'all';
  role: 'all' | 'admins';
}

interface Found {
  users: AdminUser[];
  hasMore: boolean;
  /** The last page was not filled although there is more: the server has looked at as many as it does at a time. */
  isCut: boolean;
}

/** The users that are looked for, one page more each time that somebody asks for it; what was found stays on show while it changes. */
export function useAdminUsers(filters: () => UserFilters) {
  const pages = ref(1);
  watch(filters, () => {
    pages.value = 1;
  });

  async function load(): Promise<Found> {
    const { search, state, tier, role } = filters();
    const query = {
      ...(search && { search }),
      ...(state !== 'all' && { state }),
      ...(tier !== 'all' && { tier }),
      ...(role === 'admins' && { admins: true }),
    };
    const users: AdminUser[] = [];
    let cursor: string | null = null;
    let found = 0;
    for (let page = 0; page < pages.value && (page === 0 || cursor); page += 1) {
      const next: { users: AdminUser[]; nextCursor: string | null } = await api.admin.users.list.query({
        ...query,
        ...(cursor && { cursor }),
      });
      users.push(...next.users);
      found = next.users.length;
      cursor = next.nextCursor;
    }
    return { users, hasMore: cursor !== null, isCut: cursor !== null && found < 30 };
  }

  const { data, error, refetch, isPlaceholderData } = useQuery({
    key: () => [...key, 'list', { ...filters() }],
    query: load,
    placeholderData: (previous) => previous,
  });

  function more(): Promise<unknown> {
    pages.value += 1;
    return refetch();
  }
  return { list: computed(() => data.value), error, refetch, isOld: isPlaceholderData, more };
}

/** Adds somebody; rejects with the server's error. */
export function useNewUser() {
  const cache = useQueryCache();
  const { mutateAsync: add } = useMutation({
    mutation: (input: NewUser) => api.admin.users.add.mutate(input),
    onSettled: () => cache.invalidateQueries({ key }),
  });
  return add;
}

/** One user, and what can be done to them. The verbs reject with the server's error; whatever comes of them, the user is asked for anew. */
export function useAdminUser(id: string) {
  const cache = useQueryCache();
  const { data, error, refetch } = useQuery({ key: [...key, 'one', id], query: () => api.admin.users.get.query({ id }) });
  const refresh = async () => {
    await Promise.all([cache.invalidateQueries({ key }), cache.invalidateQueries({ key: ['admin', 'audit'] })]);
  };
  const verb = <Input, Output>(mutation: (input: Input) => Promise<Output>) => useMutation({ mutation, onSettled: refresh }).mutateAsync;
  /** There is nobody to ask for any more. */
  const { mutateAsync: remove } = useMutation({
    mutation: (_: null) => api.admin.users.remove.mutate({ id }),
    onSuccess: () => cache.invalidateQueries({ key: [...key, 'list'] }),
  });
  return {
    details: computed(() => data.value),
    ...{ error, refetch },
    setPlan: verb((plan: Omit<SetUserPlan, 'id'>) => api.admin.users.setPlan.mutate({ id, ...plan })),
    setAccess: verb((access: Omit<SetUserAccess, 'id'>) => api.admin.users.setAccess.mutate({ id, ...access })),
    makeResetLink: verb((_: null) => api.admin.users.makeResetLink.mutate({ id })),
    resetFactors: verb((_: null) => api.admin.users.resetFactors.mutate({ id })),
    signOut: verb((_: null) => api.admin.users.signOut.mutate({ id })),
    remove,
  };
}
