/** What people see of their usage, in sums: totals, charts and tables of a range, beside the period before it. */
import { setImmediate as turn } from 'node:timers/promises';
import {
  type ModelPrice,
  type ProviderId,
  type TierName,
  toUsd,
  type UsagePart,
  type UsageQuery,
  type UsageReport,
  type UsageTotals,
  usdPerMillion,
} from '@synthstack/core';
import { type Db, prepared, type Tables } from '@synthstack/core/db';
import { and, sql } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';
import type { MeterParts } from './meter.ts';
import { type ReportRange, rangeOf } from './meter-range.ts';
import { sumNames } from './meter-statements.ts';
import { periodStarts } from './zone.ts';

/** How many spans one statement adds up, and for how long one after the other does until others have their turn. */
const spansAtOnce = 8;
const turnMs = 5;
/** Lines of a chart beside the one for the rest. */
const mostParts = 8;
const dayMs = 86_400_000;

export type Sums = Record<(typeof sumNames)[number], number>;
/** `period`: the number of the span. `tier`: only where everybody is summed. */
export type Group = Sums & { period: number; tier?: TierName } & Pick<Tables['usageUser']['$inferSelect'], 'provider' | 'model' | 'source'>;
type Filters = Pick<UsageQuery, 'provider' | 'model' | 'keySource'>;
export interface Span {
  fromMs: number;
  toMs: number;
}

export function createReports({ db, clock, price }: Pick<MeterParts, 'db' | 'clock' | 'price'>) {
  const [byGroup, inAll] = [sumStatement(db, 'by group'), sumStatement(db, 'in all')];

  /** What a statement says of each few spans; `first` is the number of the first of them. */
  async function* read(make: typeof byGroup, userId: string, spans: readonly Span[], { provider, model, keySource }: Filters) {
    let sinceMs = performance.now();
    for (let first = 0; first < spans.length; first += spansAtOnce) {
      if (performance.now() - sinceMs > turnMs) {
        await turn();
        sinceMs = performance.now();
      }
      const bounds: Record<string, number> = {};
      for (let i = 0; i < spansAtOnce; i += 1) {
        bounds[`from${i}`] = spans[first + i]?.fromMs ?? 0;
        bounds[`to${i}`] = spans[first + i]?.toMs ?? 0;
      }
      const rows = await db.read(make({ ...bounds, userId, provider: provider ?? null, model: model ?? null, source: keySource ?? null }));
      yield { rows, first };
    }
  }

  /** The sums of each span by provider, model and key source; `period` is the span's number. */
  async function groupsOf(userId: string, spans: readonly Span[], filters: Filters): Promise<Group[]> {
    const groups: Group[] = [];
    for await (const { rows, first } of read(byGroup, userId, spans, filters))
      for (const [period, provider, model, source, ...sums] of rows) {
        const names = { provider, model, source } as Pick<Group, 'provider' | 'model' | 'source'>;
        groups.push({ period: first + Number(period), ...names, ...sumsOf(sums) });
      }
    return groups;
  }

  async function sumOf(userId: string, spans: readonly Span[], filters: Filters): Promise<Sums> {
    const sums = noSums();
    for await (const { rows } of read(inAll, userId, spans, filters)) for (const row of rows) addTo(sums, sumsOf(row));
    return sums;
  }

  return {
    /** The sums of a range, which is widened to whole 15-minute buckets. Costs the same after 100 requests and after 100 million. */
    async report(userId: string, query: UsageQuery): Promise<UsageReport> {
      const { fromMs, toMs, previousFromMs, previousToMs } = rangeOf(query, clock.now());
      const starts = periodStarts(fromMs, toMs, query.timezone, query.groupBy);
      const groups = await groupsOf(userId, spansOf(fromMs, toMs, starts), query);
      const before = await sumOf(userId, slices(previousFromMs, previousToMs), query);
      return reportOf(query, { fromMs, toMs, previousFromMs, previousToMs, starts, groups, before }, (provider, model) =>
        price(provider, model, clock.now()),
      );
    },
  };
}

/** What was found of a range and of the one before it. */
export interface Found extends ReportRange {
  /** The periods of the range. */
  starts: readonly number[];
  groups: readonly Group[];
  before: Sums;
}

type Query = Pick<UsageQuery, 'timezone'> & { seriesBy?: keyof typeof partKeys | undefined };

/** @param priceOf  what a model costs now; null: unknown */
export function reportOf(query: Query, found: Found, priceOf: (provider: ProviderId, model: string) => ModelPrice | null): UsageReport {
  const { fromMs, toMs, previousFromMs, previousToMs, starts, groups, before } = found;
  const series = addBy(groups, ({ period }) => period);
  return {
    from: instant(fromMs),
    to: instant(toMs),
    timezone: query.timezone,
    totals: shown(addAll(groups)),
    previous: shown(before),
    previousFrom: instant(previousFromMs),
    previousTo: instant(previousToMs),
    series: starts.map((start, i) => ({ start: instant(start), ...shown(series.get(i)?.sums ?? noSums()) })),
    ...(query.seriesBy && { parts: partsOf(groups, starts.length, query.seriesBy) }),
    byModel: ranked(groups, modelOf).map(({ first: { provider, model }, sums }) => {
      const prices = model === '' ? null : priceOf(provider, model);
      return {
        provider,
        model: model || null,
        ...shown(sums),
        inputUsdPerMillion: usdPerMillion(prices?.input),
        outputUsdPerMillion: usdPerMillion(prices?.output),
      };
    }),
    byProvider: ranked(groups, ({ provider }) => provider).map(({ first, sums }) => ({ provider: first.provider, ...shown(sums) })),
    byKeySource: ranked(groups, ({ source }) => source).map(({ first, sums }) => ({ keySource: first.source, ...shown(sums) })),
  };
}

/**
 * Made once, its text the same whatever is asked: the spans come as a list of a fixed length, those that are not needed empty. Each is
 * a piece of the primary key.
 */
function sumStatement(db: Db, how: 'by group' | 'in all') {
  const { usageUser: t } = db.tables;
  const hole = (name: string, type: 'bigint' | 'text') => sql`cast(${sql.placeholder(name)} as ${sql.raw(type)})`;
  const lines = Array.from(
    { length: spansAtOnce },
    (_, i) => sql`(${sql.raw(String(i))}, ${hole(`from${i}`, 'bigint')}, ${hole(`to${i}`, 'bigint')})`,
  );
  // Both engines call the columns of a list of values so.
  const [number, fromMs, toMs] = [sql`span.column1`, sql`span.column2`, sql`span.column3`];
  const unlessNull = (column: SQLiteColumn, name: string) => sql`${column} = coalesce(${hole(name, 'text')}, ${column})`;
  const sums = Object.fromEntries(sumNames.map((name) => [name, sql`sum(${t[name]})`]));
  const groups = { number, provider: sql`${t.provider}`, model: sql`${t.model}`, source: sql`${t.source}` };
  const query = db.orm
    .select(how === 'by group' ? { ...groups, ...sums } : sums)
    .from(sql`(values ${sql.join(lines, sql`, `)}) as span`)
    .innerJoin(t, sql`${t.userId} = ${hole('userId', 'text')} and ${t.bucket} >= ${fromMs} and ${t.bucket} < ${toMs}`)
    .where(and(unlessNull(t.provider, 'provider'), unlessNull(t.model, 'model'), unlessNull(t.source, 'source')));
  return prepared<Record<string, unknown>>(how === 'by group' ? query.groupBy(...Object.values(groups)) : query);
}

/** PostgreSQL gives sums as text; null: of nothing. */
function sumsOf(row: readonly unknown[]): Sums {
  const sums = noSums();
  sumNames.forEach((name, i) => {
    sums[name] = Number(row[i]);
  });
  return sums;
}

/** The periods, the first and the last cut to what is asked. */
export function spansOf(fromMs: number, toMs: number, starts: readonly number[]): Span[] {
  return starts.map((start, i) => ({ fromMs: Math.max(start, fromMs), toMs: starts[i + 1] ?? toMs }));
}

function slices(fromMs: number, toMs: number): Span[] {
  const count = Math.ceil((toMs - fromMs) / dayMs);
  return Array.from({ length: count }, (_, i) => ({ fromMs: fromMs + i * dayMs, toMs: Math.min(toMs, fromMs + (i + 1) * dayMs) }));
}

export const noSums = (): Sums => ({
  ...{ requests: 0, inputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 0, reasoningTokens: 0 },
  ...{ totalTokens: 0, costNanoUsd: 0, unpricedRequests: 0, unmeasuredRequests: 0 },
});
/** Written out: by names in a list it takes four times as long, and a report by the hour adds some hundred thousand times. */
export function addTo(sums: Sums, more: Sums): Sums {
  sums.requests += more.requests;
  sums.inputTokens += more.inputTokens;
  sums.cachedInputTokens += more.cachedInputTokens;
  sums.cacheWriteTokens += more.cacheWriteTokens;
  sums.outputTokens += more.outputTokens;
  sums.reasoningTokens += more.reasoningTokens;
  sums.totalTokens += more.totalTokens;
  sums.costNanoUsd += more.costNanoUsd;
  sums.unpricedRequests += more.unpricedRequests;
  sums.unmeasuredRequests += more.unmeasuredRequests;
  return sums;
}
const addAll = (groups: readonly Group[]): Sums => groups.reduce<Sums>(addTo, noSums());

interface Added {
  /** Any of the groups that were added, for what they have in common. */
  first: Group;
  sums: Sums;
}

function addBy<Key>(groups: readonly Group[], keyOf: (group: Group) => Key): Map<Key, Added> {
  const added = new Map<Key, Added>();
  for (const group of groups) {
    const key = keyOf(group);
    const known = added.get(key);
    if (known) addTo(known.sums, group);
    else added.set(key, { first: group, sums: addTo(noSums(), group) });
  }
  return added;
}

/** The most requests first. */
export const ranked = (groups: readonly Group[], keyOf: (group: Group) => string): Added[] =>
  [...addBy(groups, keyOf).values()].sort((a, b) => b.sums.requests - a.sums.requests);

const modelOf = ({ provider, model }: Group): string => `${provider} ${model}`;

const partKeys = {
  model: { of: modelOf, names: ({ provider, model }: Group) => ({ provider, model: model || null }) },
  provider: { of: ({ provider }: Group): string => provider, names: ({ provider }: Group) => ({ provider }) },
  keySource: { of: ({ source }: Group): string => source, names: ({ source }: Group) => ({ keySource: source }) },
  tier: { of: ({ tier }: Group): string => tier ?? '', names: ({ tier }: Group) => (tier === undefined ? {} : { tier }) },
};

function partsOf(groups: readonly Group[], periods: number, by: keyof typeof partKeys): UsagePart[] {
  const { of, names } = partKeys[by];
  const largest = [...addBy(groups, of)].sort(
    ([, { sums: a }], [, { sums: b }]) => b.costNanoUsd - a.costNanoUsd || b.totalTokens - a.totalTokens || b.requests - a.requests,
  );
  const own = largest.slice(0, mostParts).map(([key, { first }]) => ({ key, part: emptyPart(names(first), periods) }));
  const other = largest.length > mostParts ? emptyPart({ other: true }, periods) : null;
  const parts = new Map(own.map(({ key, part }) => [key, part]));
  for (const group of groups) {
    const part = parts.get(of(group)) ?? other;
    if (!part) continue;
    part.requests[group.period] = (part.requests[group.period] ?? 0) + group.requests;
    part.totalTokens[group.period] = (part.totalTokens[group.period] ?? 0) + group.totalTokens;
    part.estimatedCostUsd[group.period] = (part.estimatedCostUsd[group.period] ?? 0) + group.costNanoUsd;
  }
  // Added up as whole numbers, so that parts make exactly their whole.
  return [...own.map(({ part }) => part), ...(other ? [other] : [])].map((part) => ({
    ...part,
    estimatedCostUsd: part.estimatedCostUsd.map((nanoUsd) => toUsd(nanoUsd)),
  }));
}

function emptyPart(names: Omit<UsagePart, 'requests' | 'totalTokens' | 'estimatedCostUsd'>, periods: number): UsagePart {
  const zeros = () => new Array<number>(periods).fill(0);
  return { ...names, requests: zeros(), totalTokens: zeros(), estimatedCostUsd: zeros() };
}

export function shown({ costNanoUsd, ...counts }: Sums): UsageTotals {
  const { requests, inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens, totalTokens } = counts;
  return {
    ...{ requests, inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens, totalTokens },
    ...{ estimatedCostUsd: toUsd(costNanoUsd), unpricedRequests: counts.unpricedRequests, unmeasuredRequests: counts.unmeasuredRequests },
  };
}

const instant = (ms: number): string => new Date(ms).toISOString();
