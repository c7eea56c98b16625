/** What each tier may do: the release's table and the environment's lists, as administrators have changed them. */
import {
  type AdminTierLimits,
  type AdminTierModels,
  tiers as released,
  type SaveTierLimits,
  type SaveTierModels,
  type Tier,
  type TierModels,
  type TierName,
  type TierView,
  tierNames,
  type ValueSource,
} from '@synthstack/core';
import type { Setting, Settings } from './settings.ts';

export interface TierRules extends Tier {
  /** Model ids on the platform's keys; null: all public ones with a known price. */
  models: readonly string[] | null;
  /** Largest output on the platform's keys, in tokens. */
  maxOutput: number;
}

export interface TierTableParts {
  settings: Settings;
  /** What the environment says; `maxOutput` is the release's where it says nothing. */
  models: Readonly<Record<TierName, readonly string[] | null>>;
  maxOutput: Readonly<Record<TierName, number>>;
  /** The release's own cap. */
  releasedMaxOutput: number;
  /** What people are called, by their ids; who is gone has no name. */
  namesOf(userIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

export type TierTable = ReturnType<typeof createTierTable>;

interface Sourced<T> {
  value: T;
  source: ValueSource;
  default: T;
  defaultSource: ValueSource;
}

export function createTierTable({ settings, models, maxOutput, releasedMaxOutput, namesOf }: TierTableParts) {
  const table = settings.derived(() => Object.fromEntries(tierNames.map((tier) => [tier, rulesOf(tier)])) as Record<TierName, TierRules>);

  function rulesOf(tier: TierName): TierRules {
    const [limits, caps] = [limitsOf(tier), modelsOf(tier)];
    const { value } = caps.models;
    return {
      requestsPerMinute: limits.requestsPerMinute.value,
      requestsPerDay: limits.requestsPerDay.value,
      byok: limits.byok.value,
      models: value === 'all' ? null : value,
      maxOutput: caps.maxOutputTokens.value,
    };
  }

  function limitsOf(tier: TierName) {
    const { value } = settings.get(`limits.${tier}`);
    const { requestsPerMinute, requestsPerDay, byok }: Tier = released[tier];
    return {
      requestsPerMinute: sourced(value.requestsPerMinute, requestsPerMinute),
      requestsPerDay: sourced(value.requestsPerDay, requestsPerDay),
      byok: sourced(value.byok, byok),
    };
  }

  function modelsOf(tier: TierName) {
    const { value } = settings.get(`models.${tier}`);
    const listed = models[tier];
    const fallback: TierModels = listed ? [...listed] : 'all';
    return {
      models: sourced(value.models, fallback, listed ? 'environment' : 'release'),
      maxOutputTokens: sourced(value.maxOutputTokens, maxOutput[tier], maxOutput[tier] === releasedMaxOutput ? 'release' : 'environment'),
    };
  }

  /** Who changed what, and when, for those who look at it. */
  async function changes(all: readonly Setting<unknown>[]) {
    const names = await namesOf([...new Set(all.flatMap(({ actor }) => actor ?? []))]);
    return all.map(({ version, actor }) => ({
      version,
      changedAt: version === 0 ? null : new Date(version).toISOString(),
      changedBy: (actor && names.get(actor)) ?? null,
    }));
  }

  async function limits(): Promise<AdminTierLimits[]> {
    await settings.fresh();
    const told = tierNames.map((tier) => ({ tier, ...limitsOf(tier) }));
    const changed = await changes(tierNames.map((tier) => settings.get(`limits.${tier}`)));
    return told.map((one, i) => ({ ...one, ...(changed[i] ?? never()) }));
  }

  async function modelLists(): Promise<AdminTierModels[]> {
    await settings.fresh();
    const told = tierNames.map((tier) => ({ tier, ...modelsOf(tier) }));
    const changed = await changes(tierNames.map((tier) => settings.get(`models.${tier}`)));
    return told.map((one, i) => ({ ...one, ...(changed[i] ?? never()) }));
  }

  return {
    /** Takes over what has changed, in whatever process. */
    fresh: settings.fresh,

    /** What a tier may do, as of the last `fresh`. */
    of: (tier: TierName): TierRules => table()[tier],

    /** For everybody to see. */
    async views(): Promise<TierView[]> {
      await settings.fresh();
      return tierNames.map((tier) => {
        const { requestsPerMinute, requestsPerDay, byok } = table()[tier];
        return { tier, requestsPerMinute, requestsPerDay, byok };
      });
    },

    limits,
    models: modelLists,

    /** @throws AppError `conflict`: changed since that version */
    async saveLimits(actor: string, { tier, version, ...changed }: SaveTierLimits): Promise<AdminTierLimits> {
      await settings.fresh();
      const key = `limits.${tier}` as const;
      await settings.change(actor, key, version, merged(settings.get(key).value, changed));
      return one(await limits(), tier);
    },

    /** @throws AppError `conflict`: changed since that version */
    async saveModels(actor: string, { tier, version, ...changed }: SaveTierModels): Promise<AdminTierModels> {
      await settings.fresh();
      const key = `models.${tier}` as const;
      const listed = Array.isArray(changed.models) ? { ...changed, models: [...new Set(changed.models)] } : changed;
      await settings.change(actor, key, version, merged(settings.get(key).value, listed));
      return one(await modelLists(), tier);
    },
  };
}

function sourced<T>(set: T | undefined, fallback: T, defaultSource: ValueSource = 'release'): Sourced<T> {
  return set === undefined
    ? { value: fallback, source: defaultSource, default: fallback, defaultSource }
    : { value: set, source: 'setting', default: fallback, defaultSource };
}

/** Undefined: as it was; null: not set any more. */
function merged<T extends object>(before: T, changed: { [Name in keyof T]?: T[Name] | null | undefined }): T {
  const after = { ...before, ...Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined)) };
  return Object.fromEntries(Object.entries(after).filter(([, value]) => value !== null)) as T;
}

function one<T extends { tier: TierName }>(all: readonly T[], tier: TierName): T {
  return all.find((row) => row.tier === tier) ?? never();
}

function never(): never {
  throw new Error('Every tier has its row.');
}
