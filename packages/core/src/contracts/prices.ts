import { z } from 'zod';
import { ModelName } from './agents.ts';
import { ProviderId } from './keys.ts';

/** Where a price that is not the release's comes from: an administrator, a file (`byok prices import`), PRICES_URL. */
export const priceOrigins = ['admin', 'import', 'url'] as const;
export type PriceOrigin = (typeof priceOrigins)[number];
export const PriceSource = z.enum([...priceOrigins, 'release']);
export type PriceSource = z.infer<typeof PriceSource>;

/** Beyond any price that there is, and small enough for sums to stay exact. */
const mostUsdPerMillion = 10_000;
const amount = 'US dollars for a million tokens: a number from 0 to 10000.';
const UsdPerMillion = z.number(amount).min(0, amount).max(mostUsdPerMillion, amount);
const Instant = z.iso.datetime({ offset: true }).or(z.iso.date());
const optional = UsdPerMillion.nullish().describe("Left out: what the provider's other models pay, as a part of the input's price.");

/** An instant, or a day in UTC. */
const ValidFrom = z
  .string('Name a day such as 2026-11-23, or an instant such as 2026-11-23T12:00:00Z.')
  .refine((text) => Instant.safeParse(text).success, 'Name a day such as 2026-11-23, or an instant such as 2026-11-23T12:00:00Z.')
  .nullish()
  .describe('From when on it holds; left out: since ever.');

/** A model's prices as people type them, in US dollars for a million tokens. */
const typedPrices = {
  inputUsdPerMillion: UsdPerMillion,
  outputUsdPerMillion: UsdPerMillion,
  cachedInputUsdPerMillion: optional,
  cacheWriteUsdPerMillion: optional,
  cacheWrite1hUsdPerMillion: optional,
  audioInputUsdPerMillion: optional,
  audioOutputUsdPerMillion: optional,
};
export const TypedPrices = z.strictObject(typedPrices);
export type TypedPrices = z.infer<typeof TypedPrices>;
export const PriceRef = z.strictObject({ provider: ProviderId, model: ModelName });
export type PriceRef = z.infer<typeof PriceRef>;
export const NewPrice = z.strictObject({
  ...PriceRef.shape,
  ...typedPrices,
  validFrom: ValidFrom,
});
export type NewPrice = z.infer<typeof NewPrice>;

/** Our own kind of price list: `{"prices": [...]}`. */
export const mostListed = 5_000;
const tooMany = `At most ${mostListed} prices.`;
export const OwnPriceList = z.strictObject({ prices: z.array(NewPrice).min(1, 'It holds no price.').max(mostListed, tooMany) });

/** What @pydantic/genai-prices publishes as data.json, as far as we use it: a list of providers with their models. */
const Steps = z.object({ base: UsdPerMillion, tiers: z.array(z.object({ start: z.int().min(0), price: UsdPerMillion })).max(10) });
const ListPrice = z.preprocess((price) => (typeof price === 'object' ? price : { base: price, tiers: [] }), Steps).optional();
/** Further prices, of searches or hours, are not read, but that they are there says that a model is not free. */
const ListPrices = z.looseObject({
  input_mtok: ListPrice,
  output_mtok: ListPrice,
  cache_read_mtok: ListPrice,
  cache_write_mtok: ListPrice,
  cache_write_1h_mtok: ListPrice,
  input_audio_mtok: ListPrice,
  output_audio_mtok: ListPrice,
  input_image_mtok: ListPrice,
  output_image_mtok: ListPrice,
});
const Period = z.object({ constraint: z.looseObject({ start_date: z.iso.date().optional() }).nullish(), prices: ListPrices });
const Periods = z.preprocess((prices) => (Array.isArray(prices) ? prices : [{ prices }]), z.array(Period).min(1).max(100));
export const PublicPriceList = z.array(z.looseObject({ id: z.string(), models: z.unknown() })).min(1, 'It holds no provider.');
export const PublicModels = z.array(z.object({ id: ModelName, prices: Periods })).max(mostListed, tooMany);

const priceView = z.object({
  inputUsdPerMillion: z.number(),
  outputUsdPerMillion: z.number(),
  cachedInputUsdPerMillion: z.number(),
  cacheWriteUsdPerMillion: z.number(),
  cacheWrite1hUsdPerMillion: z.number(),
  audioInputUsdPerMillion: z.number(),
  audioOutputUsdPerMillion: z.number(),
});
export type PriceView = z.infer<typeof priceView>;

/** A price that stands in the database. */
export const StoredPrice = z.object({
  ...priceView.shape,
  source: z.enum(priceOrigins),
  validFrom: z.iso.datetime().nullable().describe('null: since ever.'),
  changedAt: z.iso.datetime(),
  changedBy: z.string().describe('Who wrote it: a name, `cli`, or `system`.').nullable(),
});
export type StoredPrice = z.infer<typeof StoredPrice>;

export const AdminPrice = z.object({
  provider: ProviderId,
  model: z.string(),
  source: PriceSource.nullable().describe('Of the price that holds now; null: there is none.'),
  price: priceView.nullable(),
  tiers: z.array(z.object({ aboveInputTokens: z.int(), inputUsdPerMillion: z.number(), outputUsdPerMillion: z.number() })),
  overrides: z.array(StoredPrice).describe('What stands in the database, the latest first.'),
  waitingRequests: z.int().describe('Answered, and waiting for a price.'),
});
export type AdminPrice = z.infer<typeof AdminPrice>;

const PriceFilter = z.enum([...priceOrigins, 'release', 'waiting']);
export type PriceFilter = z.infer<typeof PriceFilter>;
export const PriceQuery = z.strictObject({
  search: z.string().max(256, 'Use at most 256 characters.').optional().describe('Part of the name of a model or provider.'),
  show: PriceFilter.optional().describe('Only prices of that source, or only models that wait for one.'),
});
export type PriceQuery = z.infer<typeof PriceQuery>;
export const PriceList = z.object({
  prices: z.array(AdminPrice).describe('Those that wait first, then by name, at most 500.'),
  total: z.int(),
  waitingRequests: z.int().describe('Of all models.'),
});
export type PriceList = z.infer<typeof PriceList>;
export const OnePrice = z.object({ price: AdminPrice });
