import { AdminAgentList, AgentRef, AgentVersions, NewAgent, OneAgent, ResetAgent, SaveAgent } from '@synthstack/core';
import { z } from 'zod';
import { adminProcedure, router } from './trpc.ts';

export const adminAgents = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/agents', summary: 'All agents, with their prompts' })
    .output(AdminAgentList)
    .query(async ({ ctx }) => ({ agents: await ctx.app.agents.roster.adminList() })),

  save: adminProcedure
    .meta({ rest: 'PATCH /api/v1/admin/agents/{slug}', summary: 'Change an agent; what it was stays as a version' })
    .input(SaveAgent)
    .output(OneAgent)
    .mutation(async ({ ctx, input }) => ({ agent: await ctx.app.agents.roster.save(ctx.caller.userId, input) })),

  add: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/agents', status: 201, summary: 'Add an agent' })
    .input(NewAgent)
    .output(OneAgent)
    .mutation(async ({ ctx, input }) => ({ agent: await ctx.app.agents.roster.add(ctx.caller.userId, input) })),

  reset: adminProcedure
    .meta({
      rest: 'POST /api/v1/admin/agents/{slug}/reset',
      status: 204,
      summary: 'Make an agent what it was as the program came; one that was added goes',
    })
    .input(ResetAgent)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.agents.roster.reset(ctx.caller.userId, input)),

  versions: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/agents/{slug}/versions', summary: 'What has become of an agent, and what it was as it came' })
    .input(AgentRef)
    .output(AgentVersions)
    .query(({ ctx, input }) => ctx.app.agents.roster.versions(input.slug)),
});
