/**
 * What the usage page shows, as its address says it: range, filters, and how the chart is cut. What is as usual is not in the address,
 * and what an address says wrongly counts as not said, so that every address shows something.
 */
import { type KeySource, keySources, outcomes, type ProviderId, providerIds, type TierName } from '@synthstack/core';

export const ranges = ['24h', '7d', '30d', '90d', 'custom'] as const;
export type Range = (typeof ranges)[number];
export const measures = ['cost', 'requests', 'tokens'] as const;
export type Measure = (typeof measures)[number];
export const splits = ['model', 'provider', 'key'] as const;
/** By tier only where everybody is shown. */
export type Split = (typeof splits)[number] | 'tier';
export type Outcome = (typeof outcomes)[number];

/** First and last day as `2026-11-01`, both shown. */
export interface Days {
  first: string;
  last: string;
}

export interface Filters {
  provider?: ProviderId;
  /** An empty text: the requests whose model is unknown. */
  model?: string;
  keySource?: KeySource;
  /** Only where everybody is shown. */
  tier?: TierName;
}

export interface UsageView {
  range: Range;
  /** There where the range is `custom`, and only there. */
  days: Days | null;
  filters: Filters;
  outcome: Outcome | null;
  measure: Measure;
  split: Split;
}

type Query = Record<string, unknown>;
export const longestDays = 366;
const dayMs = 86_400_000;

export function viewOf(query: Query): UsageView {
  const days = daysOf(query);
  const range = oneOf(ranges, query.range) ?? '30d';
  return {
    range: range === 'custom' && !days ? '30d' : range,
    days: range === 'custom' ? days : null,
    filters: {
      ...named('provider', oneOf(providerIds, query.provider)),
      ...named('model', isModel(query.model) ? query.model : undefined),
      ...named('keySource', oneOf(keySources, query.key)),
    },
    outcome: oneOf(outcomes, query.outcome) ?? null,
    measure: oneOf(measures, query.show) ?? 'cost',
    split: oneOf(splits, query.by) ?? 'model',
  };
}

export function queryOf({ range, days, filters, outcome, measure, split }: UsageView): Record<string, string> {
  return {
    ...(range !== '30d' && { range }),
    ...(range === 'custom' && days && { from: days.first, to: days.last }),
    ...(filters.provider !== undefined && { provider: filters.provider }),
    ...(filters.model !== undefined && { model: filters.model }),
    ...(filters.keySource !== undefined && { key: filters.keySource }),
    ...(outcome && { outcome }),
    ...(measure !== 'cost' && { show: measure }),
    ...(split !== 'model' && { by: split }),
  };
}

/** What a report is asked for. By hour up to two days, else there would be two bars, or hundreds. */
export function periodOf({ range, days }: Pick<UsageView, 'range' | 'days'>, timezone: string) {
  if (range === '24h') return { hours: 24, timezone, groupBy: 'hour' as const };
  if (!days) return { days: range === '7d' ? 7 : range === '90d' ? 90 : 30, timezone, groupBy: 'day' as const };
  const from = startOfDay(days.first, timezone);
  // A day of 25 hours too many would be refused, and is worth less than an answer.
  const to = Math.min(startOfDay(nextDay(days.last), timezone), from + longestDays * dayMs);
  return {
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    timezone,
    groupBy: lengthOf(days) <= 2 ? ('hour' as const) : ('day' as const),
  };
}

export type DaysMistake = 'first' | 'last' | 'future' | 'order' | 'length';
export interface DaysComplaint {
  field: keyof Days;
  mistake: DaysMistake;
}

/** @param today  the day in the person's time zone */
export function complaintOf({ first, last }: Days, today: string): DaysComplaint | null {
  if (!isDay(first)) return { field: 'first', mistake: 'first' };
  if (!isDay(last)) return { field: 'last', mistake: 'last' };
  if (first > today) return { field: 'first', mistake: 'future' };
  if (last > today) return { field: 'last', mistake: 'future' };
  if (last < first) return { field: 'last', mistake: 'order' };
  return lengthOf({ first, last }) > longestDays ? { field: 'last', mistake: 'length' } : null;
}

/** The day of a moment, as `2026-11-01`. */
export function dayOf(ms: number, timezone: string): string {
  const parts = new Intl.DateTimeFormat('en-u-ca-iso8601', { timeZone: timezone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const named = Object.fromEntries(parts.formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${named.year}-${named.month}-${named.day}`;
}

export function addDays(day: string, count: number): string {
  return new Date(Date.parse(day) + count * dayMs).toISOString().slice(0, 10);
}
const nextDay = (day: string): string => addDays(day, 1);

/** The first moment of a day there. Where clocks skip midnight, the day begins an hour later. */
export function startOfDay(day: string, timezone: string): number {
  const utc = Date.parse(day);
  const guess = utc - offsetAt(utc, timezone);
  // The offset at the guess may be another one: clocks change at night.
  const start = utc - offsetAt(guess, timezone);
  return dayOf(start, timezone) < day ? start + 3_600_000 : start;
}

/** How far the clocks are ahead of UTC, in ms. */
function offsetAt(ms: number, timezone: string): number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' });
  const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT';
  const [, sign, hours, minutes] = /GMT([+-])(\d{2}):(\d{2})/.exec(name) ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60_000;
}

const lengthOf = ({ first, last }: Days): number => Math.round((Date.parse(last) - Date.parse(first)) / dayMs) + 1;

function daysOf({ from, to }: Query): Days | null {
  if (!isDay(from) || !isDay(to)) return null;
  const days = { first: from, last: to };
  return from <= to && lengthOf(days) <= longestDays ? days : null;
}

function isDay(text: unknown): text is string {
  if (typeof text !== 'string' || !/^20\d\d-\d\d-\d\d$/.test(text)) return false;
  const ms = Date.parse(text);
  // Some engines take 31 February for 3 March.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

/** What the server takes for the name of one. */
const isModel = (text: unknown): text is string => typeof text === 'string' && text.length <= 512 && !text.includes('\0');

export const oneOf = <T extends string>(choices: readonly T[], value: unknown): T | undefined => choices.find((choice) => choice === value);
/** A field only where there is a value for it. */
const named = <Name extends string, Value>(name: Name, value: Value | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { [Key in Name]?: Value };
