/** SQLite: reads on this thread (microseconds), writes on the writer's. */
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type Database from 'better-sqlite3';
import { AppError } from '../errors.ts';
import type { Engine } from './engine.ts';
import { openFile, startWriter } from './native.ts';
import { createPacker, unpackOutcome } from './wire.ts';
import type { WriterCall, WriterOptions, WriterReply } from './writer.ts';

export interface SqliteOptions {
  path: string;
  /** Makes each commit take this much longer, to see what a slow disk does. */
  commitDelayMs?: number;
}

export async function openSqlite(options: SqliteOptions): Promise<Engine> {
  mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
  // A folder that was there before may be open to all; SQLite gives its other files the mode of this one.
  closeSync(openSync(options.path, 'a', 0o600));
  const writer = await connectWriter(options);
  const db = openFile(options.path);
  db.pragma('query_only = ON');
  db.pragma('busy_timeout = 5000');
  const pack = createPacker();
  const prepared = new Map<string, Database.Statement>();

  function prepare(sql: string): Database.Statement {
    let statement = prepared.get(sql);
    if (!statement) {
      if (prepared.size >= 1_000) prepared.clear();
      statement = db.prepare(sql);
      if (statement.reader) statement.raw(true);
      prepared.set(sql, statement);
    }
    return statement;
  }

  return {
    dialect: 'sqlite',
    reads: (sql) => prepare(sql).readonly,
    read: (sql, params) => prepare(sql).all(params) as unknown[][],
    async runBatch(batch) {
      const reply = await writer.call({ batch: pack(batch) });
      return 'outcomes' in reply ? { outcomes: reply.outcomes.map(unpackOutcome), undone: reply.undone } : { outcomes: [], undone: false };
    },
    async scrub() {
      await writer.call({ scrub: true });
    },
    async integrity(maxBytes = Number.POSITIVE_INFINITY) {
      const bytes = Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }));
      if (bytes > maxBytes) return null;
      const answer = db.pragma('quick_check(1)', { simple: true });
      return answer === 'ok' ? null : String(answer);
    },
    async size() {
      const bytesOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      return { data: bytesOf(options.path), log: bytesOf(`${options.path}-wal`) };
    },
    async close() {
      db.close();
      await writer.call({ close: true });
      await writer.gone;
    },
  };
}

/** Calls are answered in the order in which they were made; a writer that died fails them all, and those that follow. */
async function connectWriter(options: WriterOptions) {
  const worker = startWriter(options);
  type Call = { resolve: (reply: WriterReply) => void; reject: (error: Error) => void };
  const calls: Call[] = [];
  let dead: Error | null = null;

  function died(cause: unknown): void {
    dead ??= new AppError('storage_unavailable', 'The database has stopped answering. Restart the server; its log says why.', { cause });
    for (const call of calls.splice(0)) call.reject(dead);
  }

  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.on('error', died);
  worker.on('exit', (code) => died(new Error(`The writer thread ended with code ${code}.`)));

  const next = () => new Promise<WriterReply>((resolve, reject) => (dead ? reject(dead) : calls.push({ resolve, reject })));
  worker.on('message', (reply: WriterReply) => {
    const call = calls.shift();
    if ('broken' in reply) call?.reject(new Error(reply.broken));
    else call?.resolve(reply);
  });
  try {
    await next();
  } catch (cause) {
    await worker.terminate();
    throw cause;
  }

  return {
    gone,
    call(call: WriterCall): Promise<WriterReply> {
      const answer = next();
      worker.postMessage(call);
      return answer;
    },
  };
}
