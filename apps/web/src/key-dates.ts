/** Until when a key is to be used, as a day in the person's time zone; the server knows it as the last moment of that day. */
import { addDays, dayOf, startOfDay } from './usage-view.ts';

/** @param day  as `2026-11-30` */
export const endOfDay = (day: string, timezone: string): string => new Date(startOfDay(addDays(day, 1), timezone) - 1).toISOString();

/** What a date field shows of it. */
export const dayOfExpiry = (expiresAt: string | null, timezone: string): string =>
  expiresAt ? dayOf(Date.parse(expiresAt), timezone) : '';

const isDay = (text: string): boolean => /^\d{4}-\d\d-\d\d$/.test(text);

/** A day is still to come, or today, and not so far away that it must be a slip. Empty: none was named. */
export function expiryMistake(day: string, nowMs: number, timezone: string): 'past' | 'far' | null {
  if (day === '') return null;
  const today = dayOf(nowMs, timezone);
  if (!isDay(day) || day > lastDay(today)) return 'far';
  return day < today ? 'past' : null;
}

export const lastDay = (today: string): string => addDays(today, 20 * 365);
