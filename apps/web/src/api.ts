/** The typed door to the server's procedures. Same origin, so the session's cookie goes along by itself. */
import type { AppRouter } from '@synthstack/server/router';
import { createTRPCClient, httpLink } from '@trpc/client';
import { tellOtherTabs } from './other-tabs.ts';

const whenSignedOut = new Set<() => void>();

/** No batches: a key check may take a minute, and nothing else should wait for it. */
export const api = createTRPCClient<AppRouter>({ links: [httpLink({ url: '/trpc', fetch: watchedFetch })] });

/** Calls back whenever the server says that nobody is signed in (any more). */
export function onSignedOut(listener: () => void): void {
  whenSignedOut.add(listener);
}

async function watchedFetch(url: RequestInfo | URL | string, init?: RequestInit): Promise<Response> {
  const answer = await fetch(url, init);
  if (answer.status === 401) for (const listener of whenSignedOut) listener();
  else if (answer.ok && init?.method === 'POST') tellOtherTabs('changed');
  return answer;
}
