import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import type { NewAgent, ResetAgent, SaveAgent } from '@synthstack/core';
import { computed } from 'vue';
import { api } from '../api.ts';

const key = ['admin', 'agents'];

/** All agents with their prompts, and what an administrator can do to them. The verbs reject with the server's error. */
export function useAdminAgents() {
  const cache = useQueryCache();
  const { data, error, refetch } = useQuery({ key, query: () => api.admin.agents.list.query() });
  /** Of the history as well, and of what the agents' own pages show. */
  const refresh = async () => {
    await Promise.all([cache.invalidateQueries({ key }), cache.invalidateQueries({ key: ['agents'] })]);
  };
  const { mutateAsync: save } = useMutation({ mutation: (input: SaveAgent) => api.admin.agents.save.mutate(input), onSettled: refresh });
  const { mutateAsync: add } = useMutation({ mutation: (input: NewAgent) => api.admin.agents.add.mutate(input), onSettled: refresh });
  const { mutateAsync: reset } = useMutation({ mutation: (input: ResetAgent) => api.admin.agents.reset.mutate(input), onSettled: refresh });
  return { agents: computed(() => data.value?.agents), error, refetch, save, add, reset };
}

/** What became of an agent, newest first. */
export function useAgentHistory(slug: () => string) {
  const { data, error, refetch } = useQuery({
    key: () => [...key, slug()],
    query: () => api.admin.agents.versions.query({ slug: slug() }),
    enabled: () => slug() !== '',
  });
  return { history: data, error, refetch };
}
