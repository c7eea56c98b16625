import type { Clock } from '../src/ports/clock.ts';

export interface ManualClock extends Clock {
  /** Moves time on by `ms` and calls what has become due, in the order in which it is due. */
  advance(ms: number): void;
}

/**
 * A clock that stands still until a test moves it.
 * @param startMs  unless given, it starts at the real time: better-auth reads the wall's clock by itself, and both should agree
 */
export function manualClock(startMs: number = Date.now()): ManualClock {
  let nowMs = startMs;
  let waiting: { at: number; fn: () => void }[] = [];

  function nextUntil(endMs: number) {
    return waiting.filter((one) => one.at <= endMs).sort((a, b) => a.at - b.at)[0];
  }

  return {
    now: () => nowMs,
    after(ms, fn) {
      const one = { at: nowMs + ms, fn };
      waiting.push(one);
      return () => {
        waiting = waiting.filter((other) => other !== one);
      };
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (let next = nextUntil(endMs); next; next = nextUntil(endMs)) {
        const due = next;
        waiting = waiting.filter((other) => other !== due);
        nowMs = Math.max(nowMs, due.at);
        due.fn();
      }
      nowMs = endMs;
    },
  };
}
