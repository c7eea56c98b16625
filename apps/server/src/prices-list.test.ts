import { AppError } from '@synthstack/core';
import { expect, test } from 'vitest';
import { readPriceList } from './prices-list.ts';
import { openai } from './providers/openai.ts';

const read = (list: unknown) => readPriceList(JSON.stringify(list), 'prices.json');

function sentenceOf(list: unknown): string {
  try {
    read(list);
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_input') return error.message;
    throw error;
  }
  throw new Error('It was taken.');
}

const nextGpt = { provider: 'openai', model: 'gpt-next', inputUsdPerMillion: 2, outputUsdPerMillion: 8 };
const nextClaude = { provider: 'anthropic', model: 'claude-next-9', inputUsdPerMillion: 3, outputUsdPerMillion: 15 };

test('our own list: what is left out follows from the input as the provider has it, and prices begin when they say', () => {
  const later = { ...nextGpt, inputUsdPerMillion: 4, cachedInputUsdPerMillion: 0.4, validFrom: '2027-01-01' };
  expect(read({ prices: [later, nextGpt, nextClaude] })).toEqual([
    {
      ...{ provider: 'openai', model: 'gpt-next' },
      periods: [
        { fromMs: -Infinity, price: expect.objectContaining({ input: 2_000_000, cachedInput: 2_000_000, output: 8_000_000, tiers: [] }) },
        { fromMs: Date.UTC(2027, 0, 1), price: expect.objectContaining({ input: 4_000_000, cachedInput: 400_000 }) },
      ],
    },
    {
      ...{ provider: 'anthropic', model: 'claude-next-9' },
      periods: [
        { fromMs: -Infinity, price: expect.objectContaining({ cachedInput: 300_000, cacheWrite: 3_750_000, cacheWrite1h: 6_000_000 }) },
      ],
    },
  ]);
});

const publicModel = (prices: unknown, id = 'gpt-next') => [
  { id: 'openai', name: 'OpenAI', models: [{ id, match: { equals: id }, prices }] },
];

test('the public list: steps for long inputs, days from which on, and nothing of providers that are not ours', () => {
  const steps = { base: 3, tiers: [{ start: 200_000, price: 6 }] };
  const prices = [
    { prices: { input_mtok: steps, output_mtok: 15, web_searches_kcount: 50_000 } },
    { constraint: { start_date: '2026-03-13' }, prices: { input_mtok: 3, output_mtok: 15 } },
    { constraint: { start_time: '00:30:00Z', end_time: '16:30:00Z' }, prices: { input_mtok: 1, output_mtok: 2 } },
  ];
  const others = [{ id: 'deepseek', models: 'whatever they are' }];
  const hourly = { id: 'whisper-2', prices: { audio_hours: 1 } };
  const [{ models = [] } = {}] = publicModel(prices);
  expect(read([...others, { id: 'openai', models: [...models, hourly] }])).toMatchObject([
    {
      model: 'gpt-next',
      periods: [
        { fromMs: -Infinity, price: { input: 3_000_000, tiers: [{ aboveInputTokens: 200_000, input: 6_000_000, output: 15_000_000 }] } },
        { fromMs: Date.UTC(2026, 2, 13), price: { input: 3_000_000, tiers: [] } },
      ],
    },
  ]);
});

test("what the release's own list says of a model is read as the same", () => {
  const price = { input_mtok: 10, cache_read_mtok: 0.5, output_mtok: 40 };
  const after = { input_mtok: 2, cache_read_mtok: 0.5, output_mtok: 8 };
  const [o3] = read(publicModel([{ prices: price }, { constraint: { start_date: '2025-06-10' }, prices: after }], 'o3'));
  expect(o3?.periods).toEqual(openai.priceList.periods('o3'));
});

test.each<[string, unknown, string]>([
  [
    'a negative price',
    { prices: [nextGpt, { ...nextGpt, model: 'b', outputUsdPerMillion: -1 }] },
    'prices.1.outputUsdPerMillion: US dollars',
  ],
  ['a text', { prices: [{ ...nextGpt, inputUsdPerMillion: '2' }] }, 'prices.0.inputUsdPerMillion: US dollars'],
  ['no output', { prices: [{ ...nextGpt, outputUsdPerMillion: undefined }] }, 'prices.0.outputUsdPerMillion: US dollars'],
  ['another provider', { prices: [{ ...nextGpt, provider: 'acme' }] }, 'prices.0.provider: Unknown provider'],
  ['a misspelt field', { prices: [{ ...nextGpt, cachedUsd: 1 }] }, 'prices.0.cachedUsd: Unknown field'],
  ['a model with a space', { prices: [{ ...nextGpt, model: 'gpt next' }] }, 'prices.0.model: '],
  ['no day', { prices: [{ ...nextGpt, validFrom: '2026-02-30' }] }, 'prices.0.validFrom: Name a day'],
  ['the same twice', { prices: [nextGpt, nextGpt] }, 'prices.1: this model has a price from that time on already.'],
  ['nothing', { prices: [] }, 'prices: It holds no price.'],
  ['a number', 7, 'neither a list of providers nor'],
  ['an empty public list', [], 'the whole: It holds no provider.'],
  ['only others', [{ id: 'deepseek', models: [] }], 'it has no price of OpenAI or Anthropic.'],
  ['no models', [{ id: 'openai' }], '0.models: '],
  ['a public text', publicModel({ input_mtok: '3', output_mtok: 15 }), '0.models.0.prices.0.prices.input_mtok.base: US dollars'],
  [
    'an infinite step',
    publicModel({ input_mtok: { base: 1, tiers: [{ start: -1, price: 1 }] } }),
    '0.models.0.prices.0.prices.input_mtok.tiers.0.start: ',
  ],
  ['a day that is none', publicModel([{ constraint: { start_date: 'soon' }, prices: {} }]), '0.models.0.prices.0.constraint.start_date: '],
])('%s: nothing of the list is taken, and the field that is wrong is named', (_, list, sentence) => {
  expect(sentenceOf(list)).toContain(sentence);
  expect(sentenceOf(list)).toMatch(/^prices\.json cannot be used, and nothing was changed: /);
});

test('what is no JSON is said to be that', () => {
  expect(() => readPriceList('<html>', 'prices.json')).toThrow(
    'prices.json cannot be used, and nothing was changed: it is not valid JSON.',
  );
});
