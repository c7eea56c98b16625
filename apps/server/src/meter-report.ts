/** What people see of their usage: reports from the sums, and the export of single requests. */
import { toUsd, type UsageQuery, type UsageReport, type UsageTotals } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { and, asc, eq, gt, gte, lt, type SQL, sql } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';
import { bucketMs, idAt, requestIdOf } from './meter.ts';
import type { Clock } from './ports/clock.ts';
import { daysAgo, periodStarts } from './zone.ts';

const exportPage = 1_000;

export function createReports({ db, clock }: { db: Db; clock: Clock }) {
  const { usageUser, request } = db.tables;

  const sumOf = (column: SQLiteColumn): SQL<number> => sql<number>`coalesce(sum(${column}), 0)`.mapWith(Number);
  const sums = {
    requests: sumOf(usageUser.requests),
    inputTokens: sumOf(usageUser.inputTokens),
    cachedInputTokens: sumOf(usageUser.cachedInputTokens),
    cacheWriteTokens: sumOf(usageUser.cacheWriteTokens),
    outputTokens: sumOf(usageUser.outputTokens),
    reasoningTokens: sumOf(usageUser.reasoningTokens),
    totalTokens: sumOf(usageUser.totalTokens),
    costNanoUsd: sumOf(usageUser.costNanoUsd),
    unpricedRequests: sumOf(usageUser.unpricedRequests),
    unmeasuredRequests: sumOf(usageUser.unmeasuredRequests),
  };

  return {
    /** The sums of a range, which is widened to whole 15-minute buckets. Costs the same after 100 requests and after 100 million. */
    async report(userId: string, query: UsageQuery): Promise<UsageReport> {
      const { fromMs, toMs } = rangeOf(query, clock.now());
      const inRange = and(eq(usageUser.userId, userId), gte(usageUser.bucket, fromMs), lt(usageUser.bucket, toMs));
      const [buckets, groups] = await Promise.all([
        db.orm
          .select({ bucket: usageUser.bucket, ...sums })
          .from(usageUser)
          .where(inRange)
          .groupBy(usageUser.bucket)
          .orderBy(asc(usageUser.bucket)),
        db.orm
          .select({ provider: usageUser.provider, model: usageUser.model, source: usageUser.source, ...sums })
          .from(usageUser)
          .where(inRange)
          .groupBy(usageUser.provider, usageUser.model, usageUser.source),
      ]);
      return {
        from: new Date(fromMs).toISOString(),
        to: new Date(toMs).toISOString(),
        timezone: query.timezone,
        totals: shown(addAll(groups)),
        series: seriesOf(buckets, periodStarts(fromMs, toMs, query.timezone, query.groupBy)),
        byModel: grouped(
          groups,
          (row) => `${row.provider} ${row.model}`,
          (row) => ({ provider: row.provider, model: row.model || null }),
        ),
        byProvider: grouped(
          groups,
          (row) => row.provider,
          (row) => ({ provider: row.provider }),
        ),
        byKeySource: grouped(
          groups,
          (row) => row.source,
          (row) => ({ keySource: row.source }),
        ),
      };
    },

    /** Every request of a range, oldest first, as the lines of a CSV file (RFC 4180), a page of the table at a time. */
    async *exportCsv(userId: string, range: { from: string; to: string }): AsyncGenerator<string> {
      yield csvLine(csvColumns.map(([name]) => name));
      const toId = idAt(Date.parse(range.to));
      for (let after = idAt(Date.parse(range.from)) - 1; ; ) {
        const rows = await db.orm
          .select()
          .from(request)
          .where(and(eq(request.userId, userId), gt(request.id, after), lt(request.id, toId)))
          .orderBy(asc(request.id))
          .limit(exportPage);
        if (rows.length > 0) yield rows.map((row) => csvLine(csvColumns.map(([, value]) => value(row)))).join('');
        const last = rows.at(-1);
        if (!last || rows.length < exportPage) return;
        after = last.id;
      }
    },
  };
}

type Sums = { -readonly [Name in keyof typeof noSums]: number };
const noSums = {
  requests: 0,
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  totalTokens: 0,
  costNanoUsd: 0,
  unpricedRequests: 0,
  unmeasuredRequests: 0,
};

const add = (a: Sums, b: Sums): Sums =>
  Object.fromEntries(Object.keys(noSums).map((name) => [name, a[name as keyof Sums] + b[name as keyof Sums]])) as Sums;
const addAll = (rows: readonly Sums[]): Sums => rows.reduce<Sums>(add, noSums);
const shown = ({ costNanoUsd, ...counts }: Sums): UsageTotals => ({ ...pick(counts), estimatedCostUsd: toUsd(costNanoUsd) });
const pick = (counts: Omit<Sums, 'costNanoUsd'>) =>
  Object.fromEntries(
    Object.keys(noSums)
      .filter((name) => name !== 'costNanoUsd')
      .map((name) => [name, counts[name as keyof typeof counts]]),
  ) as Omit<Sums, 'costNanoUsd'>;

/** Rows summed by a key, the most requests first. */
function grouped<Row extends Sums, Names>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  namesOf: (row: Row) => Names,
): (Names & UsageTotals)[] {
  const groups = [...Map.groupBy(rows, keyOf).values()].map((group) => ({ names: namesOf(group[0] as Row), sums: addAll(group) }));
  return groups.sort((a, b) => b.sums.requests - a.sums.requests).map(({ names, sums }) => ({ ...names, ...shown(sums) }));
}

/** One entry a period, also where nothing happened. `buckets` and `starts` are in order. */
function seriesOf(buckets: readonly (Sums & { bucket: number })[], starts: readonly number[]): (UsageTotals & { start: string })[] {
  const series = starts.map((start) => ({ start, sums: noSums as Sums }));
  let i = 0;
  for (const bucket of buckets) {
    while (i + 1 < series.length && (starts[i + 1] ?? Number.POSITIVE_INFINITY) <= bucket.bucket) i += 1;
    const period = series[i];
    if (period) period.sums = add(period.sums, bucket);
  }
  return series.map(({ start, sums }) => ({ start: new Date(start).toISOString(), ...shown(sums) }));
}

function rangeOf(query: UsageQuery, nowMs: number): { fromMs: number; toMs: number } {
  const roundUp = (ms: number) => Math.ceil(ms / bucketMs) * bucketMs;
  if (query.from && query.to)
    return { fromMs: Math.floor(Date.parse(query.from) / bucketMs) * bucketMs, toMs: roundUp(Date.parse(query.to)) };
  return { fromMs: daysAgo(nowMs, query.days ?? 30, query.timezone), toMs: roundUp(nowMs + 1) };
}

type Row = Db['tables']['request']['$inferSelect'];
type Cell = string | number | boolean | null;

const csvColumns: readonly [name: string, value: (row: Row) => Cell][] = [
  ['request_id', (row) => requestIdOf(row.id)],
  ['started_at', (row) => new Date(row.startedAt).toISOString()],
  ['ended_at', (row) => (row.endedAt === null ? null : new Date(row.endedAt).toISOString())],
  ['provider', (row) => row.provider],
  ['route', (row) => row.route],
  ['model', (row) => row.model],
  ['key_source', (row) => row.source],
  ['fallback_reason', (row) => row.fallbackReason],
  ['streamed', (row) => row.streamed],
  ['state', (row) => row.state],
  ['status', (row) => row.status],
  ['error_code', (row) => row.errorCode],
  ['input_tokens', (row) => row.inputTokens],
  ['cached_input_tokens', (row) => row.cachedInputTokens],
  ['cache_write_tokens', (row) => row.cacheWriteTokens],
  ['output_tokens', (row) => row.outputTokens],
  ['reasoning_tokens', (row) => row.reasoningTokens],
  ['total_tokens', (row) => row.totalTokens],
  ['estimated_cost_usd', (row) => toUsd(row.costNanoUsd)],
  ['usage_estimated', (row) => row.estimated],
];

const csvLine = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(',')}\r\n`;

/** A text that a spreadsheet would run as a formula is defused with an apostrophe. */
function csvCell(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell);
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
