/** A request of the gateway from its beginning to its end, by whatever door it came: its id, its line in the log and its place in the metrics, once. */
import type { ServerResponse } from 'node:http';
import { type AppError, type ErrorCode, type KeySource, toAppError } from '@synthstack/core';
import { type Matched, matchRoute } from './gateway-routes.ts';
import { type Meter, requestIdOf, type Settled } from './meter.ts';
import type { Metrics } from './metrics.ts';
import type { Log } from './ports/log.ts';
import { printable } from './printable.ts';
import type { Target } from './target.ts';
import type { Trace, Traces } from './traces.ts';

export interface Asked {
  id: number;
  /** The id as people see it. */
  requestId: string;
  method: string;
  target: Target;
  /** null: there is no such route. */
  matched: Matched | null;
  /** By `performance.now()`, in ms. */
  startedAt: number;
  /** The headers that the caller gets, but for those of every answer: name, value, name, value. */
  said: readonly string[];
  /** What the body asks for, once it is read. */
  model: string | null;
  streamed: boolean;
  /** What its row says, once that is closed. */
  settled: Settled | null;
  /** Of ours; null: none, whatever the provider said. */
  error: AppError | null;
  /** null: nobody collects it. */
  trace: Trace | null;
}

/** What an answer's way out says of its end. */
export type Ended = Pick<ServerResponse, 'statusCode' | 'destroyed' | 'writableEnded'>;

export interface AttendanceParts {
  meter: Pick<Meter, 'newId'>;
  metrics: Pick<Metrics, 'began' | 'ended'>;
  log: Log;
  /** null: nobody collects any. */
  traces: Traces | null;
  nowMs(): number;
}

export type Attendance = ReturnType<typeof createAttendance>;

export function createAttendance({ meter, metrics, log, traces, nowMs }: AttendanceParts) {
  function end(out: Ended, asked: Asked): void {
    const { requestId, matched, said, model, streamed, settled } = asked;
    const endedAt = performance.now();
    const durationMs = endedAt - asked.startedAt;
    const source = (headerIn(said, 'x-byok-key-source') as KeySource | undefined) ?? null;
    const fallbackReason = headerIn(said, 'x-byok-fallback-reason');
    const { status, outcome, code } = endingOf(out, asked);
    metrics.ended({ matched, model, source, fallbackReason: fallbackReason ?? null, outcome, code, durationMs, streamed, settled });
    if (asked.trace)
      traces?.ended({
        ...{ trace: asked.trace, requestId, method: asked.method, matched, model, streamed, settled },
        ...{ source, fallbackReason: fallbackReason ?? null, status, outcome },
        ...{ endedAtMs: nowMs(), endedAt, durationMs },
      });
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
  }

  return {
    /** A request has come: from here on it counts as under way, until `attend` is through with it. */
    begin(method: string, target: Target, headers: Parameters<typeof matchRoute>[2]): Asked {
      const id = meter.newId();
      const matched = matchRoute(method, target.pathname, headers);
      const startedAt = performance.now();
      metrics.began();
      return {
        id,
        requestId: requestIdOf(id),
        method,
        target,
        matched,
        startedAt,
        said: [],
        model: null,
        streamed: false,
        settled: null,
        error: null,
        trace: traces === null ? null : traces.begin(headers.traceparent),
      };
    },

    /**
     * Waits for its answer, and sees to its end.
     * @param out  the answer's way out
     * @param answered  rejects with what its caller is still to be told
     * @param tell  tells an error of ours. One function for all requests: one for each would cost them
     */
    async attend<Out extends Ended>(
      asked: Asked,
      out: Out,
      answered: Promise<void>,
      tell: (out: Out, error: AppError, asked: Asked) => void,
    ): Promise<void> {
      try {
        await answered;
      } catch (thrown) {
        const error = toAppError(thrown);
        asked.error = error;
        if (error.code === 'internal' || error.code === 'storage_unavailable')
          log.error({ requestId: asked.requestId }, error.message, error.cause);
        asked.said = Object.entries(error.headers ?? {}).flat();
        tell(out, error, asked);
      } finally {
        end(out, asked);
      }
    },
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

function endingOf(out: Ended, { settled, error }: Asked): Ending {
  if (hasLeft(out, settled)) return clientClosed;
  const status = out.statusCode;
  if (error) return { status, outcome: error.code, code: error.code };
  if (settled) return { status, outcome: settled.errorCode ?? 'ok', code: null };
  return { status, outcome: outcomeOf(status), code: null };
}

/** Whoever leaves after the terminal event has had the whole answer, and its row says so. */
function hasLeft(out: Ended, settled: Settled | null): boolean {
  if (settled) return settled.status === null || settled.errorCode === 'client_closed';
  return out.destroyed && !out.writableEnded;
}

/** Of what a provider said to a request that leaves no row. */
function outcomeOf(status: number): string {
  if (status < 300) return 'ok';
  if (status === 429) return 'rate_limited';
  return status === 408 || status >= 500 ? 'down' : 'refused';
}
