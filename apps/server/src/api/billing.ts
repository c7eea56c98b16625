import { AppError, BillingView, OfferList, Purchase, WayOut } from '@synthstack/core';
import type { Modules } from '../app.ts';
import { personProcedure, router, userProcedure } from './trpc.ts';

export const billing = router({
  view: userProcedure
    .output(BillingView)
    .query(({ ctx }) => ctx.app.billing?.view(ctx.caller.userId) ?? { enabled: false, manageable: false }),

  prices: userProcedure.output(OfferList).query(({ ctx }) => ctx.app.billing?.prices() ?? { prices: [] }),

  checkout: personProcedure
    .input(Purchase)
    .output(WayOut)
    .mutation(async ({ ctx, input }) => ({ url: await configured(ctx.app).checkout(ctx.caller.userId, input.price) })),

  portal: personProcedure.output(WayOut).mutation(async ({ ctx }) => ({ url: await configured(ctx.app).portal(ctx.caller.userId) })),
});

/** @throws AppError `not_found` */
function configured({ billing: till }: Modules) {
  if (!till) throw new AppError('not_found', 'Nothing is sold on this server.');
  return till;
}
