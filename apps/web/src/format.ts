/** Numbers, money and times as people read them. One locale, until the page speaks several languages. */

const locale = 'en-US';
const whole = new Intl.NumberFormat(locale);
const cents = new Intl.NumberFormat(locale, { style: 'currency', currency: 'USD' });
const fractions = new Intl.NumberFormat(locale, { style: 'currency', currency: 'USD', minimumFractionDigits: 4, maximumFractionDigits: 4 });
const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
const date = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });

export const formatCount = (count: number): string => whole.format(count);

/** Single requests cost fractions of a cent, so small sums keep four places; what is there at all never shows as nothing. */
export function formatUsd(usd: number): string {
  if (usd > 0 && usd < 0.0001) return '< $0.0001';
  return usd > 0 && usd < 1 ? fractions.format(usd) : cents.format(usd);
}

export const formatDateTime = (iso: string): string => dateTime.format(new Date(iso));
export const formatDate = (iso: string): string => date.format(new Date(iso));

const steps = [
  { unit: 'second', ms: 1_000, below: 60_000 },
  { unit: 'minute', ms: 60_000, below: 3_600_000 },
  { unit: 'hour', ms: 3_600_000, below: 86_400_000 },
  { unit: 'day', ms: 86_400_000, below: 30 * 86_400_000 },
] as const;

/** "5 minutes ago" of what has happened: a clock that runs a little behind the server's does not make it the future. */
export function formatAgo(iso: string, nowMs: number): string {
  return distance(iso, Math.min(Date.parse(iso) - nowMs, 0), 'just now');
}

/** "in 3 days" of what is to come, however late one looks. */
export function formatUntil(iso: string, nowMs: number): string {
  return distance(iso, Math.max(Date.parse(iso) - nowMs, 0), 'in a moment');
}

/** Beyond a month the date says more. */
function distance(iso: string, differenceMs: number, close: string): string {
  const step = steps.find(({ below }) => Math.abs(differenceMs) < below);
  if (!step) return formatDate(iso);
  return step.unit === 'second' ? close : relative.format(Math.round(differenceMs / step.ms), step.unit);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
