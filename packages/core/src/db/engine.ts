import type { Dialect } from './columns.ts';
import type { RunBatch } from './commit.ts';

/** What open.ts needs of a database engine; sqlite.ts and postgres.ts are the two. Rows are arrays of the engine's own values. */
export interface Engine {
  dialect: Dialect;
  /** True if the statement only reads. */
  reads(sql: string): boolean;
  read(sql: string, params: readonly unknown[]): unknown[][] | Promise<unknown[][]>;
  runBatch: RunBatch;
  /** Removes from the files what has been deleted from the tables. */
  scrub(): Promise<void>;
  /** Reads the whole file, unless it is larger than `maxBytes`. @returns what is wrong with it, or null */
  integrity(maxBytes?: number): Promise<string | null>;
  size(): Promise<DbSize>;
  close(): Promise<void>;
}

/** In bytes. */
export interface DbSize {
  data: number;
  /** What has been written and waits to be brought into the file; null: PostgreSQL keeps its own. */
  log: number | null;
}
