/** The writes of the vault that touch a sealed key: each one list, so that a key, its audit row and the caches' signal stand or fall together. */
import { randomUUID } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { atomically, bumpGeneration, type Db, must, type Statement } from '@synthstack/core/db';
import type { Secret } from '@synthstack/core/secret';
import { and, DrizzleQueryError, eq, isNull, type SQL } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';
import type { CheckResult } from './providers/provider.ts';
import type { MasterKeys } from './vault-master-keys.ts';
import { type RetiredKey, retire, takeBack } from './vault-retired.ts';
import { type KeyPlace, type KeyRows, platform, type StoredKey } from './vault-rows.ts';
import { afterCheck, standing } from './vault-status.ts';

export interface KeyWriteParts {
  db: Db;
  rows: KeyRows;
  masterKeys: MasterKeys;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
  /** A statement that touches a row as long as that user is there; none: nobody's account ever goes. */
  present?: ((userId: string) => Statement) | undefined;
}

/** Where a key goes, and what it goes on with there. */
export interface Spot extends KeyPlace, Pick<StoredKey, 'rank' | 'name' | 'models'> {
  /** The one that it replaces. */
  before: StoredKey | null;
}
export type FindSpot = () => Promise<Spot>;

/** What is put there. */
export interface NewSecret {
  secret: Secret;
  result: CheckResult;
  actor: string;
  /** Until when it is to be used. */
  expiry?: Pick<StoredKey, 'expiresAt' | 'expiryTold'>;
  /** The replaced key that it was. */
  restores?: RetiredKey;
}

export type KeyWrites = ReturnType<typeof createKeyWrites>;

export function createKeyWrites({ db, rows, masterKeys, clock, audit, present }: KeyWriteParts) {
  const { providerKey } = db.tables;
  const inTurn = createTurns();
  const scrub = createScrub(db);

  /** The key as it was used; once it is replaced, which makes another id, nothing. Its nonce may change: rotation.ts seals the same key anew. */
  const current = (key: StoredKey): SQL => eq(providerKey.id, key.id);

  async function putOnce(find: FindSpot, given: NewSecret): Promise<[StoredKey, StoredKey | null]> {
    const { secret, result, actor, restores, expiry = { expiresAt: null, expiryTold: null } } = given;
    const { before, ...place } = await find();
    const id = randomUUID();
    const sealed = rows.seal(place, id, secret);
    const counted = await masterKeys.countSeal();
    const now = new Date(clock.now());
    const shown = { ...place, id, keyHint: secret.hint, isActive: true, fallback: before?.fallback ?? true, ...expiry };
    const times = { lastTestedAt: now, createdAt: now, updatedAt: now };
    const key = { ...shown, ...standing(result, now.getTime()), ...times };
    const action = restores ? 'key.restored' : before ? 'key.replaced' : 'key.saved';
    const about = { keyId: id, provider: place.provider, keyHint: key.keyHint, status: key.status };
    const detail = { ...about, ...(before && { replaces: before.id }), ...(restores && { restores: restores.id }) };
    await atomically(db, (tx, t) => [
      // The provider took its time: whoever is gone by now leaves no key behind.
      ...(present && place.owner !== platform ? [must(present(place.owner))] : []),
      ...(restores ? [takeBack(tx, t, restores)] : []),
      // What is kept must still be what was read.
      ...(before
        ? [must(tx.delete(t.providerKey).where(and(current(before), isKept(before)))), ...retire(tx, t, before, now.getTime())]
        : []),
      tx.insert(t.providerKey).values({ ...key, ...sealed }),
      ...counted,
      audit({ actor, subject: place.owner, action, detail }),
      bumpGeneration(tx, t),
    ]);
    return [{ ...key, sealed }, before];
  }

  const isKept = ({ fallback, rank, name }: StoredKey): SQL | undefined =>
    and(
      eq(providerKey.fallback, fallback),
      eq(providerKey.rank, rank),
      name === null ? isNull(providerKey.name) : eq(providerKey.name, name),
    );

  return {
    current,
    scrub,

    /**
     * Seals and stores a key, in the place of the one that is there, which is kept for a day (vault-retired.ts).
     * @param find  says where, and is asked again where somebody else's write came between
     * @throws AppError `storage_unavailable`: nothing was saved; `conflict`: the key to restore is not there any more; what `find` throws
     */
    async put({ owner, provider }: Omit<KeyPlace, 'position'>, find: FindSpot, given: NewSecret): Promise<StoredKey> {
      // One at a time for a provider: what came between would make each try again. A nonce that was used before is tried again too.
      const name = JSON.stringify([owner, provider]);
      const put = () => untilUndisturbed(() => putOnce(find, given));
      const [key, before] = await inTurn(name, put).catch((error: unknown) => {
        throw isStorage(error) ? notSaved(error) : error;
      });
      if (before) await scrub.now();
      return key;
    },

    /**
     * Writes what a check of a stored key has shown.
     * @param also  the statements that belong to it, made from whether the status changed
     * @throws AppError `conflict`: the key was replaced or removed meanwhile
     */
    learn(key: StoredKey, result: CheckResult, also: (changed: boolean) => readonly Statement[]): Promise<void> {
      return untilUndisturbed(async () => {
        const [now] = await rows.read(current(key));
        if (!now) throw new AppError('conflict', 'This key was replaced or removed while it was being checked. Look again.');
        const at = new Date(clock.now());
        const change = afterCheck(now.status, result, at.getTime());
        const changed = change.status !== undefined;
        await atomically(db, (tx, t) => [
          must(
            tx
              .update(t.providerKey)
              .set({ ...change, lastTestedAt: at, updatedAt: at })
              .where(and(current(key), eq(t.providerKey.retries, now.retries), ...storedStatusIs(now))),
          ),
          ...also(changed),
          ...(changed ? [bumpGeneration(tx, t)] : []),
        ]);
      });
    },
  };

  function storedStatusIs(key: StoredKey): SQL[] {
    return key.status === 'unreadable' ? [] : [eq(providerKey.status, key.status)];
  }
}

/** Runs `attempt` again, from its reading on, where somebody else's write came between. */
export async function untilUndisturbed<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 5; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || !isConflict(error)) throw error;
    }
  }
}

export function isConflict(error: unknown): boolean {
  return error instanceof AppError && error.code === 'conflict';
}

/** Drizzle's error holds the statement's parameters; it goes no further than this. */
function isStorage(error: unknown): boolean {
  return error instanceof DrizzleQueryError || (error instanceof AppError && error.code === 'storage_unavailable');
}

function notSaved(error: unknown): AppError {
  if (error instanceof AppError && error.message.includes('Nothing was saved')) return error;
  const cause = error instanceof DrizzleQueryError ? error.cause : error;
  return new AppError('storage_unavailable', 'The database cannot be written at the moment. Nothing was saved; please try again.', {
    cause,
  });
}

/** Lets one at a time through for each name, in order of arrival. */
function createTurns() {
  const last = new Map<string, Promise<void>>();
  return function inTurn<T>(name: string, fn: () => Promise<T>): Promise<T> {
    const turn = (last.get(name) ?? Promise.resolve()).then(fn);
    const over = turn.then(
      () => undefined,
      () => undefined,
    );
    last.set(name, over);
    over.then(() => {
      if (last.get(name) === over) last.delete(name);
    });
    return turn;
  };
}

/**
 * Takes deleted ciphertext out of the files. A round that has begun may have missed the caller's row, so callers wait for the next one,
 * which all who come meanwhile share. A failed round fails nobody's write, which is on disk already: it is owed.
 */
function createScrub(db: Db) {
  let last: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;
  let owed = false;

  async function round(): Promise<void> {
    next = null;
    try {
      await db.scrub();
      owed = false;
    } catch {
      owed = true;
    }
  }

  function now(): Promise<void> {
    next ??= last.then(round);
    last = next;
    return next;
  }

  return { now, ifOwed: async () => (owed ? now() : undefined) };
}
