/**
 * The group commit: many writes, one fsync. Lists of statements wait while a batch is on its way to the disk and leave
 * together when it has landed, so the busier the server, the more lists share a commit; no timer is involved.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { type Batch, batchOf } from './sums.ts';

/** SQL text with its parameters, in the engine's own values. */
export interface Statement {
  sql: string;
  params: readonly unknown[];
  /** The list is undone unless this statement changed or returned at least one row. */
  must?: boolean;
  /**
   * The statement only adds these parameters (by index) to a row that the others name: it runs as one with others of its batch (sums.ts),
   * after all lists, and its result is not among the list's.
   */
  adds?: readonly number[];
}

/**
 * What a list adds to rows that many lists add to, told as numbers: of a batch's addends to the same place one remains, and only that is
 * written out as statements (sums.ts).
 */
export interface Addend {
  place: string;
  amounts: readonly number[];
  /** Statements that only add: with `adds`, or without where no other place adds to that row. */
  statements(amounts: readonly number[]): readonly Statement[];
}

/** What belongs together: all of it happens, or nothing. The results are those of the statements that do not only add. */
export type List = readonly (Statement | Addend)[];

export interface Result {
  /** Rows changed. */
  changes: number;
  /** Rows returned, each an array of the engine's own values. */
  rows: unknown[][];
}

/** What became of one list: all of it, or nothing. */
export type Outcome = { results: Result[] } | { failure: 'conflict' | 'storage'; message: string };

/**
 * Runs the lists in order in one transaction, and the additions after them; a list that fails leaves nothing behind and does not disturb
 * the others. @returns an outcome for each list; `undone`: a list failed whose sums are among the additions, so nothing of all is there
 */
export type RunBatch = (batch: Batch) => Promise<{ outcomes: Outcome[]; undone: boolean }>;

/** A list on its way. */
export interface Ticket {
  /** Resolves when it is on disk. @throws AppError `conflict`: a `must` or a constraint was not met; `storage_unavailable` */
  landed: Promise<Result[]>;
  /** Puts another list in its place, unless it has left already. @returns whether it did */
  replace(list: List): boolean;
}

const maxLists = 512;

export function createGroupCommit(runBatch: RunBatch) {
  let waiting: Waiting[] = [];
  let running: Promise<void> | null = null;
  let landed = 0;

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      // The rest of this turn of the event loop first: what all sockets that were ready have brought leaves in one batch.
      await nextTurn();
      const batch = waiting.length > maxLists ? waiting.slice(0, maxLists) : waiting;
      waiting = waiting.length > maxLists ? waiting.slice(maxLists) : [];
      try {
        await land(batch);
      } catch (cause) {
        for (const one of batch) one.reject(storageError(cause));
      }
    }
    running = null;
  }

  async function land(batch: Waiting[]): Promise<void> {
    let left = batch;
    while (left.length > 0) {
      for (const one of left) one.hasLeft = true;
      const { outcomes, undone } = await runBatch(batchOf(left.map((one) => one.list)));
      landed += 1;
      const again: Waiting[] = [];
      left.forEach((one, i) => {
        const outcome = outcomes[i];
        if (undone && outcome && 'results' in outcome) again.push(one);
        else settle(one, outcome);
      });
      left = again;
    }
  }

  function enqueue(list: List): Waiting {
    const one = new Waiting(list);
    waiting.push(one);
    running ??= drain();
    return one;
  }

  return {
    /** @returns once the list is on disk. @throws AppError `conflict`: a `must` or a constraint was not met; `storage_unavailable` */
    commit: (list: List): Promise<Result[]> => enqueue(list).landed,
    enqueue: (list: List): Ticket => enqueue(list),
    /** How many batches have landed: as long as it stands still, this process has changed nothing. */
    landed: () => landed,
    /** Resolves when all that was handed in so far has landed or failed. */
    async idle(): Promise<void> {
      while (running) await running;
    },
  };
}

class Waiting implements Ticket {
  list: List;
  hasLeft = false;
  readonly landed: Promise<Result[]>;
  resolve!: (results: Result[]) => void;
  reject!: (error: AppError) => void;

  constructor(list: List) {
    this.list = list;
    this.landed = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  replace(list: List): boolean {
    if (this.hasLeft) return false;
    this.list = list;
    return true;
  }
}

function settle(one: Waiting, outcome: Outcome | undefined): void {
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
