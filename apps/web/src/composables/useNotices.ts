import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { NoticeView } from '@synthstack/core';
import { computed, ref } from 'vue';
import { api } from '../api.ts';

/**
 * The caller's notices, or the administrators', newest first; more of them when asked for, and anew after every change.
 * @param owner  decides whose
 */
export function useNotices(owner: 'own' | 'administrators') {
  const cache = useQueryCache();
  const door = owner === 'own' ? api.notices : api.admin.notices;
  /** How many pages are shown. */
  const pages = ref(1);

  async function load(): Promise<{ notices: NoticeView[]; hasMore: boolean }> {
    const notices: NoticeView[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < pages.value && (page === 0 || cursor); page += 1) {
      const next: { notices: NoticeView[]; nextCursor: string | null } = await door.list.query(cursor ? { cursor } : {});
      notices.push(...next.notices);
      cursor = next.nextCursor;
    }
    return { notices, hasMore: cursor !== null };
  }

  const { data, error, refetch } = useQuery({ key: ['notices', 'list', owner], query: load });
  const refresh = () => cache.invalidateQueries({ key: ['notices'] });
  const { mutateAsync: markRead } = useMutation({ mutation: (id: string) => door.markRead.mutate({ id }), onSettled: refresh });
  const { mutateAsync: markAllRead } = useMutation({ mutation: () => door.markAllRead.mutate(), onSettled: refresh });
  const { mutateAsync: remove } = useMutation({ mutation: (id: string) => door.remove.mutate({ id }), onSettled: refresh });

  function more(): Promise<unknown> {
    pages.value += 1;
    return refetch();
  }

  return {
    notices: computed(() => data.value?.notices),
    hasMore: computed(() => data.value?.hasMore ?? false),
    ...{ error, refetch, more, markRead, markAllRead, remove },
  };
}
