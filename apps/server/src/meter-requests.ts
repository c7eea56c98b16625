/**
 * Single requests: the list, newest first, and the export. A person's requests lie close together in one index; what a filter leaves
 * over is looked for in windows of it, so that a rare filter over millions of rows keeps nobody else waiting.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { toUsd, type UsageExport, type UsageRequest, type UsageRequests, type UsageRequestsQuery } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { and, asc, desc, eq, gte, isNotNull, isNull, lt, ne, or, type SQL, sql } from 'drizzle-orm';
import { type Cell, csvLine } from './csv.ts';
import { idAt, requestIdOf, startOf } from './meter.ts';
import { readRowsFrom } from './meter-retention.ts';

interface ListParts {
  db: Db;
  /** Rows that one statement looks at, and windows that one call does. */
  windowRows?: number;
  mostWindows?: number;
}

type Row = Db['tables']['request']['$inferSelect'];
interface Found {
  row: Row;
  token: string | null;
  keyHint: string | null;
}
type Filters = Pick<UsageExport, 'provider' | 'model' | 'keySource' | 'outcome'>;

export function createRequestLists({ db, windowRows = 1_000, mostWindows = 20 }: ListParts) {
  const { request, gatewayToken, providerKey } = db.tables;

  const isOk = and(eq(request.state, 'done'), gte(request.status, 200), lt(request.status, 300));
  const outcomeIs: Record<NonNullable<UsageExport['outcome']>, SQL | undefined> = {
    ok: isOk,
    failed: and(
      ne(request.state, 'open'),
      or(ne(request.state, 'done'), isNull(request.status), lt(request.status, 200), gte(request.status, 300)),
    ),
    fallback: isNotNull(request.fallbackReason),
    estimated: eq(request.estimated, true),
    // By way of the index that holds nothing else.
    open: sql`${request.id} in (select id from ${request} where state = 'open')`,
  };

  /** undefined: everything is wanted. */
  function wanted({ provider, model, keySource, outcome }: Filters): SQL | undefined {
    return and(
      provider && eq(request.provider, provider),
      model === undefined ? undefined : model === '' ? or(isNull(request.model), eq(request.model, '')) : eq(request.model, model),
      keySource && eq(request.source, keySource),
      outcome && outcomeIs[outcome],
    );
  }

  /** Ids from `from`, below `below`. */
  const between = (userId: string, from: number, below: number) =>
    and(eq(request.userId, userId), gte(request.id, from), lt(request.id, below));

  /** The id with which a window ends, seen from one of its ends. null: there are fewer rows than it may hold. */
  async function windowEnd(userId: string, from: number, below: number, order: SQL): Promise<number | null> {
    const [row] = await db.orm
      .select({ id: request.id })
      .from(request)
      .where(between(userId, from, below))
      .orderBy(order)
      .limit(1)
      .offset(windowRows - 1);
    return row?.id ?? null;
  }

  /** The newest of them, with the names of what they were made with, as far as that is still there and the caller's. */
  const pick = (where: SQL | undefined, limit: number): Promise<Found[]> =>
    db.orm
      .select({ row: request, token: gatewayToken.name, keyHint: providerKey.keyHint })
      .from(request)
      .leftJoin(gatewayToken, and(eq(gatewayToken.id, request.tokenId), eq(gatewayToken.userId, request.userId)))
      .leftJoin(providerKey, and(eq(providerKey.id, request.keyId), eq(providerKey.owner, request.userId)))
      .where(where)
      .orderBy(desc(request.id))
      .limit(limit);

  /** From when on there are rows; null: from the beginning. */
  async function rowsFrom(): Promise<string | null> {
    const fromMs = await readRowsFrom(db);
    return fromMs === null ? null : new Date(fromMs).toISOString();
  }

  return {
    rowsFrom,

    /** A page of the list. Looks at so many windows at most, and says how far that was. */
    async requests(userId: string, query: UsageRequestsQuery): Promise<UsageRequests> {
      const filter = wanted(query);
      const from = idAt(Date.parse(query.from));
      let below = Math.min(
        idAt(Date.parse(query.to)),
        query.cursor === undefined ? Number.POSITIVE_INFINITY : Number.parseInt(query.cursor, 36),
      );
      const found: Found[] = [];
      for (let looked = 0; looked < mostWindows && found.length <= query.limit; looked += 1) {
        if (looked > 0) await turn();
        // Without a filter, every row that is looked at is one of the page.
        const end = filter ? await windowEnd(userId, from, below, desc(request.id)) : null;
        const where = and(between(userId, end ?? from, below), filter);
        found.push(...(await pick(where, query.limit + 1 - found.length)));
        if (end === null && found.length <= query.limit)
          return {
            requests: found.map(viewOf),
            nextCursor: null,
            searchedTo: new Date(query.from).toISOString(),
            rowsFrom: await rowsFrom(),
          };
        below = end ?? below;
      }
      const page = found.slice(0, query.limit);
      // One more was found than is shown: the next page begins with it.
      const reached = found.length > page.length ? (page.at(-1)?.row.id ?? below) : below;
      return {
        requests: page.map(viewOf),
        nextCursor: reached.toString(36),
        searchedTo: new Date(startOf(reached)).toISOString(),
        rowsFrom: await rowsFrom(),
      };
    },

    /** Every request of a range, oldest first, as the lines of a CSV file (RFC 4180), a window of the table at a time. */
    async *exportCsv(userId: string, query: UsageExport): AsyncGenerator<string> {
      yield csvLine(csvColumns.map(([name]) => name));
      const filter = wanted(query);
      const below = idAt(Date.parse(query.to));
      for (let from = idAt(Date.parse(query.from)); ; ) {
        const end = await windowEnd(userId, from, below, asc(request.id));
        const rows = await db.orm
          .select()
          .from(request)
          .where(and(between(userId, from, end === null ? below : end + 1), filter))
          .orderBy(asc(request.id));
        if (rows.length > 0) yield rows.map((row) => csvLine(csvColumns.map(([, value]) => value(row)))).join('');
        if (end === null) return;
        from = end + 1;
        // Where nothing is yielded, nobody else would get a turn.
        await turn();
      }
    },
  };
}

function viewOf({ row, token, keyHint }: Found): UsageRequest {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens, totalTokens } = row;
  return {
    id: requestIdOf(row.id),
    startedAt: new Date(row.startedAt).toISOString(),
    // Clocks can be set back.
    durationMs: row.endedAt === null ? null : Math.max(0, row.endedAt - row.startedAt),
    ...{ provider: row.provider, route: row.route, model: row.model, keySource: row.source, fallbackReason: row.fallbackReason },
    ...{ streamed: row.streamed, state: row.state, status: row.status, errorCode: row.errorCode },
    ...{ inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens, totalTokens },
    estimatedCostUsd: toUsd(row.costNanoUsd),
    estimated: row.estimated,
    token: token === null ? null : { name: token },
    keyHint,
  };
}

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
