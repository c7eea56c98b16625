/** What administrators set for each tier: its places on the platform's keys, own keys, models and output. */
import { z } from 'zod';
import { tierNames } from '../tiers.ts';
import { ModelName } from './agents.ts';
import { TierSchema } from './plans.ts';

/** The release's, the environment's, or set by an administrator, which comes before both. */
export const valueSources = ['release', 'environment', 'setting'] as const;
export const ValueSource = z.enum(valueSources);
export type ValueSource = z.infer<typeof ValueSource>;

const sourced = <T extends z.ZodType>(value: T) =>
  z.object({ value, source: ValueSource, default: value.describe('What holds where nothing is set.'), defaultSource: ValueSource });

const changed = {
  version: z.int().describe('To be sent with the next change; 0: never changed.'),
  changedAt: z.iso.datetime().nullable(),
  changedBy: z.string().nullable().describe('A name; null: nobody, or an account that is gone.'),
};

const whole = (least: number, most: number) => {
  const sentence = `A whole number from ${least} to ${most}.`;
  return z.int(sentence).min(least, sentence).max(most, sentence);
};
export const mostPerMinute = 100_000;
export const mostPerDay = 10_000_000;
export const mostOutputTokens = 10_000_000;
export const mostListedModels = 200;

const perMinute = whole(0, mostPerMinute);
const perDay = whole(0, mostPerDay);
const maxOutput = whole(1, mostOutputTokens);
/** `all`: every public model with a known price. */
const Models = z.union(
  [z.literal('all'), z.array(ModelName).max(mostListedModels, `At most ${mostListedModels} models.`)],
  'Either all, or a list of models.',
);
export type TierModels = z.infer<typeof Models>;

/** What is stored: fields that are not there have their default. */
export const TierLimitsSetting = z.strictObject({
  requestsPerMinute: perMinute.optional(),
  requestsPerDay: perDay.optional(),
  byok: z.boolean('true or false.').optional(),
});
export type TierLimitsSetting = z.infer<typeof TierLimitsSetting>;
export const TierModelsSetting = z.strictObject({ models: Models.optional(), maxOutputTokens: maxOutput.optional() });
export type TierModelsSetting = z.infer<typeof TierModelsSetting>;

const seen = { tier: TierSchema, version: z.int('The version that you have seen.').min(0, 'The version that you have seen.') };
const means = 'Left out: unchanged; null: its default again.';
export const SaveTierLimits = z.strictObject({
  ...seen,
  requestsPerMinute: perMinute.nullable().optional().describe(`On the platform's keys, in any 60 seconds. ${means}`),
  requestsPerDay: perDay.nullable().optional().describe(`On the platform's keys, in a UTC day. ${means}`),
  byok: z.boolean('true or false.').nullable().optional().describe(`Includes own keys. ${means}`),
});
export type SaveTierLimits = z.infer<typeof SaveTierLimits>;
export const SaveTierModels = z.strictObject({
  ...seen,
  models: Models.nullable().optional().describe(`On the platform's keys; all: every public model with a known price. ${means}`),
  maxOutputTokens: maxOutput.nullable().optional().describe(`Of one answer on the platform's keys. ${means}`),
});
export type SaveTierModels = z.infer<typeof SaveTierModels>;

export const AdminTierLimits = z.object({
  tier: TierSchema,
  ...changed,
  requestsPerMinute: sourced(z.int()),
  requestsPerDay: sourced(z.int()),
  byok: sourced(z.boolean()),
});
export type AdminTierLimits = z.infer<typeof AdminTierLimits>;
export const AdminTierModels = z.object({
  tier: TierSchema,
  ...changed,
  models: sourced(z.union([z.literal('all'), z.array(z.string())])),
  maxOutputTokens: sourced(z.int()),
});
export type AdminTierModels = z.infer<typeof AdminTierModels>;
export const AdminLimitsList = z.object({ limits: z.array(AdminTierLimits).describe(`One a tier: ${tierNames.join(', ')}.`) });
export const AdminModelsList = z.object({ models: z.array(AdminTierModels).describe(`One a tier: ${tierNames.join(', ')}.`) });
export const OneTierLimits = z.object({ limits: AdminTierLimits });
export const OneTierModels = z.object({ models: AdminTierModels });

/** What the plans offer here, for everybody to see. */
export const TierView = z.object({
  tier: TierSchema,
  requestsPerMinute: z.int(),
  requestsPerDay: z.int(),
  byok: z.boolean().describe('Includes own keys.'),
});
export type TierView = z.infer<typeof TierView>;
export const TierList = z.object({ tiers: z.array(TierView) });
