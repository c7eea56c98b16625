/**
 * Backups: the whole database of a moment in one file, whoever uses it meanwhile. Behind the database's bytes stand a manifest, a seal over
 * it that only the master key can make, and a checksum (backup-file.ts). A backup is put in its place only after it was opened and found to
 * be whole and of this master key. What is sealed in the database is sealed in its backups.
 */
import { closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { link, open as openFile, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '@synthstack/core';
import { claimDatabase, copyDatabase, knownMigrations, lookIntoDatabase, type Snapshot, settleDatabase } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { endOf, type Manifest, readEnd } from './backup-file.ts';
import { forget, forgetAbandoned, halfMade, isDatabase, keepBeside, stampOf } from './backup-names.ts';

export type { Manifest } from './backup-file.ts';

/** How far it is: bytes, or whatever else is counted. */
export type Told = (done: number, total: number) => void;

export interface BackupParts {
  /** The database's file. */
  database: string;
  keyring: Keyring;
  /** Of the program. */
  version: string;
  nowMs(): number;
  /** ENCRYPTION_KEY_RESET: what was sealed with a lost key is taken along unread. */
  acceptLoss?: boolean;
}

export interface BackupOptions {
  /** Takes the place of a file that is there. */
  force?: boolean;
  told?: Told;
}

/**
 * Makes a backup of a database that may be in use.
 * @throws AppError `conflict`: the file is there; `invalid_config`: the database was sealed with another master key; `storage_unavailable`
 */
export async function makeBackup(parts: BackupParts, file: string, { force = false, told }: BackupOptions = {}): Promise<Manifest> {
  const { database, keyring, version, nowMs } = parts;
  if (!existsSync(database)) throw new AppError('not_found', `There is no database at ${database}.`);
  if (isDatabase(file, database)) throw new AppError('conflict', `${file} is the database itself, or its journal. Choose another name.`);
  if (!force && existsSync(file)) throw isThere(file);
  const partial = halfMade(file, 'partial');
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    forgetAbandoned(dirname(file), nowMs());
    closeSync(openSync(partial, 'wx', 0o600));
    const madeAt = new Date(nowMs()).toISOString();
    const snapshot = await copyDatabase(database, partial, told);
    refuseUnreadable(snapshot, parts);
    const { bytes, sha256, rows, masterKeyIds, migrations } = snapshot;
    const manifest: Manifest = { format: 1, version, madeAt, migrations, masterKeyIds, rows, database: { bytes, sha256 } };
    await append(partial, endOf(manifest, keyring));
    await put(partial, file, force);
    return manifest;
  } catch (error) {
    throw asAppError(error, `${file} could not be written`);
  } finally {
    forget(partial);
  }
}

/**
 * Puts a backup in the place of the database. A database that is there is kept beside it, under another name.
 * @returns what the backup says of itself, and where the former database is; null: there was none
 * @throws AppError `storage_unavailable`: no backup, or not a whole one, or the disk failed; `invalid_config`: of another master key, or a
 *   newer version's; `conflict`: a database is there and `force` is not, or it is in use. In each case nothing was changed.
 */
export async function restoreBackup(
  parts: BackupParts,
  file: string,
  { force = false, told = () => undefined }: BackupOptions = {},
): Promise<{ manifest: Manifest; former: string | null }> {
  const { database, nowMs } = parts;
  const manifest = readBackup(file, parts);
  await refuseTaken(database, force);
  const partial = halfMade(database, 'restoring');
  try {
    mkdirSync(dirname(database), { recursive: true, mode: 0o700 });
    forgetAbandoned(dirname(database), nowMs());
    extract(file, partial, manifest.database.bytes, told);
    refuseUnreadable(await lookIntoDatabase(partial, manifest.database.sha256, dirname(database)), parts);
    await settleDatabase(partial, dirname(database));
    await sync(partial);
    // It may have been started meanwhile.
    await refuseTaken(database, force);
    const former = keepBeside(database, nowMs());
    // What was there goes in the same moment in which this comes: killed anywhere, one of the two is whole in the place.
    renameSync(partial, database);
    await sync(dirname(database));
    return { manifest, former };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'CHANGED') throw notWhole(file);
    throw asAppError(error, `${database} could not be written`);
  } finally {
    forget(partial);
  }
}

/** What a backup says of itself, once its end is found to be whole, of this master key and of no newer version. @throws AppError as `restoreBackup` */
export function readBackup(file: string, { keyring, acceptLoss = false }: Pick<BackupParts, 'keyring' | 'acceptLoss'>): Manifest {
  let end: ReturnType<typeof readEnd>;
  try {
    end = readEnd(file);
  } catch (error) {
    throw asAppError(error, `${file} could not be read`);
  }
  if (!end) throw notWhole(file);
  const { manifest, opens } = end;
  const newer = manifest.migrations.find((name) => !knownMigrations.includes(name));
  if (newer) {
    throw new AppError(
      'invalid_config',
      `This backup was made by version ${manifest.version}, whose database is newer (${newer}) than this program. Restore it with that version.`,
    );
  }
  if (!acceptLoss && !opens(keyring)) throw wrongKey(end.masterKeyId, keyring);
  return manifest;
}

/** @throws AppError `invalid_config`: a row or all canaries need a key that is not here; `storage_unavailable`: it is damaged */
function refuseUnreadable({ damage, canaries, masterKeyIds }: Snapshot, { keyring, acceptLoss = false }: BackupParts): void {
  if (damage !== null) throw new AppError('storage_unavailable', `The database is damaged (${damage}). Restore an older backup.`);
  if (acceptLoss) return;
  const lost = masterKeyIds.find((id) => !keyring.canOpen(id));
  if (lost) throw wrongKey(lost, keyring);
  const mine = canaries.filter(({ id }) => keyring.canOpen(id));
  for (const { id, canary, nonce } of mine) keyring.open('canary', [id], { masterKeyId: id, encryptedBlob: canary, nonce }).fill(0);
  const [other] = canaries;
  if (other && mine.length === 0) throw wrongKey(other.id, keyring);
}

/** @throws AppError `conflict` */
async function refuseTaken(database: string, force: boolean): Promise<void> {
  if (!existsSync(database)) return;
  if (!force) throw new AppError('conflict', `There is a database at ${database}. With --force it is kept beside it, under another name.`);
  if ((await claimDatabase(database)) === 'used') {
    throw new AppError('conflict', `A server or a command uses ${database}. Stop it first: systemctl stop byok, or Ctrl+C where it runs.`);
  }
}

async function append(file: string, bytes: Buffer): Promise<void> {
  await using handle = await openFile(file, 'a');
  await handle.appendFile(bytes);
  await handle.sync();
}

/** Under its own name it is there as a whole or not at all. */
async function put(partial: string, file: string, force: boolean): Promise<void> {
  try {
    if (force) await rename(partial, file);
    else await link(partial, file);
  } catch (error) {
    throw codeOf(error) === 'EEXIST' ? isThere(file) : error;
  }
  await sync(dirname(file));
}

const chunkBytes = 4 * 1_048_576;

function extract(file: string, to: string, bytes: number, told: Told): void {
  const [from, out] = [openSync(file, 'r'), openSync(to, 'wx', 0o600)];
  const chunk = Buffer.allocUnsafe(chunkBytes);
  try {
    for (let at = 0; at < bytes; ) {
      const read = readSync(from, chunk, 0, Math.min(chunkBytes, bytes - at), at);
      if (read === 0) throw notWhole(file);
      writeFileSync(out, chunk.subarray(0, read));
      at += read;
      told(at, bytes);
    }
  } finally {
    closeSync(from);
    closeSync(out);
  }
}

/** A file's bytes, or a folder's names, are on the disk. */
async function sync(path: string): Promise<void> {
  await using handle = await openFile(path, 'r');
  await handle.sync();
}

/**
 * Makes the backup without which no version of this program changes the tables of an older one. It is kept, beside the database.
 * @returns where it is
 */
export async function backUpBeforeMigrating(parts: BackupParts): Promise<string> {
  const { database, version, nowMs } = parts;
  const name = join(dirname(database), 'backups', `before-${version}-${stampOf(nowMs())}`);
  // Each of several processes that start at once makes its own.
  for (let n = 1; ; n += 1) {
    const file = n === 1 ? `${name}.backup` : `${name}-${n}.backup`;
    try {
      await makeBackup(parts, file);
      return file;
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict' && n < mostAtOnce) continue;
      const { code, message } = asAppError(error, `${file} could not be written`);
      const sentence = `The database is of an older version. Before its tables are changed a backup is made, and that failed: ${message}`;
      throw new AppError(code, sentence, { cause: error });
    }
  }
}

/** As many processes as may use one database (boot.ts). */
const mostAtOnce = 32;

const isThere = (file: string) => new AppError('conflict', `${file} is there already. Choose another name, or add --force.`);
const notWhole = (file: string) =>
  new AppError(
    'storage_unavailable',
    `${basename(file)} is no backup of this program, or not a whole one: it was cut off or changed. Nothing was changed.`,
  );

function wrongKey(needed: string, keyring: Keyring): AppError {
  const id = /^mk_[0-9a-f]{16}$/.test(needed) ? needed : '(a malformed id)';
  return new AppError(
    'invalid_config',
    `ENCRYPTION_KEY is not the key with which this was sealed: that is ${id}; given: ${keyring.keyIds.join(', ')}. Set that key, or name it ` +
      'in ENCRYPTION_KEY_PREVIOUS. Nothing was changed.',
  );
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

/** What is wrong, as a word of a fixed list. */
export type BackupTrouble = 'full' | 'unwritable' | 'wrong_key' | 'damaged' | 'other';

/** Why no backup could be made. */
export function troubleOf(error: unknown): BackupTrouble {
  if (error instanceof AppError && error.code === 'invalid_config') return 'wrong_key';
  const cause = error instanceof AppError ? error.cause : error;
  if (error instanceof AppError && cause === undefined && error.code === 'storage_unavailable') return 'damaged';
  const code = codeOf(cause);
  if (/^(SQLITE_FULL|ENOSPC|EDQUOT)$/.test(code)) return 'full';
  if (/^(EACCES|EPERM|EROFS|ENOENT|ENOTDIR|EEXIST|SQLITE_(CANTOPEN|READONLY)\w*)$/.test(code)) return 'unwritable';
  return 'other';
}

const troubles: Record<BackupTrouble, string> = {
  full: 'the disk is full',
  unwritable: 'there is no such folder, or it may not be written to',
  wrong_key: 'the master key does not open it',
  damaged: 'the database is damaged',
  other: 'the disk or the database failed',
};

function asAppError(cause: unknown, sentence: string): AppError {
  if (cause instanceof AppError) return cause;
  return new AppError('storage_unavailable', `${sentence}: ${troubles[troubleOf(cause)]}.`, { cause });
}
