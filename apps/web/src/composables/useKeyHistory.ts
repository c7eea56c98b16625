import { useQuery, useQueryCache } from '@pinia/colada';
import type { KeyHistory, KeyUses, ProviderId } from '@synthstack/core';
import { computed, type Ref, ref, watch } from 'vue';
import { api } from '../api.ts';
import { timeZone } from '../i18n/i18n.ts';
import { keysKey } from './useKeys.ts';

export const keyUsesKey = ['keyUses'];
const daysOfPage = 7;

/** What the caller's keys were opened for today. */
export function useKeyUsesToday() {
  const { data, error, refetch } = useQuery({
    key: () => [...keyUsesKey, 'today', timeZone.value],
    query: () => api.keys.uses.query({ days: 1, timezone: timeZone.value }),
    placeholderData: (previous) => previous,
  });
  return { today: data, error, refetch };
}

/** Verbs around a key's end date and the key that it replaced. They reject with the server's error; the keys are asked again after each. */
export function useKeyChanges() {
  const cache = useQueryCache();
  const refresh = () => cache.invalidateQueries({ key: keysKey });
  return {
    /** @param expiresAt  null: for as long as it works */
    setExpiry: (id: string, expiresAt: string | null) => api.keys.set.mutate({ id, expiresAt }).finally(refresh),
    /** @param id  the replaced key's own, as for `forget` */
    restore: (id: string) => api.keys.restore.mutate({ id }).finally(refresh),
    forget: (id: string) => api.keys.forget.mutate({ id }).finally(refresh),
  };
}

/** The days on which keys were used, and what was done to them, each a page at a time, the newest first. The last page stays on show while another is fetched. */
export function useKeyHistory(provider: Ref<ProviderId | undefined>) {
  const only = computed(() => (provider.value ? { provider: provider.value } : {}));
  const uses = usePages<KeyUses>('uses', provider, (before) =>
    api.keys.uses.query({ ...only.value, days: daysOfPage, timezone: timeZone.value, ...(before && { before }) }),
  );
  const events = usePages<KeyHistory>('events', provider, (cursor) => api.keys.history.query({ ...only.value, ...(cursor && { cursor }) }));
  return {
    uses: { ...uses, older: computed(() => uses.data.value?.nextBefore ?? null) },
    events: { ...events, older: computed(() => events.data.value?.nextCursor ?? null) },
  };
}

function usePages<Page>(name: string, provider: Ref<ProviderId | undefined>, fetchPage: (cursor: string | undefined) => Promise<Page>) {
  /** Where the pages before this one, and this one, begin; the first begins at the newest. */
  const cursors = ref<string[]>([]);
  watch([provider, timeZone], () => (cursors.value = []), { flush: 'sync' });
  const { data, error, refetch, isPlaceholderData } = useQuery({
    key: () => [...keyUsesKey, name, provider.value ?? 'all', timeZone.value, cursors.value.at(-1) ?? null],
    query: () => fetchPage(cursors.value.at(-1)),
    placeholderData: (previous) => previous,
  });
  return {
    ...{ data, error, refetch },
    isOld: isPlaceholderData,
    isFirst: computed(() => cursors.value.length === 0),
    goOlder(to: string): void {
      cursors.value = [...cursors.value, to];
    },
    goNewer(): void {
      cursors.value = cursors.value.slice(0, -1);
    },
  };
}
