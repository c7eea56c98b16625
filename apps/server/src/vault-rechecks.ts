/** Our own re-checks: keys that no check could judge, and refused ones that may have come back to life. */
import { AppError } from '@synthstack/core';
import { atomically, type Db, must, type Statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { and, eq, gt, inArray, isNull, lte, or, type SQL, sql } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';
import { providerOf } from './providers/catalog.ts';
import type { Sender } from './providers/send.ts';
import { type KeyRows, platform, type StoredKey } from './vault-rows.ts';
import { nextRetry } from './vault-status.ts';
import { isFirst, newsOf } from './vault-traffic.ts';
import { isConflict, type KeyWrites } from './vault-writes.ts';

export interface RecheckParts {
  db: Db;
  keyring: Keyring;
  clock: Clock;
  sender: Pick<Sender, 'check'>;
  rows: KeyRows;
  writes: KeyWrites;
  audit(entry: AuditEntry): Statement;
  notice(entry: NoticeEntry): Statement;
}

const atOnce = 5;
const mostPerRun = 200;

export function createRechecks({ db, keyring, clock, sender, rows, writes, audit, notice }: RecheckParts) {
  const { providerKey } = db.tables;

  async function due(): Promise<StoredKey[]> {
    const keys = await rows.read(isDue(db, clock.now(), keyring.keyIds));
    return keys.slice(0, mostPerRun);
  }

  /** Sets the time of the next one before asking, so that neither a second node nor a crash makes it twice. */
  function claim(key: StoredKey): Promise<boolean> {
    if (key.retryAt === null) return Promise.resolve(false);
    const nowMs = clock.now();
    const next = nextRetry(key.status === 'unreadable' ? 'invalid' : key.status, key.retries + 1, nowMs);
    const mine = and(writes.current(key), eq(providerKey.retryAt, key.retryAt));
    return isFirst(
      atomically(db, (tx, t) => [
        must(
          tx
            .update(t.providerKey)
            .set({ ...next, updatedAt: new Date(nowMs) })
            .where(mine),
        ),
      ]),
    );
  }

  async function recheck(key: StoredKey): Promise<boolean> {
    if (!(await claim(key)) || key.status === 'unreadable') return false;
    const result = await sender.check(providerOf(key.provider), rows.open(key));
    const { id, owner, provider } = key;
    const news = newsOf(key, result.status, clock.now());
    const told = audit({ actor: 'system', subject: owner, action: 'key.tested', detail: { keyId: id, provider, status: result.status } });
    try {
      await writes.learn(key, result, (changed) => (changed ? [told, ...(news ? [notice(news)] : [])] : []));
    } catch (error) {
      // Replaced while we asked: what we learnt is about nothing.
      if (!isConflict(error)) throw error;
    }
    return true;
  }

  return {
    due,

    async run(): Promise<number> {
      await writes.scrub.ifOwed();
      const queue = await due();
      let checked = 0;
      const work = async () => {
        for (let key = queue.shift(); key; key = queue.shift()) {
          if (await recheck(key)) checked += 1;
        }
      };
      const outcomes = await Promise.allSettled(Array.from({ length: atOnce }, work));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed) throw failed.reason instanceof AppError ? failed.reason : new Error('A re-check failed.', { cause: failed.reason });
      return checked;
    },
  };
}

/** Which keys wait for a check, found by its time: of a million keys few do, and they are looked for every ten seconds. */
export function isDue({ tables: { providerKey } }: Pick<Db, 'tables'>, nowMs: number, masterKeyIds: readonly string[]): SQL | undefined {
  return and(
    lte(providerKey.retryAt, new Date(nowMs)),
    eq(providerKey.isActive, true),
    or(isNull(providerKey.expiresAt), gt(providerKey.expiresAt, new Date(nowMs)), eq(providerKey.owner, platform)),
    // A user's key without credit waits for a request of that user; the platform's has nobody who would notice.
    or(inArray(providerKey.status, ['unverified', 'invalid']), and(eq(providerKey.owner, platform), eq(providerKey.status, 'no_credit'))),
    // As an expression: of the column itself SQLite would take the index, in which nearly all keys have the same value.
    inArray(sql`${providerKey.masterKeyId} || ''`, [...masterKeyIds]),
  );
}
