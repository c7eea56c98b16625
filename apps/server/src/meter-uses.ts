/**
 * How often each key was opened for a request: counted by the hour and the token, in the batch that writes the request's row, and told to the
 * key's owner. A day begins with the first hour that begins in it: where midnight is not on the hour (India), its first half hour is yesterday's.
 */
import { type KeyUse, type KeyUses, type KeyUsesQuery, providerIds } from '@synthstack/core';
import { type Addend, type Db, prepared, statement } from '@synthstack/core/db';
import { and, desc, eq, gte, inArray, lt, max, type SQL, sql, sum } from 'drizzle-orm';
import type { OpenRequest } from './meter.ts';
import type { Clock } from './ports/clock.ts';
import { dayOf, dayStart, shiftDays, startOfDay } from './zone.ts';

const hourMs = 3_600_000;
const keptMs = 90 * 24 * hourMs;
const mostAtOnce = 1_000;
const mostOfADay = 200;

export type UsedRequest = Pick<OpenRequest, 'userId' | 'provider' | 'tokenId' | 'startedAt'>;

/** @returns a function that makes what adds one use of a key, for the list of the request that it was opened for */
export function createUseCounter(db: Db) {
  const { keyUse } = db.tables;
  const hole = (name: string) => sql.placeholder(name) as never;
  const add = prepared<Record<string, unknown>>(
    db.orm
      .insert(keyUse)
      .values({
        ...{ userId: hole('userId'), provider: hole('provider'), hour: hole('hour'), keyId: hole('keyId'), tokenId: hole('tokenId') },
        ...{ uses: hole('uses'), lastAt: hole('lastAt') },
      })
      .onConflictDoUpdate({
        target: [keyUse.userId, keyUse.provider, keyUse.hour, keyUse.keyId, keyUse.tokenId],
        set: {
          uses: sql`${keyUse.uses} + excluded.uses`,
          lastAt: sql`case when excluded.last_at > ${keyUse.lastAt} then excluded.last_at else ${keyUse.lastAt} end`,
        },
      }),
  );

  return function useOf({ userId, provider, tokenId, startedAt }: UsedRequest, keyId: string): Addend {
    // By the second, so that a busy key's are one write a batch; and each row is that of one place, so nothing more is to be merged.
    const lastAt = startedAt - (startedAt % 1_000);
    const token = tokenId ?? '';
    return {
      place: `use ${keyId} ${token} ${lastAt}`,
      amounts: one,
      statements: ([uses]) => [add({ userId, provider, hour: lastAt - (lastAt % hourMs), keyId, tokenId: token, uses, lastAt })],
    };
  };
}

const one = [1];

export function createUses({ db, clock }: { db: Db; clock: Clock }) {
  const { keyUse, gatewayToken, providerKey } = db.tables;

  /** The uses of the hours that begin in `[from, below)`, one line a key and token. */
  async function usesOf(where: SQL | undefined, fromMs: number, belowMs: number, day: string): Promise<KeyUse[]> {
    const { provider, keyId, tokenId } = keyUse;
    const lastAt = max(keyUse.lastAt);
    const rows = await db.orm
      .select({ provider, keyId, tokenId, uses: sum(keyUse.uses), lastAt, token: gatewayToken.name, keyHint: providerKey.keyHint })
      .from(keyUse)
      .leftJoin(gatewayToken, and(eq(gatewayToken.id, tokenId), eq(gatewayToken.userId, keyUse.userId)))
      .leftJoin(providerKey, and(eq(providerKey.id, keyId), eq(providerKey.owner, keyUse.userId)))
      .where(and(where, gte(keyUse.hour, fromMs), lt(keyUse.hour, belowMs)))
      .groupBy(provider, keyId, tokenId, gatewayToken.name, providerKey.keyHint)
      .orderBy(desc(lastAt), keyId, tokenId)
      .limit(mostOfADay);
    return rows.map((row) => ({
      ...{ day, provider: row.provider, keyId: row.keyId, keyHint: row.keyHint, uses: Number(row.uses) },
      token: row.tokenId === '' ? null : { id: row.tokenId, name: row.token },
      lastAt: new Date(Number(row.lastAt)).toISOString(),
    }));
  }

  return {
    /** How often a person's keys were opened for a request, by day, key and token. */
    async uses(userId: string, { provider, timezone, days, before }: KeyUsesQuery): Promise<KeyUses> {
      // All of them are named, so that the hours are found by the primary key.
      const where = and(eq(keyUse.userId, userId), inArray(keyUse.provider, provider ? [provider] : [...providerIds]));
      const today = dayStart(clock.now(), timezone);
      let below = before === undefined ? shiftDays(today, 1, timezone) : startOfDay(before, timezone);
      const uses: KeyUse[] = [];
      for (let shown = 0; shown < days; shown += 1) {
        const from = shiftDays(below, -1, timezone);
        uses.push(...(await usesOf(where, from, below, dayOf(from, timezone))));
        below = from;
      }
      // Days without any are passed over.
      const [older] = await db.orm
        .select({ hour: max(keyUse.hour) })
        .from(keyUse)
        .where(and(where, lt(keyUse.hour, below)));
      const next = older?.hour == null ? null : shiftDays(dayStart(Number(older.hour), timezone), 1, timezone);
      return { today: dayOf(today, timezone), uses, nextBefore: next === null ? null : dayOf(next, timezone) };
    },

    /** Deletes what is older than 90 days, some at a time. @returns how many */
    async forgetOldUses(): Promise<number> {
      const old = sql`select user_id, provider, hour, key_id, token_id from ${keyUse} where hour < ${clock.now() - keptMs} limit ${mostAtOnce}`;
      const [result] = await db.commit([
        statement(db.orm.delete(keyUse).where(sql`(user_id, provider, hour, key_id, token_id) in (${old})`)),
      ]);
      return result?.changes ?? 0;
    },
  };
}
