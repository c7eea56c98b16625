/** From what people ask for (days, hours, two instants) to the 15-minute buckets that a report adds up, and to the earlier period beside it. */
import type { UsageQuery } from '@synthstack/core';
import { bucketMs } from './meter.ts';
import { dayStart, daysAgo, shiftDays } from './zone.ts';

const hourMs = 3_600_000;

export interface ReportRange {
  /** Whole buckets, in ms; `toMs` exclusive. */
  fromMs: number;
  toMs: number;
  /** What the range is held against: the period before it, as far as the range itself has elapsed. */
  previousFromMs: number;
  previousToMs: number;
}

export function rangeOf(query: Pick<UsageQuery, 'from' | 'to' | 'hours' | 'days' | 'timezone'>, nowMs: number): ReportRange {
  const nowToMs = roundUp(nowMs + 1);
  if (query.from && query.to)
    return withPrevious(roundDown(Date.parse(query.from)), roundUp(Date.parse(query.to)), query.timezone, nowToMs);
  if (query.hours !== undefined) return withPrevious(roundDown(nowMs - query.hours * hourMs), nowToMs, null, nowToMs);
  const fromMs = daysAgo(nowMs, query.days ?? 30, query.timezone);
  const tomorrowMs = shiftDays(dayStart(nowMs, query.timezone), 1, query.timezone);
  return { ...withPrevious(fromMs, tomorrowMs, query.timezone, nowToMs), toMs: nowToMs };
}

/** @param timezone  where whole days of it are to be held against whole days; null: lengths alone count */
function withPrevious(fromMs: number, toMs: number, timezone: string | null, nowToMs: number): ReportRange {
  const elapsedToMs = Math.max(fromMs, Math.min(toMs, nowToMs));
  const days = timezone === null ? null : wholeDays(fromMs, toMs, timezone);
  if (timezone === null || days === null)
    return { fromMs, toMs, previousFromMs: fromMs - (toMs - fromMs), previousToMs: elapsedToMs - (toMs - fromMs) };
  const today = dayStart(elapsedToMs, timezone);
  const then = shiftDays(today, -days, timezone);
  // The day then may be an hour shorter than today.
  const previousToMs = Math.min(then + (elapsedToMs - today), shiftDays(then, 1, timezone));
  return { fromMs, toMs, previousFromMs: shiftDays(fromMs, -days, timezone), previousToMs };
}

/** How many days lie between two midnights; null: one of them is none. */
function wholeDays(fromMs: number, toMs: number, timezone: string): number | null {
  if (dayStart(fromMs, timezone) !== fromMs || dayStart(toMs, timezone) !== toMs) return null;
  // Days of 23 and 25 hours take turns.
  return Math.round((toMs - fromMs) / (24 * hourMs));
}

const roundDown = (ms: number): number => Math.floor(ms / bucketMs) * bucketMs;
/** After the last bucket of the year 9999, which answers could not write, nothing has been used either. */
const roundUp = (ms: number): number => Math.min(Math.ceil(ms / bucketMs) * bucketMs, lastMs);
const lastMs = Date.parse('9999-12-31T23:45:00Z');
