/**
 * PRICES_URL: a price list that is fetched at the start and once a day, from the one further host that this server then talks to. What
 * cannot be fetched or read changes nothing, stands in the log, and is told to administrators once, until it has worked again.
 */
import { AppError, toAppError } from '@synthstack/core';
import { type Db, type Statement, statement } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import type { Administrators, NoticeEntry } from './notices.ts';
import { type Clock, type Rounds, repeatedly } from './ports/clock.ts';
import { createSmallFetch } from './ports/fetch.ts';
import type { Log } from './ports/log.ts';
import type { Outbound } from './ports/outbound.ts';
import type { PriceBook } from './prices.ts';
import { readPriceList } from './prices-list.ts';

export interface PriceFeedParts {
  /** https, or http to this machine; checked by config.ts. */
  url: string;
  db: Db;
  clock: Clock;
  log: Log;
  outbound: Outbound;
  book: Pick<PriceBook, 'take'>;
  notice(entry: NoticeEntry): Statement;
}

export type PriceFeed = ReturnType<typeof createPriceFeed>;

const administrators: Administrators = 'administrators';
const everyMs = 86_400_000;
const timeouts = { connectMs: 5_000, firstByteMs: 15_000, idleMs: 15_000, totalMs: 60_000 };
/** Ten times what the public list has. */
const maxBytes = 16 * 1_048_576;
const name = 'The list at PRICES_URL';
const workedKey = 'prices.url_worked_at';

export function createPriceFeed({ url, db, clock, log, outbound, book, notice }: PriceFeedParts) {
  const { setting } = db.tables;
  const { origin } = new URL(url);
  const fetch = createSmallFetch({ outbound, admits: (to) => to === origin, timeouts, maxBytes, name });
  const stopping = new AbortController();
  let rounds: Rounds | null = null;

  /** Everything but a 200 is a failure: a redirect too, since it would lead to a host that nobody named. */
  async function fetchList(): Promise<string> {
    const headers = { accept: 'application/json', 'user-agent': 'synthstack-byok' };
    const answer = await fetch(url, { headers, signal: stopping.signal });
    const { status } = answer;
    if (status >= 300 && status < 400)
      throw unusable(`it answers with a redirect (${status}), which is not followed. Name its own address.`);
    if (status !== 200) throw unusable(`it answers with status ${status}.`);
    return answer.text();
  }

  async function lastWorkedAt(): Promise<number> {
    const [row] = await db.orm.select({ at: setting.updatedAt }).from(setting).where(eq(setting.key, workedKey));
    return row?.at.getTime() ?? 0;
  }

  async function worked(): Promise<void> {
    const updatedAt = new Date(clock.now());
    const row = db.orm.insert(setting).values({ key: workedKey, value: true, updatedAt });
    await db.commit([statement(row.onConflictDoUpdate({ target: setting.key, set: { updatedAt } }))]);
  }

  async function failed(error: AppError): Promise<void> {
    log.warn({ reason: error.message }, 'The prices at PRICES_URL could not be taken over; those that were known stay');
    const dedupe = `prices_failed:${await lastWorkedAt()}`;
    await db.commit([notice({ userId: administrators, kind: 'prices_failed', dedupe, data: { reason: error.message.slice(0, 300) } })]);
  }

  async function look(): Promise<void> {
    try {
      const list = readPriceList(await fetchList(), name);
      const changes = await book.take(list, { source: 'url', actor: 'system' });
      if (changes.length > 0) log.info({ models: changes.length }, 'Took over new prices from PRICES_URL');
      await worked();
    } catch (thrown) {
      const error = toAppError(thrown);
      // Another node has written the same list at the same time.
      if (stopping.signal.aborted || error.code === 'conflict') return;
      await failed(error);
    }
  }

  async function lookOrSay(): Promise<void> {
    await look().catch((error: unknown) => {
      if (!stopping.signal.aborted) log.error({}, 'That the prices could not be fetched could not be noted', error);
    });
  }

  return {
    /** Now, and then every day. Nobody waits for it. */
    start(): void {
      rounds = repeatedly(clock, everyMs, lookOrSay, 'now');
    },

    /** Resolves when the look that is under way has ended. */
    idle: async (): Promise<void> => rounds?.idle(),

    async stop(): Promise<void> {
      rounds?.stop();
      stopping.abort(new AppError('draining', 'The server stops.'));
      await rounds?.idle();
    },
  };
}

const unusable = (what: string) => new AppError('provider_unreachable', `${name} cannot be used: ${what}`);
