/**
 * Price lists that come from outside, as a file or from PRICES_URL: which kind it is, whether all of it is in order, and what each model
 * costs by it. One wrong field and nothing of it is taken.
 */
import { AppError, type NewPrice, OwnPriceList, type ProviderId, PublicModels, PublicPriceList, type TypedPrices } from '@synthstack/core';
import type { z } from 'zod';
import { allProviders, providerOf } from './providers/catalog.ts';
import type { PricePeriod } from './providers/prices.ts';
import { isObject } from './providers/reading.ts';

export interface ListedModel {
  provider: ProviderId;
  model: string;
  /** Oldest first. */
  periods: readonly PricePeriod[];
}

/**
 * Reads a price list: `{"prices": [...]}` of ours, or data.json of @pydantic/genai-prices, of which only our providers' models are taken.
 * @param name  what it is called in the sentences of errors
 * @throws AppError `invalid_input` that names the field that is wrong
 */
export function readPriceList(text: string, name: string): ListedModel[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw wrongList(name, 'it is not valid JSON.');
  }
  if (Array.isArray(json)) return publicList(json, name);
  if (isObject(json)) return ownList(json, name);
  throw wrongList(name, 'it is neither a list of providers nor an object with "prices".');
}

/** Of the prices that people type: what they leave out follows from the input's, as the provider has it. @returns pico-USD a token */
export function typedPeriod(provider: ProviderId, prices: TypedPrices & Pick<NewPrice, 'validFrom'>): PricePeriod {
  const { validFrom } = prices;
  const [period] = providerOf(provider).priceList.read([
    {
      prices: withoutEmpty({
        input_mtok: prices.inputUsdPerMillion,
        output_mtok: prices.outputUsdPerMillion,
        cache_read_mtok: prices.cachedInputUsdPerMillion,
        cache_write_mtok: prices.cacheWriteUsdPerMillion,
        cache_write_1h_mtok: prices.cacheWrite1hUsdPerMillion,
        input_audio_mtok: prices.audioInputUsdPerMillion,
        output_audio_mtok: prices.audioOutputUsdPerMillion,
      }),
      ...(validFrom && { constraint: { start_date: validFrom } }),
    },
  ]);
  if (!period) throw new AppError('internal', 'A price that was typed has not been read.');
  return period;
}

function ownList(json: object, name: string): ListedModel[] {
  const { prices } = parse(OwnPriceList, json, { name, path: [] });
  const models = new Map<string, NewPrice[]>();
  for (const [i, price] of prices.entries()) {
    const key = `${price.provider} ${price.model}`;
    const before = models.get(key) ?? [];
    if (before.some((one) => startOf(one) === startOf(price))) {
      throw wrongList(name, `prices.${i}: this model has a price from that time on already.`);
    }
    models.set(key, [...before, price]);
  }
  return [...models.values()].map((all) => {
    const [{ provider, model } = all[0] as NewPrice] = all;
    return { provider, model, periods: all.map((price) => typedPeriod(provider, price)).sort((a, b) => a.fromMs - b.fromMs) };
  });
}

function publicList(json: unknown[], name: string): ListedModel[] {
  const found = parse(PublicPriceList, json, { name, path: [] }).flatMap(({ id, models }, i) => {
    const provider = allProviders.find((one) => one.id === id);
    if (!provider) return [];
    const listed = parse(PublicModels, models, { name, path: [i, 'models'] });
    return listed.flatMap(({ id: model, prices }): ListedModel[] => {
      const periods = provider.priceList.read(prices).filter(({ price }) => price !== null);
      return periods.length > 0 ? [{ provider: provider.id, model, periods: periods.sort((a, b) => a.fromMs - b.fromMs) }] : [];
    });
  });
  if (found.length === 0) throw wrongList(name, `it has no price of ${allProviders.map((one) => one.name).join(' or ')}.`);
  return found;
}

const startOf = ({ validFrom }: NewPrice): number => (validFrom ? Date.parse(validFrom) : -Infinity);
const withoutEmpty = (record: Record<string, unknown>) => Object.fromEntries(Object.entries(record).filter(([, value]) => value != null));

function parse<T>(schema: z.ZodType<T>, value: unknown, { name, path }: { name: string; path: (string | number)[] }): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const more = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const field = [...path, ...(issue?.path ?? []), ...more].map(String).join('.') || 'the whole';
  throw wrongList(name, `${field}: ${more.length > 0 ? 'Unknown field: leave it out.' : (issue?.message ?? 'It is not understood.')}`);
}

const wrongList = (name: string, what: string): AppError =>
  new AppError('invalid_input', `${name} cannot be used, and nothing was changed: ${what}`);
