/** What opens something stands in the address for a moment only: not in the history, and not where somebody looks over a shoulder. */
import { useRoute, useRouter } from 'vue-router';

/** Takes the token out of the address; by the router, which would otherwise write it back. @returns '' where there is none */
export function useLinkToken(): string {
  const { path, query } = useRoute();
  if (query.token !== undefined) void useRouter().replace(path);
  return typeof query.token === 'string' ? query.token : '';
}
