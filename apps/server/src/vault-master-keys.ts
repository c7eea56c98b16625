/**
 * The master keys that ever sealed in this database, a row each: a canary that only that key opens, so that a wrong ENCRYPTION_KEY is
 * found at the start and not at somebody's request; and how often it sealed, since random nonces are safe only up to a number.
 */
import { AppError } from '@synthstack/core';
import { type Db, must, type Statement, statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { and, asc, eq, lte, sql } from 'drizzle-orm';
import type { Administrators, NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';
import { sealedThings } from './sealed.ts';

export interface MasterKeyParts {
  db: Db;
  keyring: Keyring;
  clock: Clock;
  notice(entry: NoticeEntry): Statement;
}

/** NIST SP 800-38D, 8.3: at most 2^32 seals under one key with random nonces. */
const mostSeals = 2 ** 32;
const warnAtSeals = 2 ** 31;
const administrators: Administrators = 'administrators';

export interface MasterKeyState {
  id: string;
  /** How often it sealed. */
  seals: number;
  /** New secrets are sealed with it. */
  current: boolean;
  /** It is among those that this process was given. */
  given: boolean;
  /** It opens its canary. */
  opens: boolean;
}

export type MasterKeys = ReturnType<typeof createMasterKeys>;

export function createMasterKeys({ db, keyring, clock, notice }: MasterKeyParts) {
  const { masterKey } = db.tables;
  const { sealingKeyId } = keyring;

  /** Several processes may start at once: one of them writes it. @param repair  the one that is there does not open */
  async function writeCanary(repair: boolean): Promise<void> {
    const { encryptedBlob: canary, nonce } = keyring.seal('canary', [sealingKeyId], 'canary');
    const insert = db.orm.insert(masterKey).values({ id: sealingKeyId, canary, nonce, createdAt: new Date(clock.now()) });
    const set = { canary, nonce };
    await db.commit([statement(repair ? insert.onConflictDoUpdate({ target: masterKey.id, set }) : insert.onConflictDoNothing())]);
  }

  function isOpen({ id, canary, nonce }: { id: string; canary: Buffer; nonce: Buffer }): boolean {
    try {
      return keyring.open('canary', [id], { masterKeyId: id, encryptedBlob: canary, nonce }).toString() === 'canary';
    } catch {
      return false;
    }
  }

  return {
    /**
     * To be called at the start, before anything is sealed or opened.
     * @param reset  `accept-loss`: start although data was sealed with a key that is not here; it shows as `unreadable`, nothing of it is deleted
     * @throws AppError `invalid_config`, which names key ids and changes nothing: no canary opens, or a sealed row has an unknown master key
     */
    async openCanaries(reset?: 'accept-loss'): Promise<void> {
      const canaries = await db.orm.select().from(masterKey);
      if (reset !== 'accept-loss') {
        const needed = await Promise.all(
          sealedThings(db.tables)
            .filter(({ isPassing }) => !isPassing)
            .map(({ table }) => db.orm.selectDistinct({ id: table.masterKeyId }).from(table)),
        );
        const lost = [...new Set(needed.flat().map(({ id }) => String(id)))].filter((id) => !keyring.canOpen(id));
        const broken = canaries.filter((row) => keyring.canOpen(row.id) && !isOpen(row)).map(({ id }) => id);
        const opened = canaries.some(isOpen);
        if (lost.length > 0) throw wrongKey(lost, keyring.keyIds);
        if (broken.length > 0) throw wrongCanary(broken);
        if (canaries.length > 0 && !opened)
          throw wrongKey(
            canaries.map(({ id }) => id),
            keyring.keyIds,
          );
      }
      const own = canaries.find(({ id }) => id === sealingKeyId);
      if (!own || !isOpen(own)) await writeCanary(own !== undefined);
    },

    /** Those that ever sealed here: whether this process was given them, and whether they open what they should. */
    async states(): Promise<MasterKeyState[]> {
      const rows = await db.orm.select().from(masterKey).orderBy(asc(masterKey.createdAt));
      return rows.map((row) => {
        const given = keyring.canOpen(row.id);
        return { id: row.id, seals: row.seals, current: row.id === sealingKeyId, given, opens: given && isOpen(row) };
      });
    },

    /**
     * The statements that count one seal, or several, for the list that stores what was sealed.
     * @throws AppError `storage_unavailable`: this master key must not seal any more
     */
    async countSeal(seals = 1): Promise<Statement[]> {
      const [row] = await db.orm.select({ seals: masterKey.seals }).from(masterKey).where(eq(masterKey.id, sealingKeyId));
      if (!row) throw new AppError('internal', 'The vault was used before its canaries were opened.');
      if (row.seals + seals > mostSeals) throw wornOut();
      const counted = db.orm
        .update(masterKey)
        .set({ seals: sql`${masterKey.seals} + ${seals}` })
        .where(and(eq(masterKey.id, sealingKeyId), lte(masterKey.seals, mostSeals - seals)));
      const warning: NoticeEntry = {
        userId: administrators,
        kind: 'rotation_due',
        dedupe: `rotation_due:${sealingKeyId}`,
        data: { masterKeyId: sealingKeyId },
      };
      return [must(counted), ...(row.seals + seals >= warnAtSeals ? [notice(warning)] : [])];
    },
  };
}

function wrongKey(needed: readonly string[], given: readonly string[]): AppError {
  return new AppError(
    'invalid_config',
    `ENCRYPTION_KEY is not the key with which this database was sealed. It was sealed with ${names(needed)}; given: ${names(given)}. ` +
      'Set that key again, or name it in ENCRYPTION_KEY_PREVIOUS. If it is lost, ENCRYPTION_KEY_RESET=accept-loss starts all the same: ' +
      'nothing is deleted, and users enter their keys again.',
  );
}

function wrongCanary(broken: readonly string[]): AppError {
  return new AppError(
    'invalid_config',
    `The canary of ${names(broken)} was changed in the database: ENCRYPTION_KEY no longer opens it. Restore a backup, or find out who ` +
      'writes to the database. ENCRYPTION_KEY_RESET=accept-loss starts all the same.',
  );
}

function wornOut(): AppError {
  return new AppError(
    'storage_unavailable',
    'The master key of this server has sealed as often as is safe. Nothing was saved; an administrator has to change it (keys rotate).',
  );
}

/** The ids come from columns that someone may have written, so only what looks like one is printed. */
function names(ids: readonly string[]): string {
  return ids.map((id) => (/^mk_[0-9a-f]{16}$/.test(id) ? id : '(a malformed id)')).join(', ');
}
