import { AgentList, AnswerRef, AnswerWatch, Ask, Asked } from '@synthstack/core';
import { tracked } from '@trpc/server';
import { z } from 'zod';
import { eventId } from '../agents.ts';
import { router, userProcedure } from './trpc.ts';

export const agents = router({
  list: userProcedure
    .meta({ rest: 'GET /api/v1/agents', summary: 'The AI Cofounders, and whether your plan has them' })
    .output(AgentList)
    .query(async ({ ctx }) => ({ agents: await ctx.app.agents.roster.views(ctx.caller.plan.tier) })),

  /** Over REST: `POST /api/v1/agents/{slug}/messages`, which asks and tells in one (agents-stream.ts). */
  ask: userProcedure
    // A question with its history and files.
    .meta({ bodyBytes: 2 * 1_048_576 })
    .input(Ask)
    .output(Asked)
    .mutation(({ ctx, input }) => ctx.app.agents.ask(ctx.caller, input)),

  /**
   * Tells an answer, from its beginning or from after `lastEventId`, and completes after its last event. An answer goes on whoever
   * listens, but one that is kept nowhere ends 30 seconds after its last listener has left.
   */
  answer: userProcedure.input(AnswerWatch).subscription(async function* ({ ctx, input, signal }) {
    const { answerId, lastEventId } = input;
    for await (const numbered of ctx.app.agents.listen(ctx.caller, answerId, lastEventId ?? null, signal ?? AbortSignal.abort()))
      yield tracked(eventId(answerId, numbered), numbered.event);
  }),

  stop: userProcedure
    .input(AnswerRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.agents.stop(ctx.caller, input.answerId)),
});
