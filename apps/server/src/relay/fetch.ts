/** The relay as a `fetch`, for callers inside this process: what gateway-fetch.ts implements and the agents are handed. */
import type { AppError } from '@synthstack/core';
import type { Caller } from '../callers.ts';
import type { Settled } from '../meter.ts';

/** A request's end, once all of it is recorded. */
export interface Over {
  requestId: string;
  /** What its row says; null: it has none. */
  settled: Settled | null;
  /** Of ours; null: none, whatever the provider said. */
  error: AppError | null;
  /** The headers that the caller got: which key was tried, and why not their own. */
  said: Readonly<Record<string, string>>;
}

export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

/**
 * A `fetch` as that caller. Its requests need no credential, and what they hold of one is not looked at; only texts are taken as bodies.
 * @param over  told of each request's end, after which nothing of it is left to do
 */
export type FetchFor = (caller: Caller, over: (end: Over) => void) => Fetch;
