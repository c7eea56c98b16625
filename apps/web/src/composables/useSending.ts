import { ref, shallowRef } from 'vue';
import { type Problem, problemOf } from '../problem.ts';

/** Sends what a form holds, once at a time. */
export function useSending() {
  const busy = ref(false);
  /** Why the last attempt failed; null: it did not. */
  const problem = shallowRef<Problem | null>(null);

  /**
   * @param sentence  what people are told of an error
   * @returns whether `act` succeeded; false as well where another is under way
   */
  async function send(act: () => Promise<unknown>, sentence: (error: unknown) => Problem = problemOf): Promise<boolean> {
    if (busy.value) return false;
    busy.value = true;
    problem.value = null;
    try {
      await act();
      return true;
    } catch (error) {
      problem.value = sentence(error);
      return false;
    } finally {
      busy.value = false;
    }
  }

  return { busy, problem, send };
}
