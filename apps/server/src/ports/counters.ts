/**
 * Counts places in the limits of one node, in memory. A thread does one thing at a time, so looking and taking are one step.
 * Time never runs back here: where the clock does, it goes on from where it was, so no place is freed, and none is held for ever.
 */
import type { Clock } from './clock.ts';

export interface WindowLimits {
  perMinute: number;
  perDay: number;
}

/** What is used of both windows, and when they give way, in ms since 1970. */
export interface Standing {
  minuteUsed: number;
  minuteResetAt: number;
  dayUsed: number;
  dayResetAt: number;
}

export type Taken = Standing & { granted: true; at: number };
export type Refused = Standing & { granted: false; windows: ('minute' | 'day')[]; retryAt: number };

export interface Counters {
  /** Takes a place in both windows, or in neither. `retryAt`: when the last of the refusing windows opens. */
  take(user: string, limits: WindowLimits): Promise<Taken | Refused>;
  /** Gives back the place that was taken at `at`. */
  giveBack(user: string, at: number): Promise<void>;
  standing(user: string): Promise<Standing>;
  /** A place that was taken in an earlier life of the process. Oldest first. */
  restore(user: string, at: number): void;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
const sweepEvery = 4_096;

export function createMemoryCounters(clock: Clock): Counters {
  type Tally = { /** Places of the last minute, oldest first. */ recent: number[]; day: number; dayUsed: number };
  const tallies = new Map<string, Tally>();
  let clockSaid = 0;
  /** By how much the clock has been set back, in all. */
  let behindMs = 0;
  let calls = 0;

  function now(): number {
    const says = clock.now();
    if (says < clockSaid) behindMs += clockSaid - says;
    clockSaid = says;
    return says + behindMs;
  }

  function tallyOf(user: string, at: number): Tally {
    calls += 1;
    if (calls % sweepEvery === 0) sweep(at);
    let tally = tallies.get(user);
    if (!tally) {
      tally = { recent: [], day: dayOf(at), dayUsed: 0 };
      tallies.set(user, tally);
    }
    const gone = tally.recent.findIndex((taken) => taken > at - minuteMs);
    if (gone !== 0) tally.recent = gone === -1 ? [] : tally.recent.slice(gone);
    if (tally.day !== dayOf(at)) {
      tally.day = dayOf(at);
      tally.dayUsed = 0;
    }
    return tally;
  }

  function sweep(at: number): void {
    for (const [user, tally] of tallies) if (tally.day !== dayOf(at) && (tally.recent.at(-1) ?? 0) <= at - minuteMs) tallies.delete(user);
  }

  const standingOf = (tally: Tally, at: number): Standing => ({
    minuteUsed: tally.recent.length,
    minuteResetAt: (tally.recent[0] ?? at) + (tally.recent.length > 0 ? minuteMs : 0),
    dayUsed: tally.dayUsed,
    dayResetAt: (tally.day + 1) * dayMs,
  });

  return {
    async take(user, limits) {
      const at = now();
      const tally = tallyOf(user, at);
      const windows: Refused['windows'] = [];
      if (tally.recent.length >= limits.perMinute) windows.push('minute');
      if (tally.dayUsed >= limits.perDay) windows.push('day');
      if (windows.length > 0) {
        const standing = standingOf(tally, at);
        // A lowered limit may leave more places taken than there are: then more than one has to leave first.
        const freedBy = tally.recent[tally.recent.length - limits.perMinute] ?? at;
        const opensAt = { minute: freedBy + minuteMs, day: standing.dayResetAt };
        return { ...standing, granted: false, windows, retryAt: Math.max(...windows.map((window) => opensAt[window])) };
      }
      tally.recent.push(at);
      tally.dayUsed += 1;
      return { ...standingOf(tally, at), granted: true, at };
    },

    async giveBack(user, at) {
      const tally = tallyOf(user, now());
      const place = tally.recent.lastIndexOf(at);
      if (place >= 0) tally.recent.splice(place, 1);
      if (dayOf(at) === tally.day) tally.dayUsed = Math.max(0, tally.dayUsed - 1);
    },

    async standing(user) {
      const at = now();
      return standingOf(tallyOf(user, at), at);
    },

    restore(user, takenAt) {
      const moment = now();
      // Taken later than now: the clock has been set back since.
      const at = Math.min(takenAt, moment);
      const tally = tallyOf(user, moment);
      if (at > moment - minuteMs) tally.recent.push(at);
      if (dayOf(at) === tally.day) tally.dayUsed += 1;
    },
  };
}

const dayOf = (ms: number): number => Math.floor(ms / dayMs);
