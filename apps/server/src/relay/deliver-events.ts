/** An event stream on its way to the client: whole events pass as they come, and the end waits for the settled row. */
import type { Outcome, Provider, StreamReader } from '../providers/provider.ts';
import { outcomeOfEvent } from './attempt.ts';
import { breakOff, brokenBy, cut, type Delivered, type Delivery, nothingUsed } from './deliver.ts';
import { createTap } from './tap.ts';

export function deliverEvents(delivery: Delivery): Promise<void> {
  const { answer, exchange, outlet, route, provider } = delivery;
  const reader: StreamReader = route.usage?.stream() ?? deaf;
  const inPlaceOf = delivery.isPlatforms
    ? (error: Buffer) => (tellsOfAccount(provider, error) ? Buffer.from(provider.brokenOff) : null)
    : undefined;
  const tap = createTap({ reader, dropUsageEvent: delivery.dropUsageEvent, ...(inPlaceOf && { inPlaceOf }) });
  let settling: Promise<void> | null = null;
  /** The terminal event's end and what followed it. */
  const held: Buffer[] = [];
  let delivered: Delivered | null = null;
  /** The row is on disk: what is held may go. */
  let isSettled = false;
  /** Where no event ends the answer, its last byte does, so one is always kept back. */
  let lastByte: Buffer | null = null;
  const { promise, resolve } = Promise.withResolvers<void>();

  /** Once: whoever comes first knows how the answer ended. */
  function settle(errorCode: string | null): Promise<void> {
    settling ??= settleAs(tap.gaveUp ? 'provider_error' : tap.finished ? null : errorCode);
    return settling;
  }

  async function settleAs(errorCode: string | null): Promise<void> {
    delivered =
      errorCode === null
        ? { state: 'done', errorCode, usage: reader.usage(), estimated: false }
        : await cut(delivery, errorCode, reader.usage(), reader.text());
    await delivery.settle(delivered);
    isSettled = true;
  }

  /** The end may go out now, or, where the row could not be written, must not. */
  async function finish(errorCode: string | null, end: () => void): Promise<void> {
    try {
      await settle(errorCode);
      if (!outlet.gone) end();
    } catch (error) {
      await breakOff(delivery, delivered, error);
    }
    resolve();
  }

  /** The terminal event has come. The provider waits too, so that what it still sends cannot pile up. */
  async function passEnd(): Promise<void> {
    exchange.pause();
    try {
      await settle(null);
      if (!outlet.gone) flushHeld();
      exchange.resume();
    } catch (error) {
      await breakOff(delivery, delivered, error);
      resolve();
    }
  }

  function flushHeld(): void {
    for (const chunk of held.splice(0)) if (!outlet.write(chunk)) exchange.pause();
  }

  function allButLastByte(chunk: Buffer): Buffer {
    const whole = lastByte ? Buffer.concat([lastByte, chunk]) : chunk;
    lastByte = whole.subarray(-1);
    return whole.subarray(0, -1);
  }

  function rest(): Buffer {
    return Buffer.concat([...held.splice(0), lastByte ?? none, tap.rest() ?? none]);
  }
  const endCleanly = () => outlet.end(rest());
  /** A stream that broke must not look complete: the route's own error event makes both SDKs raise an error. */
  const endBroken = () => {
    // The unfinished event goes out too, byte for byte; a blank line ends it, so that the error is an event of its own.
    const unfinished = tap.rest();
    outlet.end(Buffer.concat([rest(), Buffer.from(unfinished ? '\n\n' : ''), Buffer.from(provider.brokenOff)]));
  };

  outlet.head(answer.status, delivery.headers);
  // What passes of them has been taken: the rest need not stay as long as the stream.
  answer.headers = {};
  outlet.onDrain(exchange.resume);
  outlet.onGone(() => {
    exchange.abort();
    // Who leaves after the terminal event has had the whole answer.
    void finish('client_closed', () => undefined);
  });
  answer.follow({
    data(chunk) {
      const { forward, held: end } = tap.push(chunk);
      const passing = forward && !route.endsByEvent ? allButLastByte(forward) : forward;
      if (passing?.length && !outlet.write(passing)) exchange.pause();
      if (!end) return;
      held.push(end);
      if (isSettled) flushHeld();
      else if (!settling) void passEnd();
    },
    end() {
      const isWhole = tap.finished || tap.gaveUp || !route.endsByEvent;
      void finish(isWhole ? null : 'upstream_reset', isWhole ? endCleanly : endBroken);
    },
    fail(error) {
      const isWhole = tap.finished || tap.gaveUp;
      void finish(brokenBy(error), isWhole ? endCleanly : endBroken);
    },
  });
  // With what has come meanwhile, in one call to the system; and where nothing has, without it.
  outlet.flush();
  return promise;
}

const ofAccount: ReadonlySet<Outcome> = new Set(['bad_key', 'no_credit', 'not_allowed', 'rate_limited']);
const tellsOfAccount = (provider: Provider, error: Buffer): boolean => ofAccount.has(outcomeOfEvent(provider, error.toString('utf8')));

const none = Buffer.alloc(0);
const deaf: StreamReader = { event: () => 'pass', usage: () => nothingUsed, text: () => '' };
