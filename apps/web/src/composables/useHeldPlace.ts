import { nextTick, type WatchSource, watch } from 'vue';

/**
 * What somebody is looking at stays where it is when something above it grows or shrinks. Browsers have this of their own
 * (`overflow-anchor`), but not all, and not for rows of tables: where this is used, theirs is switched off.
 */
export function useHeldPlace(sources: readonly WatchSource[]): void {
  watch([...sources], async () => {
    if (scrollY === 0) return;
    // Below what sticks to the top of a phone.
    const seen = document.elementFromPoint(innerWidth / 2, innerHeight / 3);
    const before = seen?.getBoundingClientRect().top ?? 0;
    await nextTick();
    if (seen?.isConnected) scrollBy(0, seen.getBoundingClientRect().top - before);
  });
}
