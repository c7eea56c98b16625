import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { AdminAnnouncement, NewAnnouncement } from '@synthstack/core';
import { computed, ref } from 'vue';
import { api } from '../api.ts';
import { useSession } from '../session.ts';

const key = ['admin', 'announcements'];

/** All announcements, as administrators see them. The verbs reject with the server's error. */
export function useAnnouncements() {
  const cache = useQueryCache();
  const session = useSession();
  const pages = ref(1);

  async function load(): Promise<{ announcements: AdminAnnouncement[]; hasMore: boolean }> {
    const announcements: AdminAnnouncement[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < pages.value && (page === 0 || cursor); page += 1) {
      const next: { announcements: AdminAnnouncement[]; nextCursor: string | null } = await api.admin.announcements.list.query(
        cursor ? { cursor } : {},
      );
      announcements.push(...next.announcements);
      cursor = next.nextCursor;
    }
    return { announcements, hasMore: cursor !== null };
  }

  const { data, error, refetch } = useQuery({ key, query: load });
  /** Whoever announces sees it too. */
  const refresh = async () => {
    await Promise.all([cache.invalidateQueries({ key }), session.refreshAnnouncements()]);
  };
  const { mutateAsync: add } = useMutation({
    mutation: (input: NewAnnouncement) => api.admin.announcements.add.mutate(input),
    onSettled: refresh,
  });
  const { mutateAsync: withdraw } = useMutation({
    mutation: (id: string) => api.admin.announcements.withdraw.mutate({ id }),
    onSettled: refresh,
  });

  function more(): Promise<unknown> {
    pages.value += 1;
    return refetch();
  }
  return { list: computed(() => data.value), error, refetch, more, add, withdraw };
}
