/** The end of a request of the gateway, however it came: its line in the log and its place in the metrics, once. */
import type { ServerResponse } from 'node:http';
import type { AppError, ErrorCode, KeySource } from '@synthstack/core';
import type { Matched } from './gateway-routes.ts';
import type { Settled } from './meter.ts';
import type { Metrics } from './metrics.ts';
import type { Log } from './ports/log.ts';
import { printable } from './printable.ts';
import type { Target } from './target.ts';

export interface Asked {
  id: number;
  /** The id as people see it. */
  requestId: string;
  target: Target;
  /** null: there is no such route. */
  matched: Matched | null;
  /** The headers that the caller gets, but for those of every answer: name, value, name, value. */
  said: readonly string[];
  /** What the body asks for, once it is read. */
  model: string | null;
  streamed: boolean;
  /** What its row says, once that is closed. */
  settled: Settled | null;
}

/** What an answer's way out says of its end. */
export type Ended = Pick<ServerResponse, 'statusCode' | 'destroyed' | 'writableEnded'>;

export function createEnding({ metrics, log }: { metrics: Pick<Metrics, 'ended'>; log: Log }) {
  return (res: Ended, asked: Asked, error: AppError | null, durationMs: number): void => {
    const { requestId, matched, said, model, streamed, settled } = asked;
    const source = (headerIn(said, 'x-byok-key-source') as KeySource | undefined) ?? null;
    const fallbackReason = headerIn(said, 'x-byok-fallback-reason');
    const { status, outcome, code } = endingOf(res, settled, error);
    metrics.ended({ matched, model, source, fallbackReason: fallbackReason ?? null, outcome, code, durationMs, streamed, settled });
    const named = settled?.model ?? model;
    log.info(
      {
        requestId,
        provider: matched?.provider.id,
        route: matched?.route.path,
        model: named === null ? undefined : printable(named),
        streamed,
        status,
        keySource: source ?? undefined,
        fallbackReason,
        code: outcome === 'ok' ? undefined : outcome,
        inputTokens: settled?.inputTokens ?? undefined,
        outputTokens: settled?.outputTokens ?? undefined,
        estimated: settled?.estimated || undefined,
        ms: Math.round(durationMs),
      },
      'request',
    );
  };
}

function headerIn(headers: readonly string[], name: string): string | undefined {
  const at = headers.indexOf(name);
  return at === -1 ? undefined : headers[at + 1];
}

interface Ending {
  /** What the caller got; 499: it had left (nginx's number, since HTTP has none). */
  status: number;
  /** `ok`, `client_closed`, a code of ours, what a provider's refusal was, or how its answer broke off. */
  outcome: string;
  /** Of the error of ours that the caller got. */
  code: ErrorCode | null;
}

const clientClosed: Ending = { status: 499, outcome: 'client_closed', code: null };

function endingOf(res: Ended, settled: Settled | null, error: AppError | null): Ending {
  if (hasLeft(res, settled)) return clientClosed;
  const status = res.statusCode;
  if (error) return { status, outcome: error.code, code: error.code };
  if (settled) return { status, outcome: settled.errorCode ?? 'ok', code: null };
  return { status, outcome: outcomeOf(status), code: null };
}

/** Whoever leaves after the terminal event has had the whole answer, and its row says so. */
function hasLeft(res: Ended, settled: Settled | null): boolean {
  if (settled) return settled.status === null || settled.errorCode === 'client_closed';
  return res.destroyed && !res.writableEnded;
}

/** Of what a provider said to a request that leaves no row. */
function outcomeOf(status: number): string {
  if (status < 300) return 'ok';
  if (status === 429) return 'rate_limited';
  return status === 408 || status >= 500 ? 'down' : 'refused';
}
