/**
 * What SQLite needs of the file system besides its database: the addon, and the writer's code. In the single binary both are assets:
 * the writer starts from a string, and the addon, which the system loads from files only, is put beside the database once.
 */
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { getAsset, getRawAsset, isSea } from 'node:sea';
import { threadId, Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import type { ThreadTask, WriterOptions } from './writer.ts';

/** @param home  the folder for the addon */
export function openFile(path: string, home = dirname(path)): Database.Database {
  return new Database(path, isSea() ? { nativeBinding: addonIn(home) } : {});
}

/** The writer of a database, or a task for whole files (snapshot.ts): they share one script. */
export function startWriter(options: WriterOptions | ThreadTask): Worker {
  if (isSea()) return new Worker(getAsset('writer.cjs', 'utf8'), { eval: true, workerData: options });
  return new Worker(new URL('./writer.ts', import.meta.url), { workerData: options });
}

/** @returns the addon itself, which better-sqlite3 takes in the place of a path, although its types do not say so */
function addonIn(home: string): string {
  const addon = Buffer.from(getRawAsset('better_sqlite3.node'));
  const file = join(home, '.native', `better_sqlite3-${hash('sha256', addon)}.node`);
  if (!holds(file, addon)) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Another thread or process may be at the same work: each renames a whole file of its own into place.
    const own = `${file}.${process.pid}-${threadId}`;
    writeFileSync(own, addon, { mode: 0o700 });
    renameSync(own, file);
  }
  const module = { exports: {} };
  process.dlopen(module, file);
  return module.exports as unknown as string;
}

function holds(file: string, bytes: Buffer): boolean {
  try {
    return readFileSync(file).equals(bytes);
  } catch {
    return false;
  }
}
