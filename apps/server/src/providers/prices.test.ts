import { costNanoUsd, noTokens, toUsd } from '@synthstack/core';
import { describe, expect, test } from 'vitest';
import { anthropic } from './anthropic.ts';
import { openai } from './openai.ts';
import { createPrices } from './prices.ts';
import type { Provider } from './provider.ts';

const million = 1_000_000;

describe('the prices of our documentation', () => {
  const documented: [Provider, string, number, number][] = [
    [openai, 'gpt-4-turbo', 10, 30],
    [openai, 'gpt-4', 30, 60],
    [openai, 'gpt-3.5-turbo', 0.5, 1.5],
    [anthropic, 'claude-3-opus-20240229', 15, 75],
    [anthropic, 'claude-3-sonnet-20240229', 3, 15],
    [anthropic, 'claude-3-haiku-20240307', 0.25, 1.25],
  ];
  test.each(documented)('%o %s', (provider, model, input, output) => {
    const price = provider.price(model);
    if (!price) throw new Error('no price');
    expect(toUsd(costNanoUsd({ ...noTokens, input: million }, price))).toBe(input);
    expect(toUsd(costNanoUsd({ ...noTokens, output: million }, price))).toBe(output);
    expect(provider.models).toContain(model);
  });
});

test.each([
  [openai, 'gpt-4o-2024-08-06'],
  [openai, 'gpt-4-0613'],
  [openai, 'gpt-3.5-turbo-0125'],
  [anthropic, 'claude-haiku-4-5-20251001'],
  [anthropic, 'claude-3-opus-latest'],
])('a dated name has the price of its model: %o %s', (provider, model) => {
  expect(provider.price(model)).not.toBeNull();
});

test.each(['', 'no-such-model', 'claude-3-opus-20240229', 'x'.repeat(100_000)])(
  'an unknown model has no price, which is not zero',
  (model) => {
    expect(openai.price(model)).toBeNull();
  },
);

test('a model billed by the hour has no price per token, and free moderation costs nothing', () => {
  expect(openai.price('whisper-1')).toBeNull();
  expect(openai.price('omni-moderation-latest')).toMatchObject({ input: 0, output: 0 });
});

test('cached input is cheaper, an hour in the cache dearer', () => {
  expect(openai.price('gpt-4o')).toMatchObject({ input: 2_500_000, cachedInput: 1_250_000, output: 10_000_000 });
  expect(anthropic.price('claude-haiku-4-5')).toMatchObject({ cachedInput: 100_000, cacheWrite: 1_250_000, cacheWrite1h: 2_000_000 });
  // The list has one that is not 1.25 times, and it is right.
  expect(anthropic.price('claude-3-haiku-20240307')).toMatchObject({ cacheWrite: 300_000, cacheWrite1h: 500_000 });
});

test('where the list is silent about the cache, the multiples hold', () => {
  const { price } = createPrices('anthropic', { cachedInput: 0.1, cacheWrite: 1.25, cacheWrite1h: 2 });
  expect(price('claude-2')).toMatchObject({ input: 8_000_000, cachedInput: 800_000, cacheWrite: 10_000_000, cacheWrite1h: 16_000_000 });
  expect(openai.price('gpt-4')).toMatchObject({ cachedInput: 30_000_000, cacheWrite: 30_000_000, cacheWrite1h: 30_000_000 });
});

test('a long input makes all of the request dearer', () => {
  const price = anthropic.price('claude-sonnet-4-5');
  if (!price) throw new Error('no price');
  expect(price.tiers).toHaveLength(1);
  expect(toUsd(costNanoUsd({ ...noTokens, input: 200_000, output: 1_000 }, price))).toBeCloseTo(0.6 + 0.015, 9);
  expect(toUsd(costNanoUsd({ ...noTokens, input: 200_001, output: 1_000 }, price))).toBeCloseTo(1.200006 + 0.0225, 9);
  expect(toUsd(costNanoUsd({ ...noTokens, input: 300_000, cachedInput: 300_000 }, price))).toBeCloseTo(0.18, 9);
});

test('audio and image tokens have prices of their own', () => {
  expect(openai.price('gpt-audio')).toMatchObject({
    input: 2_500_000,
    audioInput: 32_000_000,
    output: 10_000_000,
    audioOutput: 64_000_000,
  });
  expect(openai.price('gpt-image-1.5')).toMatchObject({
    input: 5_000_000,
    audioInput: 8_000_000,
    output: 10_000_000,
    audioOutput: 32_000_000,
  });
  expect(openai.price('gpt-image-1')).toMatchObject({ audioInput: 10_000_000, audioOutput: 40_000_000 });
});

test('a request costs what its model cost on its day', () => {
  expect(openai.price('o3', Date.parse('2025-06-09T23:59:59Z'))).toMatchObject({ input: 10_000_000 });
  expect(openai.price('o3', Date.parse('2025-06-10T00:00:00Z'))).toMatchObject({ input: 2_000_000 });
  expect(openai.price('o3')).toMatchObject({ input: 2_000_000 });
});

test('dated names go by the name of their model in the list, and whatever clients make up, these names are few', () => {
  expect(openai.listed('gpt-4o-2024-08-06')).toBe(openai.listed('gpt-4o'));
  expect(anthropic.listed('claude-haiku-4-5-20251001')).toBe(anthropic.listed('claude-haiku-4-5'));
  expect([openai.listed('no-such-model'), openai.listed('claude-haiku-4-5'), openai.listed('x'.repeat(100_000))]).toEqual([
    null,
    null,
    null,
  ]);
  const names = ['gpt-4o', 'gpt-5', 'o3', 'claude-sonnet-4-5'].flatMap((name) => Array.from({ length: 500 }, (_, i) => `${name}-${i}`));
  for (const provider of [openai, anthropic]) expect(new Set(names.map(provider.listed)).size).toBeLessThan(20);
});

test('the same answer comes back for the same model, also after very many other names', () => {
  const { price } = createPrices('openai', { cachedInput: 1, cacheWrite: 1, cacheWrite1h: 1 });
  const first = price('gpt-4o');
  expect(price('gpt-4o')).toBe(first);
  for (let i = 0; i < 5_000; i += 1) price(`made-up-${i}`);
  expect(price('gpt-4o')).toEqual(first);
});
