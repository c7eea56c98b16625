/** What is left of the platform's keys. */
import type { LimitsView } from '@synthstack/core';

/** The window that is closer to its end is the one worth knowing. */
export function tighterWindow({ minute, day }: LimitsView) {
  return day.remaining < minute.remaining ? { ...day, name: 'day' as const } : { ...minute, name: 'minute' as const };
}
