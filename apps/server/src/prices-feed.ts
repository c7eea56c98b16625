/**
 * PRICES_URL: a price list that is fetched at the start and once a day, from the one further host that this server then talks to. What
 * cannot be fetched or read changes nothing, stands in the log, and is told to administrators once, until it has worked again.
 */
import { AppError, toAppError } from '@synthstack/core';
import { type Db, type Statement, statement } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import type { Administrators, NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { AnswerHandler, Exchange, Outbound } from './ports/outbound.ts';
import type { PriceBook } from './prices.ts';
import { readPriceList } from './prices-list.ts';

export interface PriceFeedParts {
  /** https, or http to this machine; checked by config.ts. */
  url: string;
  db: Db;
  clock: Clock;
  log: Log;
  outbound: Pick<Outbound, 'dispatch'>;
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
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  let breakOff: () => void = () => undefined;
  let cancel: () => void = () => undefined;

  async function fetchList(): Promise<string> {
    const { origin, pathname, search } = new URL(url);
    const gathered = Promise.withResolvers<string>();
    const handler = gather(gathered, () => exchange.abort());
    const exchange: Exchange = outbound.dispatch(
      {
        ...{ origin, path: pathname + search, method: 'GET', body: null, timeouts, name },
        headers: { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'synthstack-byok' },
      },
      handler,
    );
    // What is aborted is told to nobody else.
    breakOff = () => {
      exchange.abort();
      gathered.reject(new AppError('draining', 'The server stops.'));
    };
    return gathered.promise;
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
      if (stopped || error.code === 'conflict') return;
      await failed(error);
    }
  }

  /** Now, and then every day. Nobody waits for it. */
  function start(): void {
    if (stopped) return;
    running = look()
      .catch((error: unknown) => void (stopped || log.error({}, 'That the prices could not be fetched could not be noted', error)))
      .then(() => {
        if (!stopped) cancel = clock.after(everyMs, start);
      });
  }

  return {
    start,

    /** Resolves when the look that is under way has ended. */
    idle: (): Promise<void> => running,

    async stop(): Promise<void> {
      stopped = true;
      cancel();
      breakOff();
      await running;
    },
  };
}

/** Gathers a 200's body as text. Everything else is a failure: a redirect too, since it would lead to a host that nobody named. */
function gather({ resolve, reject }: Pick<PromiseWithResolvers<string>, 'resolve' | 'reject'>, abort: () => void): AnswerHandler {
  const chunks: Buffer[] = [];
  let length = 0;
  const refuse = (what: string) => {
    abort();
    reject(new AppError('provider_unreachable', `${name} cannot be used: ${what}`));
  };
  return {
    head(status) {
      if (status >= 300 && status < 400) refuse(`it answers with a redirect (${status}), which is not followed. Name its own address.`);
      else if (status !== 200) refuse(`it answers with status ${status}.`);
    },
    data(chunk) {
      length += chunk.length;
      if (length > maxBytes) refuse(`it is larger than ${maxBytes / 1_048_576} MB.`);
      else chunks.push(chunk);
    },
    end: () => resolve(Buffer.concat(chunks).toString('utf8')),
    fail: reject,
  };
}
