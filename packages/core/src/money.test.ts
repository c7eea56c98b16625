import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costNanoUsd, type ModelPrice, nanoUsdPerUsd, noTokens, picoUsdPerToken, type TokenPrices, toUsd, usdPerMillion } from './money.ts';

const perMillion = (usd: {
  input: number;
  cached?: number;
  write?: number;
  write1h?: number;
  audioIn?: number;
  output: number;
  audioOut?: number;
}) =>
  ({
    input: picoUsdPerToken(usd.input),
    cachedInput: picoUsdPerToken(usd.cached ?? usd.input),
    cacheWrite: picoUsdPerToken(usd.write ?? usd.input),
    cacheWrite1h: picoUsdPerToken(usd.write1h ?? usd.input),
    audioInput: picoUsdPerToken(usd.audioIn ?? usd.input),
    output: picoUsdPerToken(usd.output),
    audioOutput: picoUsdPerToken(usd.audioOut ?? usd.output),
  }) satisfies TokenPrices;

const sonnet: ModelPrice = { ...perMillion({ input: 3, cached: 0.3, write: 3.75, write1h: 6, output: 15 }), tiers: [] };
const oneMillion = 1_000_000;

test('a price is shown as its provider prints it; what is unknown stays unknown', () => {
  for (const usd of [0, 0.0375, 0.25, 2.5, 75]) expect(usdPerMillion(picoUsdPerToken(usd))).toBe(usd);
  expect(usdPerMillion(undefined)).toBeNull();
});

test('$0.25 per 1M tokens is 250 nano-USD a token', () => {
  const price: ModelPrice = { ...perMillion({ input: 0.25, output: 2 }), tiers: [] };
  expect(costNanoUsd({ ...noTokens, input: 1 }, price)).toBe(250);
  expect(costNanoUsd({ ...noTokens, output: 1 }, price)).toBe(2_000);
});

test('a price of four decimals is exact, although a tenth of a cent is not a binary fraction', () => {
  expect(picoUsdPerToken(0.0375)).toBe(37_500);
  expect(picoUsdPerToken(0.1)).toBe(100_000);
  expect(picoUsdPerToken(75)).toBe(75_000_000);
});

test('a million tokens cost the printed price', () => {
  expect(toUsd(costNanoUsd({ ...noTokens, input: oneMillion }, sonnet))).toBe(3);
  expect(toUsd(costNanoUsd({ ...noTokens, input: oneMillion, cachedInput: oneMillion }, sonnet))).toBe(0.3);
  expect(toUsd(costNanoUsd({ ...noTokens, input: oneMillion, cacheWrite: oneMillion }, sonnet))).toBe(3.75);
  expect(toUsd(costNanoUsd({ ...noTokens, input: oneMillion, cacheWrite: oneMillion, cacheWrite1h: oneMillion }, sonnet))).toBe(6);
  expect(toUsd(costNanoUsd({ ...noTokens, output: oneMillion }, sonnet))).toBe(15);
});

test('each part of a request is billed once, at its own price', () => {
  const tokens = { ...noTokens, input: 1_000, cachedInput: 600, cacheWrite: 300, cacheWrite1h: 100, output: 50, reasoning: 40 };
  // 100 plain at 3, 600 cached at 0.3, 200 written at 3.75, 100 written for an hour at 6, 50 out at 15: in micro-USD
  expect(costNanoUsd(tokens, sonnet)).toBe((300 + 180 + 750 + 600 + 750) * 1_000);
});

test('audio has its own prices, on both sides', () => {
  const price: ModelPrice = { ...perMillion({ input: 2.5, audioIn: 40, output: 10, audioOut: 80 }), tiers: [] };
  const tokens = { ...noTokens, input: 100, audioInput: 60, output: 30, audioOutput: 10 };
  expect(costNanoUsd(tokens, price)).toBe((40 * 2.5 + 60 * 40 + 20 * 10 + 10 * 80) * 1_000);
});

test('reasoning is part of the output and costs nothing more', () => {
  expect(costNanoUsd({ ...noTokens, output: 100, reasoning: 90 }, sonnet)).toBe(costNanoUsd({ ...noTokens, output: 100 }, sonnet));
});

test('a cost is rounded once, not per part', () => {
  const price: ModelPrice = { ...perMillion({ input: 0.0004, output: 0.0004 }), tiers: [] };
  expect(costNanoUsd({ ...noTokens, input: 1 }, price)).toBe(0);
  expect(costNanoUsd({ ...noTokens, input: 1, output: 1 }, price)).toBe(1);
});

test('no tokens cost nothing', () => {
  expect(costNanoUsd(noTokens, sonnet)).toBe(0);
});

const long = { ...perMillion({ input: 6, cached: 0.6, output: 22.5 }), aboveInputTokens: 200_000 };
const longer = { ...perMillion({ input: 9, cached: 0.9, output: 30 }), aboveInputTokens: 500_000 };

test('a long input makes the whole request dearer, from the first token above the bound', () => {
  const price: ModelPrice = { ...sonnet, tiers: [long] };
  expect(costNanoUsd({ ...noTokens, input: 200_000, output: 100 }, price)).toBe(200_000 * 3_000 + 100 * 15_000);
  expect(costNanoUsd({ ...noTokens, input: 200_001, output: 100 }, price)).toBe(200_001 * 6_000 + 100 * 22_500);
});

test.each([
  ['ascending', [long, longer]],
  ['descending', [longer, long]],
])('with several bounds the highest that was passed counts, in %s order', (_order, tiers) => {
  expect(costNanoUsd({ ...noTokens, input: 300_000 }, { ...sonnet, tiers })).toBe(300_000 * 6_000);
  expect(costNanoUsd({ ...noTokens, input: 500_001 }, { ...sonnet, tiers })).toBe(500_001 * 9_000);
});

const tokenCount = fc.integer({ min: 0, max: 10_000_000 });
const anyTokens = fc.record({
  input: tokenCount,
  cachedInput: tokenCount,
  cacheWrite: tokenCount,
  cacheWrite1h: tokenCount,
  audioInput: tokenCount,
  output: tokenCount,
  reasoning: tokenCount,
  audioOutput: tokenCount,
});

test('whatever a provider counts, even parts larger than their whole, the cost is a whole number and never negative', () => {
  fc.assert(
    fc.property(anyTokens, (tokens) => {
      const cost = costNanoUsd(tokens, { ...sonnet, tiers: [long, longer] });
      expect(Number.isSafeInteger(cost) && cost >= 0).toBe(true);
    }),
  );
});

test('a part that outgrows its whole takes nothing off the other parts', () => {
  expect(costNanoUsd({ ...noTokens, cacheWrite1h: 100 }, sonnet)).toBe(100 * 6_000);
  expect(costNanoUsd({ ...noTokens, cachedInput: 100, output: 10, audioOutput: 20 }, sonnet)).toBe(100 * 300 + 20 * 15_000);
});

test('dollars are shown from nano-USD, and unknown stays unknown', () => {
  expect(toUsd(1_500_000_000)).toBe(1.5);
  expect(toUsd(250)).toBe(0.000_000_25);
  expect(toUsd(0)).toBe(0);
  expect(toUsd(null)).toBeNull();
  expect(nanoUsdPerUsd).toBe(1e9);
});

test('the empty counts cannot be changed by those who start from them', () => {
  expect(Object.isFrozen(noTokens)).toBe(true);
});
