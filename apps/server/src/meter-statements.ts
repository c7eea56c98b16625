/** The meter's statements: every write of the path on which the product lives, made once and only filled for each request. */
import { type Db, prepared } from '@synthstack/core/db';
import { and, eq, type SQL, sql } from 'drizzle-orm';

const countNames = [
  'inputTokens',
  'cachedInputTokens',
  'cacheWriteTokens',
  'cacheWrite1hTokens',
  'audioInputTokens',
  'outputTokens',
  'reasoningTokens',
  'audioOutputTokens',
  'totalTokens',
];

export type Statements = ReturnType<typeof prepareStatements>;

/** In the order in which the meter tells the amounts. */
export const sumNames = [
  'requests',
  'inputTokens',
  'cachedInputTokens',
  'cacheWriteTokens',
  'outputTokens',
  'reasoningTokens',
  'totalTokens',
  'costNanoUsd',
  'unpricedRequests',
  'unmeasuredRequests',
] as const;

export function prepareStatements(db: Db) {
  const { request, usageUser, usageTotal, usageUserDay, keyTotals } = db.tables;
  const hole = (name: string) => sql.placeholder(name) as never;
  const holes = <Names extends readonly string[]>(names: Names) => Object.fromEntries(names.map((name) => [name, hole(name)])) as never;

  const opening = [
    'id',
    'bootId',
    'userId',
    'tier',
    'tokenId',
    'keyId',
    'firstKeyId',
    'provider',
    'route',
    'model',
    'source',
    'fallbackReason',
    'streamed',
    'slotAt',
    'startedAt',
  ];
  const closing = [
    'state',
    'status',
    'errorCode',
    'estimated',
    'model',
    'source',
    'keyId',
    'fallbackReason',
    'slotAt',
    'costNanoUsd',
    'firstByteAt',
    'endedAt',
    ...countNames,
  ];

  const close = (where: SQL | undefined) => db.orm.update(request).set(holes(closing)).where(where);
  const adder = (table: typeof usageUser | typeof usageTotal | typeof usageUserDay, key: readonly string[]) => {
    const columns = table as unknown as Record<string, never>;
    const excluded = (name: string) => sql.raw(`excluded."${(columns[name] as unknown as { name: string }).name}"`);
    return prepared<Record<string, unknown>>(
      db.orm
        .insert(table)
        .values(holes([...key, ...sumNames]))
        .onConflictDoUpdate({
          target: key.map((name) => columns[name]) as never,
          set: Object.fromEntries(sumNames.map((name) => [name, sql`${columns[name]} + ${excluded(name)}`])) as never,
        }),
      sumNames,
    );
  };

  return {
    open: prepared<Record<string, unknown>>(db.orm.insert(request).values({ ...(holes(opening) as object), state: 'open' } as never)),
    reroute: prepared<Record<string, unknown>>(
      db.orm
        .update(request)
        .set(holes(['keyId', 'source', 'fallbackReason', 'slotAt']))
        .where(eq(request.id, hole('id'))),
    ),
    close: prepared<Record<string, unknown>>(close(eq(request.id, hole('id')))),
    /** Opened and closed at once. */
    openClosed: prepared<Record<string, unknown>>(db.orm.insert(request).values(holes([...new Set([...opening, ...closing])]))),
    /** For a second try: the first may have reached the disk although nobody could say so. */
    closeOnce: prepared<Record<string, unknown>>(close(and(eq(request.id, hole('id')), eq(request.state, 'open')))),
    sumUser: adder(usageUser, ['userId', 'bucket', 'provider', 'model', 'source', 'keyId']),
    sumTotal: adder(usageTotal, ['bucket', 'provider', 'model', 'source', 'tier']),
    sumUserDay: adder(usageUserDay, ['day', 'userId', 'source']),
    sumKey: prepared<Record<string, unknown>>(
      db.orm
        .insert(keyTotals)
        .values(holes(['owner', 'provider', 'position', 'requests', 'totalTokens', 'costNanoUsd', 'unpricedRequests', 'lastUsedAt']))
        .onConflictDoUpdate({
          target: [keyTotals.owner, keyTotals.provider, keyTotals.position],
          set: {
            requests: sql`${keyTotals.requests} + excluded.requests`,
            totalTokens: sql`${keyTotals.totalTokens} + excluded.total_tokens`,
            costNanoUsd: sql`${keyTotals.costNanoUsd} + excluded.cost_nano_usd`,
            unpricedRequests: sql`${keyTotals.unpricedRequests} + excluded.unpriced_requests`,
            lastUsedAt: sql`excluded.last_used_at`,
          },
        }),
      sumNames,
    ),
  };
}
