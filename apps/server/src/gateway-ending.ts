/** How a request of the gateway ended, in one word of a closed set, for the log and the metrics. */
import type { ServerResponse } from 'node:http';
import type { AppError, ErrorCode } from '@synthstack/core';
import type { Settled } from './meter.ts';

export interface Ending {
  /** What the caller got; 499: it had left (nginx's number, since HTTP has none). */
  status: number;
  /** `ok`, `client_closed`, a code of ours, what a provider's refusal was, or how its answer broke off. */
  outcome: string;
  /** Of the error of ours that the caller got. */
  code: ErrorCode | null;
}

const clientClosed: Ending = { status: 499, outcome: 'client_closed', code: null };

export function endingOf(res: ServerResponse, settled: Settled | null, error: AppError | null): Ending {
  if (hasLeft(res, settled)) return clientClosed;
  const status = res.statusCode;
  if (error) return { status, outcome: error.code, code: error.code };
  if (settled) return { status, outcome: settled.errorCode ?? 'ok', code: null };
  return { status, outcome: outcomeOf(status), code: null };
}

/** Whoever leaves after the terminal event has had the whole answer, and its row says so. */
function hasLeft(res: ServerResponse, settled: Settled | null): boolean {
  if (settled) return settled.status === null || settled.errorCode === 'client_closed';
  return res.destroyed && !res.writableEnded;
}

/** Of what a provider said to a request that leaves no row. */
function outcomeOf(status: number): string {
  if (status < 300) return 'ok';
  if (status === 429) return 'rate_limited';
  return status === 408 || status >= 500 ? 'down' : 'refused';
}
