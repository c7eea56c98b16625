import { onScopeDispose, type Ref, readonly, ref, watch } from 'vue';

/** Whether an element is, or has been, in sight or nearly so. */
export function useNear(place: Readonly<Ref<HTMLElement | null>>): Readonly<Ref<boolean>> {
  const isNear = ref(false);
  const observer = new IntersectionObserver(
    (changes) => {
      if (!changes.some(({ isIntersecting }) => isIntersecting)) return;
      isNear.value = true;
      observer.disconnect();
    },
    { rootMargin: '200px' },
  );
  watch(place, (element) => {
    if (element && !isNear.value) observer.observe(element);
  });
  onScopeDispose(() => observer.disconnect());
  return readonly(isNear);
}
