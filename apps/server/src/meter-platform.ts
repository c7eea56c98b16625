/** The usage of everybody, for administrators: the same report as people have of their own, from the sums of all. */
import type { AdminUsageQuery, AdminUsageReport, KeySource, ModelPrice, ProviderId, TierName } from '@synthstack/core';
import { toUsd } from '@synthstack/core';
import { csvLine } from './csv.ts';
import { type Blocks, type DaySums, dayMs, dayOf, type Kind, quartersADay, width } from './meter-blocks.ts';
import { rangeOf } from './meter-range.ts';
import { type Group, noSums, ranked, reportOf, type Span, type Sums, shown, spansOf } from './meter-report.ts';
import { sumNames } from './meter-statements.ts';
import type { Clock } from './ports/clock.ts';
import { periodStarts } from './zone.ts';

export interface PlatformUsageParts {
  clock: Clock;
  blocks: Blocks;
  /** The price of a model at a time. */
  price(provider: ProviderId, model: string, atMs: number): ModelPrice | null;
}

type Filters = Pick<AdminUsageQuery, 'provider' | 'model' | 'keySource' | 'tier'>;
const quarterMs = dayMs / quartersADay;

export function createPlatformUsage({ clock, blocks, price }: PlatformUsageParts) {
  /** The sums of each span by provider, model, key source and tier; `period` is the span's number. */
  async function groupsOf(spans: readonly Span[], filters: Filters): Promise<Group[]> {
    const [fromMs, toMs] = [spans[0]?.fromMs ?? 0, spans.at(-1)?.toMs ?? 0];
    const kinds = new Map<string, { kind: Kind; sums: Float64Array }>();
    const periodOf = periodFinder(spans);
    for await (const day of blocks.days(dayOf(fromMs), dayOf(toMs - 1) + dayMs)) {
      const mine = day.kinds.map((kind) => (isWanted(kind, filters) ? placeOf(kind) : null));
      addQuarters(day, mine, periodOf(day.day));
    }
    return [...kinds.values()].flatMap(({ kind, sums }) => groupsIn(kind, sums, spans.length));

    function placeOf(kind: Kind): Float64Array {
      const name = JSON.stringify(kind);
      const known = kinds.get(name) ?? { kind, sums: new Float64Array(spans.length * width) };
      kinds.set(name, known);
      return known.sums;
    }
  }

  /** The sums of a range in one. */
  async function sumOf(fromMs: number, toMs: number, filters: Filters): Promise<Sums> {
    const all = new Float64Array(width);
    const periodOf = periodFinder([{ fromMs, toMs }]);
    for await (const day of toMs > fromMs ? blocks.days(dayOf(fromMs), dayOf(toMs - 1) + dayMs) : []) {
      const mine = day.kinds.map((kind) => (isWanted(kind, filters) ? all : null));
      if (day.day >= fromMs && day.day + dayMs <= toMs) {
        for (const [kind, to] of mine.entries()) if (to) add(to, 0, day.daySums, kind * width);
      } else addQuarters(day, mine, periodOf(day.day));
    }
    return sumsIn(all, 0);
  }

  async function foundOf(query: AdminUsageQuery) {
    const range = rangeOf(query, clock.now());
    const starts = periodStarts(range.fromMs, range.toMs, query.timezone, query.groupBy);
    const groups = await groupsOf(spansOf(range.fromMs, range.toMs, starts), query);
    return { ...range, starts, groups };
  }

  return {
    /** The sums of a range, which is widened to whole 15-minute buckets. */
    async platformReport(query: AdminUsageQuery): Promise<AdminUsageReport> {
      const found = await foundOf(query);
      const before = await sumOf(found.previousFromMs, found.previousToMs, query);
      const tierOf = ({ tier = 'community' }: Group): TierName => tier;
      return {
        ...reportOf(query, { ...found, before }, (provider, model) => price(provider, model, clock.now())),
        byTier: ranked(found.groups, tierOf).map(({ first, sums }) => ({ tier: tierOf(first), ...shown(sums) })),
      };
    },

    /** The same sums, a line for each period, model, key source and tier (RFC 4180). */
    async *platformCsv(query: AdminUsageQuery): AsyncGenerator<string> {
      yield csvLine(['period_start', 'provider', 'model', 'key_source', 'tier', ...csvSums.map(([name]) => name)]);
      const { groups, starts } = await foundOf(query);
      const lines = [...groups].sort((a, b) => a.period - b.period || b.requests - a.requests);
      for (let from = 0; from < lines.length; from += 500) {
        yield lines
          .slice(from, from + 500)
          .map(({ period, provider, model, source, tier, ...sums }) => {
            const start = new Date(starts[period] ?? 0).toISOString();
            return csvLine([start, provider, model, source, tier ?? '', ...csvSums.map(([, value]) => value(sums))]);
          })
          .join('');
      }
    },
  };
}

/** @param mine  where each kind of the day is added to; null: nowhere. @param periods  of each quarter of the day; -1: none */
function addQuarters({ places, sums }: DaySums, mine: readonly (Float64Array | null)[], periods: Int32Array): void {
  for (let i = 0; i < places.length; i += 1) {
    const place = places[i] as number;
    const to = mine[place & 0xffff];
    const period = periods[place >>> 16] as number;
    if (to && period >= 0) add(to, period * width, sums, i * width);
  }
}

function add(to: Float64Array, at: number, from: Float64Array, first: number): void {
  for (let j = 0; j < width; j += 1) to[at + j] = (to[at + j] as number) + (from[first + j] as number);
}

/** For a day: in which of the spans, which follow each other, each of its quarters lies. */
function periodFinder(spans: readonly Span[]): (day: number) => Int32Array {
  let next = 0;
  return (day) => {
    const periods = new Int32Array(quartersADay).fill(-1);
    for (let quarter = 0; quarter < quartersADay; quarter += 1) {
      const ms = day + quarter * quarterMs;
      while (next < spans.length && (spans[next]?.toMs ?? 0) <= ms) next += 1;
      if (ms >= (spans[next]?.fromMs ?? Number.POSITIVE_INFINITY)) periods[quarter] = next;
    }
    return periods;
  };
}

function isWanted([provider, model, source, tier]: Kind, filters: Filters): boolean {
  const is = (wanted: string | undefined, value: string) => wanted === undefined || wanted === value;
  return is(filters.provider, provider) && is(filters.model, model) && is(filters.keySource, source) && is(filters.tier, tier);
}

function groupsIn([provider, model, source, tier]: Kind, sums: Float64Array, periods: number): Group[] {
  const names = { provider: provider as ProviderId, model, source: source as KeySource, tier: tier as TierName };
  const groups: Group[] = [];
  for (let period = 0; period < periods; period += 1) {
    const first = period * width;
    if (isNothing(sums, first)) continue;
    groups.push(Object.assign(sumsIn(sums, first), { period, ...names }));
  }
  return groups;
}

function isNothing(sums: Float64Array, first: number): boolean {
  for (let j = first; j < first + width; j += 1) if (sums[j] !== 0) return false;
  return true;
}

function sumsIn(values: Float64Array, first: number): Sums {
  const sums = noSums();
  for (let j = 0; j < width; j += 1) sums[sumNames[j] as keyof Sums] = values[first + j] as number;
  return sums;
}

const csvSums: readonly [name: string, value: (sums: Sums) => number | null][] = [
  ['requests', (sums) => sums.requests],
  ['input_tokens', (sums) => sums.inputTokens],
  ['cached_input_tokens', (sums) => sums.cachedInputTokens],
  ['cache_write_tokens', (sums) => sums.cacheWriteTokens],
  ['output_tokens', (sums) => sums.outputTokens],
  ['reasoning_tokens', (sums) => sums.reasoningTokens],
  ['total_tokens', (sums) => sums.totalTokens],
  ['estimated_cost_usd', (sums) => toUsd(sums.costNanoUsd)],
  ['unpriced_requests', (sums) => sums.unpricedRequests],
  ['unmeasured_requests', (sums) => sums.unmeasuredRequests],
];
