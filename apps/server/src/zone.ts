/** Days and hours as a time zone's clocks show them. */

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export type Period = 'hour' | 'day';

/** The starts of all periods that overlap [fromMs, toMs), in order. */
export function periodStarts(fromMs: number, toMs: number, timezone: string, period: Period): number[] {
  const offsetAt = offsets(timezone);
  const starts: number[] = [];
  for (let start = periodStart(fromMs, offsetAt, period); start < toMs; start = nextStart(start, offsetAt, period)) starts.push(start);
  return starts;
}

/** Midnight, `days - 1` days before the day of `nowMs`: from there to now, `days` days are shown. */
export function daysAgo(nowMs: number, days: number, timezone: string): number {
  const offsetAt = offsets(timezone);
  let start = periodStart(nowMs, offsetAt, 'day');
  for (let i = 1; i < days; i++) start = periodStart(start - hourMs, offsetAt, 'day');
  return start;
}

/** The midnight with which the day of `ms` begins. */
export const dayStart = (ms: number, timezone: string): number => periodStart(ms, offsets(timezone), 'day');

/** The midnight `days` calendar days after (negative: before) a midnight. */
export function shiftDays(midnight: number, days: number, timezone: string): number {
  // By way of noon, from which the few hours of clock changes lead into no other day.
  return dayStart(midnight + days * dayMs + 12 * hourMs, timezone);
}

/** The first moment of a day there. @param day  as `2026-11-30` */
export function startOfDay(day: string, timezone: string): number {
  const noon = Date.parse(day) + 12 * hourMs;
  return dayStart(noon - offsets(timezone)(noon), timezone);
}

/** The day of a moment there, as `2026-11-30`. */
export const dayOf = (ms: number, timezone: string): string => new Date(ms + offsets(timezone)(ms)).toISOString().slice(0, 10);

type OffsetAt = (ms: number) => number;

function nextStart(start: number, offsetAt: OffsetAt, period: Period): number {
  // 26 hours on is in the next day, and never past it: days have 23 to 25 hours.
  if (period === 'day') return periodStart(start + 26 * hourMs, offsetAt, period);
  // Where the clocks move by half an hour (Lord Howe), the next full hour may be half an hour further.
  const next = start + hourMs;
  const intoHour = (next + offsetAt(next)) % hourMs;
  return intoHour === 0 ? next : next + hourMs - intoHour;
}

function periodStart(ms: number, offsetAt: OffsetAt, period: Period): number {
  const offset = offsetAt(ms);
  const length = period === 'hour' ? hourMs : dayMs;
  const local = Math.floor((ms + offset) / length) * length;
  // The offset at the start may be another one: clocks change at night.
  const guess = local - offsetAt(local - offset);
  return guess > ms ? local - offset : guess;
}

/** East of Greenwich is positive, in milliseconds. */
function offsets(timezone: string): OffsetAt {
  if (timezone === 'UTC') return () => 0;
  const format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' });
  return (ms) => {
    const name = format.formatToParts(ms).find((part) => part.type === 'timeZoneName')?.value ?? 'GMT';
    const [, sign, hours, minutes] = /GMT([+-])(\d{2}):(\d{2})/.exec(name) ?? [];
    return (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * hourMs + Number(minutes ?? 0) * minuteMs);
  };
}
