/**
 * Unknown is not zero, and need not stay unknown: requests of models that had no price when they were made are priced once there is
 * one, by a release or by whoever runs the server, at what it was when they were made. Rows and sums change in one transaction, and a row only while it has no cost, so that
 * being stopped half-way, or two processes at once, can neither lose a request nor count one twice.
 */
import { AppError, costNanoUsd, type ModelPrice, type ProviderId } from '@synthstack/core';
import { type Db, must, prepared, type Statement } from '@synthstack/core/db';
import { and, asc, eq, gt, isNull, type SQL, sql } from 'drizzle-orm';
import type { Budgets } from './budgets.ts';
import { isAnswer, type Place, placeOf } from './meter.ts';
import { dayOf, dropBlocks } from './meter-blocks.ts';
import type { Log } from './ports/log.ts';

export interface RepricingParts {
  db: Db;
  /** The price of a model at a time. */
  price(provider: ProviderId, model: string, atMs: number): ModelPrice | null;
  /** What became priced was spent of its month's budget. */
  budgets?: Pick<Budgets, 'priced'>;
  nowMs(): number;
  log: Pick<Log, 'info' | 'error'>;
  /** Rows of one transaction: a few milliseconds of the disk's time, which others wait for. */
  batchSize?: number;
}

export type Repricing = ReturnType<typeof createRepricing>;

export function createRepricing({ db, price, budgets, nowMs, log, batchSize = 200 }: RepricingParts) {
  const statements = prepareStatements(db);
  const { request } = db.tables;
  let stopped = false;

  /** The next model that has requests without a cost, in the index's order: one look-up, however many requests it has. */
  async function modelAfter(last: Model | null): Promise<Model | null> {
    const beyond = last ? sql`(${request.provider}, ${request.model}) > (${last.provider}, ${last.model})` : undefined;
    const [next] = await db.orm
      .select({ provider: request.provider, model: request.model })
      .from(request)
      .where(and(unpriced, beyond))
      .orderBy(asc(request.provider), asc(request.model))
      .limit(1);
    return next && next.model !== null ? { provider: next.provider, model: next.model } : null;
  }

  const rowsAfter = ({ provider, model }: Model, lastId: number): Promise<Row[]> =>
    db.orm
      .select()
      .from(request)
      .where(and(unpriced, eq(request.provider, provider), eq(request.model, model), gt(request.id, lastId)))
      .orderBy(asc(request.id))
      .limit(batchSize);

  async function priceModel(model: Model): Promise<number> {
    let done = 0;
    let lastId = 0;
    while (!stopped) {
      const rows = await rowsAfter(model, lastId);
      if (rows.length === 0) break;
      const priced = rows.flatMap((row) => withCost(row, price(model.provider, model.model, row.startedAt)));
      try {
        if (priced.length > 0) await db.commit(listFor(db, statements, priced, budgets));
        done += priced.length;
        lastId = rows.at(-1)?.id ?? lastId;
      } catch (error) {
        // Another process has priced one of them meanwhile, so it is at this model too, and the rest is left to it.
        if (error instanceof AppError && error.code === 'conflict') break;
        throw error;
      }
    }
    return done;
  }

  async function run(): Promise<number> {
    let done = 0;
    for (let model = await modelAfter(null); model && !stopped; model = await modelAfter(model)) {
      if (price(model.provider, model.model, nowMs())) done += await priceModel(model);
    }
    return done;
  }

  let underWay: Promise<void> | null = null;
  let isAsked = false;

  async function runWhileAsked(): Promise<void> {
    while (isAsked && !stopped) {
      isAsked = false;
      try {
        const requests = await run();
        if (requests > 0) log.info({ requests }, 'Priced requests of models whose prices are known by now');
      } catch (error) {
        if (!stopped) log.error({}, 'Requests could not be priced; the next change of a price or the next start tries again', error);
      }
    }
    underWay = null;
  }

  return {
    /** Prices what can be priced now, batch by batch. @returns how many requests. @throws AppError `storage_unavailable`; what was priced until then stays */
    run,

    /** The same, behind the back of whoever asks; asked while it runs, it runs once more. */
    wake(): void {
      isAsked = true;
      underWay ??= runWhileAsked();
    },

    /** Models with requests that wait for a price, by name. */
    async waiting(): Promise<WaitingModel[]> {
      const rows = await db.orm
        .select({ provider: request.provider, model: request.model, requests: sql<number>`count(*)` })
        .from(request)
        .where(unpriced)
        .groupBy(request.provider, request.model)
        .orderBy(asc(request.provider), asc(request.model));
      return rows.flatMap(({ provider, model, requests }) => (model === null ? [] : [{ provider, model, requests: Number(requests) }]));
    },

    /** Ends what runs after the batch under way, and waits for it. */
    async stop(): Promise<void> {
      stopped = true;
      await underWay;
    },
  };
}

export interface WaitingModel extends Model {
  requests: number;
}

interface Model {
  provider: ProviderId;
  model: string;
}
type Row = Db['tables']['request']['$inferSelect'];
type Priced = Row & { cost: number };

/** To the letter the condition of the index `request_unpriced`, without which no engine would use it. */
const unpriced = sql`cost_nano_usd is null and total_tokens is not null and model is not null and state <> 'open'`;

function withCost(row: Row, modelPrice: ModelPrice | null): Priced[] {
  if (!modelPrice) return [];
  const tokens = {
    input: row.inputTokens ?? 0,
    cachedInput: row.cachedInputTokens ?? 0,
    cacheWrite: row.cacheWriteTokens ?? 0,
    cacheWrite1h: row.cacheWrite1hTokens ?? 0,
    audioInput: row.audioInputTokens ?? 0,
    output: row.outputTokens ?? 0,
    reasoning: row.reasoningTokens ?? 0,
    audioOutput: row.audioOutputTokens ?? 0,
  };
  return [{ ...row, cost: costNanoUsd(tokens, modelPrice) }];
}

/** One transaction: each row, and what it adds to the sums, of which the batch makes one statement a row of sums. */
function listFor(db: Db, statements: Statements, rows: readonly Priced[], budgets: RepricingParts['budgets']): Statement[] {
  const days = dropBlocks(
    db,
    rows.map(({ startedAt }) => dayOf(startedAt)),
  );
  const priced = rows.flatMap((row) => {
    const { id, cost } = row;
    const added = { ...placeOf(row, row.model), cost, unpriced: isAnswer(row) ? 1 : 0 };
    const sums = row.source === 'user' ? [...statements.sums, statements.keySum] : statements.sums;
    const spent =
      budgets && row.source === 'user' && row.keyId !== null
        ? [budgets.priced({ keyId: row.keyId, startedAt: row.startedAt, costNanoUsd: cost })]
        : [];
    // Priced by somebody else since it was read: all of the list is undone.
    return [must(statements.row({ id, cost })), ...sums.map((sum) => sum(added)), ...spent];
  });
  return [...days, ...priced];
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(db: Db) {
  const { request, usageUser, usageTotal, usageUserDay, keyTotals, providerKey } = db.tables;
  const hole = (name: string) => sql.placeholder(name) as never;

  /** @param place  the columns that say which row of the sums it is, and their names in `placeOf` */
  const sum = (
    table: typeof usageUser | typeof usageTotal | typeof usageUserDay | typeof keyTotals,
    place: Readonly<Record<string, keyof Place>>,
    also?: SQL,
  ) => {
    const columns = table as unknown as Record<string, typeof usageUser.userId>;
    const is = Object.entries(place).map(([column, name]) => eq(columns[column] as typeof usageUser.userId, hole(name)));
    const added = {
      costNanoUsd: sql`${table.costNanoUsd} + ${hole('cost')}`,
      unpricedRequests: sql`${table.unpricedRequests} - ${hole('unpriced')}`,
    };
    const update = db.orm
      .update(table)
      .set(added as never)
      .where(and(...is, also));
    return prepared<Record<string, unknown>>(update, ['cost', 'unpriced']);
  };

  // A key that has been replaced or removed since was, unless its owner has several, at the first place.
  const placeOfKey = sql`coalesce((select ${providerKey.position} from ${providerKey} where ${providerKey.id} = ${hole('keyId')}), 0)`;

  return {
    row: prepared<{ id: number; cost: number }>(
      db.orm
        .update(request)
        .set({ costNanoUsd: hole('cost') })
        .where(and(eq(request.id, hole('id')), isNull(request.costNanoUsd))),
    ),
    sums: [
      sum(usageUser, same('userId', 'bucket', 'provider', 'model', 'source', 'keyId')),
      sum(usageTotal, same('bucket', 'provider', 'model', 'source', 'tier')),
      sum(usageUserDay, same('day', 'userId', 'source')),
    ],
    keySum: sum(keyTotals, { owner: 'userId', provider: 'provider' }, eq(keyTotals.position, placeOfKey)),
  };
}

const same = (...names: (keyof Place)[]): Record<string, keyof Place> => Object.fromEntries(names.map((name) => [name, name]));
