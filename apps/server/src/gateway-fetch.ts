/**
 * The gateway's second door: a `fetch` for callers inside this process. The official SDKs are set up with it, and what they ask takes the
 * same way as what comes over HTTP: the same routes, relay, limits and metering, the same metrics and the same line in the log.
 */
import { AppError, toAnthropicError, toOpenAIError } from '@synthstack/core';
import type { Caller } from './callers.ts';
import type { Asked, Attendance, Ended } from './gateway-attendance.ts';
import { shapedHeaders } from './gateway-outlet.ts';
import type { Matched } from './gateway-routes.ts';
import type { FetchFor } from './relay/fetch.ts';
import type { Outlet } from './relay/request.ts';
import { targetOf } from './target.ts';

export interface FetchParts {
  relayed(
    headers: Record<string, string>,
    outlet: Outlet,
    asked: Asked,
    place: { matched: Matched; caller: Caller; body: Buffer | null },
  ): Promise<void>;
  attendance: Attendance;
}

export function createFetch({ relayed, attendance }: FetchParts): FetchFor {
  async function answer(caller: Caller, asked: Asked, outlet: Outlet, { method, headers, body }: Sent): Promise<void> {
    const { matched, target } = asked;
    if (!matched) throw new AppError('not_found', `There is no route ${method} ${target.pathname} here.`);
    await relayed(headers, outlet, asked, { matched, caller, body });
  }

  return (caller, over) =>
    (url, init = {}) => {
      const { pathname, search } = new URL(url instanceof Request ? url.url : url);
      const sent = sentBy(init);
      const asked = attendance.begin(sent.method, targetOf(pathname + search), sent.headers);
      const { requestId, matched } = asked;
      const outlet = new WebOutlet({ asked, requestId, anthropic: matched?.provider.errorShape === 'anthropic' }, init.signal);
      void attendance
        .attend(asked, outlet, answer(caller, asked, outlet, sent), tell)
        .then(() => over({ requestId, settled: asked.settled, error: asked.error, said: named(asked.said) }));
      return outlet.response;
    };
}

interface Sent {
  method: string;
  headers: Record<string, string>;
  body: Buffer | null;
}

const sentBy = ({ method = 'GET', headers, body }: RequestInit): Sent => ({
  method,
  headers: Object.fromEntries(new Headers(headers)),
  body: typeof body === 'string' ? Buffer.from(body) : null,
});

const tell = (outlet: WebOutlet, error: AppError): void => outlet.fail(error);

/** Name, value, name, value; of several values of one name the last, which no answer of a provider needs more of. */
function named(headers: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let i = 0; i + 1 < headers.length; i += 2) found[headers[i] ?? ''] = headers[i + 1] ?? '';
  return found;
}

interface OutletParts {
  /** Told the headers that the caller gets. */
  asked: { said: readonly string[] };
  requestId: string;
  anthropic: boolean;
}

/** So much may wait for a reader before the provider has to. */
const mostWaiting = 65_536;

/** The relay's outlet to a web `Response`: it resolves with the answer's head, and its reader's pace is the provider's. */
class WebOutlet implements Outlet, Ended {
  readonly response: Promise<Response>;
  gone = false;
  statusCode = 200;
  writableEnded = false;
  readonly #parts: OutletParts;
  readonly #signal: AbortSignal | null;
  #resolve!: (response: Response) => void;
  #reject!: (reason: unknown) => void;
  #body!: ReadableStreamDefaultController<Uint8Array>;
  readonly #stream: ReadableStream<Uint8Array>;
  /** Until it has left. */
  #headers: readonly string[] | null = null;
  #onGone: (() => void) | null = null;
  #onDrain: (() => void) | null = null;
  readonly #abort = () => this.#leave(this.#signal?.reason);

  constructor(parts: OutletParts, signal: AbortSignal | null | undefined) {
    this.#parts = parts;
    this.#signal = signal ?? null;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#body = controller;
        },
        pull: () => this.#onDrain?.(),
        cancel: () => this.#leave(null),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: mostWaiting }),
    );
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** It was broken off by either side. */
  get destroyed(): boolean {
    return this.gone;
  }

  head(status: number, headers: readonly string[]): void {
    this.statusCode = status;
    this.#headers = headers;
    this.#parts.asked.said = headers;
  }

  flush(): void {
    const headers = this.#headers;
    if (!headers) return;
    this.#headers = null;
    this.#answer(new Response(this.#stream, { status: this.statusCode, headers: this.#shaped(named(headers)) }));
  }

  write(chunk: Buffer): boolean {
    this.flush();
    if (this.gone) return false;
    this.#body.enqueue(chunk);
    return (this.#body.desiredSize ?? 0) > 0;
  }

  end(chunk?: Buffer): void {
    this.flush();
    this.#over();
    if (this.gone) return;
    if (chunk?.length) this.#body.enqueue(chunk);
    this.#body.close();
  }

  breakOff(): void {
    this.flush();
    this.#over();
    if (!this.gone) this.#body.error(new Error('The answer broke off.'));
  }

  /** An error of ours before the answer's first byte. */
  fail(error: AppError): void {
    if (this.writableEnded || this.gone) return;
    this.#over();
    const { requestId, anthropic } = this.#parts;
    this.statusCode = error.form.http;
    const body = JSON.stringify(anthropic ? toAnthropicError(error, requestId) : toOpenAIError(error));
    const headers = { 'content-type': 'application/json', ...error.headers };
    this.#answer(new Response(body, { status: this.statusCode, headers: this.#shaped(headers) }));
  }

  onDrain(fn: () => void): void {
    this.#onDrain = fn;
  }

  onGone(fn: () => void): void {
    this.#onGone = fn;
    if (this.gone) fn();
  }

  #answer(response: Response): void {
    this.#resolve(response);
  }

  #shaped(headers: Record<string, string>): Headers {
    const { requestId, anthropic } = this.#parts;
    const shaped = new Headers({ 'x-byok-request-id': requestId });
    for (const [name, value] of Object.entries(shapedHeaders(headers, anthropic))) shaped.set(name, value);
    return shaped;
  }

  #over(): void {
    this.writableEnded = true;
    this.#signal?.removeEventListener('abort', this.#abort);
  }

  #leave(reason: unknown): void {
    if (this.writableEnded || this.gone) return;
    this.gone = true;
    const why = reason ?? new DOMException('This was called off.', 'AbortError');
    this.#reject(why);
    // Where its reader has called it off, it is closed already.
    if (reason !== null) this.#body.error(why);
    this.#onGone?.();
  }
}
