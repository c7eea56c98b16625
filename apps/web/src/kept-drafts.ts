/**
 * What somebody had typed when their session ended, until the same person is back: in this page's memory alone, never on a disk, and
 * gone as soon as anybody else signs in.
 */
import { defineStore } from 'pinia';
import { shallowRef, watch } from 'vue';
import type { AgentDraft } from './agent-draft.ts';
import { useSession } from './session.ts';

interface Kept {
  userId: string;
  /** Where it was typed. */
  path: string;
  draft: AgentDraft;
  /** The version that it was typed on. */
  version: number;
}

export const useKeptDrafts = defineStore('kept-drafts', () => {
  const session = useSession();
  const kept = shallowRef<Kept | null>(null);
  watch(
    () => session.me?.id,
    (id) => {
      if (id && id !== kept.value?.userId) kept.value = null;
    },
  );

  function keep(one: Kept): void {
    kept.value = one;
  }

  /** Once. */
  function take(userId: string, path: string): Kept | null {
    const found = kept.value;
    if (found?.userId !== userId || found.path !== path) return null;
    kept.value = null;
    return found;
  }

  return { keep, take };
});
