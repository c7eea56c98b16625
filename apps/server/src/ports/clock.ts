/** Time, as a part that tests can hold in their hands. */
export interface Clock {
  /** Milliseconds since 1970, as the wall says it. */
  now(): number;
  /** Calls `fn` once after `ms`; the returned function calls it off. Never keeps the process alive. */
  after(ms: number, fn: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Something that is done again and again. */
export interface Rounds {
  /** Resolves when none is under way. */
  idle(): Promise<void>;
  stop(): void;
}

/** Calls `fn` every `ms`, counted from the end of the one before. @param fn  never rejects */
export function repeatedly(clock: Clock, ms: number, fn: () => Promise<void>): Rounds {
  let round = Promise.resolve();
  let isStopped = false;
  let cancel = clock.after(ms, next);
  function next(): void {
    round = fn().then(() => {
      if (!isStopped) cancel = clock.after(ms, next);
    });
  }
  return {
    idle: () => round,
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
