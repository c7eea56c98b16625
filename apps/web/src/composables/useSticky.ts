import { onBeforeUnmount, onMounted, type Ref, ref } from 'vue';

/** Pixels from the end that still count as being there. */
const nearPx = 24;

/** Keeps a scrolled place at its end while what is in it grows, but only for who was there. */
export function useSticky(place: Ref<HTMLElement | null>, content: Ref<HTMLElement | null>) {
  const isAtEnd = ref(true);
  let lastTop = 0;

  function toEnd(): void {
    isAtEnd.value = true;
    if (place.value) place.value.scrollTop = place.value.scrollHeight;
  }
  function look(): void {
    if (!place.value) return;
    const { scrollTop, scrollHeight, clientHeight } = place.value;
    const left = scrollHeight - scrollTop - clientHeight;
    if (left <= nearPx) isAtEnd.value = true;
    // What grows leaves the end behind without anybody having moved.
    else if (scrollTop < lastTop) isAtEnd.value = false;
    lastTop = scrollTop;
  }
  const watcher = new ResizeObserver(() => {
    if (isAtEnd.value) toEnd();
  });
  onMounted(() => {
    for (const element of [place.value, content.value]) if (element) watcher.observe(element);
    place.value?.addEventListener('scroll', look, { passive: true });
  });
  onBeforeUnmount(() => {
    watcher.disconnect();
    place.value?.removeEventListener('scroll', look);
  });
  return { isAtEnd, toEnd };
}
