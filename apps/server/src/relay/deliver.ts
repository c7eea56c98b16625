/**
 * Passes an answer on, reads its usage from the passing bytes, and holds its end back until that usage is on disk. From its
 * first byte on there is no other key to try, so whatever happens ends here, with one settled row.
 */
import type { Settlement } from '../meter.ts';
import type { Log } from '../ports/log.ts';
import type { Exchange } from '../ports/outbound.ts';
import type { Provider, Route, StreamReader, Usage } from '../providers/provider.ts';
import { parsed } from '../providers/reading.ts';
import { type Answer, type Headers, isEncoded } from './attempt.ts';
import { estimateUsage } from './estimate.ts';
import type { Outlet } from './relay.ts';
import { createTap } from './tap.ts';

export type Delivered = Pick<Settlement, 'state' | 'errorCode' | 'usage' | 'estimated'>;

export interface Delivery {
  provider: Provider;
  route: Route;
  json: Record<string, unknown> | null;
  model: string | null;
  dropUsageEvent: boolean;
  answer: Answer;
  exchange: Exchange;
  outlet: Outlet;
  headers: Headers;
  settle(delivered: Delivered): Promise<void>;
  log: Log;
}

/** Resolves when the row is settled and the answer has ended. Before the first byte it may reject; afterwards never. */
export function deliver(delivery: Delivery): Promise<void> {
  return delivery.answer.events ? deliverEvents(delivery) : deliverBytes(delivery);
}

/** An event stream: whole events pass as they come. */
function deliverEvents(delivery: Delivery): Promise<void> {
  const { answer, exchange, outlet, route, provider } = delivery;
  const reader: StreamReader = route.usage?.stream() ?? deaf;
  const tap = createTap({ reader, dropUsageEvent: delivery.dropUsageEvent });
  let settling: Promise<void> | null = null;
  /** What waits for the settled row. */
  const held: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();

  const settleAsTold = () => settleOnce(() => delivery.settle({ state: 'done', errorCode: null, usage: reader.usage(), estimated: false }));
  const settleAsCut = (errorCode: string) =>
    settleOnce(async () => delivery.settle({ state: 'failed', errorCode, ...(await cutUsage(delivery, reader)) }));

  function settleOnce(settle: () => Promise<void>): Promise<void> {
    settling ??= settle();
    return settling;
  }

  /** The end may go out now, or, where the row could not be written, must not. */
  async function finish(settled: Promise<void>, end: () => void): Promise<void> {
    try {
      await settled;
      end();
    } catch (error) {
      delivery.log.error({ provider: provider.id, route: route.path }, 'Usage could not be recorded, so the answer was broken off', error);
      exchange.abort();
      outlet.breakOff();
    }
    resolve();
  }

  outlet.onDrain(exchange.resume);
  outlet.onGone(() => {
    exchange.abort();
    // Who leaves after the terminal event has had the whole answer.
    void finish(tap.finished ? settleAsTold() : settleAsCut('client_closed'), () => undefined);
  });
  outlet.head(answer.status, delivery.headers, true);
  if (outlet.gone) void finish(settleAsCut('client_closed'), () => undefined);

  answer.follow({
    data(chunk) {
      const passage = tap.push(chunk);
      if (passage.forward && !outlet.write(passage.forward)) exchange.pause();
      if (!passage.held) return;
      held.push(passage.held);
      settleAsTold().then(flushHeld, () => undefined);
    },
    end() {
      if (tap.finished || tap.gaveUp || !route.endsByEvent) {
        void finish(tap.gaveUp && !tap.finished ? settleAsCut('provider_error') : settleAsTold(), endCleanly);
      } else {
        void finish(settleAsCut('upstream_reset'), endBroken);
      }
    },
    fail(error) {
      if (tap.finished) void finish(settleAsTold(), endCleanly);
      else void finish(settleAsCut(error.code === 'provider_timeout' ? 'provider_timeout' : 'upstream_reset'), endBroken);
    },
  });

  function flushHeld(): void {
    for (const chunk of held.splice(0)) if (!outlet.gone) outlet.write(chunk);
  }
  function endCleanly(): void {
    flushHeld();
    const rest = tap.rest();
    if (!outlet.gone) outlet.end(rest ?? undefined);
  }
  /** A stream that broke must not look complete: the route's own error event makes both SDKs raise an error. */
  function endBroken(): void {
    const rest = tap.rest();
    if (outlet.gone) return;
    // The unfinished event goes out too, byte for byte; a blank line ends it, so that the error is an event of its own.
    outlet.end(Buffer.concat([rest ?? Buffer.alloc(0), Buffer.from(rest ? '\n\n' : ''), Buffer.from(provider.brokenOff)]));
  }
  return promise;
}

/** Anything else: the bytes pass, the last piece waits for the settled row, and a copy tells the usage. */
function deliverBytes(delivery: Delivery): Promise<void> {
  const { answer, exchange, outlet, route } = delivery;
  const readable = route.usage !== null && !isEncoded(answer.headers) && String(answer.headers['content-type'] ?? '').includes('json');
  let copy: Buffer[] | null = readable ? [] : null;
  let copied = 0;
  let last: Buffer | null = null;
  let begun = false;
  let over = false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();

  function begin(): void {
    if (!begun) outlet.head(answer.status, delivery.headers);
    begun = true;
  }

  function pass(chunk: Buffer): void {
    if (last) {
      begin();
      if (!outlet.write(last)) exchange.pause();
    }
    last = chunk;
    copied += chunk.length;
    if (copy && copied <= maxCopyBytes) copy.push(chunk);
    else copy = null;
  }

  async function close(delivered: Delivered, end: () => void): Promise<void> {
    if (over) return;
    over = true;
    try {
      await delivery.settle(delivered);
      end();
      resolve();
    } catch (error) {
      exchange.abort();
      if (!begun) return reject(error);
      delivery.log.error(
        { provider: delivery.provider.id, route: route.path },
        'Usage could not be recorded, so the answer was broken off',
        error,
      );
      outlet.breakOff();
      resolve();
    }
  }

  outlet.onDrain(exchange.resume);
  outlet.onGone(() => {
    exchange.abort();
    void close({ state: 'failed', errorCode: 'client_closed', usage: null, estimated: false }, () => undefined);
  });
  answer.follow({
    data: pass,
    end() {
      const usage = copy && route.usage ? route.usage.plain(parsed(Buffer.concat(copy).toString('utf8'))) : null;
      void close({ state: 'done', errorCode: null, usage, estimated: false }, () => {
        if (outlet.gone) return;
        begin();
        outlet.end(last ?? undefined);
      });
    },
    fail(error) {
      // Nothing has gone out yet: an error of ours can still say what happened, and settles the row.
      if (!begun && !over) {
        over = true;
        return reject(error);
      }
      void close({ state: 'failed', errorCode: 'upstream_reset', usage: null, estimated: false }, () => outlet.breakOff());
    },
  });
  return promise;
}

/** Answers with images are large, and tell their usage at the end. */
const maxCopyBytes = 32 * 1_048_576;

const deaf: StreamReader = { event: () => 'pass', usage: () => null, text: () => '' };

async function cutUsage(delivery: Delivery, reader: StreamReader): Promise<{ usage: Usage | null; estimated: boolean }> {
  if (!delivery.route.usage) return { usage: null, estimated: false };
  try {
    const usage = await estimateUsage({
      provider: delivery.provider,
      model: delivery.model,
      request: delivery.json,
      told: reader.usage(),
      text: reader.text(),
    });
    return { usage, estimated: true };
  } catch (error) {
    // An estimate that fails leaves the usage unknown, never the row unsettled.
    delivery.log.error(
      { provider: delivery.provider.id, route: delivery.route.path },
      'The usage of a cut stream could not be estimated',
      error,
    );
    return { usage: null, estimated: false };
  }
}
