import { useQuery } from '@pinia/colada';
import { api } from '../api.ts';

/** The caller's tier, and until when. */
export function usePlan() {
  const { data: plan, error, refetch } = useQuery({ key: ['plan'], query: () => api.accounts.plan.query() });
  return { plan, error, refetch };
}

/** What is left of the platform's keys in this minute and this day. */
export function useLimits() {
  const { data: limits, error, refetch } = useQuery({ key: ['limits'], query: () => api.usage.limits.query() });
  return { limits, error, refetch };
}
