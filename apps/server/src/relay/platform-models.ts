/**
 * The lists of models on the platform's key: asked for at most every five minutes, and shown to each caller as far as their tier
 * may use them. What stands in a list can be asked for, and what does not cannot.
 */
import { AppError } from '@synthstack/core';
import type { Clock } from '../ports/clock.ts';
import type { ModelEntry, Provider } from '../providers/provider.ts';
import { isObject, list } from '../providers/reading.ts';
import type { Sender } from '../providers/send.ts';
import type { Vault } from '../vault.ts';
import type { UsableKey } from '../vault-rows.ts';
import { type GateRules, mayUse } from './gate.ts';
import { platformFailure } from './platform-failure.ts';
import type { AiRequest } from './request.ts';

export interface PlatformModelsParts {
  sender: Pick<Sender, 'ask'>;
  vault: Pick<Vault, 'use' | 'report'>;
  platformKey(provider: Provider['id']): UsableKey | null | Promise<UsableKey | null>;
  clock: Clock;
}

type Rules = Pick<GateRules, 'models' | 'price'>;
interface Kept {
  keyId: string;
  askedAt: number;
  models: Promise<readonly ModelEntry[]>;
}

const keptMs = 300_000;

export function createPlatformModels({ sender, vault, platformKey, clock }: PlatformModelsParts) {
  const kept = new Map<Provider['id'], Kept>();

  /** All that the platform's key may see. Whoever asks while it is being fetched shares that fetch. */
  async function modelsOf(provider: Provider): Promise<readonly ModelEntry[]> {
    const key = await platformKey(provider.id);
    if (!key) throw platformFailure(provider, null, clock.now());
    const keyId = 'environment' in key ? 'environment' : key.id;
    const known = kept.get(provider.id);
    if (known?.keyId === keyId && clock.now() - known.askedAt < keptMs) return known.models;
    const fresh: Kept = { keyId, askedAt: clock.now(), models: fetch(provider, key) };
    kept.set(provider.id, fresh);
    // A failure is told to those who wait for it, and to nobody after them.
    fresh.models.catch(() => kept.get(provider.id) === fresh && kept.delete(provider.id));
    return fresh.models;
  }

  async function fetch(provider: Provider, key: UsableKey): Promise<readonly ModelEntry[]> {
    const { query } = provider.modelList;
    const { status, headers = {}, body } = await lend(provider, key, query);
    const outcome = provider.classify(status, body);
    await vault.report(key, outcome);
    // Whatever it finds wrong with a request that is always the same, the caller is not at fault.
    if (outcome !== 'ok')
      throw platformFailure(provider, { status, headers, outcome: outcome === 'refused' ? 'down' : outcome }, clock.now());
    const data = isObject(body) ? body.data : undefined;
    if (!Array.isArray(data)) throw new AppError('provider_unreachable', `${provider.name} sent a list of models that cannot be read.`);
    return list(data).filter((one): one is ModelEntry => isObject(one) && typeof one.id === 'string');
  }

  async function lend(provider: Provider, key: UsableKey, query: string) {
    try {
      return await vault.use(key, (secret) => sender.ask(provider, secret)({ method: 'GET', path: '/v1/models', ...(query && { query }) }));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'key_unusable') throw error;
      await vault.report(key, 'unreadable');
      throw platformFailure(provider, null, clock.now());
    }
  }

  return {
    /**
     * The answer to a request for models, as JSON.
     * @throws AppError `not_found`: there is no such model, or not for this tier; `platform_unavailable`, `platform_busy`,
     * `provider_unreachable`, `provider_timeout`
     */
    async answer({ provider, route, path }: Pick<AiRequest, 'provider' | 'route' | 'path'>, rules: Rules): Promise<Buffer> {
      const models = await modelsOf(provider);
      const told = route.tellsModels === 'all' ? provider.modelList.page(allowed(provider, models, rules)) : find(idIn(path));
      return Buffer.from(JSON.stringify(told));

      function find(id: string): ModelEntry {
        const found = mayUse(provider, id, rules) ? entryOf(models, id) : undefined;
        if (found) return found;
        throw new AppError('not_found', `There is no model ${id} on the platform's key. GET /v1/models lists those that there are.`);
      }
    },
  };
}

/** Those of an operator's list by the names in it, which may be shorter than the provider's. */
function allowed(provider: Provider, models: readonly ModelEntry[], rules: Rules): ModelEntry[] {
  if (!rules.models) return models.filter(({ id }) => mayUse(provider, id, rules));
  return rules.models.map((id) => entryOf(models, id)).filter((one) => one !== undefined);
}

/** Anthropic lists `claude-haiku-4-5-20251001` and answers to `claude-haiku-4-5` as well: an entry under the name that was asked for. */
function entryOf(models: readonly ModelEntry[], id: string): ModelEntry | undefined {
  const exact = models.find((model) => model.id === id);
  const dated = exact ?? models.find((model) => model.id.startsWith(`${id}-`) && /^\d{8}$/.test(model.id.slice(id.length + 1)));
  return dated && { ...dated, id };
}

const idIn = (path: string): string => decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
