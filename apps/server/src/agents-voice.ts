/** Which provider and model an agent speaks with: what was asked for, else what the conversation has, else what the caller's keys allow. */
import { type ProviderId, type TierName, wrongField } from '@synthstack/core';
import type { Agent } from './agents-roster.ts';
import type { OwnKey } from './budgets.ts';
import type { Caller } from './callers.ts';
import type { Clock } from './ports/clock.ts';
import { allProviders, providerOf } from './providers/catalog.ts';
import type { Provider } from './providers/provider.ts';
import { choose } from './relay/choose.ts';
import { type GateRules, mayUse } from './relay/gate.ts';
import type { UsableKey } from './vault.ts';

export interface Voice {
  provider: Provider;
  model: string;
  /** The model, where somebody chose it; null: it is the agent's. */
  chosen: string | null;
}

export interface Wish {
  provider?: ProviderId | undefined;
  model?: string | undefined;
}

export interface VoiceParts {
  keysOf(userId: string): readonly OwnKey[] | Promise<readonly OwnKey[]>;
  platformKey(provider: ProviderId): UsableKey | null | Promise<UsableKey | null>;
  rules(tier: TierName): Pick<GateRules, 'models' | 'price'>;
  clock: Clock;
}

export function createVoices({ keysOf, platformKey, rules, clock }: VoiceParts) {
  /** Whose key would be tried first. @throws AppError what the gateway would say: nothing can be tried */
  async function sourceOf(caller: Caller, provider: Provider, model: string): Promise<'user' | 'platform'> {
    const keys = (await keysOf(caller.userId)).filter((key) => key.provider === provider.id);
    const platform = (await platformKey(provider.id)) !== null;
    const { attempts } = choose({ provider, keys, byok: caller.plan.byok, platform, model, nowMs: clock.now() });
    return attempts[0]?.source ?? 'platform';
  }

  /** @throws AppError that of the first provider: there is no way at all */
  async function firstThatWorks(caller: Caller, agent: Agent, before: ProviderId | null): Promise<Provider> {
    const ways = await Promise.all(
      allProviders.map(async (provider) => {
        const source = await sourceOf(caller, provider, agent.models[provider.id]).catch((error: unknown) => error);
        return { provider, source };
      }),
    );
    const works = ({ source }: (typeof ways)[number]) => source === 'user' || source === 'platform';
    const found =
      ways.find((way) => way.provider.id === before && works(way)) ?? ways.find(({ source }) => source === 'user') ?? ways.find(works);
    if (!found) throw ways[0]?.source;
    return found.provider;
  }

  /** What the agent prefers; where the operator does not offer that on the platform's key, the best known that they do. */
  async function preferred(caller: Caller, agent: Agent, provider: Provider): Promise<string> {
    const model = agent.models[provider.id];
    const offered = rules(caller.plan.tier);
    if (mayUse(provider, model, offered)) return model;
    const source = await sourceOf(caller, provider, model).catch(() => 'user');
    return source === 'user' ? model : (provider.models.find((one) => mayUse(provider, one, offered)) ?? model);
  }

  /** @throws AppError `invalid_input`; `no_key`, `plan_required`, `key_unusable`: nothing can be tried */
  return async function voiceFor(
    caller: Caller,
    agent: Agent,
    wish: Wish,
    before: { provider: ProviderId | null; model: string | null } | null,
  ): Promise<Voice> {
    const given = wish.provider ? providerOf(wish.provider) : wish.model ? ownerOf(wish.model) : null;
    const provider = given ?? (await firstThatWorks(caller, agent, before?.provider ?? null));
    // Whoever names a provider and no model wants the agent's own there, unless that is where they are.
    const chosen = wish.model ?? (before?.provider === provider.id ? before.model : null);
    return { provider, chosen, model: chosen ?? (await preferred(caller, agent, provider)) };
  };
}

function ownerOf(model: string): Provider {
  const owner = allProviders.find(({ models }) => models.includes(model)) ?? allProviders.find(({ price }) => price(model) !== null);
  if (!owner) throw wrongField('provider', 'Say whose model this is: it is in no price list.');
  return owner;
}
