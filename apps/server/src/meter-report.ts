/** What people see of their usage, in sums: totals, charts and tables of a range, beside the period before it. */
import { setImmediate as turn } from 'node:timers/promises';
import { toUsd, type UsagePart, type UsageQuery, type UsageReport, type UsageTotals, usdPerMillion } from '@synthstack/core';
import { type Db, prepared, type Tables } from '@synthstack/core/db';
import { type SQL, sql } from 'drizzle-orm';
import type { MeterParts } from './meter.ts';
import { rangeOf } from './meter-range.ts';
import { sumNames } from './meter-statements.ts';
import { periodStarts } from './zone.ts';

/** How many periods one statement adds up: few enough that a busy user's take milliseconds, after which others have their turn. */
const periodsAtOnce = 8;
/** Lines of a chart beside the one for the rest. */
const mostParts = 8;
const dayMs = 86_400_000;

type Sums = Record<(typeof sumNames)[number], number>;
type Group = Sums & { period: number } & Pick<Tables['usageUser']['$inferSelect'], 'provider' | 'model' | 'source'>;
type Filters = Pick<UsageQuery, 'provider' | 'model' | 'keySource'>;
interface Span {
  fromMs: number;
  toMs: number;
}

export function createReports({ db, clock, price }: Pick<MeterParts, 'db' | 'clock' | 'price'>) {
  const statement = sumStatement(db);

  /** The sums of each span by provider, model and key source; `period` is the span's number. */
  async function groupsOf(userId: string, spans: readonly Span[], filters: Filters): Promise<Group[]> {
    const groups: Group[] = [];
    for (let first = 0; first < spans.length; first += periodsAtOnce) {
      if (first > 0) await turn();
      const some = spans.slice(first, first + periodsAtOnce);
      const bounds = Array.from({ length: periodsAtOnce }, (_, i) => [
        [`from${i}`, some[i]?.fromMs ?? 0],
        [`to${i}`, some[i]?.toMs ?? 0],
      ]).flat();
      const { provider = null, model = null, keySource = null } = filters;
      const rows = await db.read(statement({ userId, provider, model, source: keySource, ...Object.fromEntries(bounds) }));
      groups.push(...rows.map((row) => groupOf(row, first)));
    }
    return groups;
  }

  return {
    /** The sums of a range, which is widened to whole 15-minute buckets. Costs the same after 100 requests and after 100 million. */
    async report(userId: string, query: UsageQuery): Promise<UsageReport> {
      const { fromMs, toMs, previousFromMs, previousToMs } = rangeOf(query, clock.now());
      const starts = periodStarts(fromMs, toMs, query.timezone, query.groupBy);
      const groups = await groupsOf(userId, spansOf(fromMs, toMs, starts), query);
      const before = await groupsOf(userId, slices(previousFromMs, previousToMs), query);
      const series = addBy(groups, ({ period }) => period);
      return {
        from: instant(fromMs),
        to: instant(toMs),
        timezone: query.timezone,
        totals: shown(addAll(groups)),
        previous: shown(addAll(before)),
        previousFrom: instant(previousFromMs),
        previousTo: instant(previousToMs),
        series: starts.map((start, i) => ({ start: instant(start), ...shown(series.get(i)?.sums ?? noSums()) })),
        ...(query.seriesBy && { parts: partsOf(groups, starts.length, query.seriesBy) }),
        byModel: ranked(groups, modelOf).map(({ first: { provider, model }, sums }) => {
          const prices = model === '' ? null : price(provider, model, clock.now());
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
    },
  };
}

/**
 * Made once, its text the same whatever is asked: the spans come as a list of a fixed length, those that are not needed empty. Each is
 * a piece of the primary key.
 */
function sumStatement(db: Db) {
  const { usageUser: t } = db.tables;
  const hole = (name: string, type: 'bigint' | 'text') => sql`cast(${sql.placeholder(name)} as ${sql.raw(type)})`;
  const lines = Array.from(
    { length: periodsAtOnce },
    (_, i) => sql`(${sql.raw(String(i))}, ${hole(`from${i}`, 'bigint')}, ${hole(`to${i}`, 'bigint')})`,
  );
  // Both engines call the columns of a list of values so.
  const [period, fromMs, toMs] = [sql`span.column1`, sql`span.column2`, sql`span.column3`];
  const unless = (name: string, column: SQL.Aliased | unknown) => sql`${column} = coalesce(${hole(name, 'text')}, ${column})`;
  const sums = Object.fromEntries(sumNames.map((name) => [name, sql`sum(${t[name]})`]));
  return prepared<Record<string, unknown>>(
    db.orm
      .select({ period, provider: sql`${t.provider}`, model: sql`${t.model}`, source: sql`${t.source}`, ...sums })
      .from(sql`(values ${sql.join(lines, sql`, `)}) as span`)
      .innerJoin(t, sql`${t.userId} = ${hole('userId', 'text')} and ${t.bucket} >= ${fromMs} and ${t.bucket} < ${toMs}`)
      .where(sql`${unless('provider', t.provider)} and ${unless('model', t.model)} and ${unless('source', t.source)}`)
      .groupBy(period, t.provider, t.model, t.source),
  );
}

/** PostgreSQL gives sums as text. */
function groupOf([period, provider, model, source, ...sums]: readonly unknown[], first: number): Group {
  const names = { period: first + Number(period), provider, model, source } as Pick<Group, 'period' | 'provider' | 'model' | 'source'>;
  return { ...names, ...(Object.fromEntries(sumNames.map((name, i) => [name, Number(sums[i])])) as Sums) };
}

/** The periods, the first and the last cut to what is asked. */
function spansOf(fromMs: number, toMs: number, starts: readonly number[]): Span[] {
  return starts.map((start, i) => ({ fromMs: Math.max(start, fromMs), toMs: starts[i + 1] ?? toMs }));
}

function slices(fromMs: number, toMs: number): Span[] {
  const count = Math.ceil((toMs - fromMs) / dayMs);
  return Array.from({ length: count }, (_, i) => ({ fromMs: fromMs + i * dayMs, toMs: Math.min(toMs, fromMs + (i + 1) * dayMs) }));
}

const noSums = (): Sums => Object.fromEntries(sumNames.map((name) => [name, 0])) as Sums;
function addTo(sums: Sums, more: Sums): Sums {
  for (const name of sumNames) sums[name] += more[name];
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
const ranked = (groups: readonly Group[], keyOf: (group: Group) => string): Added[] =>
  [...addBy(groups, keyOf).values()].sort((a, b) => b.sums.requests - a.sums.requests);

const modelOf = ({ provider, model }: Group): string => `${provider} ${model}`;

const partKeys = {
  model: { of: modelOf, names: ({ provider, model }: Group) => ({ provider, model: model || null }) },
  provider: { of: ({ provider }: Group): string => provider, names: ({ provider }: Group) => ({ provider }) },
  keySource: { of: ({ source }: Group): string => source, names: ({ source }: Group) => ({ keySource: source }) },
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

function shown({ costNanoUsd, ...counts }: Sums): UsageTotals {
  const { requests, inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens, totalTokens } = counts;
  return {
    ...{ requests, inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens, totalTokens },
    ...{ estimatedCostUsd: toUsd(costNanoUsd), unpricedRequests: counts.unpricedRequests, unmeasuredRequests: counts.unmeasuredRequests },
  };
}

const instant = (ms: number): string => new Date(ms).toISOString();
