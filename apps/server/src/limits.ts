/** Places on the platform's keys: so many a minute and a day, by tier. One's own key needs none. */
import { AppError, type LimitsView, tiers as released, type Tier, type TierName } from '@synthstack/core';
import type { Counters, Standing } from './ports/counters.ts';

export interface Place {
  /** When it was taken, in ms. */
  at: number;
  /** What every answer that took a place says about the limits. */
  headers: Record<string, string>;
}

export type Limits = ReturnType<typeof createLimits>;

export interface LimitsParts {
  counters: Counters;
  /** Told of every refusal. */
  refused?(tier: TierName, window: 'minute' | 'day'): void;
  /** What a tier may do on this server; the release's table unless given. A change holds for the next place that is taken. */
  tierOf?(tier: TierName): Tier;
}

export function createLimits({ counters, refused, tierOf = (tier) => released[tier] }: LimitsParts) {
  function limitsOf(tier: TierName) {
    const { requestsPerMinute, requestsPerDay } = tierOf(tier);
    return { perMinute: requestsPerMinute, perDay: requestsPerDay };
  }

  return {
    /** @throws AppError `limit_reached`, `plan_required`: the tier has no places at all; nothing is taken then */
    async take(userId: string, tier: TierName, nowMs: number): Promise<Place> {
      const limits = limitsOf(tier);
      if (limits.perMinute === 0 || limits.perDay === 0) throw noPlaces(tier, tierOf(tier).byok);
      const answer = await counters.take(userId, limits);
      if (answer.granted) return { at: answer.at, headers: limitHeaders(limits, answer, nowMs) };
      const byDay = answer.windows.includes('day');
      refused?.(tier, byDay ? 'day' : 'minute');
      const allowed = byDay ? `${limits.perDay} requests a day` : `${limits.perMinute} requests a minute`;
      const wait = byDay ? 'Wait until midnight UTC' : `Wait ${seconds(answer.retryAt - nowMs)} s`;
      const own = tierOf(tier).byok ? 'add your own key in Settings > API Keys' : 'change to a plan with own keys and add yours';
      throw new AppError(
        'limit_reached',
        `Your tier (${tier}) allows ${allowed} on the platform's key. ${wait}, or ${own}: own keys have no such limit.`,
        {
          retryAfterMs: answer.retryAt - nowMs,
          headers: limitHeaders(limits, answer, nowMs),
        },
      );
    },

    giveBack: (userId: string, place: Place): Promise<void> => counters.giveBack(userId, place.at),

    restore(slots: readonly { userId: string; at: number }[]): void {
      for (const { userId, at } of slots) counters.restore(userId, at);
    },

    async view(userId: string, tier: TierName): Promise<LimitsView> {
      const limits = limitsOf(tier);
      const standing = await counters.standing(userId);
      const window = (limit: number, used: number, resetAt: number) => ({
        limit,
        used,
        remaining: Math.max(0, limit - used),
        resetAt: new Date(resetAt).toISOString(),
      });
      return {
        tier,
        minute: window(limits.perMinute, standing.minuteUsed, standing.minuteResetAt),
        day: window(limits.perDay, standing.dayUsed, standing.dayResetAt),
      };
    },
  };
}

function noPlaces(tier: TierName, byok: boolean): AppError {
  const own = byok
    ? 'Add your own key in Settings > API Keys.'
    : 'With a plan that includes own keys you can add yours in Settings > API Keys.';
  return new AppError('plan_required', `Your tier (${tier}) has no requests on the platform's key. ${own}`);
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1_000));

/** draft-ietf-httpapi-ratelimit-headers, and OpenAI's own for its SDKs' users. */
function limitHeaders(limits: { perMinute: number; perDay: number }, standing: Standing, nowMs: number): Record<string, string> {
  const minuteLeft = Math.max(0, limits.perMinute - standing.minuteUsed);
  const dayLeft = Math.max(0, limits.perDay - standing.dayUsed);
  const minuteIn = seconds(standing.minuteResetAt - nowMs);
  return {
    'ratelimit-policy': `"minute";q=${limits.perMinute};w=60, "day";q=${limits.perDay};w=86400`,
    ratelimit: `"minute";r=${minuteLeft};t=${minuteIn}, "day";r=${dayLeft};t=${seconds(standing.dayResetAt - nowMs)}`,
    'x-ratelimit-limit-requests': String(limits.perMinute),
    'x-ratelimit-remaining-requests': String(minuteLeft),
    'x-ratelimit-reset-requests': `${minuteIn}s`,
    'anthropic-ratelimit-requests-limit': String(limits.perMinute),
    'anthropic-ratelimit-requests-remaining': String(minuteLeft),
    'anthropic-ratelimit-requests-reset': new Date(standing.minuteResetAt).toISOString(),
  };
}
