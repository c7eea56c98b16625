import { useQuery } from '@pinia/colada';
import { computed, type Ref } from 'vue';
import { useRoute, useRouter } from 'vue-router';
import { type AdminUsageView, adminQueryOf, adminViewOf, peopleAPage, peopleDaysOf } from '../admin-usage-view.ts';
import { api } from '../api.ts';
import { timeZone } from '../i18n/i18n.ts';
import { periodOf } from '../usage-view.ts';

const key = ['admin', 'usage'];
const seriesBy = { model: 'model', provider: 'provider', key: 'keySource', tier: 'tier' } as const;

/** What the page shows, kept in its address. */
export function useAdminUsageView() {
  const route = useRoute();
  const router = useRouter();
  const view = computed<AdminUsageView>(() => adminViewOf(route.query));
  /** Each change is a step that "back" takes back. Of other users the first page is shown. */
  function change(changes: Partial<AdminUsageView>): void {
    void router.push({ path: route.path, query: adminQueryOf({ ...view.value, page: 1, ...changes }) });
  }
  return { view, change };
}

/** The report on everybody. The last one stays on show while another is fetched (`isOld`), and where that fails. */
export function useAdminUsage(view: Ref<AdminUsageView>) {
  const period = computed(() => periodOf(view.value, timeZone.value));
  const narrowed = computed(() => ({ ...period.value, ...view.value.filters }));
  const { data, error, refetch, isPlaceholderData } = useQuery({
    key: () => [...key, 'report', narrowed.value, view.value.split],
    query: () => api.admin.usage.report.query({ ...narrowed.value, seriesBy: seriesBy[view.value.split] }),
    placeholderData: (previous) => previous,
  });
  /** What there is to filter by, whatever is filtered by now. */
  const isNarrowed = computed(() => Object.keys(view.value.filters).length > 0);
  const whole = useQuery({
    key: () => [...key, 'choices', period.value],
    query: () => api.admin.usage.report.query(period.value),
    enabled: () => isNarrowed.value,
    placeholderData: (previous) => previous,
  });
  const choices = computed(() => (isNarrowed.value ? whole.data.value : undefined) ?? data.value);
  const csv = computed(() => {
    const texts = Object.entries(narrowed.value).map(([name, value]) => [name, String(value)]);
    return `/api/v1/admin/usage.csv?${new URLSearchParams(texts)}`;
  });
  return { report: data, error, refetch, isOld: isPlaceholderData, choices, csv };
}

/** Who used the most on the days of the range. Of the filters only the key's counts: users are not summed by the others. */
export function usePeopleUsage(view: Ref<AdminUsageView>, enabled: () => boolean) {
  const input = computed(() => ({
    ...peopleDaysOf(view.value, Date.now()),
    ...{ sort: view.value.sort, offset: (view.value.page - 1) * peopleAPage, limit: peopleAPage },
    ...(view.value.filters.keySource && { keySource: view.value.filters.keySource }),
  }));
  const { data, error, refetch, isPlaceholderData } = useQuery({
    key: () => [...key, 'users', input.value],
    query: () => api.admin.usage.users.query(input.value),
    placeholderData: (previous) => previous,
    enabled,
  });
  return { people: data, error, refetch, isOld: isPlaceholderData };
}
