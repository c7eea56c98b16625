/** What a page that listens for changes reads: an iterable that others push into. */

export interface Stream<T> extends AsyncIterable<T> {
  push(change: T): void;
  /** @param error  what the reader gets instead of an orderly end */
  end(error?: Error): void;
}

/** The end after which browsers come again by themselves. */
export const shuttingDown = (): Error => new DOMException('Shutting down', 'AbortError');

/** Holds one change at most: a reader that is slow misses none that a newer one does not stand for. @param ended  called once */
export function createStream<T>(ended: () => void): Stream<T> {
  let waiting: T | null = null;
  let over: { error: Error | undefined } | null = null;
  let wake = Promise.withResolvers<void>();

  async function next(): Promise<IteratorResult<T, undefined>> {
    while (!waiting && !over) await wake.promise;
    wake = Promise.withResolvers();
    const change = waiting;
    waiting = null;
    if (over?.error) throw over.error;
    return change && !over ? { done: false, value: change } : { done: true, value: undefined };
  }

  function end(error?: Error): void {
    if (over) return;
    over = { error };
    ended();
    wake.resolve();
  }

  return {
    end,
    push(change) {
      waiting = change;
      wake.resolve();
    },
    [Symbol.asyncIterator]: () => ({
      next,
      async return() {
        end();
        return { done: true, value: undefined };
      },
    }),
  };
}
