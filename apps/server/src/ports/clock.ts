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
