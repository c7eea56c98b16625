import { z } from 'zod';
import { tierNames } from '../tiers.ts';

export const TierSchema = z.enum(tierNames, { error: `Unknown tier: use one of ${tierNames.join(', ')}.` });

const Window = z.object({ limit: z.int(), used: z.int(), remaining: z.int(), resetAt: z.iso.datetime() });

/** How much of the platform's keys is left; the minute slides, the day is UTC's. */
export const LimitsView = z.object({ tier: TierSchema, minute: Window, day: Window });
export type LimitsView = z.infer<typeof LimitsView>;

export const planStates = ['active', 'past_due', 'lapsed'] as const;
export type PlanState = (typeof planStates)[number];

/** Who decided: an administrator, the command line, a purchase, or a claim of the configured identity issuer. */
export const planSources = ['admin', 'cli', 'billing', 'identity'] as const;
export type PlanSource = (typeof planSources)[number];

export const PlanView = z.object({
  tier: TierSchema.describe('The tier that counts now: a lapsed plan counts as community.'),
  plan: TierSchema.describe('The tier of the plan, lapsed or not.'),
  state: z.enum(planStates).describe('past_due: a payment failed, and the plan counts until its end all the same.'),
  lapsed: z.boolean(),
  until: z.iso.datetime().nullable(),
  renews: z.boolean().describe('The next payment is due at `until`, and the plan goes on.'),
  source: z.enum(planSources).nullable().describe('null: never had a plan.'),
  byok: z.boolean().describe('Own keys are used.'),
});
export type PlanView = z.infer<typeof PlanView>;

export const Offer = z.object({
  id: z.string(),
  tier: TierSchema,
  amount: z.int().nullable().describe("In the currency's smallest unit; null: not a fixed amount."),
  currency: z.string().describe('ISO 4217.'),
  interval: z.enum(['day', 'week', 'month', 'year']).nullable().describe('null: paid once.'),
});
export type Offer = z.infer<typeof Offer>;

export const BillingView = z.object({
  enabled: z.boolean().describe('Plans are sold here.'),
  manageable: z.boolean().describe('There are bills to look at, and perhaps a subscription to change.'),
});
export type BillingView = z.infer<typeof BillingView>;

export const OfferList = z.object({ prices: z.array(Offer) });
export type OfferList = z.infer<typeof OfferList>;

export const Purchase = z.strictObject({ price: z.string().min(1).max(255) });

/** Where the browser goes on. */
export const WayOut = z.object({ url: z.url() });
