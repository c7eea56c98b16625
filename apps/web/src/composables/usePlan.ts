import { useQuery } from '@pinia/colada';
import { onScopeDispose, watch } from 'vue';
import { api } from '../api.ts';

/** The caller's tier, and until when. */
export function usePlan() {
  const { data: plan, error, refetch } = useQuery({ key: ['plan'], query: () => api.accounts.plan.query() });
  return { plan, error, refetch };
}

export const limitsKey = ['limits'];

/** How long until the next place of the minute comes free. This computer's clock may say anything; a minute is the longest that it can be. */
export const askAgainMs = (resetAt: string, nowMs: number): number => Math.min(Math.max(Date.parse(resetAt) - nowMs, 1_000), 60_000);

/** What is left of the platform's keys in this minute and this day; asked again when the next place comes free. */
export function useLimits() {
  const { data: limits, error, refetch } = useQuery({ key: limitsKey, query: () => api.usage.limits.query() });
  let timer: ReturnType<typeof setTimeout> | undefined;
  watch(
    limits,
    (known) => {
      clearTimeout(timer);
      if (!known?.minute.used) return;
      timer = setTimeout(() => void refetch(), askAgainMs(known.minute.resetAt, Date.now()));
    },
    { immediate: true },
  );
  onScopeDispose(() => clearTimeout(timer));
  return { limits, error, refetch };
}
