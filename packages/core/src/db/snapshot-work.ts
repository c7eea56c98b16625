/** What is done to whole database files, on a thread of its own (writer.ts): copying one that is in use, looking into one, claiming one. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { openFile } from './native.ts';

export type SnapshotTask =
  /** Copies a database as it is at this moment, whoever writes to it meanwhile, and looks into the copy. */
  | { kind: 'copy'; from: string; to: string }
  /** @param sha256  what its bytes must be; else it is not even opened */
  | { kind: 'look'; path: string; sha256: string }
  /** Makes of the copy of a database that lived one that has stopped: no process in it lives, no e-mail in it waits. */
  | { kind: 'settle'; path: string }
  /** Whether anybody has it open. */
  | { kind: 'claim'; path: string };

export interface Snapshot {
  bytes: number;
  /** Hex. */
  sha256: string;
  /** What is wrong with it; null: it is sound. */
  damage: string | null;
  /** The migrations that made it, in their order. */
  migrations: string[];
  /** By table. */
  rows: Record<string, number>;
  canaries: { id: string; canary: Buffer; nonce: Buffer }[];
  /** The master keys that its rows are sealed with. */
  masterKeyIds: string[];
}

export type SnapshotReply =
  | { done: number; total: number }
  | { snapshot: Snapshot }
  | { claim: 'free' | 'used' | 'unreadable' }
  | { settled: true }
  | { failed: string; code: string };

const pagesAStep = 2_000;

/** @param home  the folder for the binary's addon */
export async function work(task: SnapshotTask, home: string, told: (reply: SnapshotReply) => void): Promise<void> {
  try {
    if (task.kind === 'copy') await copy(task.from, task.to, home, told);
    if (task.kind === 'claim') told({ claim: claim(task.path, home) });
    else if (task.kind === 'settle') told(settle(task.path, home));
    else told({ snapshot: look(task.kind === 'copy' ? task.to : task.path, home, task.kind === 'look' ? task.sha256 : null) });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    told({ failed: error instanceof Error ? error.message : String(error), code });
  }
}

async function copy(from: string, to: string, home: string, told: (reply: SnapshotReply) => void): Promise<void> {
  using source = open(from, home);
  source.db.pragma('query_only = ON');
  // One read transaction from the first page to the last: with a step by itself, each write of another connection would begin the copy anew.
  source.db.exec('begin');
  source.db.prepare('select count(*) from sqlite_schema').get();
  const { totalPages: total } = await source.db.backup(to, {
    progress({ totalPages, remainingPages }) {
      told({ done: totalPages - remainingPages, total: totalPages });
      return pagesAStep;
    },
  });
  told({ done: total, total });
  source.db.exec('rollback');
  // One file by itself, without a journal beside it.
  using copied = open(to, home);
  copied.db.pragma('journal_mode = DELETE');
}

function look(path: string, home: string, expected: string | null): Snapshot {
  const { bytes, sha256 } = digest(path);
  if (expected !== null && sha256 !== expected) throw Object.assign(new Error('It is not what was written.'), { code: 'CHANGED' });
  using opened = open(path, home);
  const { db } = opened;
  db.pragma('query_only = ON');
  const damage = db.pragma('quick_check(1)', { simple: true });
  const list = <Row>(sql: string) => db.prepare(sql).all() as Row[];
  const tables = list<{ name: string }>(`select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name`);
  const names = tables.map(({ name }) => name);
  const sealed = names.filter((name) =>
    list<{ name: string }>(`pragma table_info("${name}")`).some((column) => column.name === 'master_key_id'),
  );
  const ids = sealed.flatMap((name) =>
    list<{ id: string }>(`select distinct master_key_id as id from "${name}" where master_key_id is not null`).map(({ id }) => id),
  );
  return {
    ...{ bytes, sha256 },
    damage: damage === 'ok' ? null : String(damage),
    migrations: names.includes('migration')
      ? list<{ name: string }>('select name from migration order by name').map(({ name }) => name)
      : [],
    rows: Object.fromEntries(names.map((name) => [name, list<{ n: number }>(`select count(*) as n from "${name}"`)[0]?.n ?? 0])),
    canaries: names.includes('master_key') ? list('select id, canary, nonce from master_key') : [],
    masterKeyIds: [...new Set(ids)].sort(),
  };
}

function settle(path: string, home: string): SnapshotReply {
  using opened = open(path, home);
  const { db } = opened;
  db.pragma('secure_delete = ON');
  const has = (name: string) => db.prepare('select 1 from sqlite_schema where name = ?').get(name) !== undefined;
  // Another process may have the number of one that lived then.
  if (has('boot')) db.prepare(`update boot set host = '', heartbeat_at = 0`).run();
  // Nobody knows which of them were sent since.
  if (has('mail_outbox')) {
    db.prepare(
      `update mail_outbox set state = 'uncertain', last_error = 'interrupted', ended_at = created_at, due_at = null, data = null,
         encrypted_blob = null, nonce = null, master_key_id = null where due_at is not null`,
    ).run();
  }
  return { settled: true };
}

function claim(path: string, home: string): 'free' | 'used' | 'unreadable' {
  try {
    using opened = open(path, home);
    opened.db.pragma('busy_timeout = 0');
    // Whoever has it open, if only to read, holds a lock that stands in the way of this one.
    opened.db.pragma('locking_mode = EXCLUSIVE');
    opened.db.exec('begin exclusive');
    opened.db.exec('rollback');
    return 'free';
  } catch (error) {
    return error instanceof Error && 'code' in error && /^SQLITE_(BUSY|LOCKED)/.test(String(error.code)) ? 'used' : 'unreadable';
  }
}

function open(path: string, home: string): Disposable & { db: Database.Database } {
  const db = openFile(path, home);
  db.pragma('busy_timeout = 5000');
  return { db, [Symbol.dispose]: () => db.close() };
}

const chunkBytes = 1_048_576;

function digest(path: string): { bytes: number; sha256: string } {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const file = openSync(path, 'r');
  try {
    let bytes = 0;
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
      hash.update(chunk.subarray(0, read));
      bytes += read;
    }
    return { bytes, sha256: hash.digest('hex') };
  } finally {
    closeSync(file);
  }
}
