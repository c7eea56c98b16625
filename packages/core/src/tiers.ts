/** The tier table: what each tier may do on the platform's keys, and whether it may bring its own. */

export const tierNames = ['community', 'subscriber', 'premium', 'lifetime'] as const;
export type TierName = (typeof tierNames)[number];

export interface Tier {
  /** Requests on the platform's keys in any 60 seconds. */
  requestsPerMinute: number;
  /** Requests on the platform's keys in a UTC day. */
  requestsPerDay: number;
  /** Bring your own keys. */
  byok: boolean;
}

export const tiers = {
  community: { requestsPerMinute: 10, requestsPerDay: 100, byok: false },
  subscriber: { requestsPerMinute: 30, requestsPerDay: 500, byok: false },
  premium: { requestsPerMinute: 100, requestsPerDay: 2_000, byok: true },
  lifetime: { requestsPerMinute: 100, requestsPerDay: 2_000, byok: true },
} as const satisfies Record<TierName, Tier>;
