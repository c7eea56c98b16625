/** Whole database files of SQLite: copies of one that is in use, and what is in them. The work is done on a thread of its own. */
import { dirname } from 'node:path';
import { AppError } from '../errors.ts';
import { migrations } from './migrations/index.ts';
import { startWriter } from './native.ts';
import type { Snapshot, SnapshotReply, SnapshotTask } from './snapshot-work.ts';

export type { Snapshot } from './snapshot-work.ts';

/** The migrations that this program knows, in their order. */
export const knownMigrations: readonly string[] = migrations.map(({ name }) => name);

/** How far the copying is, in pages. */
export type CopyTold = (done: number, total: number) => void;

/**
 * Copies a database, as it is at this moment, while others read and write it, and looks into the copy.
 * @param to  an empty file, or none yet; its folder must be there
 * @throws SnapshotError
 */
export const copyDatabase = (from: string, to: string, told: CopyTold = () => undefined): Promise<Snapshot> =>
  run({ kind: 'copy', from, to }, dirname(from), told).then(snapshotOf);

/** Looks into a file that nobody uses. @param sha256  of its bytes; where they are others it is not opened (code `CHANGED`) */
export const lookIntoDatabase = (path: string, sha256: string, home: string): Promise<Snapshot> =>
  run({ kind: 'look', path, sha256 }, home).then(snapshotOf);

/** Makes of the copy of a database that lived one that has stopped. */
export async function settleDatabase(path: string, home: string): Promise<void> {
  await run({ kind: 'settle', path }, home);
}

/** Whether a process on this machine has the database open; `unreadable`: it is none. */
export async function claimDatabase(path: string): Promise<'free' | 'used' | 'unreadable'> {
  const reply = await run({ kind: 'claim', path }, dirname(path));
  return 'claim' in reply ? reply.claim : 'unreadable';
}

/** @param home  the folder where the single binary has its addon */
function run(task: SnapshotTask, home: string, told: CopyTold = () => undefined): Promise<SnapshotReply> {
  const { promise, resolve, reject } = Promise.withResolvers<SnapshotReply>();
  const worker = startWriter({ task, home });
  worker.on('message', (reply: SnapshotReply) => {
    if ('total' in reply) told(reply.done, reply.total);
    else if ('failed' in reply) reject(Object.assign(new Error(reply.failed), { code: reply.code }));
    else resolve(reply);
  });
  worker.on('error', reject);
  worker.on('exit', (code) => reject(new Error(`The thread ended with code ${code}.`)));
  return promise;
}

function snapshotOf(reply: SnapshotReply): Snapshot {
  if (!('snapshot' in reply)) throw new AppError('internal', 'The thread answered something else.');
  const { canaries, ...rest } = reply.snapshot;
  // Between threads buffers become plain bytes.
  return { ...rest, canaries: canaries.map(({ id, canary, nonce }) => ({ id, canary: Buffer.from(canary), nonce: Buffer.from(nonce) })) };
}
