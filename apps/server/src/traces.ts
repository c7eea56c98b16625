/**
 * Traces, for operators who collect them: one span for each AI request and one for each call of a provider, sent as OTLP/HTTP (JSON) to the
 * one collector that they have named. While a request runs, a few numbers are noted; names, ids and JSON are made when a batch leaves. No
 * content, no key, no token and no user is in them. Written by hand: @opentelemetry's SDK with its exporter is 12 packages of 28 MB, opens
 * sockets of its own, and costs each request more than all of our metrics.
 */
import { type KeySource, toAppError } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import type { UpstreamOutcome } from './metrics.ts';
import { type Clock, repeatedly } from './ports/clock.ts';
import { createSmallFetch } from './ports/fetch.ts';
import type { Log } from './ports/log.ts';
import type { Outbound } from './ports/outbound.ts';
import { createIds, otlpBody, type Parent, parentOf, type RequestFacts } from './traces-otlp.ts';

export interface TracesParts {
  /** Where the collector takes traces, with its path. */
  url: string;
  /** `name=value,name=value`, values percent-encoded. */
  headers: Secret | undefined;
  serviceName: string;
  version: string;
  /** How many of the requests without a trace of their caller's are traced, 0 to 1. */
  ratio: number;
  /** Whether providers are told the trace. */
  tellProviders: boolean;
  clock: Clock;
  log: Log;
  outbound: Outbound;
}

/** One call of a provider. Times are `performance.now()`'s. */
export interface TracedAttempt {
  source: KeySource;
  startedAt: number;
  /** null: it goes on to the request's end. */
  endedAt: number | null;
  outcome: UpstreamOutcome | 'unreadable' | null;
  status: number | null;
  /** null: not needed yet. */
  spanId: string | null;
}

/** What is noted of a request on its way. One a request, so a class. */
export class Trace {
  readonly parent: Parent | null;
  readonly attempts: TracedAttempt[] = [];
  traceId: string | null;
  readonly #ids: ReturnType<typeof createIds> | null;

  /** @param ids  makes ids at once, because providers are told; null: later */
  constructor(parent: Parent | null, ids: ReturnType<typeof createIds> | null) {
    this.parent = parent;
    this.traceId = parent?.traceId ?? null;
    this.#ids = ids;
  }

  /** A provider is about to be called. @returns the `traceparent` to send along; null: none */
  attempting(source: KeySource): string | null {
    const attempt: TracedAttempt = { source, startedAt: performance.now(), endedAt: null, outcome: null, status: null, spanId: null };
    this.attempts.push(attempt);
    if (!this.#ids) return null;
    this.traceId ??= this.#ids.trace();
    attempt.spanId = this.#ids.span();
    return `00-${this.traceId}-${attempt.spanId}-01`;
  }

  /** What came of the latest call; an answer goes on until the request ends. */
  came(outcome: UpstreamOutcome | 'unreadable', status: number | null): void {
    const attempt = this.attempts.at(-1);
    if (!attempt) return;
    attempt.outcome = outcome;
    attempt.status = status;
    if (outcome !== 'ok') attempt.endedAt = performance.now();
  }
}

export type Traces = ReturnType<typeof createTraces>;

/** Requests that may wait for the collector; later ones are dropped. */
const mostWaiting = 4_096;
/** Requests in a batch: to write more at once would hold up others. */
const batchSize = 64;
const flushEveryMs = 2_000;
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;
const closingMs = 2_000;
const timeouts = { connectMs: 5_000, firstByteMs: 10_000, idleMs: 10_000, totalMs: 10_000 };

export function createTraces({ url, headers, serviceName, version, ratio, tellProviders, clock, log, outbound }: TracesParts) {
  const { origin } = new URL(url);
  const fetch = createSmallFetch({ outbound, admits: (to) => to === origin, timeouts, maxBytes: 65_536, name: 'The collector of traces' });
  const sent = { ...headersIn(headers?.expose() ?? ''), 'content-type': 'application/json', 'user-agent': 'synthstack-byok' };
  const ids = createIds();
  const waiting: RequestFacts[] = [];
  const spans = { exported: 0, dropped: 0 };
  let exporting: Promise<void> | null = null;
  let pauseMs = 0;
  let notBefore = 0;
  let isAway = false;

  /** Said once, until it has worked again. */
  function failed(reason: string): void {
    if (!isAway) log.warn({ reason }, 'Traces cannot be handed to the collector; requests go on without');
    isAway = true;
  }

  function drop(count: number, reason: string): void {
    spans.dropped += count;
    failed(reason);
  }

  /** @returns false: not now, and the batch is to be tried again */
  async function send(batch: readonly RequestFacts[]): Promise<boolean> {
    const { body, count } = otlpBody(batch, { ids, serviceName, version });
    let status: number;
    try {
      const answer = await fetch(url, { method: 'POST', headers: sent, body });
      status = answer.status;
      if (status === 200) {
        const rejected = Math.min(count, rejectedIn(await answer.text()));
        spans.exported += count - rejected;
        if (rejected > 0) drop(rejected, 'it refused some of them');
        else isAway = false;
        return true;
      }
    } catch (error) {
      failed(toAppError(error).message);
      return false;
    }
    if (mayTryAgain.has(status)) {
      failed(`status ${status}`);
      return false;
    }
    drop(count, `status ${status}`);
    return true;
  }

  /** One batch at a time. What the collector does not take now stays in front of the queue, until this fills up. */
  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchSize);
      if (!(await send(batch))) {
        pauseMs = Math.min(Math.max(firstPauseMs, pauseMs * 2), longestPauseMs);
        notBefore = clock.now() + pauseMs;
        return;
      }
      pauseMs = 0;
      waiting.splice(0, batch.length);
      // The rest waits for company.
      if (waiting.length < batchSize) return;
    }
  }

  function flushSoon(): Promise<void> {
    exporting ??= Promise.resolve()
      .then(() => (clock.now() < notBefore ? undefined : flush()))
      .finally(() => {
        exporting = null;
      });
    return exporting;
  }

  const rounds = repeatedly(clock, flushEveryMs, flushSoon);

  return {
    /** @param traceparent  the caller's. @returns null: this request is not traced */
    begin(traceparent: string | string[] | undefined): Trace | null {
      const parent = typeof traceparent === 'string' ? parentOf(traceparent) : null;
      const isWanted = parent ? parent.sampled : ratio === 1 || Math.random() < ratio;
      return isWanted ? new Trace(parent, tellProviders ? ids : null) : null;
    },

    ended(facts: RequestFacts): void {
      if (waiting.length >= mostWaiting) {
        drop(1 + facts.trace.attempts.length, 'too many wait');
        return;
      }
      waiting.push(facts);
      if (waiting.length >= batchSize && !exporting) void flushSoon();
    },

    /** How many there were since the start. */
    spans: (): Readonly<Record<'exported' | 'dropped', number>> => spans,

    /** Resolves when no batch is on its way. */
    idle: () => exporting ?? Promise.resolve(),

    /** Hands over what still waits, where the collector takes it soon. */
    async stop(): Promise<void> {
      rounds.stop();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, closingMs);
      const rest = async () => {
        await exporting;
        while (waiting.length > 0 && clock.now() >= notBefore) await flush();
      };
      await Promise.race([rest(), late.promise]);
      clearTimeout(timer);
    },
  };
}

/** The collector is busy, or not there for now (OTLP 1.x, "Retryable response codes"). */
const mayTryAgain: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** How many spans a collector refused of a batch that it took. */
function rejectedIn(answer: string): number {
  try {
    const { partialSuccess } = JSON.parse(answer) as { partialSuccess?: { rejectedSpans?: string | number } };
    return Math.max(0, Number(partialSuccess?.rejectedSpans ?? 0)) || 0;
  } catch {
    return 0;
  }
}

/** Checked by config.ts. */
function headersIn(text: string): Record<string, string> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at).trim().toLowerCase(), decodeURIComponent(pair.slice(at + 1).trim())];
    }),
  );
}
