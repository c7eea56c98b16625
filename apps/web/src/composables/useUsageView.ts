import { computed } from 'vue';
import { useRoute, useRouter } from 'vue-router';
import { queryOf, type UsageView, viewOf } from '../usage-view.ts';

/** What the usage page shows. It is kept in the page's address, so that reload, back, and a link to somebody else keep it. */
export function useUsageView() {
  const route = useRoute();
  const router = useRouter();
  const view = computed<UsageView>(() => viewOf(route.query));

  /** Each change is a step that "back" takes back. */
  function change(changes: Partial<UsageView>): void {
    void router.push({ path: route.path, query: queryOf({ ...view.value, ...changes }) });
  }

  return { view, change };
}
