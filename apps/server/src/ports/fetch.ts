/**
 * A `fetch` for libraries that want one (Stripe's, jose): small requests of our own to the origins that the operator has set, and to no
 * others. It leaves through the one way out, follows no redirect, and reads no more than it was told to.
 */
import { AppError } from '@synthstack/core';
import type { Outbound, Timeouts } from './outbound.ts';

export interface FetchParts {
  outbound: Outbound;
  /** Whether a request may go there; asked with scheme, host and port. */
  admits(origin: string): boolean;
  timeouts: Timeouts;
  /** The longest answer, in bytes. */
  maxBytes: number;
  /** What people call the other side, for the sentences of errors. */
  name: string;
}

export type SmallFetch = (url: string | URL, init?: SmallInit) => Promise<Response>;
export interface SmallInit {
  method?: string;
  headers?: ConstructorParameters<typeof Headers>[0];
  /** A text or a form; the caller names its type in `headers`. Other kinds are refused, so that none goes out empty. */
  body?: unknown;
  signal?: AbortSignal | null;
}

/** Its promises are rejected with an AppError: `provider_unreachable`, `provider_timeout`; or with the signal's reason. */
export function createSmallFetch({ outbound, admits, timeouts, maxBytes, name }: FetchParts): SmallFetch {
  return async (address, { method = 'GET', headers, body, signal } = {}) => {
    const { origin, pathname, search } = new URL(address);
    if (!admits(origin)) throw new AppError('provider_unreachable', `${name} is not at that address.`);
    signal?.throwIfAborted();
    const sent = Object.fromEntries(new Headers(headers));
    const request = { origin, path: pathname + search, method, timeouts, name };
    const bytes = bytesOf(body);
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const answer = collect(resolve, reject, { maxBytes, name });
    const exchange = outbound.dispatch(
      { ...request, headers: { ...sent, 'accept-encoding': 'identity' }, body: bytes },
      { ...answer, data: (chunk) => answer.data(chunk) || exchange.abort() },
    );
    const breakOff = () => {
      exchange.abort();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', breakOff);
    return promise.finally(() => signal?.removeEventListener('abort', breakOff));
  };
}

function bytesOf(body: unknown): Buffer | null {
  const isText = typeof body === 'string' || body instanceof URLSearchParams;
  if (!isText && body !== undefined && body !== null) throw new TypeError('Only a text or a form can be sent.');
  return isText && `${body}` !== '' ? Buffer.from(`${body}`) : null;
}

function collect(
  resolve: (answer: Response) => void,
  reject: (error: AppError) => void,
  { maxBytes, name }: { maxBytes: number; name: string },
) {
  const chunks: Buffer[] = [];
  const headers = new Headers();
  let length = 0;
  let status = 0;
  return {
    head(code: number, told: Record<string, string | string[]>): void {
      status = code;
      for (const [header, value] of Object.entries(told)) for (const one of [value].flat()) headers.append(header, one);
    },
    /** @returns false: that is too much */
    data(chunk: Buffer): boolean {
      length += chunk.length;
      if (length > maxBytes) reject(new AppError('provider_unreachable', `${name} answered with more than ${maxBytes / 1_048_576} MB.`));
      else chunks.push(chunk);
      return length <= maxBytes;
    },
    end(): void {
      const isBare = status === 204 || status === 205 || status === 304;
      resolve(new Response(isBare ? null : Buffer.concat(chunks), { status, headers }));
    },
    fail: reject,
  };
}
