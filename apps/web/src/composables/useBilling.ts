import { useMutation, useQuery } from '@pinia/colada';
import { api } from '../api.ts';

/** Whether plans are sold here, and whether the caller has bills to look at. `leave` goes to Stripe, and rejects with the server's AppError. */
export function useBilling() {
  const { data: billing, error, refetch } = useQuery({ key: ['billing'], query: () => api.billing.view.query() });
  const { mutateAsync: leave, isLoading: isLeaving } = useMutation({
    /** @param price  to buy at it; null: to look at bills */
    mutation: async (price: string | null) => {
      const { url } = await (price === null ? api.billing.portal.mutate() : api.billing.checkout.mutate({ price }));
      location.assign(url);
    },
  });
  return { billing, error, refetch, leave, isLeaving };
}

/** What is sold. Asked of Stripe, so it may take longer than the rest. */
export function usePrices() {
  const { data, error, refetch } = useQuery({ key: ['prices'], query: () => api.billing.prices.query() });
  return { data, error, refetch };
}
