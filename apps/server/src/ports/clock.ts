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

/**
 * Calls `fn` every `ms`, counted from the end of the one before.
 * @param fn     never rejects
 * @param begin  `now`: the first call is made at once
 */
export function repeatedly(clock: Clock, ms: number, fn: () => Promise<void>, begin: 'now' | 'later' = 'later'): Rounds {
  let round = Promise.resolve();
  let isStopped = false;
  let cancel: () => void = () => undefined;
  function next(): void {
    round = fn().then(later);
  }
  function later(): void {
    if (!isStopped) cancel = clock.after(ms, next);
  }
  if (begin === 'now') next();
  else later();
  return {
    idle: () => round,
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

/**
 * Calls `look` every `ms` while it is needed, and not at all while it is not. What it throws is let pass: the next look sees more.
 * @returns  to be called when it may have become needed
 */
export function whileNeeded(clock: Clock, ms: number, isNeeded: () => boolean, look: () => Promise<void>): () => void {
  let isLooking = false;
  return function lookLater(): void {
    if (isLooking || !isNeeded()) return;
    isLooking = true;
    clock.after(ms, () => {
      void look()
        .catch(() => undefined)
        .then(() => {
          isLooking = false;
          lookLater();
        });
    });
  };
}
