/** Tells the other tabs of this browser what happened here, so that no tab shows what is no longer so. Nothing secret passes. */

/** changed: data on the server did · session: somebody signed in or out. */
export type TabNews = 'changed' | 'session';

const channel = new BroadcastChannel('synthstack-byok');

export function tellOtherTabs(news: TabNews): void {
  channel.postMessage(news);
}

/** @returns ends it */
export function onOtherTabs(listener: (news: TabNews) => void): () => void {
  const hear = (event: MessageEvent<TabNews>) => listener(event.data);
  channel.addEventListener('message', hear);
  return () => channel.removeEventListener('message', hear);
}
