import { type AdminPrice, AppError, NewPrice, OnePrice, PriceList, PriceQuery, PriceRef } from '@synthstack/core';
import { z } from 'zod';
import { priceList, priceViews } from '../prices-views.ts';
import { adminProcedure, type Context, router } from './trpc.ts';

async function views({ app }: Context): Promise<AdminPrice[]> {
  const { prices, repricing, accounts, clock } = app;
  await prices.fresh();
  return priceViews({ book: prices, waiting: repricing.waiting, namesOf: accounts.namesOf, nowMs: clock.now() });
}

async function viewOf(context: Context, { provider, model }: PriceRef): Promise<AdminPrice> {
  const found = (await views(context)).find((one) => one.provider === provider && one.model === model);
  if (!found) throw new AppError('not_found', 'There is no such model.');
  return found;
}

export const adminPrices = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/prices', summary: 'What models cost, whose price it is, and which models wait for one' })
    .input(PriceQuery)
    .output(PriceList)
    .query(async ({ ctx, input }) => priceList(await views(ctx), input)),

  set: adminProcedure
    .meta({ rest: 'POST /api/v1/admin/prices', summary: "Set a model's price by hand; it comes before every list" })
    .input(NewPrice)
    .output(OnePrice)
    .mutation(async ({ ctx, input }) => {
      await ctx.app.prices.set(ctx.caller.userId, input);
      return { price: await viewOf(ctx, input) };
    }),

  remove: adminProcedure
    .meta({
      rest: 'DELETE /api/v1/admin/prices/{provider}/{model}',
      status: 204,
      summary: 'Take back the prices of a model that were set by hand',
    })
    .input(PriceRef)
    .output(z.void())
    .mutation(({ ctx, input }) => ctx.app.prices.remove(ctx.caller.userId, input)),
});
