/** What somebody has bought, from what Stripe says of them now: pure, and the same whatever happened before, in whichever order. */
import { type TierName, tierNames } from '@synthstack/core';
import type { Bought } from './plans.ts';

/** Instants in ms. */
export interface Subscription {
  /** Stripe's word for it. */
  status: string;
  items: readonly { price: string; periodStart: number; periodEnd: number }[];
  /** When it ends, if that was decided; null: it renews. */
  endsAt: number | null;
  endedAt: number | null;
  /** When the bill was made that has not been paid; null: none. */
  unpaidSince: number | null;
}

/** A one-time payment for a price. */
export interface Payment {
  price: string;
  isPaid: boolean;
  /** In full; who got a part back keeps what they paid for. */
  isRefunded: boolean;
  paidAt: number;
}

export interface Purchases {
  subscriptions: readonly Subscription[];
  payments: readonly Payment[];
}

/** Price id -> tier; prices of other things that the operator sells are not in it. */
export type TierOfPrice = ReadonlyMap<string, TierName>;

/** How long a plan counts after a payment has failed, from the day of the bill. */
export const overdueGraceMs = 14 * 86_400_000;

/**
 * The best of what counts: the highest tier, of equal ones that which lasts longest. Where nothing counts (any more), what ended last.
 * @returns null: nothing of ours was ever bought
 */
export function boughtOf({ subscriptions, payments }: Purchases, tiers: TierOfPrice, nowMs: number): Bought | null {
  const all = [...payments.map((one) => fromPayment(one, tiers)), ...subscriptions.map((one) => fromSubscription(one, tiers, nowMs))];
  const counting = all.filter((one) => one !== null).sort((a, b) => rank(b) - rank(a) || endOf(b) - endOf(a));
  return counting[0] ?? null;
}

/** A lapsed plan is worth less than any that is not, whatever its tier. */
const rank = ({ state, tier }: Bought): number => (state === 'lapsed' ? -1 : tierNames.indexOf(tier));
const endOf = ({ until }: Bought): number => until?.getTime() ?? Number.MAX_SAFE_INTEGER;

function fromPayment({ price, isPaid, isRefunded, paidAt }: Payment, tiers: TierOfPrice): Bought | null {
  const tier = tiers.get(price);
  if (!tier || !isPaid) return null;
  if (isRefunded) return { tier, state: 'lapsed', until: new Date(paidAt), renews: false };
  return { tier, state: 'active', until: null, renews: false };
}

function fromSubscription(subscription: Subscription, tiers: TierOfPrice, nowMs: number): Bought | null {
  const [best] = subscription.items
    .flatMap((item) => {
      const tier = tiers.get(item.price);
      return tier ? [{ ...item, tier }] : [];
    })
    .sort((a, b) => tierNames.indexOf(b.tier) - tierNames.indexOf(a.tier));
  if (!best) return null;
  const { tier, periodStart, periodEnd } = best;
  const { status, endsAt, endedAt, unpaidSince } = subscription;
  switch (status) {
    case 'active':
    case 'trialing':
      return { tier, state: 'active', until: new Date(endsAt ?? periodEnd), renews: endsAt === null };
    case 'past_due': {
      const graceEnd = (unpaidSince ?? periodStart) + overdueGraceMs;
      return { tier, state: 'past_due', until: new Date(Math.min(graceEnd, endsAt ?? graceEnd)), renews: false };
    }
    // The first payment was never made.
    case 'incomplete':
    case 'incomplete_expired':
      return null;
    // `canceled`, `unpaid`, `paused`, and whatever Stripe may think of next: nobody pays for it.
    default:
      return { tier, state: 'lapsed', until: new Date(Math.min(endedAt ?? periodStart, nowMs)), renews: false };
  }
}
