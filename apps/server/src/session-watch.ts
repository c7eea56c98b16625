/** Ends what listens on behalf of a session soon after that session has ended: whoever has signed out hears no more. */
import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, whileNeeded } from './ports/clock.ts';

export interface SessionWatchParts {
  clock: Clock;
  /** A session that is still good. @returns null: it has ended, run out, or its user is disabled */
  session(sessionId: string): Promise<{ userId: string } | null>;
}

/** Who listens, and for as long as what. */
export interface Listener {
  userId: string;
  sessionId: string;
}

/**
 * @param end  called within a minute after the session has ended
 * @returns    no longer watches it
 */
export type WatchSession = (listener: Listener, end: () => void) => () => void;

const lookEveryMs = 30_000;

export function createSessionWatch({ clock, session }: SessionWatchParts): WatchSession {
  const watched = new Map<() => void, Listener>();
  const lookLater = whileNeeded(clock, lookEveryMs, () => watched.size > 0, lookAround);

  async function lookAround(): Promise<void> {
    for (const [sessionId, listeners] of Map.groupBy(watched, ([, listener]) => listener.sessionId)) {
      // Without the database nothing is seen, and nobody is sent away for it.
      const found = await session(sessionId).catch(() => undefined);
      if (found !== undefined) for (const [end, { userId }] of listeners) if (found?.userId !== userId) end();
      await turn();
    }
  }

  return (listener, end) => {
    watched.set(end, listener);
    lookLater();
    return () => void watched.delete(end);
  };
}
