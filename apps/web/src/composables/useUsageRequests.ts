import { useQuery } from '@pinia/colada';
import type { UsageReport, UsageRequest, UsageRequests } from '@synthstack/core';
import { computed, type Ref, ref, watch } from 'vue';
import { api } from '../api.ts';
import { timeZone } from '../i18n/i18n.ts';
import { periodOf, type UsageView } from '../usage-view.ts';
import { usageKey } from './useUsage.ts';

const pageLength = 25;
/** A rare outcome is looked for in so many steps before the person is asked whether to go on. */
const mostSteps = 6;

/**
 * The single requests behind a report, a page at a time, the newest first. The last page stays on show while another is fetched.
 * @param isNear  somebody is about to see them: nothing is asked before, but where a report counts none, since it leaves out what is under way
 */
export function useUsageRequests(
  view: Ref<UsageView>,
  report: Ref<UsageReport | undefined>,
  isOld: Ref<boolean>,
  isNear: Readonly<Ref<boolean>>,
) {
  /** Where the pages before this one, and this one, began; the first begins at the newest request. */
  const cursors = ref<string[]>([]);
  const scope = computed(() => ({ ...periodOf(view.value, timeZone.value), ...view.value.filters, outcome: view.value.outcome }));
  watch(
    () => JSON.stringify(scope.value),
    () => {
      cursors.value = [];
    },
    { flush: 'sync' },
  );

  const { data, error, refetch, isPlaceholderData } = useQuery({
    key: () => [...usageKey, 'requests', scope.value, cursors.value.at(-1) ?? null],
    query: () => fetchPage(view.value, report.value, cursors.value.at(-1)),
    // Not by the report of the range before.
    enabled: () => report.value !== undefined && !isOld.value && (isNear.value || report.value.totals.requests === 0),
    placeholderData: (previous) => previous,
  });

  const page = computed(() => cursors.value.length + 1);
  const older = computed(() => data.value?.nextCursor ?? null);
  function goOlder(): void {
    if (older.value) cursors.value = [...cursors.value, older.value];
  }
  function goNewer(): void {
    cursors.value = cursors.value.slice(0, -1);
  }

  return { list: data, error, refetch, isOld: isPlaceholderData, page, older, goOlder, goNewer };
}

async function fetchPage({ range, outcome, filters }: UsageView, report: UsageReport | undefined, cursor?: string): Promise<UsageRequests> {
  if (!report) throw new Error('Asked only where there is a report.');
  // A range that ends now goes on while the page is open, and this computer's clock may be behind the server's.
  const to = range === 'custom' ? report.to : new Date(Date.parse(report.to) + 86_400_000).toISOString();
  const requests: UsageRequest[] = [];
  for (let step = 1; ; step += 1) {
    const found = await api.usage.requests.query({
      from: report.from,
      to,
      ...filters,
      ...(outcome && { outcome }),
      ...(cursor !== undefined && { cursor }),
      limit: pageLength - requests.length,
    });
    requests.push(...found.requests);
    if (requests.length === pageLength || !found.nextCursor || step === mostSteps) return { ...found, requests };
    cursor = found.nextCursor;
  }
}
