/** What files are called while a backup is made or restored, what is kept of those that were there, and what killed processes have left. */
import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, existsSync, linkSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** SQLite's own files beside a database. */
const besides = ['-journal', '-wal', '-shm'];

/** An instant as it stands in the names of files: `2026-11-23T18-05-01Z`. */
export const stampOf = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replaceAll(':', '-').concat('Z');

/** Where a file is until it is whole. Not by the number of the process: in a container that is always the same. */
export const halfMade = (file: string, kind: 'partial' | 'restoring'): string => `${file}.${randomBytes(6).toString('hex')}.byok-${kind}`;

const halfMadeName = /\.[0-9a-f]{12}\.byok-(partial|restoring)(-journal|-wal|-shm)?$/;
/** Far longer than anybody writes nothing to a file that is still to become a backup. */
const abandonedAfterMs = 86_400_000;

/** Whatever is left of it: that it could not be made is the news, not this. */
export function forget(partial: string): void {
  for (const end of ['', ...besides]) tryOrLeave(() => rmSync(`${partial}${end}`, { force: true }));
}

/** Removes what processes that were killed have left: each is as large as the database. */
export function forgetAbandoned(folder: string, nowMs: number): void {
  tryOrLeave(() => {
    for (const name of readdirSync(folder).filter((one) => halfMadeName.test(one))) {
      const path = join(folder, name);
      tryOrLeave(() => {
        if (nowMs - statSync(path).mtimeMs > abandonedAfterMs) rmSync(path);
      });
    }
  });
}

function tryOrLeave(act: () => void): void {
  try {
    act();
  } catch {
    return;
  }
}

/** Whether a file that is to be written is the database, or what SQLite keeps beside it. */
export function isDatabase(file: string, database: string): boolean {
  if (!existsSync(dirname(file))) return false;
  const path = join(realpathSync(dirname(file)), basename(file));
  const places = [join(realpathSync(dirname(database)), basename(database)), realpathSync(database)];
  return places.some((place) => ['', ...besides].some((end) => path === place + end));
}

/**
 * Gives a database that is about to be replaced a second name, so that it is never away; its journal goes with that name.
 * @returns the name; null: there is none. @throws whatever the file system throws
 */
export function keepBeside(database: string, nowMs: number): string | null {
  if (!existsSync(database)) return null;
  const name = `${database}.former-${stampOf(nowMs)}`;
  let former = name;
  // Another restore may have taken the name in the same second, and what it has kept is not ours to replace.
  for (let n = 2; !isLinked(database, former); n += 1) former = `${name}-${n}`;
  for (const end of besides) if (existsSync(database + end)) renameSync(database + end, former + end);
  return former;
}

/** @returns false: there is a file of that name */
function isLinked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EEXIST') return false;
    if (!/^(EPERM|ENOTSUP|EOPNOTSUPP|ENOSYS)$/.test(code)) throw error;
    // A file system without second names, such as exFAT.
    copyFileSync(from, to, constants.COPYFILE_EXCL);
    return true;
  }
}
