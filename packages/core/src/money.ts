/**
 * Money is integer nano-USD (1e-9 dollars): $0.25 per 1M tokens is 250 a token, so sums are exact.
 * Prices are integer pico-USD a token ($0.0375 per 1M tokens is 37,500), and a request's cost is rounded to nano-USD once.
 * Sums stay exact below 2^53 nano-USD, nine million dollars.
 */

export const nanoUsdPerUsd = 1_000_000_000;

/** A price as providers print it, dollars per 1M tokens, as pico-USD per token. */
export function picoUsdPerToken(usdPerMillion: number): number {
  return Math.round(usdPerMillion * 1_000_000);
}

/** A price as providers print it; null: unknown. */
export function usdPerMillion(picoUsdPerToken: number | undefined): number | null {
  return picoUsdPerToken === undefined ? null : picoUsdPerToken / 1_000_000;
}

/** Dollars, for showing and for JSON; null stays null, since unknown is not zero. */
export function toUsd(nanoUsd: number): number;
export function toUsd(nanoUsd: number | null): number | null;
export function toUsd(nanoUsd: number | null): number | null {
  return nanoUsd === null ? null : nanoUsd / nanoUsdPerUsd;
}

/** Billed tokens of one request. Parts are counted inside their whole, as OpenAI does it; Anthropic's are added up first. */
export interface TokenCounts {
  /** All input: plain, cached, cache-write and audio. */
  input: number;
  cachedInput: number;
  /** Written to the provider's cache, both lifetimes. */
  cacheWrite: number;
  /** Part of `cacheWrite` that is kept for an hour, and dearer. */
  cacheWrite1h: number;
  audioInput: number;
  /** All output: text, reasoning and audio. */
  output: number;
  reasoning: number;
  audioOutput: number;
}

export const noTokens: Readonly<TokenCounts> = Object.freeze({
  input: 0,
  cachedInput: 0,
  cacheWrite: 0,
  cacheWrite1h: 0,
  audioInput: 0,
  output: 0,
  reasoning: 0,
  audioOutput: 0,
});

/** Prices in pico-USD per token. */
export interface TokenPrices {
  input: number;
  cachedInput: number;
  cacheWrite: number;
  cacheWrite1h: number;
  audioInput: number;
  output: number;
  audioOutput: number;
}

/** A model's prices; where a long input is dearer, the tier with the highest `aboveInputTokens` that was passed counts for all of the request. */
export interface ModelPrice extends TokenPrices {
  tiers: readonly (TokenPrices & { aboveInputTokens: number })[];
}

/** The estimated cost of one request in nano-USD. */
export function costNanoUsd(tokens: TokenCounts, price: ModelPrice): number {
  const at = pricesFor(tokens.input, price);
  const plainInput = Math.max(0, tokens.input - tokens.cachedInput - tokens.cacheWrite - tokens.audioInput);
  const plainOutput = Math.max(0, tokens.output - tokens.audioOutput);
  const picoUsd =
    plainInput * at.input +
    tokens.cachedInput * at.cachedInput +
    Math.max(0, tokens.cacheWrite - tokens.cacheWrite1h) * at.cacheWrite +
    tokens.cacheWrite1h * at.cacheWrite1h +
    tokens.audioInput * at.audioInput +
    plainOutput * at.output +
    tokens.audioOutput * at.audioOutput;
  return Math.round(picoUsd / 1_000);
}

/** Price lists give their tiers in any order. */
function pricesFor(inputTokens: number, price: ModelPrice): TokenPrices {
  const highestFirst = price.tiers.toSorted((a, b) => b.aboveInputTokens - a.aboveInputTokens);
  return highestFirst.find((tier) => inputTokens > tier.aboveInputTokens) ?? price;
}
