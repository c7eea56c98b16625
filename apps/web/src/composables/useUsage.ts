import { useQuery } from '@pinia/colada';
import { type Ref, toValue } from 'vue';
import { api } from '../api.ts';

/** Usage of the last days in the browser's time zone; the last report stays on show while another range is fetched. */
export function useUsage(days: Ref<number>) {
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { data, error, refetch, isLoading } = useQuery({
    key: () => ['usage', toValue(days), timezone],
    query: () => api.usage.report.query({ days: days.value, timezone, groupBy: days.value === 1 ? 'hour' : 'day' }),
    placeholderData: (previous) => previous,
  });
  return { report: data, error, refetch, isLoading, timezone };
}
