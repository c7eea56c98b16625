/** The door through which a page listens to the server. A file of its own, so that the pages that do not listen need not know how. */
import type { AppRouter } from '@synthstack/server/router';
import { createTRPCClient, httpSubscriptionLink } from '@trpc/client';

export const ear = createTRPCClient<AppRouter>({ links: [httpSubscriptionLink({ url: '/trpc' })] });
