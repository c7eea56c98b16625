/** Numbers, money and times as people of the chosen language read them. Reactive: what is shown changes with the language. */
import { formatLocale, t, timeZone } from './i18n/i18n.ts';

const whole = perLocale((locale) => new Intl.NumberFormat(locale));
const short = perLocale((locale) => new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 }));
const cents = perLocale((locale) => new Intl.NumberFormat(locale, { style: 'currency', currency: 'USD' }));
const fractions = perLocale(
  (locale) => new Intl.NumberFormat(locale, { style: 'currency', currency: 'USD', minimumFractionDigits: 4, maximumFractionDigits: 4 }),
);
const prices = perLocale((locale) => new Intl.NumberFormat(locale, { style: 'currency', currency: 'USD', maximumFractionDigits: 4 }));
const dateTime = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', timeZone: zone }));
const date = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: zone }));
const month = perLocale((locale) => new Intl.DateTimeFormat(locale, { month: 'long', timeZone: 'UTC' }));
const relative = perLocale((locale) => new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }));

export const formatCount = (count: number): string => whole().format(count);
/** "1.2M", for axes and narrow places. */
export const formatShort = (count: number): string => short().format(count);

/** Single requests cost fractions of a cent, so small sums keep four places; what is there at all never shows as nothing. */
export function formatUsd(usd: number): string {
  if (usd > 0 && usd < 0.0001) return `< ${fractions().format(0.0001)}`;
  return usd > 0 && usd < 1 ? fractions().format(usd) : cents().format(usd);
}

/** Of a million tokens. */
export const formatPrice = (usd: number): string => prices().format(usd);
/** @param amount  in the currency's smallest unit: 1900 are 19 dollars, or 1900 yen */

export function formatAmount(amount: number, currency: string): string {
  const format = new Intl.NumberFormat(formatLocale.value, { style: 'currency', currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

export const formatDateTime = (iso: string): string => dateTime().format(new Date(iso));
export const formatDate = (iso: string): string => date().format(new Date(iso));

/** The month of a moment in UTC, by its name. */
export const formatMonth = (ms: number): string => month().format(ms);

const steps = [
  { unit: 'second', ms: 1_000, below: 60_000 },
  { unit: 'minute', ms: 60_000, below: 3_600_000 },
  { unit: 'hour', ms: 3_600_000, below: 86_400_000 },
  { unit: 'day', ms: 86_400_000, below: 30 * 86_400_000 },
] as const;

/** "5 minutes ago" of what has happened: a clock that runs a little behind the server's does not make it the future. */
export function formatAgo(iso: string, nowMs: number): string {
  return distance(iso, Math.min(Date.parse(iso) - nowMs, 0), t('common.justNow'));
}

/** "in 3 days" of what is to come, however late one looks. */
export function formatUntil(iso: string, nowMs: number): string {
  return distance(iso, Math.max(Date.parse(iso) - nowMs, 0), t('common.inAMoment'));
}

/** "in 41 seconds" of what somebody waits for, else as `formatUntil`. */
export function formatWait(iso: string, nowMs: number): string {
  const leftMs = Date.parse(iso) - nowMs;
  return leftMs > 0 && leftMs < 60_000 ? relative().format(Math.ceil(leftMs / 1_000), 'second') : formatUntil(iso, nowMs);
}

/** Beyond a month the date says more. */
function distance(iso: string, differenceMs: number, close: string): string {
  const step = steps.find(({ below }) => Math.abs(differenceMs) < below);
  if (!step) return formatDate(iso);
  return step.unit === 'second' ? close : relative().format(Math.round(differenceMs / step.ms), step.unit);
}

/** Formatters are dear to make and cheap to use: one for each locale and time zone. */
export function perLocale<Formatter>(make: (locale: string, zone: string) => Formatter): () => Formatter {
  const made = new Map<string, Formatter>();
  return () => {
    const key = `${formatLocale.value} ${timeZone.value}`;
    const known = made.get(key);
    if (known) return known;
    const fresh = make(formatLocale.value, timeZone.value);
    made.set(key, fresh);
    return fresh;
  };
}
