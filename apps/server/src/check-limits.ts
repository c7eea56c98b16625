/**
 * How often a user may have the server ask a provider about a key, so that nobody uses it to try out stolen ones. Sliding windows in
 * memory: a restart forgets them, which a person cannot bring about.
 */
import { AppError } from '@synthstack/core';
import type { Clock } from './ports/clock.ts';

export type CheckKind = 'save' | 'check' | 'test';

export interface CheckLimits {
  /**
   * Counts one check of a user. What is refused is not counted.
   * @throws AppError `limit_reached` with `retryAfterMs`
   */
  take(userId: string, kind: CheckKind): void;
}

interface Window {
  lengthMs: number;
  most: number;
  /** Counts only its own kind. */
  alone?: true;
}

const minuteMs = 60_000;
const hourMs = 3_600_000;
const shared: readonly Window[] = [
  { lengthMs: minuteMs, most: 20 },
  { lengthMs: hourMs, most: 100 },
];
const windows: Readonly<Record<CheckKind, readonly Window[]>> = {
  save: shared,
  check: [...shared, { lengthMs: minuteMs, most: 5, alone: true }],
  test: [...shared, { lengthMs: minuteMs, most: 5, alone: true }],
};
const forgetAbove = 10_000;

export function createCheckLimits(clock: Clock): CheckLimits {
  /** The checks of the last hour, oldest first: at most 100 a user. */
  const checks = new Map<string, { atMs: number; kind: CheckKind }[]>();
  let latestMs = 0;

  function forgetOld(nowMs: number): void {
    for (const [userId, list] of checks) {
      if ((list.at(-1)?.atMs ?? 0) <= nowMs - hourMs) checks.delete(userId);
    }
  }

  return {
    take(userId, kind) {
      // A clock that runs back frees nothing.
      latestMs = Math.max(latestMs, clock.now());
      const nowMs = latestMs;
      const before = (checks.get(userId) ?? []).filter(({ atMs }) => atMs > nowMs - hourMs);
      const waits = windows[kind].map(({ lengthMs, most, alone }) => {
        const counted = alone ? before.filter((one) => one.kind === kind) : before;
        const first = counted.at(-most);
        return first ? first.atMs + lengthMs - nowMs : 0;
      });
      const retryAfterMs = Math.max(0, ...waits);
      if (retryAfterMs > 0) throw tooMany(retryAfterMs);
      if (checks.size >= forgetAbove) forgetOld(nowMs);
      checks.set(userId, [...before, { atMs: nowMs, kind }]);
    },
  };
}

function tooMany(retryAfterMs: number): AppError {
  const wait = retryAfterMs > 2 * minuteMs ? `${Math.ceil(retryAfterMs / minuteMs)} minutes` : `${Math.ceil(retryAfterMs / 1_000)} seconds`;
  return new AppError('limit_reached', `You have had keys checked very often. Nothing was changed; try again in ${wait}.`, {
    retryAfterMs,
  });
}
