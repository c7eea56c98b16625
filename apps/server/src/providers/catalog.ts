/** Which providers there are. A new one is a file of its own and a line here. */
import { type ModelPrice, type ProviderId, type ProviderView, usdPerMillion } from '@synthstack/core';
import { anthropic } from './anthropic.ts';
import { openai } from './openai.ts';
import type { Provider } from './provider.ts';

export const providers: Readonly<Record<ProviderId, Provider>> = { openai, anthropic };

export const allProviders: readonly Provider[] = Object.values(providers);

export function providerOf(id: ProviderId): Provider {
  return providers[id];
}

/** Whose key a text looks like; null: nobody's. */
export function recognise(keyText: string): ProviderId | null {
  return allProviders.find((provider) => provider.keyPattern.test(keyText))?.id ?? null;
}

/** A sentence about what is wrong where a key's text does not fit the chosen provider; null: it fits. Never repeats the text. */
export function misfit(id: ProviderId, keyText: string): string | null {
  const chosen = providers[id];
  if (chosen.keyPattern.test(keyText)) return null;
  if (keyText.startsWith('byok_')) {
    return `This is a gateway token of this server, not a key of ${chosen.name}. Paste a key that you made at ${chosen.keysUrl}.`;
  }
  const other = recognise(keyText);
  if (other) {
    const { name, keyFormat } = providers[other];
    return `This looks like a key of ${name} (${keyFormat}), not of ${chosen.name}. Choose ${name} as the provider, or paste a key of ${chosen.name} (${chosen.keyFormat}).`;
  }
  return `This does not look like a key of ${chosen.name}: those begin as ${chosen.keyFormat}. Copy the whole key from ${chosen.keysUrl}.`;
}

/** What this server knows of prices beyond the release's list (prices.ts). */
export interface KnownPrices {
  price(provider: ProviderId, model: string): ModelPrice | null;
  /** Models that the list does not have. */
  moreModels(provider: ProviderId): readonly string[];
}

/** The catalog as people see it, with public prices in dollars per million tokens; the newest of all stand first, which are not in the list yet. */
export function providerViews(hasPlatformKey: (id: ProviderId) => boolean, { price, moreModels }: KnownPrices): ProviderView[] {
  return allProviders.map(({ id, name, keyFormat, keysUrl, models }) => ({
    id,
    name,
    keyFormat,
    keysUrl,
    platform: hasPlatformKey(id),
    models: [...moreModels(id), ...models].map((model) => {
      const prices = price(id, model);
      return { id: model, inputUsdPerMillion: usdPerMillion(prices?.input), outputUsdPerMillion: usdPerMillion(prices?.output) };
    }),
  }));
}
