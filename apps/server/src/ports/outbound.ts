/**
 * The way out: HTTP/1.1 requests to an origin over kept-alive sockets, by undici's dispatcher, in callbacks because every byte of the
 * product's traffic passes here. Hides undici, its errors and its timers. One request goes out once: nothing is retried, no redirect is
 * followed (a 3xx is handed on as a status), and no error carries a header or a piece of a body.
 */
import { AppError, toAppError } from '@synthstack/core';
import { type Dispatcher, errors, Pool } from 'undici';

export interface Timeouts {
  /** To an open, encrypted socket. */
  connectMs: number;
  /** From the sent request to the answer's head. */
  firstByteMs: number;
  /** Between two pieces of the answer; does not run while the reader has paused it. */
  idleMs: number;
  /** From dispatch to the answer's last byte, waiting for a socket included. */
  totalMs: number;
}

export interface OutboundRequest {
  /** Scheme, host and port only. */
  origin: string;
  /** With its query. */
  path: string;
  method: string;
  /** A record, or name, value, name, value. */
  headers: string[] | Record<string, string>;
  body: Buffer | null;
  timeouts: Timeouts;
  /** What people call the other side, for the sentences of errors. */
  name: string;
}

/** Called in this order: `head` once, `data` any number of times, then one of `end` and `fail`; `fail` may come at any time. Never during `dispatch`. */
export interface AnswerHandler {
  /** Header names are in lower case. */
  head(status: number, headers: Record<string, string | string[]>): void;
  /** The chunk is the handler's to keep. */
  data(chunk: Buffer): void;
  end(): void;
  /** `provider_unreachable` or `provider_timeout`; `internal` if a handler threw. */
  fail(error: AppError): void;
}

export interface Exchange {
  /** Stops reading from the socket; one piece may still arrive. */
  pause(): void;
  resume(): void;
  /** Closes the socket. The handler is not called any more: whoever aborts knows why. After the end it does nothing. */
  abort(): void;
}

export interface Outbound {
  dispatch(request: OutboundRequest, handler: AnswerHandler): Exchange;
  /** Breaks off what is still open (each `fail`s) and closes all sockets. Drain first. */
  close(): Promise<void>;
  openSockets(): number;
  /** What became of the last requests to whom people call so; null: there were none. */
  contact(name: string): Contact | null;
}

/** In ms since 1970; null: not since the start. An answer of any status counts. */
export interface Contact {
  answeredAt: number | null;
  failedAt: number | null;
  /** Why it failed then, by the error's code. */
  failure: string | null;
}

export interface OutboundOptions {
  /** Sockets to one origin at a time; beyond them requests wait, within `totalMs`. */
  connections?: number;
  /** How long an idle socket is kept, unless the other side names a shorter time. */
  keepAliveMs?: number;
  nowMs?: () => number;
}

/** Called at the head of an answer, and with what went wrong. */
interface Witness {
  answered(): void;
  failed(error: AppError): void;
}

export function createOutbound({ connections = 16_384, keepAliveMs = 30_000, nowMs = Date.now }: OutboundOptions = {}): Outbound {
  const contacts = new Map<string, Contact & Witness>();

  function contactOf(name: string): Contact & Witness {
    let contact = contacts.get(name);
    if (contact) return contact;
    contact = {
      answeredAt: null,
      failedAt: null,
      failure: null,
      answered() {
        this.answeredAt = nowMs();
      },
      failed({ code }) {
        this.failedAt = nowMs();
        this.failure = code;
      },
    };
    contacts.set(name, contact);
    return contact;
  }

  // undici's limit for connecting belongs to the pool, so another limit means another pool.
  const pools = new Map<string, Pool>();

  function poolOf({ origin, timeouts }: OutboundRequest): Pool {
    const key = `${origin} ${timeouts.connectMs}`;
    let pool = pools.get(key);
    if (!pool) {
      pool = new Pool(origin, {
        connections,
        pipelining: 1,
        // One request, one socket: closing it is how an abort reaches the provider, and pausing it pauses nobody else.
        allowH2: false,
        connectTimeout: timeouts.connectMs,
        keepAliveTimeout: keepAliveMs,
        keepAliveMaxTimeout: keepAliveMs,
        // Node gives each address of a host 250 ms, too little for a distant one (nodejs/node#54359).
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: 1_000,
      });
      pools.set(key, pool);
    }
    return pool;
  }

  return {
    dispatch(request, handler) {
      return exchange(poolOf(request), request, handler, contactOf(request.name));
    },
    async close() {
      const closing = [...pools.values()].map((pool) => pool.destroy(new errors.ClientDestroyedError()));
      pools.clear();
      await Promise.all(closing);
    },
    openSockets() {
      let open = 0;
      for (const pool of pools.values()) open += pool.stats.connected;
      return open;
    },
    contact(name) {
      const { answeredAt, failedAt, failure } = contacts.get(name) ?? { answeredAt: null, failedAt: null, failure: null };
      return answeredAt === null && failedAt === null ? null : { answeredAt, failedAt, failure };
    },
  };
}

function exchange(pool: Pool, request: OutboundRequest, handler: AnswerHandler, witness: Witness): Exchange {
  const { timeouts } = request;
  let controller: Dispatcher.DispatchController | null = null;
  let isOver = false;
  let isPaused = false;
  let isDispatching = true;

  function finish(): void {
    isOver = true;
    clearTimeout(total);
  }

  /** The socket is closed if there is one; if there is none yet, `onRequestStart` will see that it is over. */
  function stop(): void {
    finish();
    controller?.abort(new Error('aborted'));
  }

  function fail(error: AppError): void {
    witness.failed(error);
    handler.fail(error);
  }

  const total = setTimeout(() => {
    stop();
    fail(timedOut(request, 'total'));
  }, timeouts.totalMs);
  total.unref();

  try {
    pool.dispatch(
      {
        path: request.path,
        method: request.method,
        headers: request.headers,
        body: request.body,
        headersTimeout: timeouts.firstByteMs,
        bodyTimeout: timeouts.idleMs,
      },
      {
        onRequestStart(started) {
          controller = started;
          if (isOver) started.abort(new Error('aborted'));
          else if (isPaused) started.pause();
        },
        onResponseStart(responding, status, headers) {
          // Two buffers a header, and the piece that they are cut from: they would stay as long as the answer.
          responding.rawHeaders = null;
          // 1xx only announces the answer.
          if (isOver || status < 200) return;
          witness.answered();
          handler.head(status, headers as Record<string, string | string[]>);
        },
        onResponseData(_, chunk) {
          if (!isOver) handler.data(chunk);
        },
        onResponseEnd() {
          if (isOver) return;
          finish();
          handler.end();
        },
        onResponseError(_, error) {
          if (isOver) return;
          finish();
          const failure = failureOf(request, error);
          if (isDispatching) queueMicrotask(() => fail(failure));
          else fail(failure);
        },
      },
    );
  } catch (error) {
    finish();
    const failure = failureOf(request, error);
    queueMicrotask(() => fail(failure));
  }
  isDispatching = false;

  return {
    pause() {
      isPaused = true;
      controller?.pause();
    },
    resume() {
      isPaused = false;
      controller?.resume();
    },
    abort() {
      if (!isOver) stop();
    },
  };
}

// Errors

type Limit = 'connect' | 'first_byte' | 'idle' | 'total';

const limitOf: Record<string, Limit> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect',
  UND_ERR_HEADERS_TIMEOUT: 'first_byte',
  UND_ERR_BODY_TIMEOUT: 'idle',
};

function failureOf(request: OutboundRequest, error: unknown): AppError {
  const code = codeOf(error);
  // Every trouble of the network has a code; without one it is a fault in a handler of ours.
  if (code === null) return toAppError(error);
  const cause = causeOf(error, code);
  const limit = limitOf[code];
  if (limit) return timedOut(request, limit, cause);
  return new AppError('provider_unreachable', `The connection to ${request.name} failed. Please try again in a moment.`, { cause });
}

function timedOut({ name, timeouts }: OutboundRequest, limit: Limit, cause?: Error): AppError {
  const sentence: Record<Limit, string> = {
    connect: `${name} could not be reached within ${duration(timeouts.connectMs)}.`,
    first_byte: `${name} did not answer within ${duration(timeouts.firstByteMs)}.`,
    idle: `${name} stopped in the middle of its answer for ${duration(timeouts.idleMs)}.`,
    total: `${name} did not finish its answer within ${duration(timeouts.totalMs)}.`,
  };
  return new AppError('provider_timeout', sentence[limit], { cause });
}

function duration(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${Math.round(ms / 1_000)} s`;
}

function codeOf(error: unknown): string | null {
  if (error instanceof errors.HTTPParserError) return error.code ?? 'HPE_INVALID';
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** For the log: code and message only. undici's own errors may hold a piece of the answer (HTTPParserError) or a certificate. */
function causeOf(error: unknown, code: string): Error {
  const cause = new Error(`${code}: ${error instanceof Error ? error.message : 'unknown'}`);
  cause.name = 'NetworkError';
  return cause;
}
