import { type EntryKey, useQueryCache } from '@pinia/colada';
import { onMounted, onScopeDispose } from 'vue';

const firstWaitMs = 1_000;
const longestWaitMs = 60_000;
/** From the first connection to asking anew: the page comes first. */
const restMs = 4_000;

interface Hearing {
  onStarted(): void;
  onData(): void;
  onError(): void;
  onComplete(): void;
}

/**
 * Keeps up to date what changes without this page: the server tells when. While the tab is in the background nothing is listened to. A
 * connection that breaks is opened again by the browser. Whenever one opens, all is asked once: nobody knows what was missed.
 * @param listenTo  the subscription
 * @param keys  of the queries that are asked again
 */
export function useLive(listenTo: (hearing: Hearing) => { unsubscribe(): void }, keys: readonly EntryKey[]): void {
  const cache = useQueryCache();
  let subscription: { unsubscribe(): void } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waitMs = firstWaitMs;
  let rest: ReturnType<typeof setTimeout> | undefined;
  let hasListened = false;

  let refreshing = false;
  let again = false;

  /** One at a time: where asking takes longer than the next change, the answer would never come. */
  async function refresh(): Promise<void> {
    again = refreshing;
    if (refreshing) return;
    refreshing = true;
    await Promise.all(keys.map((key) => cache.invalidateQueries({ key }))).catch(() => undefined);
    refreshing = false;
    if (again) await refresh();
  }

  function listen(): void {
    if (subscription || document.hidden) return;
    subscription = listenTo({
      onStarted() {
        // Also at first: something may have happened after the page had asked and before it listened.
        if (hasListened) void refresh();
        else rest = setTimeout(refresh, restMs);
        hasListened = true;
      },
      onData() {
        waitMs = firstWaitMs;
        void refresh();
      },
      onError: tryLater,
      onComplete() {
        if (!subscription) return;
        // The server has ended it: it is about to stop, or the session has ended, which asking brings to light.
        tryLater();
        void refresh();
      },
    });
  }

  /** A refusal (a server that is starting, a session that has ended) is final for the browser, not for us. */
  function tryLater(): void {
    if (!subscription) return;
    stop();
    timer = setTimeout(listen, waitMs * (0.75 + Math.random() / 2));
    waitMs = Math.min(waitMs * 2, longestWaitMs);
  }

  function stop(): void {
    const ended = subscription;
    subscription = undefined;
    ended?.unsubscribe();
    clearTimeout(timer);
  }

  function onVisibility(): void {
    waitMs = firstWaitMs;
    if (document.hidden) stop();
    else listen();
  }

  onMounted(() => {
    document.addEventListener('visibilitychange', onVisibility);
    window.addEventListener('online', onVisibility);
    listen();
  });
  onScopeDispose(() => {
    document.removeEventListener('visibilitychange', onVisibility);
    window.removeEventListener('online', onVisibility);
    clearTimeout(rest);
    stop();
  });
}
