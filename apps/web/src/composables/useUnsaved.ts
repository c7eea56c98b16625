/** Asks before a page is left on which something is typed that is not saved; the browser itself asks before it is closed. */
import { onScopeDispose, type Ref, ref } from 'vue';
import { onBeforeRouteLeave, onBeforeRouteUpdate } from 'vue-router';
import { useSession } from '../session.ts';

/** `asking` is for a dialog: `leave` goes on to where one wanted to go, closing it stays. */
export function useUnsaved(unsaved: Ref<boolean>) {
  const session = useSession();
  const asking = ref(false);
  let answer: (goes: boolean) => void = () => {};

  function guard(): Promise<boolean> | boolean {
    // Who is signed out has nothing to go back to: what was typed is kept elsewhere.
    if (!unsaved.value || !session.me) return true;
    answer(false);
    asking.value = true;
    return new Promise((resolve) => {
      answer = resolve;
    });
  }
  onBeforeRouteLeave(guard);
  onBeforeRouteUpdate((to, from) => to.path === from.path || guard());

  const beforeUnload = (event: BeforeUnloadEvent) => {
    if (unsaved.value) event.preventDefault();
  };
  addEventListener('beforeunload', beforeUnload);
  onScopeDispose(() => removeEventListener('beforeunload', beforeUnload));

  return {
    asking,
    async leave(): Promise<void> {
      answer(true);
    },
    stay(): void {
      answer(false);
    },
  };
}
