/**
 * How many requests a UTC day somebody lets go to the platform's key because their own did not answer: none unless they say so. All are counted,
 * so that a cap that is set at noon knows of the morning. Exact as limits are: looking and taking are one step.
 */
import { AppError, type FallbackCapView } from '@synthstack/core';
import { atomically, bumpGeneration, type Db, type Statement } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { GenerationCache } from './generation.ts';
import type { Clock } from './ports/clock.ts';
import type { Counters } from './ports/counters.ts';

export interface FallbackCapParts {
  db: Db;
  clock: Clock;
  /** Of their own: what they count is only this. */
  counters: Counters;
  /** What is known of people's caps; -1: none. */
  cache: GenerationCache<number>;
  audit(entry: AuditEntry): Statement;
}

const none = -1;

export type FallbackCap = ReturnType<typeof createFallbackCap>;

export function createFallbackCap({ db, clock, counters, cache, audit }: FallbackCapParts) {
  const { fallbackCap } = db.tables;

  async function read(userId: string): Promise<number> {
    const [row] = await db.orm.select({ perDay: fallbackCap.perDay }).from(fallbackCap).where(eq(fallbackCap.userId, userId));
    return row?.perDay ?? none;
  }
  const capOf = (userId: string) => cache.get(userId, () => read(userId));

  return {
    /**
     * @returns when it was taken, in ms
     * @throws AppError `limit_reached`; `key_unusable`: the cap is 0. Nothing is taken then
     */
    async take(userId: string, provider: string, nowMs: number): Promise<number> {
      const perDay = await capOf(userId);
      if (perDay === 0) throw notAtAll(provider);
      const most = perDay === none ? Number.POSITIVE_INFINITY : perDay;
      const answer = await counters.take(userId, { perMinute: Number.POSITIVE_INFINITY, perDay: most });
      if (answer.granted) return answer.at;
      throw new AppError(
        'limit_reached',
        `You allow ${perDay} requests a day on the platform's key in place of your own, and today's are used. Wait until midnight UTC, or look after your ${provider} key or this cap in Settings > API Keys.`,
        { retryAfterMs: answer.retryAt - nowMs },
      );
    },

    giveBack: (userId: string, at: number): Promise<void> => counters.giveBack(userId, at),

    restore(slots: readonly { userId: string; at: number }[]): void {
      for (const { userId, at } of slots) counters.restore(userId, at);
    },

    async view(userId: string): Promise<FallbackCapView> {
      const perDay = await capOf(userId);
      const { dayUsed, dayResetAt } = await counters.standing(userId);
      return { perDay: perDay === none ? null : perDay, usedToday: dayUsed, resetsAt: new Date(dayResetAt).toISOString() };
    },

    /** @param perDay  null: no cap */
    async set(userId: string, perDay: number | null): Promise<void> {
      const updatedAt = new Date(clock.now());
      await atomically(db, (tx, t) => [
        perDay === null
          ? tx.delete(t.fallbackCap).where(eq(t.fallbackCap.userId, userId))
          : tx
              .insert(t.fallbackCap)
              .values({ userId, perDay, updatedAt })
              .onConflictDoUpdate({ target: t.fallbackCap.userId, set: { perDay, updatedAt } }),
        audit({
          actor: userId,
          subject: userId,
          action: 'fallback_cap.changed',
          detail: { perDay: perDay === null ? 'none' : `${perDay}` },
        }),
        bumpGeneration(tx, t),
      ]);
    },
  };
}

const notAtAll = (provider: string) =>
  new AppError(
    'key_unusable',
    `Your own ${provider} key does not answer, and you allow no requests on the platform's key in its place. Look after the key, or change that, in Settings > API Keys.`,
  );
