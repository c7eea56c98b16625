/**
 * Tells the pages that stand open that their user's usage has changed. What this process records it hears of from the meter; other
 * processes and the command line it notices by a look at the newest requests every few seconds. Nobody listens: one comparison a request.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { AppError, type UsageChange } from '@synthstack/core';
import { type Db, prepared } from '@synthstack/core/db';
import { desc, eq, sql } from 'drizzle-orm';
import { type Clock, whileNeeded } from './ports/clock.ts';
import type { Listener, WatchSession } from './session-watch.ts';
import { createStream, type Stream, shuttingDown } from './streams.ts';

export interface LiveParts {
  db: Db;
  clock: Clock;
  watchSession: WatchSession;
  mostStreams?: number;
}

export type Live = ReturnType<typeof createLive>;

const mostOfOneUser = 10;
/** Between two events of a user; and from a change to its event, within which an opened row reaches the disk and others join in. */
const apartMs = 1_000;
const gatherMs = 100;
const lookEveryMs = 5_000;
const newestRows = 50;

interface Watch {
  userId: string;
  streams: Set<Stream<UsageChange>>;
  /** What the last look saw. */
  seen: string;
  toldAt: number;
  /** Calls off the event that is due; null: none is. */
  callOff: (() => void) | null;
}

export function createLive({ db, clock, watchSession, mostStreams = 1_000 }: LiveParts) {
  const watches = new Map<string, Watch>();
  const newest = newestStatement(db);
  let streams = 0;
  let isStopped = false;
  const lookLater = whileNeeded(clock, lookEveryMs, () => !isStopped && watches.size > 0, lookAround);

  /** Another text after every request of that user that begins or ends, whichever process has it. */
  const look = async (userId: string): Promise<string> => String((await db.read(newest({ userId })))[0]);

  function changed(userId: string): void {
    if (watches.size === 0) return;
    const watch = watches.get(userId);
    if (!watch || watch.callOff) return;
    // No more than the usual distance: the clock may have been set back since.
    const waitMs = Math.min(watch.toldAt + apartMs - clock.now(), apartMs);
    watch.callOff = clock.after(Math.max(gatherMs, waitMs), () => void tell(watch));
  }

  async function tell(watch: Watch): Promise<void> {
    watch.callOff = null;
    watch.toldAt = clock.now();
    // What is seen now is told now, so that the next look does not tell it again.
    watch.seen = await look(watch.userId).catch(() => watch.seen);
    for (const stream of watch.streams) stream.push({ changedAt: new Date(watch.toldAt).toISOString() });
  }

  async function lookAround(): Promise<void> {
    for (const watch of [...watches.values()]) {
      // Without the database nothing is seen.
      const seen = await look(watch.userId).catch(() => watch.seen);
      if (seen !== watch.seen) changed(watch.userId);
      await turn();
    }
  }

  function join(listener: Listener): { watch: Watch; stream: Stream<UsageChange> } {
    const { userId } = listener;
    const watch = watches.get(userId) ?? { userId, streams: new Set(), seen: '', toldAt: 0, callOff: null };
    const stream = createStream<UsageChange>(() => {
      unwatch();
      leave(watch, stream);
    });
    const unwatch = watchSession(listener, () => stream.end());
    watches.set(userId, watch);
    watch.streams.add(stream);
    streams += 1;
    return { watch, stream };
  }

  function leave(watch: Watch, stream: Stream<UsageChange>): void {
    watch.streams.delete(stream);
    streams -= 1;
    if (watch.streams.size > 0) return;
    watch.callOff?.();
    watches.delete(watch.userId);
  }

  return {
    /** A row of that user is on its way to the disk, or has reached it. */
    changed,

    /**
     * The changes of a user's usage from now on, at most one a second, of which the last is never left out. Ends when the signal says so,
     * and within a minute after its session.
     * @throws AppError `limit_reached`: too many are open, of this user or of all; `draining`
     */
    async open(listener: Listener, signal: AbortSignal): Promise<AsyncIterable<UsageChange>> {
      if (isStopped) throw new AppError('draining', 'This server is shutting down.');
      if ((watches.get(listener.userId)?.streams.size ?? 0) >= mostOfOneUser)
        throw tooMany(
          `You have ${mostOfOneUser} pages open that show usage as it happens. Close one, or reload this one to see what is new.`,
        );
      if (streams >= mostStreams)
        throw tooMany('As many pages as this server can keep up to date are open. Reload this one to see what is new.');
      const { watch, stream } = join(listener);
      if (signal.aborted) stream.end();
      signal.addEventListener('abort', () => stream.end(), { once: true });
      if (watch.seen === '') watch.seen = await look(listener.userId).catch(() => '');
      lookLater();
      return stream;
    },

    /** How many listen. */
    streams: () => streams,

    /** Ends them all at once, in the way after which browsers come again by themselves. */
    stop(): void {
      isStopped = true;
      for (const watch of [...watches.values()]) for (const stream of [...watch.streams]) stream.end(shuttingDown());
    },
  };
}

function newestStatement(db: Db) {
  const { request } = db.tables;
  const rows = db.orm
    .select({ id: request.id, endedAt: request.endedAt })
    .from(request)
    .where(eq(request.userId, sql.placeholder('userId')))
    .orderBy(desc(request.id))
    .limit(newestRows)
    .as('newest');
  return prepared<{ userId: string }>(
    db.orm.select({ id: sql`max(${rows.id})`, ended: sql`count(${rows.endedAt})`, at: sql`sum(${rows.endedAt})` }).from(rows),
  );
}

const tooMany = (sentence: string) => new AppError('limit_reached', sentence, { retryAfterMs: 60_000 });
