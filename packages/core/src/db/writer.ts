/**
 * The thread that owns all writes of a SQLite database, so that no request ever waits for the disk on the event loop.
 * The single binary starts it from a string: what it imports is bundled into that.
 */
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import type { Result } from './commit.ts';
import { openFile } from './native.ts';
import { type SnapshotTask, work } from './snapshot-work.ts';
import { createTexts, packResults, unpackBatch, type WireBatch, type WireOutcome, type WireStatement } from './wire.ts';

export interface WriterOptions {
  path: string;
  /** Makes every commit take this much longer, to see what a slow disk does. */
  commitDelayMs?: number;
}
/** What the same script does on a thread of its own, once. */
export interface ThreadTask {
  task: SnapshotTask;
  home: string;
}
export type WriterCall = { batch: WireBatch } | { scrub: true } | { close: true };
export type WriterReply =
  | { outcomes: WireOutcome[]; undone: boolean }
  | { scrubbed: true }
  | { closed: true }
  | { broken: string }
  | { ready: true };

// A diagnostic report of the process has a part for each of its threads, and each would hold the environment, secrets included.
process.report.excludeEnv = true;

const checkpointAbovePages = 2_000;
/** Each try holds up the writes behind it for so long, and while somebody reads for long there are many. */
const scrubWaitMs = 50;

function openForWriting(options: WriterOptions): Database.Database {
  const db = openFile(options.path);
  db.pragma('busy_timeout = 5000');
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma('secure_delete = ON');
  // A checkpoint inside somebody's commit costs that commit milliseconds: ours run between batches.
  db.pragma('wal_autocheckpoint = 0');
  // The audit chain is computed inside the statement that extends it, where nobody can come between.
  db.function('sha256', { deterministic: true }, (text) => hash('sha256', String(text)));
  return db;
}

function serve(port: NonNullable<typeof parentPort>, options: WriterOptions): void {
  const db = openForWriting(options);
  const statements = createTexts(prepare);
  const [begin, commit, rollback] = [prepare('begin immediate'), prepare('commit'), prepare('rollback')];
  const [savepoint, release, undo] = [prepare('savepoint list'), prepare('release list'), prepare('rollback to list')];

  function prepare(sql: string): Database.Statement {
    const statement = db.prepare(sql);
    return statement.reader ? statement.raw(true) : statement;
  }

  function runStatement([text, params, must]: WireStatement): Result {
    const statement = statements.get(text);
    const result = statement.reader
      ? { changes: 0, rows: statement.all(params) as unknown[][] }
      : { changes: statement.run(params).changes, rows: [] };
    if (must && result.changes === 0 && result.rows.length === 0) throw unmet;
    return result;
  }

  function runList(list: readonly WireStatement[]): WireOutcome {
    // A statement that fails or touches no row has changed nothing by itself.
    const several = list.length > 1;
    if (several) savepoint.run();
    try {
      const results = list.map(runStatement);
      if (several) release.run();
      return packResults(results);
    } catch (error) {
      // A full disk or an I/O error may have ended the whole transaction: then none of the batch has happened.
      if (!db.inTransaction) throw error;
      if (several) {
        undo.run();
        release.run();
      }
      return { failure: isConflict(error) ? 'conflict' : 'storage', message: textOf(error) };
    }
  }

  function runBatch(batch: WireBatch): { outcomes: WireOutcome[]; undone: boolean } {
    try {
      statements.learn(batch);
      const { lists, additions } = unpackBatch(batch);
      begin.run();
      const outcomes = lists.map(runList);
      if (outcomes.some((outcome, i) => batch.adding[i] && isFailure(outcome))) {
        rollback.run();
        return { outcomes, undone: true };
      }
      // A failure here is one of the disk, and undoes the whole batch.
      for (const [text, params] of additions) statements.get(text).run(params);
      if (options.commitDelayMs) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, options.commitDelayMs);
      commit.run();
      return { outcomes, undone: false };
    } catch (error) {
      if (db.inTransaction) rollback.run();
      return { outcomes: batch.adding.map(() => ({ failure: 'storage', message: textOf(error) })), undone: false };
    }
  }

  function checkpoint(): void {
    // The WAL hook is not exposed; the file's size is as good a measure, and a failed checkpoint is tried again later.
    try {
      const [row] = db.pragma('wal_checkpoint(NOOP)') as { log: number }[];
      if (row && row.log > checkpointAbovePages) db.pragma('wal_checkpoint(PASSIVE)');
    } catch {
      return;
    }
  }

  /** Somebody who reads for long, a backup or Litestream, keeps old pages in the journal: nobody's write waits for them. */
  function scrub(): WriterReply {
    db.pragma(`busy_timeout = ${scrubWaitMs}`);
    try {
      const [row] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
      return row?.busy === 0 ? { scrubbed: true } : { broken: 'What was deleted is still in the journal: somebody reads it.' };
    } finally {
      db.pragma('busy_timeout = 5000');
    }
  }

  let batches = 0;
  port.on('message', (call: WriterCall) => {
    const reply = (message: WriterReply) => port.postMessage(message);
    try {
      if ('batch' in call) {
        reply(runBatch(call.batch));
        batches += 1;
        if (batches % 64 === 0) checkpoint();
      } else if ('scrub' in call) {
        reply(scrub());
      } else {
        db.pragma('wal_checkpoint(TRUNCATE)');
        db.close();
        reply({ closed: true });
        port.close();
      }
    } catch (error) {
      reply({ broken: textOf(error) });
    }
  });
  port.postMessage({ ready: true } satisfies WriterReply);
}

const isFailure = (outcome: WireOutcome): boolean => typeof outcome === 'object' && 'failure' in outcome;
const unmet = new Error('A row that had to change did not.');

const isConflict = (error: unknown): boolean =>
  error === unmet || (error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_CONSTRAINT'));
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function begin(port: NonNullable<typeof parentPort>, given: WriterOptions | ThreadTask): void {
  if ('task' in given) {
    void work(given.task, given.home, (reply) => port.postMessage(reply));
    return;
  }
  try {
    serve(port, given);
  } catch (error) {
    port.postMessage({ broken: textOf(error) } satisfies WriterReply);
  }
}

if (parentPort) begin(parentPort, workerData as WriterOptions | ThreadTask);
