/**
 * Usage: every AI request is one row, opened before its answer begins and settled before its answer ends. The sums that
 * people see are kept in the same transaction as the row, in 15-minute buckets on which every time zone's midnight falls.
 */
import {
  costNanoUsd,
  type FallbackReason,
  type KeySource,
  type ModelPrice,
  type ProviderId,
  type TierName,
  toAppError,
} from '@synthstack/core';
import { type Addend, atomically, type Db, type List, must, type RequestState } from '@synthstack/core/db';
import { and, eq, gte, inArray, isNotNull } from 'drizzle-orm';
import type { Boot } from './boot.ts';
import type { Budgets, Hold } from './budgets.ts';
import { createOpenings, type Recording } from './meter-openings.ts';
import { createReports } from './meter-report.ts';
import { createRequestLists } from './meter-requests.ts';
import { prepareStatements, type Statements, sumNames } from './meter-statements.ts';
import { createUseCounter, createUses } from './meter-uses.ts';
import type { Clock } from './ports/clock.ts';
import type { Usage } from './providers/provider.ts';

export const bucketMs = 15 * 60_000;
const dayMs = 86_400_000;
const maxOwed = 10_000;

/** What is known when a request begins. */
export interface OpenRequest {
  id: number;
  userId: string;
  tier: TierName;
  tokenId: string | null;
  provider: ProviderId;
  route: string;
  model: string | null;
  streamed: boolean;
  /** The key that the first attempt uses, and the one that the present attempt uses; null: the platform's. */
  firstKeyId: string | null;
  keyId: string | null;
  /** The place of that key among its owner's of this provider (provider_key.position). */
  keyPosition: number;
  /** What the present attempt may cost at most, set aside in its key's budget; null: nothing. */
  hold: Hold | null;
  source: KeySource;
  fallbackReason: FallbackReason | null;
  /** When a platform attempt took its place in the limits, in ms. */
  slotAt: number | null;
  startedAt: number;
  /** The key that had been opened when its row began its way to the disk, which counts its use (`begin`). */
  openedKeyId?: string | null;
}

export interface Settlement {
  state: Exclude<RequestState, 'open'>;
  /** What the caller got; null: nothing, it had left. */
  status: number | null;
  errorCode: string | null;
  usage: Usage | null;
  /** The usage was worked out, not told. */
  estimated: boolean;
  firstByteAt: number | null;
}

export interface MeterParts {
  db: Db;
  clock: Clock;
  boot: Pick<Boot, 'id' | 'slot'>;
  /** The price of a model at a time. */
  price(provider: ProviderId, model: string, atMs: number): ModelPrice | null;
  /** What is spent of budgets is written with the row. */
  budgets?: Pick<Budgets, 'settlement' | 'settled'>;
  /** How long an opened row may wait for company or for its end, in ms; 0: it leaves at once. */
  holdMs?: number;
  /** Hears of each row that leaves for the disk open, and of each that has been closed there. */
  changed?(userId: string): void;
}

export type Meter = ReturnType<typeof createMeter>;

export function createMeter({ db, clock, boot, price, budgets, holdMs = 0, changed = () => undefined }: MeterParts) {
  const statements = prepareStatements(db);
  const useOf = createUseCounter(db);
  /** The key that its row counts as opened, as a list of none or one. */
  const firstUse = (request: OpenRequest): Addend[] => (request.openedKeyId == null ? [] : [useOf(request, request.openedKeyId)]);
  const ids = createIds(clock, boot.slot);
  /** Rows that could not be settled for lack of disk, by id: they are as soon as another row can be written. */
  const owed = new Map<number, List>();
  const openings = createOpenings({ db, clock, holdMs, landed: () => void (owed.size > 0 && payOwed()) });

  async function payOwed(): Promise<void> {
    const debts = [...owed];
    owed.clear();
    for (const [id, list] of debts) {
      await db.commit(list).catch((error: unknown) => {
        // A conflict: it had reached the disk after all.
        if (toAppError(error).code === 'storage_unavailable' && !owed.has(id)) owed.set(id, list);
      });
    }
  }

  return {
    /** A time-ordered id, unique among all processes of this database. */
    newId: ids.next,

    /** Opens the row, which reaches the disk by and by, or when somebody waits for it; with it the use of its key, which has been opened. */
    begin(request: OpenRequest): Recording {
      // The row may name another key by the time that it leaves.
      request.openedKeyId = request.keyId;
      return openings.begin(request.id, () => {
        changed(request.userId);
        return [statements.open({ ...request, bootId: boot.id }), ...firstUse(request)];
      });
    },

    /** A key was opened for a request that leaves no row. @throws AppError `storage_unavailable` */
    async countUse(request: OpenRequest): Promise<void> {
      if (request.keyId !== null) await db.commit([useOf(request, request.keyId)]);
    },

    /** Opens the row. @throws AppError `storage_unavailable`, and then no answer may begin */
    record(request: OpenRequest): Promise<void> {
      return this.begin(request).onDisk();
    },

    /** Another attempt of the same request: its row says so before that attempt is dispatched. */
    async reroute(request: OpenRequest): Promise<void> {
      await db.commit([statements.reroute({ ...request }), ...(request.keyId === null ? [] : [useOf(request, request.keyId)])]);
    },

    /**
     * Closes the row, whether or not it has reached the disk yet, and adds it to the sums, both once, also if it is called again because
     * it failed.
     * @throws AppError `storage_unavailable`, `conflict`: there is no open row; and then the answer may not end as complete
     */
    async settle(request: OpenRequest, settlement: Settlement): Promise<Settled> {
      const closed = closedOf(request, settlement, { price, clock, boot });
      const sums: Addend[] = closed.answered || settlement.usage ? [addendOf(statements, closed)] : [];
      const spent = budgets?.settlement(closed) ?? [];
      try {
        const inOne = openings.closeUnsent(request.id, () => [statements.openClosed(closed), ...firstUse(request), ...spent, ...sums]);
        const close = owed.has(request.id) ? statements.closeOnce : statements.close;
        await (inOne ?? db.commit([must(close(closed)), ...spent, ...sums]));
        owed.delete(request.id);
        changed(request.userId);
        budgets?.settled(closed);
        return closed;
      } catch (error) {
        if (owed.size < maxOwed || owed.has(request.id)) owed.set(request.id, [must(statements.closeOnce(closed)), ...spent, ...sums]);
        throw error;
      }
    },

    /** Closes the rows that processes left open when they died. @returns how many */
    async settleDead(bootIds: readonly string[]): Promise<number> {
      if (bootIds.length === 0) return 0;
      const { request } = db.tables;
      const [result] = await atomically(db, (tx) => [
        tx
          .update(request)
          .set({ state: 'failed', errorCode: 'server_stopped', endedAt: clock.now() })
          .where(and(eq(request.state, 'open'), inArray(request.bootId, [...bootIds]))),
      ]);
      return result?.changes ?? 0;
    },

    /**
     * The places in the limits that were taken since the start of a day, and in the minute before it, oldest first, from which limits.ts starts.
     * `fellBack`: in place of a key of the user's own.
     */
    async slotsSince(dayStartMs: number): Promise<{ userId: string; at: number; fellBack: boolean }[]> {
      const { request } = db.tables;
      // At midnight the day begins anew, but not the minute.
      const sinceMs = dayStartMs - 60_000;
      const rows = await db.orm
        .select({ userId: request.userId, at: request.slotAt, reason: request.fallbackReason })
        .from(request)
        .where(and(gte(request.id, idAt(sinceMs - dayMs / 24)), isNotNull(request.slotAt), gte(request.slotAt, sinceMs)))
        .orderBy(request.slotAt);
      return rows.map((row) => ({ userId: row.userId, at: Number(row.at), fellBack: row.reason !== null }));
    },

    ...createReports({ db, clock, price }),
    ...createRequestLists({ db }),
    ...createUses({ db, clock }),
  };
}

/** A model as rows name it: what callers and providers call one may be of any length, and PostgreSQL takes no NUL. */
export const modelNameOf = (model: string): string => model.slice(0, 200).replaceAll('\0', '\ufffd');

/** The id that people see and support asks for. */
export const requestIdOf = (id: number): string => `req_${id.toString(36)}`;

/** The lowest id of a moment: time since 2026 in ms, then 12 bits for slot and sequence. */
export const idAt = (ms: number): number => Math.max(0, ms - idEpochMs) * 4_096;
/** The moment at which the request of an id began: rows found by id and sums by time are the same requests. */
export const startOf = (id: number): number => Math.floor(id / 4_096) + idEpochMs;
const idEpochMs = Date.UTC(2026, 0, 1);

/** Ids of one process only rise: a clock that is set back makes them borrow from the future. */
function createIds(clock: Clock, slot: number) {
  let lastMs = 0;
  let sequence = 0;
  return {
    next(): number {
      const now = clock.now();
      if (now > lastMs) {
        lastMs = now;
        sequence = 0;
      } else {
        sequence += 1;
        if (sequence === 128) {
          lastMs += 1;
          sequence = 0;
        }
      }
      return idAt(lastMs) + slot * 128 + sequence;
    },
  };
}

/** A request as its closed row has it. */
export type Settled = ReturnType<typeof closedOf>;

/** The row as it will stand. Every field is named: copying objects into one another costs more than all the rest of this file. */
function closedOf(request: OpenRequest, settlement: Settlement, { price, clock, boot }: Pick<MeterParts, 'price' | 'clock' | 'boot'>) {
  const { usage } = settlement;
  const tokens = usage?.tokens;
  const model = request.model ?? (usage?.model == null ? null : modelNameOf(usage.model));
  const modelPrice = usage && priceOf(price, request, usage.model, model);
  return {
    id: request.id,
    bootId: boot.id,
    userId: request.userId,
    tier: request.tier,
    tokenId: request.tokenId,
    keyId: request.keyId,
    keyPosition: request.keyPosition,
    hold: request.hold,
    firstKeyId: request.firstKeyId,
    provider: request.provider,
    route: request.route,
    model,
    source: request.source,
    fallbackReason: request.fallbackReason,
    streamed: request.streamed,
    slotAt: request.slotAt,
    startedAt: request.startedAt,
    state: settlement.state,
    status: settlement.status,
    errorCode: settlement.errorCode,
    estimated: settlement.estimated,
    firstByteAt: settlement.firstByteAt,
    endedAt: clock.now(),
    inputTokens: tokens?.input ?? null,
    cachedInputTokens: tokens?.cachedInput ?? null,
    cacheWriteTokens: tokens?.cacheWrite ?? null,
    cacheWrite1hTokens: tokens?.cacheWrite1h ?? null,
    audioInputTokens: tokens?.audioInput ?? null,
    outputTokens: tokens?.output ?? null,
    reasoningTokens: tokens?.reasoning ?? null,
    audioOutputTokens: tokens?.audioOutput ?? null,
    totalTokens: usage?.total ?? null,
    // What used no tokens costs nothing, whatever the model.
    costNanoUsd: usage && modelPrice ? costNanoUsd(usage.tokens, modelPrice) : usage?.total === 0 ? 0 : null,
    // Only an answer that began counts as a request; what a caller that left early has used all the same counts as tokens.
    answered: isAnswer(settlement),
  };
}

/** The answering model's own price, or that of the model asked for: answers name dated versions, which may be newer than the price list. */
function priceOf(price: MeterParts['price'], { provider, startedAt }: OpenRequest, ...models: (string | null)[]): ModelPrice | null {
  for (const model of models) {
    const found = model === null ? null : price(provider, model, startedAt);
    if (found) return found;
  }
  return null;
}

export function isAnswer({ status, firstByteAt }: Pick<Settlement, 'status' | 'firstByteAt'>): boolean {
  return status !== null && status >= 200 && status < 300 && firstByteAt !== null;
}

/** What a request adds to all of its sums, by the place that they have in common: its statements are made once a batch, not once a request. */
function addendOf(statements: Statements, closed: Settled): Addend {
  const { answered, costNanoUsd: cost } = closed;
  const place = placeOf(closed, closed.model);
  const lastUsedAt = wholeSecond(closed.endedAt);
  return {
    // The model last: it is the only one of these that a stranger may fill with anything.
    place: `${place.userId} ${place.keyId} ${closed.keyPosition} ${place.bucket} ${lastUsedAt} ${place.provider} ${place.source} ${place.tier} ${place.model}`,
    amounts: [
      answered ? 1 : 0,
      closed.inputTokens ?? 0,
      closed.cachedInputTokens ?? 0,
      closed.cacheWriteTokens ?? 0,
      closed.outputTokens ?? 0,
      closed.reasoningTokens ?? 0,
      closed.totalTokens ?? 0,
      cost ?? 0,
      answered && cost === null ? 1 : 0,
      closed.totalTokens === null ? 1 : 0,
    ],
    statements(amounts) {
      const values: Record<string, unknown> = { ...place, owner: place.userId, position: closed.keyPosition, lastUsedAt };
      sumNames.forEach((name, i) => {
        values[name] = amounts[i];
      });
      const list = [statements.sumUser(values), statements.sumTotal(values), statements.sumUserDay(values)];
      if (closed.source === 'user') list.push(statements.sumKey(values));
      return list;
    },
  };
}

export type Place = ReturnType<typeof placeOf>;

/** Which sums a request belongs to: those of the moment at which it began, as its row does, so that reports and rows agree. */
export function placeOf(
  request: Pick<OpenRequest, 'userId' | 'startedAt' | 'provider' | 'source' | 'keyId' | 'tier'>,
  model: string | null,
) {
  return {
    userId: request.userId,
    bucket: Math.floor(request.startedAt / bucketMs) * bucketMs,
    day: Math.floor(request.startedAt / dayMs) * dayMs,
    provider: request.provider,
    model: model ?? '',
    source: request.source,
    keyId: request.keyId ?? '',
    tier: request.tier,
  };
}

/** So that a busy key's totals are one write a batch. */
const wholeSecond = (ms: number): number => Math.floor(ms / 1_000) * 1_000;
