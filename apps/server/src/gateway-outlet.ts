/** The relay's outlet to an HTTP response: its head leaves with the first byte, and a reader that stands still is let go. */
import type { ServerResponse } from 'node:http';
import type { Clock } from './ports/clock.ts';
import type { Outlet } from './relay/request.ts';

export interface OutletParts {
  /** Told the headers that the caller gets. */
  asked: { said: readonly string[] };
  /** The route is one of Anthropic's. */
  anthropic: boolean;
  /** Every answer carries it. */
  requestId: string;
  clock: Clock;
  /** How long a client may take nothing of what waits for it. */
  stallMs: number;
}

/** A small last piece goes out with its head in one call to the system: as one text, since Node sends two buffers in two pieces. */
const smallBytes = 16_384;

/** One a request, so a class: functions of its own for each would cost as much as the answer. */
export class HttpOutlet implements Outlet {
  gone: boolean;
  readonly #res: ServerResponse;
  readonly #parts: OutletParts;
  #status = 0;
  /** Until it has left. */
  #headers: string[] | null = null;
  #onGone: (() => void) | null = null;
  #onDrain: (() => void) | null = null;
  #over = false;
  #letGo: (() => void) | null = null;

  constructor(res: ServerResponse, parts: OutletParts) {
    this.gone = res.destroyed;
    this.#res = res;
    this.#parts = parts;
    res.on('close', () => this.#closed());
  }

  head(status: number, headers: string[]): void {
    this.#status = status;
    this.#headers = headers;
    this.#parts.asked.said = headers;
  }

  flush(): void {
    if (!this.#headers) return;
    this.#sendHead();
    this.#res.flushHeaders();
  }

  write(chunk: Buffer): boolean {
    this.#sendHead();
    const hasRoom = this.#res.write(chunk);
    if (!hasRoom) this.#waitForReader();
    return hasRoom;
  }

  end(chunk?: Buffer): void {
    this.#over = true;
    const isWhole = this.#headers !== null;
    this.#sendHead(chunk?.length ?? 0);
    if (isWhole && chunk && chunk.length <= smallBytes) this.#res.end(chunk.toString('latin1'), 'latin1');
    else this.#res.end(chunk);
    // What the system has taken is no longer waited for.
    if (this.#res.writableLength > 0) this.#waitForReader();
  }

  breakOff(): void {
    this.#over = true;
    // What has been written in this turn leaves first: Node gathers it until the turn is over.
    setImmediate(() => {
      const { socket, chunkedEncoding } = this.#res;
      // HTTP/1.0 knows no chunks: there a clean end of the connection is a clean end of the answer. TLS tells a cut by itself.
      if (chunkedEncoding || !socket || 'encrypted' in socket) this.#res.destroy();
      else socket.resetAndDestroy();
    });
  }

  onDrain(fn: () => void): void {
    this.#onDrain = fn;
  }

  onGone(fn: () => void): void {
    this.#onGone = fn;
    if (this.gone) fn();
  }

  #sendHead(length?: number): void {
    const headers = this.#headers;
    if (!headers) return;
    this.#headers = null;
    const { anthropic, requestId } = this.#parts;
    const others = anthropic ? openaiLimits : anthropicLimits;
    const sent: string[] = ['x-byok-request-id', requestId];
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] ?? '';
      if (!others.has(name)) sent.push(name, headers[i + 1] ?? '');
    }
    if (length !== undefined) sent.push('content-length', String(length));
    this.#res.writeHead(this.#status, sent);
  }

  #closed(): void {
    this.#stopWaiting();
    if (this.#over) return;
    this.gone = true;
    this.#onGone?.();
  }

  /** A client that takes nothing for so long is let go: what waits for it is memory, and perhaps a provider that is paused. */
  #waitForReader(): void {
    if (this.#letGo) return;
    const { clock, stallMs } = this.#parts;
    this.#letGo = clock.after(stallMs, () => this.#res.destroy());
    if (!this.#over)
      this.#res.once('drain', () => {
        this.#stopWaiting();
        this.#onDrain?.();
      });
  }

  #stopWaiting(): void {
    this.#letGo?.();
    this.#letGo = null;
  }
}

/** Each SDK's users see the limit headers that they know. */
export function shapedHeaders(headers: Record<string, string>, anthropic: boolean): Record<string, string> {
  const others = anthropic ? openaiLimits : anthropicLimits;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !others.has(name)));
}
const limitNames = (before: string) => new Set(['limit', 'remaining', 'reset'].map((name) => before.replace('*', name)));
const openaiLimits = limitNames('x-ratelimit-*-requests');
const anthropicLimits = limitNames('anthropic-ratelimit-requests-*');
