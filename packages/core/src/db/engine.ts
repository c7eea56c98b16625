import type { Dialect } from './columns.ts';
import type { Outcome, Statement } from './commit.ts';

/** What open.ts needs of a database engine; sqlite.ts and postgres.ts are the two. Rows are arrays of the engine's own values. */
export interface Engine {
  dialect: Dialect;
  /** True if the statement only reads. */
  reads(sql: string): boolean;
  read(sql: string, params: readonly unknown[]): unknown[][] | Promise<unknown[][]>;
  /** commit.ts's RunBatch. */
  runBatch(lists: readonly (readonly Statement[])[]): Promise<Outcome[]>;
  /** Removes from the files what has been deleted from the tables. */
  scrub(): Promise<void>;
  /** @returns what is wrong with the file, or null */
  integrity(): Promise<string | null>;
  close(): Promise<void>;
}
