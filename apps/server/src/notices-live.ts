/**
 * Tells the pages that stand open that there are notices. Whoever wrote them, this process, another or the command line: they are found by
 * one look at the newest rows every two seconds, however many listen, and by none where nobody does.
 */
import { AppError, type NoticeChange } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { asc, gte } from 'drizzle-orm';
import { administrators } from './notices.ts';
import { type Clock, whileNeeded } from './ports/clock.ts';
import type { Listener, WatchSession } from './session-watch.ts';
import { createStream, type Stream, shuttingDown } from './streams.ts';

export interface NoticesLiveParts {
  db: Db;
  clock: Clock;
  watchSession: WatchSession;
  mostStreams?: number;
}

export interface NoticeListener extends Listener {
  isAdmin: boolean;
}

export type NoticesLive = ReturnType<typeof createNoticesLive>;

const mostOfOneUser = 10;
const lookEveryMs = 2_000;
/** A row's time is that at which it was written down; it may reach the disk later, and clocks of other nodes may differ. */
const overlapMs = 30_000;
const mostAtOnce = 1_000;

export function createNoticesLive({ db, clock, watchSession, mostStreams = 2_000 }: NoticesLiveParts) {
  const { notice } = db.tables;
  /** Whose notices -> who listens. An administrator is in two of them. */
  const listening = new Map<string, Set<Stream<NoticeChange>>>();
  const all = new Set<Stream<NoticeChange>>();
  /** Those of the overlap that have been told. */
  let seen = new Set<string>();
  let sinceMs = 0;
  let isStopped = false;
  const lookLater = whileNeeded(clock, lookEveryMs, () => !isStopped && all.size > 0, lookAround);

  function tell(owner: string): void {
    const changedAt = new Date(clock.now()).toISOString();
    for (const stream of listening.get(owner) ?? []) stream.push({ changedAt });
  }

  async function newest(): Promise<{ id: string; userId: string }[]> {
    const rows = await db.orm
      .select({ id: notice.id, userId: notice.userId })
      .from(notice)
      .where(gte(notice.createdAt, new Date(sinceMs)))
      .orderBy(asc(notice.createdAt))
      .limit(mostAtOnce);
    sinceMs = Math.max(sinceMs, clock.now() - overlapMs);
    const fresh = rows.filter(({ id }) => !seen.has(id));
    seen = new Set(rows.map(({ id }) => id));
    return fresh;
  }

  async function lookAround(): Promise<void> {
    for (const owner of new Set((await newest()).map(({ userId }) => userId))) tell(owner);
  }

  function join(listener: NoticeListener): Stream<NoticeChange> {
    const owners = listener.isAdmin ? [listener.userId, administrators] : [listener.userId];
    const stream = createStream<NoticeChange>(() => {
      unwatch();
      all.delete(stream);
      for (const owner of owners) {
        listening.get(owner)?.delete(stream);
        if (listening.get(owner)?.size === 0) listening.delete(owner);
      }
    });
    const unwatch = watchSession(listener, () => stream.end());
    all.add(stream);
    for (const owner of owners) listening.set(owner, (listening.get(owner) ?? new Set()).add(stream));
    return stream;
  }

  return {
    /** Somebody has read or removed one: their other pages hear of it. */
    changed: tell,

    /**
     * Says from now on when there is something new. Ends when the signal says so, and within a minute after its session.
     * @throws AppError `limit_reached`: too many are open, of this user or of all; `draining`
     */
    async open(listener: NoticeListener, signal: AbortSignal): Promise<AsyncIterable<NoticeChange>> {
      if (isStopped) throw new AppError('draining', 'This server is shutting down.');
      if ((listening.get(listener.userId)?.size ?? 0) >= mostOfOneUser || all.size >= mostStreams)
        throw new AppError('limit_reached', 'Too many pages listen for notices. Reload this one to see what is new.', {
          retryAfterMs: 60_000,
        });
      // Where nobody listened, nobody looked: what came meanwhile the page asks for when it opens.
      if (all.size === 0) {
        sinceMs = clock.now() - overlapMs;
        seen = new Set();
      }
      const stream = join(listener);
      if (signal.aborted) stream.end();
      signal.addEventListener('abort', () => stream.end(), { once: true });
      lookLater();
      return stream;
    },

    /** How many listen. */
    streams: () => all.size,

    /** Ends them all at once, in the way after which browsers come again by themselves. */
    stop(): void {
      isStopped = true;
      for (const stream of [...all]) stream.end(shuttingDown());
    },
  };
}
