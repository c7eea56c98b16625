/** How usage is written: changes, durations, ranges, and the marks of a chart. Reactive, as format.ts is. */
import type { UsageReport, UsageTotals } from '@synthstack/core';
import { formatCount, formatUsd, perLocale } from './format.ts';
import { t } from './i18n/i18n.ts';

const percent = perLocale((locale) => new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 }));
const finePercent = perLocale((locale) => new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 }));
const axisUsd = perLocale(
  (locale) =>
    new Intl.NumberFormat(locale, {
      style: 'currency',
      currency: 'USD',
      minimumFractionDigits: 2,
      maximumFractionDigits: 6,
      trailingZeroDisplay: 'stripIfInteger',
    }),
);
const axisUsdLarge = perLocale((locale) => new Intl.NumberFormat(locale, { style: 'currency', currency: 'USD', notation: 'compact' }));
const seconds = perLocale((locale) => new Intl.NumberFormat(locale, { style: 'unit', unit: 'second', maximumFractionDigits: 1 }));
const milliseconds = perLocale((locale) => new Intl.NumberFormat(locale, { style: 'unit', unit: 'millisecond', maximumFractionDigits: 0 }));
const wholeDays = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: zone }));
/** "3:04 PM", but "09:05": a zero before the hour belongs to clocks of 24 hours. */
function clockOf(locale: string) {
  const { hourCycle } = new Intl.DateTimeFormat(locale, { hour: 'numeric' }).resolvedOptions();
  return { hour: hourCycle?.startsWith('h1') ? ('numeric' as const) : ('2-digit' as const), minute: '2-digit' as const };
}
const moments = perLocale(
  (locale, zone) => new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', ...clockOf(locale), timeZone: zone }),
);
const exact = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'long', timeZone: zone }));
const dayMark = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', timeZone: zone }));
const hourMark = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { ...clockOf(locale), timeZone: zone }));
const dayName = perLocale(
  (locale, zone) => new Intl.DateTimeFormat(locale, { weekday: 'short', day: 'numeric', month: 'short', timeZone: zone }),
);
const hourName = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { weekday: 'short', ...clockOf(locale), timeZone: zone }));

/** @param part  0.12 is 12 % */
export const formatPercent = (part: number): string => (Math.abs(part) < 0.1 ? finePercent() : percent()).format(part);
export const formatAxisUsd = (usd: number): string => (usd < 10_000 ? axisUsd() : axisUsdLarge()).format(usd);
export const formatDuration = (ms: number): string => (ms < 1_000 ? milliseconds().format(ms) : seconds().format(ms / 1_000));
/** "Nov 21, 3:04 PM", for lists in which the year goes without saying. */
export const formatMoment = (iso: string): string => moments().format(new Date(iso));
export const formatExact = (iso: string): string => exact().format(new Date(iso));

/** A mark on the axis, and the name of a bar. */
export const formatMark = (iso: string, hourly: boolean): string => (hourly ? hourMark() : dayMark()).format(new Date(iso));
export const formatPeriod = (iso: string, hourly: boolean): string => (hourly ? hourName() : dayName()).format(new Date(iso));

/** "Oct 25 – Nov 23, 2026"; a range that is still running ends now. */
export function formatRange(from: string, to: string, hourly: boolean): string {
  const last = Math.max(Math.min(Date.parse(to) - 1, Date.now()), Date.parse(from));
  return (hourly ? moments() : wholeDays()).formatRange(new Date(from), new Date(last));
}

type Sums = Pick<UsageTotals, 'requests' | 'unpricedRequests' | 'unmeasuredRequests' | 'estimatedCostUsd'>;

/** Nothing is priced, so the sum of what is priced says nothing. */
export const isPriced = (sums: Sums): boolean => sums.requests === 0 || sums.unpricedRequests < sums.requests;
export const isMeasured = (sums: Sums): boolean => sums.requests === 0 || sums.unmeasuredRequests < sums.requests;
export const costOf = (sums: Sums): string =>
  isPriced(sums) ? `${formatUsd(sums.estimatedCostUsd)}${sums.unpricedRequests ? '\u00a0+' : ''}` : t('common.unknown');
export const tokensOf = (sums: Sums, tokens: number): string => (isMeasured(sums) ? formatCount(tokens) : t('common.unknown'));

export const nameOfModel = (model: string | null): string => model ?? t('usage.unknownModel');

/** Sums by the hour: their first two are no further apart. */
export function isHourly({ series }: UsageReport): boolean {
  const [first, second] = series;
  return Boolean(first && second && Date.parse(second.start) - Date.parse(first.start) <= 3_600_000);
}
