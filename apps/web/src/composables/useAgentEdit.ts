/**
 * An agent in a form: what is typed, on which version, and whether another has been saved meanwhile. What is typed stays until it is
 * saved or the person drops it, whatever else happens.
 */
import type { AdminAgent, AgentDefinition } from '@synthstack/core';
import { computed, onScopeDispose, type Ref, ref, shallowRef, watch } from 'vue';
import {
  type AgentDraft,
  definitionOf,
  draftOf,
  emptyDefinition,
  type Field,
  isSame,
  type Mistakes,
  mistakesOf,
  slugFrom,
} from '../agent-draft.ts';
import { useKeptDrafts } from '../kept-drafts.ts';
import { type Problem, problemOf } from '../problem.ts';
import { useSession } from '../session.ts';
import type { useAdminAgents } from './useAdminAgents.ts';

type Verbs = Pick<ReturnType<typeof useAdminAgents>, 'save' | 'add' | 'refetch'>;

/** @param latest  the agent as the server has it; undefined: there is none (yet, or any more). @param place  the page's path; a new agent: there never was one */
export function useAgentEdit(latest: Ref<AdminAgent | undefined>, verbs: Verbs, { path, isNew }: { path: string; isNew: boolean }) {
  const session = useSession();
  const drafts = useKeptDrafts();
  const userId = session.me?.id ?? '';

  /** On which the form stands; null: on nothing, it is a new one. */
  const base = shallowRef<AdminAgent | null>(null);
  const draft = ref<AgentDraft>(draftOf(emptyDefinition));
  const tried = ref(false);
  const busy = ref(false);
  const problem = shallowRef<Problem | null>(null);
  const broughtBack = ref(false);

  const start = computed<AgentDefinition>(() => base.value ?? emptyDefinition);
  const typed = computed(() => definitionOf(draft.value));
  const dirty = computed(() => !isSame(typed.value, start.value) || (base.value === null && draft.value.slug !== ''));
  const overtaken = computed(() => Boolean(base.value && latest.value && latest.value.version > base.value.version));
  const gone = computed(() => base.value !== null && latest.value === undefined);
  const mistakes = computed<Mistakes>(() => ({
    ...serverMistakes(problem.value, base.value === null),
    ...(tried.value ? mistakesOf(draft.value, base.value === null) : {}),
  }));

  function show(agent: AdminAgent): void {
    base.value = agent;
    draft.value = draftOf(agent, agent.slug);
    forgetTrouble();
  }

  function forgetTrouble(): void {
    tried.value = false;
    problem.value = null;
    broughtBack.value = false;
  }

  function bringBack(): void {
    const kept = drafts.take(userId, path);
    if (!kept) return;
    draft.value = kept.draft;
    // Of the version below only the number is known: whether another came meanwhile can be told by it.
    if (base.value && kept.version < base.value.version) base.value = { ...base.value, version: kept.version };
    broughtBack.value = true;
  }

  watch(
    latest,
    (agent) => {
      if (!agent) return;
      if (!base.value) {
        show(agent);
        bringBack();
      } else if (agent.version > base.value.version && (!dirty.value || isSame(typed.value, agent))) show(agent);
    },
    { immediate: true },
  );
  if (isNew) bringBack();
  // A slug follows the name until somebody types one.
  watch(
    () => draft.value.name,
    (name, before) => {
      if (base.value === null && draft.value.slug === slugFrom(before)) draft.value.slug = slugFrom(name);
    },
  );
  watch(draft, () => (problem.value = null), { deep: true });
  onScopeDispose(() => {
    if (dirty.value && !session.me) drafts.keep({ userId, path, draft: draft.value, version: base.value?.version ?? 0 });
  });

  /** @returns the agent as it was saved; null: it was not, and `mistakes` or `problem` say why */
  async function save(): Promise<AdminAgent | null> {
    if (busy.value) return null;
    tried.value = true;
    if (Object.keys(mistakes.value).length > 0) return null;
    busy.value = true;
    problem.value = null;
    const sent = typed.value;
    try {
      const { agent } =
        isNew || gone.value
          ? await verbs.add({ slug: draft.value.slug, ...sent })
          : await verbs.save({ slug: draft.value.slug, version: base.value?.version ?? 0, ...sent });
      base.value = agent;
      // What was typed while it was being saved stays, as a change of what was saved.
      if (isSame(typed.value, sent)) show(agent);
      return agent;
    } catch (error) {
      await failed(problemOf(error));
      return null;
    } finally {
      busy.value = false;
    }
  }

  async function failed(what: Problem): Promise<void> {
    if (base.value && (what.code === 'conflict' || what.code === 'not_found')) {
      await verbs.refetch().catch(() => undefined);
      // The page says it better: by whom, and what one can do.
      if (overtaken.value || gone.value) return;
    }
    problem.value = what;
  }

  return {
    ...{ base, draft, typed, dirty, overtaken, gone, mistakes, problem, busy, broughtBack, save },

    /** Shows what the server has, and drops what is typed. */
    discard(): void {
      if (latest.value) show(latest.value);
      else if (base.value === null) {
        draft.value = draftOf(emptyDefinition);
        forgetTrouble();
      }
    },

    /** Puts another definition in the form; nothing is saved by it. */
    fill(definition: AgentDefinition): void {
      draft.value = draftOf(definition, draft.value.slug);
      forgetTrouble();
    },

    /** Saves what is typed over what another has saved meanwhile; theirs stays in the history. */
    async saveOver(): Promise<AdminAgent | null> {
      if (latest.value) base.value = latest.value;
      return save();
    },
  };
}

/** What the server says about fields; of a slug that is taken it says so without naming the field. */
function serverMistakes(problem: Problem | null, isNew: boolean): Mistakes {
  if (!problem) return {};
  if (isNew && problem.code === 'conflict') return { slug: problem.message };
  const found: Mistakes = {};
  for (const [path, [sentence]] of Object.entries(problem.errors)) {
    const field = path.split('.')[0] as Field;
    if (sentence !== undefined) found[field] ??= sentence;
  }
  return found;
}
