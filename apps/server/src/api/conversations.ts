import {
  ConversationPage,
  ConversationRef,
  ConversationSummary,
  ConversationsQuery,
  ConversationView,
  Keeping,
  RenameConversation,
  SetKeeping,
} from '@synthstack/core';
import { z } from 'zod';
import { messageView } from '../conversations.ts';
import { router, userProcedure } from './trpc.ts';

/** What a page shows at once; an export has all. */
const mostShown = { messages: 500, bytes: 4_000_000 };

export const conversations = router({
  list: userProcedure
    .meta({ rest: 'GET /api/v1/conversations', summary: 'Your conversations, newest first, or those whose title has a text' })
    .input(ConversationsQuery)
    .output(ConversationPage)
    .query(({ ctx, input }) => ctx.app.conversations.list(ctx.caller.userId, input)),

  get: userProcedure
    .meta({ rest: 'GET /api/v1/conversations/{id}', summary: 'A conversation with its newest messages: up to 500, and 4 MB' })
    .input(ConversationRef)
    .output(ConversationView)
    .query(async ({ ctx, input }) => {
      const { conversations: kept, agents } = ctx.app;
      const found = await kept.open(ctx.caller.userId, input.id);
      const messages = await kept.newest(found, mostShown);
      const { provider, model } = found.row;
      return {
        ...{ ...kept.head(found.row), provider, model, messages: messages.map(messageView) },
        hidden: (messages[0]?.position ?? 0) === 0 ? 0 : (await kept.messageCount(found)) - messages.length,
        answerId: agents.openIn(input.id),
      };
    }),

  rename: userProcedure
    .meta({ rest: 'PATCH /api/v1/conversations/{id}', summary: 'Give a conversation another title' })
    .input(RenameConversation)
    .output(ConversationSummary)
    .mutation(({ ctx, input }) => ctx.app.conversations.rename(ctx.caller.userId, input.id, input.title)),

  remove: userProcedure
    .meta({ rest: 'DELETE /api/v1/conversations/{id}', status: 204, summary: 'Delete a conversation; its usage stays' })
    .input(ConversationRef)
    .output(z.void())
    .mutation(async ({ ctx, input }) => {
      await ctx.app.conversations.remove(ctx.caller.userId, input.id);
      ctx.app.agents.leave(input.id);
    }),

  removeAll: userProcedure
    .meta({ rest: 'DELETE /api/v1/conversations', status: 204, summary: 'Delete all of your conversations' })
    .output(z.void())
    .mutation(async ({ ctx }) => {
      await ctx.app.conversations.removeAll(ctx.caller.userId);
      ctx.app.agents.leaveAll(ctx.caller.userId);
    }),

  keeping: userProcedure.output(Keeping).query(async ({ ctx }) => ({ keep: await ctx.app.conversations.keeps(ctx.caller.userId) })),

  setKeeping: userProcedure
    .input(SetKeeping)
    .output(Keeping)
    .mutation(async ({ ctx, input }) => {
      await ctx.app.conversations.setKeeping(ctx.caller.userId, input.keep);
      return { keep: input.keep };
    }),
});
