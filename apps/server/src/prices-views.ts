/** The prices as administrators see them: every model that the release lists, that has a price of this server's own, or that waits for one. */
import type { AdminPrice, ModelPrice, PriceList, PriceQuery, PriceView, ProviderId, StoredPrice } from '@synthstack/core';
import { type PriceBook, priceIn, type StoredPriceRow } from './prices.ts';
import { allProviders, providerOf } from './providers/catalog.ts';

export interface PriceViewParts {
  book: Pick<PriceBook, 'rows' | 'find'>;
  waiting(): Promise<readonly { provider: ProviderId; model: string; requests: number }[]>;
  /** What people are called, by their ids; who is gone has no name. */
  namesOf(userIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  nowMs: number;
}

const mostShown = 500;
/** Who is no user. */
const machines: ReadonlySet<string> = new Set(['cli', 'system']);

export async function priceViews(parts: PriceViewParts): Promise<AdminPrice[]> {
  const [rows, waiting] = await Promise.all([parts.book.rows(), parts.waiting()]);
  const names = await parts.namesOf([...new Set(rows.map(({ actor }) => actor).filter((actor) => !machines.has(actor)))]);
  const rowsOf = Map.groupBy(rows, ({ provider, model }) => `${provider} ${model}`);
  const waitingOf = new Map(waiting.map(({ provider, model, requests }) => [`${provider} ${model}`, requests]));
  return allProviders.flatMap(({ id: provider, priceList, listed }) => {
    const mine = (one: { provider: ProviderId }) => one.provider === provider;
    const models = new Set([
      // Some names of the list stand for others, and are no model's own.
      ...priceList.names.filter((name) => listed(name) === name),
      ...rows.filter(mine).map((row) => row.model),
      ...waiting.filter(mine).map((one) => one.model),
    ]);
    return [...models].map((model): AdminPrice => {
      const stored = rowsOf.get(`${provider} ${model}`) ?? [];
      const { price, source } = parts.book.find(provider, model, parts.nowMs) ?? { price: null, source: null };
      return {
        ...{ provider, model },
        ...{ price: price && viewOf(price), source },
        tiers: (price?.tiers ?? []).map((tier) => ({
          aboveInputTokens: tier.aboveInputTokens,
          inputUsdPerMillion: usd(tier.input),
          outputUsdPerMillion: usd(tier.output),
        })),
        overrides: stored.map((row) => storedView(row, names)).reverse(),
        waitingRequests: waitingOf.get(`${provider} ${model}`) ?? 0,
      };
    });
  });
}

/** Those that somebody looks for. */
export function priceList(all: readonly AdminPrice[], { search = '', show }: PriceQuery): PriceList {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((one) => {
    const text = `${one.model} ${providerOf(one.provider).name}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (!show || (show === 'waiting' ? one.waitingRequests > 0 : one.source === show));
  });
  found.sort(
    (a, b) =>
      b.waitingRequests - a.waitingRequests ||
      a.model.localeCompare(b.model, 'en', { numeric: true }) ||
      a.provider.localeCompare(b.provider),
  );
  return {
    prices: found.slice(0, mostShown),
    total: found.length,
    waitingRequests: all.reduce((sum, { waitingRequests }) => sum + waitingRequests, 0),
  };
}

const usd = (picoUsd: number): number => picoUsd / 1_000_000;

function viewOf(price: ModelPrice): PriceView {
  return {
    inputUsdPerMillion: usd(price.input),
    outputUsdPerMillion: usd(price.output),
    cachedInputUsdPerMillion: usd(price.cachedInput),
    cacheWriteUsdPerMillion: usd(price.cacheWrite),
    cacheWrite1hUsdPerMillion: usd(price.cacheWrite1h),
    audioInputUsdPerMillion: usd(price.audioInput),
    audioOutputUsdPerMillion: usd(price.audioOutput),
  };
}

function storedView(row: StoredPriceRow, names: ReadonlyMap<string, string>): StoredPrice {
  const { source, validFrom, createdAt, actor } = row;
  return {
    ...viewOf(priceIn(row)),
    ...{ source, validFrom: validFrom === 0 ? null : new Date(validFrom).toISOString(), changedAt: createdAt.toISOString() },
    changedBy: machines.has(actor) ? actor : (names.get(actor) ?? null),
  };
}
