/** What an administrator types about a tier, what is wrong with it, and what of it is to be saved. Pure, so that a test can hold it to that. */
import {
  type AdminTierLimits,
  type AdminTierModels,
  mostOutputTokens,
  mostPerDay,
  mostPerMinute,
  type SaveTierLimits,
  type SaveTierModels,
  type TierModels,
  TierModelsSetting,
  type TierName,
} from '@synthstack/core';
import { t } from './i18n/i18n.ts';
import { complaint } from './problem.ts';

export interface TierState {
  tier: TierName;
  limits: AdminTierLimits;
  models: AdminTierModels;
}

/** As it stands in the fields; an empty number, and `default`, is the default. */
export interface TierDraft {
  requestsPerMinute: string;
  requestsPerDay: string;
  byok: 'default' | 'yes' | 'no';
  models: 'default' | 'all' | 'list';
  /** One on each line. */
  list: string;
  maxOutputTokens: string;
}
export type TierField = Exclude<keyof TierDraft, 'byok' | 'models'>;
export type TierMistakes = Partial<Record<TierField, string>>;

const bounds = {
  requestsPerMinute: [0, mostPerMinute],
  requestsPerDay: [0, mostPerDay],
  maxOutputTokens: [1, mostOutputTokens],
} as const;

export function draftOf({ limits, models }: TierState): TierDraft {
  const set = <T>({ value, source }: { value: T; source: string }): T | null => (source === 'setting' ? value : null);
  const [byok, list] = [set(limits.byok), set(models.models)];
  return {
    requestsPerMinute: String(set(limits.requestsPerMinute) ?? ''),
    requestsPerDay: String(set(limits.requestsPerDay) ?? ''),
    byok: byok === null ? 'default' : byok ? 'yes' : 'no',
    models: list === null ? 'default' : list === 'all' ? 'all' : 'list',
    list: Array.isArray(list) ? list.join('\n') : '',
    maxOutputTokens: String(set(models.maxOutputTokens) ?? ''),
  };
}

export function listIn({ list }: TierDraft): string[] {
  return [...new Set(list.split(/[\s,]+/).filter(Boolean))];
}

export function mistakesOf(draft: TierDraft): TierMistakes {
  const mistakes: TierMistakes = {};
  for (const field of ['requestsPerMinute', 'requestsPerDay', 'maxOutputTokens'] as const) {
    const [least, most] = bounds[field];
    const text = draft[field].trim();
    if (text !== '' && !(/^\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most))
      mistakes[field] = t('adminPlatform.tier.whole', { least, most });
  }
  const wrong = draft.models === 'list' ? complaint(TierModelsSetting, { models: listIn(draft) }) : undefined;
  return wrong === undefined ? mistakes : { ...mistakes, list: wrong };
}

/** Null: nothing of that kind is another than it was. @param versions  which the change is made on */
export function changesOf(
  draft: TierDraft,
  base: TierState,
  versions: TierState = base,
): { limits: SaveTierLimits | null; models: SaveTierModels | null } {
  const [was, is] = [valuesOf(draftOf(base)), valuesOf(draft)];
  const differ = (names: readonly (keyof typeof is)[]) => names.filter((name) => JSON.stringify(is[name]) !== JSON.stringify(was[name]));
  const changed = <Name extends keyof typeof is>(names: readonly Name[]) =>
    Object.fromEntries(differ(names).map((name) => [name, is[name]])) as { [One in Name]?: (typeof is)[One] };
  const limits = changed(['requestsPerMinute', 'requestsPerDay', 'byok']);
  const models = changed(['models', 'maxOutputTokens']);
  const { tier } = base;
  return {
    limits: Object.keys(limits).length > 0 ? { tier, version: versions.limits.version, ...limits } : null,
    models: Object.keys(models).length > 0 ? { tier, version: versions.models.version, ...models } : null,
  };
}

function valuesOf(draft: TierDraft) {
  const number = (text: string): number | null => (text.trim() === '' ? null : Number(text));
  const models: TierModels | null = draft.models === 'default' ? null : draft.models === 'all' ? 'all' : listIn(draft);
  return {
    requestsPerMinute: number(draft.requestsPerMinute),
    requestsPerDay: number(draft.requestsPerDay),
    byok: draft.byok === 'default' ? null : draft.byok === 'yes',
    models,
    maxOutputTokens: number(draft.maxOutputTokens),
  };
}

/** Of what was on show, something has been changed by somebody else. */
export const isOvertaken = (base: TierState, latest: TierState): boolean =>
  latest.limits.version !== base.limits.version || latest.models.version !== base.models.version;
