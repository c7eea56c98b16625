/**
 * The group commit: many writes, one fsync. Lists of statements wait while a batch is on its way to the disk and leave
 * together when it has landed, so the busier the server, the more lists share a commit; no timer is involved.
 */
import { AppError } from '../errors.ts';

/** SQL text with its parameters, in the engine's own values. */
export interface Statement {
  sql: string;
  params: readonly unknown[];
  /** The list is undone unless this statement changed or returned at least one row. */
  must?: boolean;
  /**
   * The statement only adds these parameters (by index) to a row that the others name, and nobody waits for its result: it may run as one
   * with others of its batch (sums.ts), after all lists.
   */
  adds?: readonly number[];
}

export interface Result {
  /** Rows changed. */
  changes: number;
  /** Rows returned, each an array of the engine's own values. */
  rows: unknown[][];
}

/** What became of one list: all of it, or nothing. */
export type Outcome = { results: Result[] } | { failure: 'conflict' | 'storage'; message: string };

/** Runs the lists in order in one transaction; a list that fails leaves nothing behind and does not disturb the others. */
export type RunBatch = (lists: readonly (readonly Statement[])[]) => Promise<Outcome[]>;

const maxLists = 512;

export function createGroupCommit(runBatch: RunBatch) {
  type Waiting = { list: readonly Statement[]; resolve: (results: Result[]) => void; reject: (error: AppError) => void };
  let waiting: Waiting[] = [];
  let running: Promise<void> | null = null;

  async function drain(): Promise<void> {
    // The rest of this turn first: what one burst of requests writes leaves in one batch.
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxLists);
      waiting = waiting.slice(maxLists);
      try {
        const outcomes = await runBatch(batch.map((one) => one.list));
        batch.forEach((one, i) => {
          settle(one, outcomes[i]);
        });
      } catch (cause) {
        for (const one of batch) one.reject(storageError(cause));
      }
    }
    running = null;
  }

  return {
    /** @returns once the list is on disk. @throws AppError `conflict`: a `must` or a constraint was not met; `storage_unavailable` */
    commit(list: readonly Statement[]): Promise<Result[]> {
      return new Promise((resolve, reject) => {
        waiting.push({ list, resolve, reject });
        running ??= drain();
      });
    },
    /** Resolves when all that was handed in so far has landed or failed. */
    async idle(): Promise<void> {
      while (running) await running;
    },
  };
}

function settle(one: { resolve: (results: Result[]) => void; reject: (error: AppError) => void }, outcome: Outcome | undefined): void {
  if (outcome && 'results' in outcome) one.resolve(outcome.results);
  else if (outcome?.failure === 'conflict') one.reject(conflictError(outcome.message));
  else one.reject(storageError(outcome?.message));
}

function conflictError(cause: unknown): AppError {
  return new AppError('conflict', 'Someone else changed this at the same time. Look again.', { cause });
}

export function storageError(cause: unknown): AppError {
  return new AppError('storage_unavailable', 'The database does not answer at the moment. Nothing was changed; please try again.', {
    cause,
  });
}
