/**
 * The key before the present one: for 24 hours after it was replaced it stays as it is sealed, so that a replacement can be undone; then it
 * is deleted for good. There is at most one for each place, and those of the platform are not kept.
 */
import { AppError, type KeyView } from '@synthstack/core';
import { atomically, type Db, must, type Orm, type Statement, statement, type Tables } from '@synthstack/core/db';
import { and, asc, eq, gt, lte, type SQL } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';
import { type KeyPlace, platform, type StoredKey } from './vault-rows.ts';
import type { KeyWrites } from './vault-writes.ts';

/** A replaced key, still sealed. */
export type RetiredKey = KeyPlace & Pick<StoredKey, 'id' | 'keyHint' | 'sealed' | 'expiresAt'>;

export interface RetiredParts {
  db: Db;
  clock: Clock;
  writes: Pick<KeyWrites, 'scrub'>;
  audit(entry: AuditEntry): Statement;
}

const hourMs = 3_600_000;
const keptMs = 24 * hourMs;
const mostAtOnce = 200;

type Table = Tables['retiredKey'];

const placeIs = (t: Table, { owner, provider, position }: KeyPlace): SQL | undefined =>
  and(eq(t.owner, owner), eq(t.provider, provider), eq(t.position, position));

/** Whether it is kept: what cannot be opened could not be restored, and would only ask for its master key. */
export const isKept = (key: StoredKey): boolean => key.owner !== platform && key.status !== 'unreadable';

/** For the list in which `key` leaves its place: it takes that of the one before it. */
export function retire(tx: Orm, { retiredKey }: Tables, key: StoredKey, nowMs: number): Statement[] {
  const { id, owner, provider, position, keyHint, sealed, expiresAt } = key;
  const times = { retiredAt: new Date(nowMs), until: new Date(nowMs + keptMs) };
  return [
    forgetAt(tx, retiredKey, key),
    ...(isKept(key)
      ? [statement(tx.insert(retiredKey).values({ id, owner, provider, position, keyHint, ...sealed, expiresAt, ...times }))]
      : []),
  ];
}

/** For the list in which a key is removed. */
export const forgetAt = (tx: Orm, retiredKey: Table, place: KeyPlace): Statement =>
  statement(tx.delete(retiredKey).where(placeIs(retiredKey, place)));

/** For the list in which `key` is restored: nobody else may have restored, replaced or removed it meanwhile. Its nonce may change (rotation.ts). */
export const takeBack = (tx: Orm, { retiredKey }: Tables, { id }: RetiredKey): Statement =>
  must(tx.delete(retiredKey).where(eq(retiredKey.id, id)));

export function createRetired({ db, clock, writes, audit }: RetiredParts) {
  const { retiredKey } = db.tables;

  const read = async (where: SQL | undefined): Promise<RetiredKey[]> => {
    const rows = await db.orm.select().from(retiredKey).where(where).orderBy(asc(retiredKey.until)).limit(mostAtOnce);
    return rows.map(({ encryptedBlob, nonce, masterKeyId, retiredAt: _at, until: _until, ...row }) => {
      return { ...row, sealed: { masterKeyId, nonce, encryptedBlob } };
    });
  };

  /** @returns false: it was not there any more */
  async function forget(key: RetiredKey, actor: string): Promise<boolean> {
    const { id: keyId, owner, provider, keyHint } = key;
    try {
      await atomically(db, (tx, t) => [
        takeBack(tx, t, key),
        audit({ actor, subject: owner, action: 'key.forgotten', detail: { keyId, provider, keyHint } }),
      ]);
      return true;
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict') return false;
      throw error;
    }
  }

  return {
    /** @throws AppError `not_found`: no such key, somebody else's, or its time is over */
    async mine(owner: string, id: string): Promise<RetiredKey> {
      const [key] = await read(and(eq(retiredKey.id, id), eq(retiredKey.owner, owner), gt(retiredKey.until, new Date(clock.now()))));
      if (!key) throw new AppError('not_found', 'There is no such key.');
      return key;
    },

    /** Deletes it before its time, and its ciphertext from the files. @throws AppError `not_found` */
    async forget(key: RetiredKey, actor: string): Promise<void> {
      if (!(await forget(key, actor))) throw new AppError('not_found', 'There is no such key.');
      await writes.scrub.now();
    },

    /** Deletes those whose time is over; to be called every few seconds. @returns how many */
    async run(): Promise<number> {
      const nowMs = clock.now();
      // One that has more time than it ever got: the clock was set back, and would keep it for as long again.
      const tooLate = gt(retiredKey.until, new Date(nowMs + keptMs + hourMs));
      // Each by itself goes along the index; both in one would look at all that are kept.
      const overdue = [...(await read(lte(retiredKey.until, new Date(nowMs)))), ...(await read(tooLate))];
      let done = 0;
      for (const key of overdue) if (await forget(key, 'system')) done += 1;
      if (done > 0) await writes.scrub.now();
      return done;
    },
  };
}

/** It would not be used, and the one in whose place it would come may work. */
export const expiredMeanwhile = (): AppError =>
  new AppError(
    'key_unusable',
    'The date that you have set for the old key has passed. Nothing was changed; enter the key again to use it.',
  );

/** Why an old key was not restored. Nothing was changed. */
export function notRestored(status: KeyView['status'], name: string): AppError {
  if (status === 'invalid') return new AppError('key_unusable', `${name} does not accept the old key any more. Nothing was changed.`);
  if (status === 'no_credit')
    return new AppError('key_unusable', `The account of the old key has no credit left at ${name}. Nothing was changed.`);
  return new AppError(
    'provider_unreachable',
    `${name} could not be asked whether the old key still works. Nothing was changed; try again later.`,
  );
}
