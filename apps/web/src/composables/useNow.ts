import { onScopeDispose, type Ref, ref } from 'vue';

/** The time, moving every half minute, for "5 minutes ago". */
export function useNow(): Ref<number> {
  const now = ref(Date.now());
  const timer = setInterval(() => {
    now.value = Date.now();
  }, 30_000);
  onScopeDispose(() => clearInterval(timer));
  return now;
}
