import { useQuery } from '@pinia/colada';
import type { UsageReport } from '@synthstack/core';
import { computed, type Ref, shallowRef, watchEffect } from 'vue';
import { api } from '../api.ts';
import { timeZone } from '../i18n/i18n.ts';
import { periodOf, type UsageView } from '../usage-view.ts';

export const usageKey = ['usage'];
const seriesBy = { model: 'model', provider: 'provider', key: 'keySource' } as const;
type OwnSplit = keyof typeof seriesBy;

/**
 * The report on what the page shows, in the person's time zone. The last one stays on show while another range is fetched
 * (`isOld`), or while the same one is fetched anew, and where that fails.
 */
export function useUsage(view: Ref<UsageView>) {
  const input = computed(() => ({
    ...periodOf(view.value, timeZone.value),
    ...view.value.filters,
    seriesBy: seriesBy[view.value.split as OwnSplit],
  }));
  const { data, error, refetch, isPlaceholderData } = useQuery({
    key: () => [...usageKey, 'report', input.value],
    query: () => api.usage.report.query(input.value),
    placeholderData: (previous) => previous,
  });

  return { report: data, error, refetch, isOld: isPlaceholderData };
}

/** What there is to filter by in the range, whatever is filtered by now. Asked only where the report shown is narrowed itself. */
export function useUsageChoices(view: Ref<UsageView>, report: Ref<UsageReport | undefined>, isOld: Ref<boolean>) {
  const isNarrowed = computed(() => Object.keys(view.value.filters).length > 0);
  const period = computed(() => periodOf(view.value, timeZone.value));
  const { data } = useQuery({
    // Apart from the reports: a request made meanwhile hardly ever brings a new model, and is no reason to ask again.
    key: () => ['usage-choices', period.value],
    query: () => api.usage.report.query(period.value),
    enabled: () => isNarrowed.value,
  });
  /** So that no choice vanishes while all of them are asked for. */
  const lastWhole = shallowRef<UsageReport>();
  watchEffect(() => {
    if (!isNarrowed.value && !isOld.value) lastWhole.value = report.value;
  });
  return computed(() => (isNarrowed.value && data.value) || lastWhole.value);
}
