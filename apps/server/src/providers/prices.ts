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
}

/** What holds where the list is silent, as parts of the price of plain input. */
export interface Multipliers {
  cachedInput: number;
  cacheWrite: number;
  cacheWrite1h: number;
}

interface Entry {
  id: string;
  periods: Period[];
}

interface Period {
  fromMs: number;
  price: ModelPrice | null;
}

const memoSize = 2_000;
const noPeriods: Period[] = [];
const longestName = 256;

export function createPrices(providerId: ProviderId, multipliers: Multipliers): Prices {
  const memo = new Map<string, Entry | null>();

  function entryOf(model: string): Entry | null {
    // Matching costs 16 to 31 us; names come from clients, so the memory for them is bounded, oldest out first.
    if (model.length > longestName) return null;
    const known = memo.get(model);
    if (known !== undefined) return known;
    const info = calcPrice({}, model, { providerId })?.model;
    const entry = info ? { id: info.id, periods: periodsIn(info, multipliers) } : null;
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
    textModels: (findProvider({ providerId })?.models ?? [])
      .filter((info) => listPrices(info).some(({ prices }) => prices.input_mtok !== undefined && prices.output_mtok !== undefined))
      .map((info) => info.id),
  };
}

function periodsIn(info: ModelInfo, multipliers: Multipliers): Period[] {
  return listPrices(info).flatMap(({ constraint, prices }) => {
    // A price by the hour of the day (DeepSeek has them, our providers do not) has no place in a price per request.
    if (constraint && !('start_date' in constraint)) return [];
    return [{ fromMs: constraint ? Date.parse(constraint.start_date) : -Infinity, price: modelPrice(prices, multipliers) }];
  });
}

function listPrices({ prices }: ModelInfo) {
  return Array.isArray(prices) ? prices : [{ prices, constraint: undefined }];
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
