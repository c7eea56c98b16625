import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { ConversationSummary } from '@synthstack/core';
import { computed, type Ref, ref, watch } from 'vue';
import { api } from '../api.ts';

export const conversationsKey = ['conversations'];

/** The caller's conversations, those whose title has `search` in it where that is not empty. Verbs reject with the server's error. */
export function useConversations(search: Ref<string>) {
  const cache = useQueryCache();
  const query = computed(() => search.value.trim().slice(0, 200));
  const { data, error, refetch } = useQuery({
    key: () => [...conversationsKey, query.value],
    query: () => api.conversations.list.query(query.value ? { query: query.value } : {}),
  });
  const refresh = () => cache.invalidateQueries({ key: conversationsKey });

  /** Older ones than the first page, fetched by hand; a change of that page begins anew. */
  const older = ref<ConversationSummary[]>([]);
  const cursor = ref<string | null>(null);
  watch(data, (page) => {
    older.value = [];
    cursor.value = page?.nextCursor ?? null;
  });
  async function more(): Promise<void> {
    if (!cursor.value) return;
    const page = await api.conversations.list.query({ cursor: cursor.value });
    older.value = [...older.value, ...page.conversations];
    cursor.value = page.nextCursor;
  }

  const conversations = computed(() => {
    if (!data.value) return undefined;
    const first = new Set(data.value.conversations.map(({ id }) => id));
    return [...data.value.conversations, ...older.value.filter(({ id }) => !first.has(id))];
  });

  const { mutateAsync: rename } = useMutation({
    mutation: (input: { id: string; title: string }) => api.conversations.rename.mutate(input),
    onSettled: refresh,
  });
  const { mutateAsync: remove } = useMutation({ mutation: (id: string) => api.conversations.remove.mutate({ id }), onSettled: refresh });
  const { mutateAsync: removeAll } = useMutation({ mutation: () => api.conversations.removeAll.mutate(), onSettled: refresh });
  return { conversations, hasMore: computed(() => cursor.value !== null), more, error, refetch, rename, remove, removeAll };
}

/** Whether new conversations are kept. */
export function useKeeping() {
  const cache = useQueryCache();
  const { data } = useQuery({ key: ['keeping'], query: () => api.conversations.keeping.query() });
  const { mutateAsync: setKeeping } = useMutation({
    mutation: (keep: boolean) => api.conversations.setKeeping.mutate({ keep }),
    onSettled: () => cache.invalidateQueries({ key: ['keeping'] }),
  });
  return { keep: computed(() => data.value?.keep), setKeeping };
}
