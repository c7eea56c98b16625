import { useQuery } from '@pinia/colada';
import type { AuditEntryView, AuditPage, AuditVerdict } from '@synthstack/core';
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue';
import { api } from '../api.ts';

export interface AuditWanted {
  actor?: string;
  subject?: string;
  action?: string;
  from?: string;
  to?: string;
}

/** The entries that fit, newest first, one page more each time that somebody asks for it. */
export function useAudit(wanted: () => AuditWanted, limit = 50) {
  const pages = ref(1);
  watch(wanted, () => {
    pages.value = 1;
  });

  async function load(): Promise<{ entries: AuditEntryView[]; actions: string[]; hasMore: boolean }> {
    const entries: AuditEntryView[] = [];
    let cursor: string | null = null;
    let actions: string[] = [];
    for (let page = 0; page < pages.value && (page === 0 || cursor); page += 1) {
      const next: AuditPage = await api.admin.audit.list.query({ ...wanted(), limit, ...(cursor && { cursor }) });
      entries.push(...next.entries);
      [cursor, actions] = [next.nextCursor, next.actions];
    }
    return { entries, actions, hasMore: cursor !== null };
  }

  const { data, error, refetch, isPlaceholderData } = useQuery({
    key: () => ['admin', 'audit', { ...wanted() }],
    query: load,
    placeholderData: (previous) => previous,
  });

  function more(): Promise<unknown> {
    pages.value += 1;
    return refetch();
  }
  return { list: computed(() => data.value), error, refetch, isOld: isPlaceholderData, more };
}

/** Follows the whole chain, a step after the other, until its end or until somebody stops it. */
export function useAuditCheck() {
  const verdict = shallowRef<AuditVerdict | null>(null);
  const running = ref(false);
  const error = shallowRef<unknown>(null);
  onScopeDispose(stop);

  function stop(): void {
    running.value = false;
  }

  async function start(): Promise<void> {
    [verdict.value, error.value, running.value] = [null, null, true];
    try {
      while (running.value) {
        const head: AuditVerdict['head'] = verdict.value?.head ?? null;
        verdict.value = await api.admin.audit.verify.query(head ?? {});
        if (verdict.value.done) break;
      }
    } catch (thrown) {
      error.value = thrown;
    }
    stop();
  }
  return { verdict, running, error, start, stop };
}
