/**
 * What a provider's models cost, from the figures in @pydantic/genai-prices (a copy inside the package: nothing is fetched, and
 * its `updatePrices`, which would, is never called). Hides that package's shapes: dollars per million become pico-USD per token.
 */
import { calcPrice, findProvider, type ModelPrice as ListPrice, type ModelInfo } from '@pydantic/genai-prices';
import { type ModelPrice, type ProviderId, picoUsdPerToken, type TokenPrices } from '@synthstack/core';

export interface Prices {
  /** Prices of a model at a time; null: unknown. */
  price(model: string, atMs?: number): ModelPrice | null;
  /** The list's own name of a model that it prices, of which there are few whatever names clients make up; null: not in the list. */
  listed(model: string): string | null;
  /** The names that the list has for models whose input and output are both priced. */
  textModels: readonly string[];
  /** The names of all models that the list prices. */
  names: readonly string[];
  /** What the model that the list calls so cost when, oldest first; none: not in the list. */
  periods(name: string): readonly PricePeriod[];
  /** The same, of prices as a list writes them; those that hold only at some hours of the day are left out. */
  read(prices: readonly ListedPrice[]): PricePeriod[];
}

export interface PricePeriod {
  fromMs: number;
  /** null: not by the token. */
  price: ModelPrice | null;
}

/** Dollars per million tokens, by the names of @pydantic/genai-prices (`input_mtok`), and from which day on, in UTC. */
export interface ListedPrice {
  constraint?: object | null | undefined;
  prices: Readonly<Record<string, unknown>>;
}

/** What holds where the list is silent, as parts of the price of plain input. */
export interface Multipliers {
  cachedInput: number;
  cacheWrite: number;
  cacheWrite1h: number;
}

interface Entry {
  id: string;
  periods: PricePeriod[];
}

const memoSize = 2_000;
const noPeriods: PricePeriod[] = [];
const longestName = 256;

export function createPrices(providerId: ProviderId, multipliers: Multipliers): Prices {
  const memo = new Map<string, Entry | null>();
  const models = findProvider({ providerId })?.models ?? [];

  function entryOf(model: string): Entry | null {
    // Matching costs 16 to 31 us; names come from clients, so the memory for them is bounded, oldest out first.
    if (model.length > longestName) return null;
    const known = memo.get(model);
    if (known !== undefined) return known;
    const info = calcPrice({}, model, { providerId })?.model;
    const entry = info ? { id: info.id, periods: periodsIn(listPrices(info), multipliers) } : null;
    if (memo.size >= memoSize) {
      const oldest = memo.keys().next();
      if (!oldest.done) memo.delete(oldest.value);
    }
    memo.set(model, entry);
    return entry;
  }

  return {
    price(model, atMs = Date.now()) {
      const periods = entryOf(model)?.periods ?? noPeriods;
      return (periods.findLast((period) => period.fromMs <= atMs) ?? periods[0])?.price ?? null;
    },
    listed: (model) => entryOf(model)?.id ?? null,
    textModels: models
      .filter((info) => listPrices(info).some(({ prices }) => prices.input_mtok !== undefined && prices.output_mtok !== undefined))
      .map((info) => info.id),
    names: models.map((info) => info.id),
    periods(name) {
      const info = models.find(({ id }) => id === name);
      return info ? periodsIn(listPrices(info), multipliers) : noPeriods;
    },
    read: (prices) => periodsIn(prices, multipliers),
  };
}

function periodsIn(prices: readonly ListedPrice[], multipliers: Multipliers): PricePeriod[] {
  return prices.flatMap(({ constraint, prices: listed }) => {
    // A price by the hour of the day (DeepSeek has them, our providers do not) has no place in a price per request.
    const start = constraint && ('start_date' in constraint ? constraint.start_date : undefined);
    if (constraint && typeof start !== 'string') return [];
    const fromMs = typeof start === 'string' ? Date.parse(start) : -Infinity;
    return [{ fromMs, price: modelPrice(listed as ListPrice, multipliers) }];
  });
}

function listPrices({ prices }: ModelInfo): readonly ListedPrice[] {
  return Array.isArray(prices) ? prices : [{ prices }];
}

function modelPrice(prices: ListPrice, multipliers: Multipliers): ModelPrice | null {
  // No price at all is how the list says "free of charge" (OpenAI's moderation); prices, but none for tokens: billed by the hour.
  if (prices.input_mtok === undefined && Object.keys(prices).length > 0) return null;
  const steps = new Set<number>();
  for (const price of Object.values(prices)) {
    if (typeof price === 'object') for (const { start } of price.tiers) steps.add(start);
  }
  const tiers = [...steps].sort((a, b) => a - b);
  return {
    ...tokenPrices(prices, 0, multipliers),
    tiers: tiers.map((start) => ({ aboveInputTokens: start, ...tokenPrices(prices, start + 1, multipliers) })),
  };
}

function tokenPrices(prices: ListPrice, inputTokens: number, multipliers: Multipliers): TokenPrices {
  const usd = (key: string): number | undefined => usdPerMillion(prices[key], inputTokens);
  const input = usd('input_mtok') ?? 0;
  const output = usd('output_mtok') ?? 0;
  const cacheWrite = usd('cache_write_mtok') ?? input * multipliers.cacheWrite;
  return {
    input: picoUsdPerToken(input),
    cachedInput: picoUsdPerToken(usd('cache_read_mtok') ?? input * multipliers.cachedInput),
    cacheWrite: picoUsdPerToken(cacheWrite),
    cacheWrite1h: picoUsdPerToken(usd('cache_write_1h_mtok') ?? Math.max(cacheWrite, input * multipliers.cacheWrite1h)),
    // Image tokens of the image models take the audio's place (openai.ts, `imageTokens`): no route has both.
    audioInput: picoUsdPerToken(usd('input_audio_mtok') ?? usd('input_image_mtok') ?? input),
    output: picoUsdPerToken(output),
    audioOutput: picoUsdPerToken(usd('output_audio_mtok') ?? usd('output_image_mtok') ?? output),
  };
}

function usdPerMillion(price: ListPrice[string], inputTokens: number): number | undefined {
  if (typeof price !== 'object') return price;
  return price.tiers.findLast((tier) => inputTokens > tier.start)?.price ?? price.base;
}
