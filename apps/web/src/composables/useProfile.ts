import type { UpdateMe } from '@synthstack/core';
import { api } from '../api.ts';
import { tellOtherTabs } from '../other-tabs.ts';
import { useSession } from '../session.ts';

/** What people say of themselves. Changes reach the server in the order in which they were made; `save` rejects with its error. */
export function useProfile() {
  const session = useSession();
  let last: Promise<unknown> = Promise.resolve();

  async function send(changes: UpdateMe): Promise<void> {
    const me = await api.accounts.update.mutate(changes);
    // Whoever has signed out meanwhile is not signed in again by it.
    if (session.me?.id === me.id) session.become(me);
    tellOtherTabs('session');
  }

  function save(changes: UpdateMe): Promise<void> {
    const sent = last.catch(() => undefined).then(() => send(changes));
    last = sent;
    return sent;
  }

  return { save };
}
