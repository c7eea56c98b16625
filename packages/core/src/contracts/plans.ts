import { z } from 'zod';
import { tierNames } from '../tiers.ts';

export const TierSchema = z.enum(tierNames, { error: `Unknown tier: use one of ${tierNames.join(', ')}.` });

const Window = z.object({ limit: z.int(), used: z.int(), remaining: z.int(), resetAt: z.iso.datetime() });

/** How much of the platform's keys is left; the minute slides, the day is UTC's. */
export const LimitsView = z.object({ tier: TierSchema, minute: Window, day: Window });
export type LimitsView = z.infer<typeof LimitsView>;

export const PlanView = z.object({
  tier: TierSchema.describe('The tier that counts now: a lapsed plan counts as community.'),
  plan: TierSchema.describe('The tier of the plan, lapsed or not.'),
  lapsed: z.boolean(),
  until: z.iso.datetime().nullable(),
  byok: z.boolean().describe('Own keys are used.'),
});
export type PlanView = z.infer<typeof PlanView>;
