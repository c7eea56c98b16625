import { CreatedToken, NewToken, TokenList, TokenRef } from '@synthstack/core';
import { z } from 'zod';
import { personProcedure, router, userProcedure } from './trpc.ts';

export const tokens = router({
  list: userProcedure
    .meta({ rest: 'GET /api/v1/tokens', summary: 'Your gateway tokens' })
    .output(TokenList)
    .query(async ({ ctx }) => ({ tokens: await ctx.app.tokens.list(ctx.caller.userId) })),

  create: personProcedure
    .meta({ rest: 'POST /api/v1/tokens', status: 201, summary: 'Make a token; its secret is shown this once' })
    .input(NewToken)
    .output(CreatedToken)
    .mutation(({ ctx, input }) => ctx.app.tokens.create(ctx.caller.userId, input)),

  revoke: userProcedure
    .meta({ rest: 'DELETE /api/v1/tokens/{id}', status: 204, summary: 'Revoke a token' })
    .input(TokenRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.tokens.revoke(ctx.caller.userId, input.id)),
});
