import { useQuery, useQueryCache } from '@pinia/colada';
import type { RotationView } from '@synthstack/core';
import { computed, onScopeDispose, shallowRef, watch } from 'vue';
import { api } from '../api.ts';
import { phaseOf } from '../rotation-phase.ts';

const key = ['admin', 'rotation'];
/** Each look while nobody works at it counts rows along an index. */
const waitMs = { atWork: 1_000, otherwise: 5_000 };

/** How far the change of the master key is, asked again and again while the page is looked at. `start` rejects with the server's error. */
export function useRotation() {
  const cache = useQueryCache();
  const { data: rotation, error, refetch } = useQuery({ key, query: () => api.admin.rotation.state.query(), staleTime: 0 });
  const before = shallowRef<RotationView>();
  watch(rotation, (_now, last) => {
    before.value = last;
  });
  const phase = computed(() => rotation.value && phaseOf(rotation.value, before.value));
  const isAtWork = computed(() => phase.value === 'running' || phase.value === 'elsewhere');
  // What lies under which key, says the server's health.
  watch(isAtWork, (_now, was) => {
    if (was) void cache.invalidateQueries({ key: ['admin', 'health'] });
  });

  let timer = setTimeout(look, waitMs.atWork);
  onScopeDispose(() => clearTimeout(timer));

  async function look(): Promise<void> {
    // A look that fails leaves what was seen, and is not the last one.
    if (!document.hidden) await refetch().catch(() => undefined);
    timer = setTimeout(look, isAtWork.value ? waitMs.atWork : waitMs.otherwise);
  }

  async function start(): Promise<void> {
    cache.setQueryData(key, await api.admin.rotation.start.mutate());
    clearTimeout(timer);
    timer = setTimeout(look, waitMs.atWork);
  }

  return { rotation, phase, error, refetch, start };
}
