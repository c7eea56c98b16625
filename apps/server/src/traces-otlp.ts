/**
 * What a traced request looks like to a collector: spans in OTLP's JSON, named as OpenTelemetry's conventions for HTTP and GenAI say
 * (semantic-conventions-genai, in development when this was written); what is only ours begins with `byok.`.
 */
import { randomFillSync } from 'node:crypto';
import type { Settled } from './meter.ts';
import { printable } from './printable.ts';
import type { Provider, Route } from './providers/provider.ts';
import type { Trace, TracedAttempt } from './traces.ts';

/** A request at its end. */
export interface RequestFacts {
  trace: Trace;
  requestId: string;
  method: string;
  /** null: there is no such route. */
  matched: { provider: Pick<Provider, 'id'>; route: Pick<Route, 'path'> } | null;
  /** As the caller named it. */
  model: string | null;
  streamed: boolean;
  source: string | null;
  fallbackReason: string | null;
  status: number;
  /** `ok`, or how else it ended. */
  outcome: string;
  settled: Settled | null;
  /** By the wall, in ms, and by `performance.now()`. */
  endedAtMs: number;
  endedAt: number;
  durationMs: number;
}

/** The caller's own span. */
export interface Parent {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

type Value = string | number | boolean | null | undefined;
export type Ids = ReturnType<typeof createIds>;

/** Random ids, from a stock: to ask the system for each would take longer than all else. */
export function createIds() {
  const stock = Buffer.alloc(4_096);
  let at = stock.length;
  function hex(bytes: number): string {
    if (at + bytes > stock.length) {
      randomFillSync(stock);
      at = 0;
    }
    at += bytes;
    return stock.toString('hex', at - bytes, at);
  }
  return { trace: () => hex(16), span: () => hex(8) };
}

/** `traceparent` of W3C Trace Context; null: it is none. */
export function parentOf(traceparent: string): Parent | null {
  const [, version, traceId = '', spanId = '', flags = '', more] = form.exec(traceparent) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (traceId === nobodysTrace || spanId === nobodysSpan) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
const nobodysTrace = '0'.repeat(32);
const nobodysSpan = '0'.repeat(16);
const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** @returns the body of an export, and how many spans are in it */
export function otlpBody(
  batch: readonly RequestFacts[],
  { ids, serviceName, version }: { ids: Ids; serviceName: string; version: string },
): { body: string; count: number } {
  const spans = batch.flatMap((facts) => spansOf(facts, ids));
  const resource = { attributes: attributes({ 'service.name': serviceName, 'service.version': version }) };
  const scopeSpans = [{ scope: { name: 'synthstack-byok', version }, spans }];
  return { body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }), count: spans.length };
}

const server = 2;
const client = 3;

function spansOf(facts: RequestFacts, ids: Ids): object[] {
  const { trace, matched, method, durationMs, endedAtMs, endedAt } = facts;
  const traceId = trace.traceId ?? ids.trace();
  const rootId = ids.span();
  const shared = { traceId, facts };
  const root = {
    traceId,
    spanId: rootId,
    ...(trace.parent && { parentSpanId: trace.parent.spanId }),
    name: matched ? `${method} ${matched.route.path}` : method,
    kind: server,
    startTimeUnixNano: nanos(endedAtMs - durationMs),
    endTimeUnixNano: nanos(endedAtMs),
    attributes: attributes({
      'http.request.method': method,
      'http.route': matched?.route.path,
      'http.response.status_code': facts.status,
      'error.type': facts.outcome === 'ok' ? null : facts.outcome,
      'byok.request_id': facts.requestId,
      'byok.key_source': facts.source,
      'byok.fallback_reason': facts.fallbackReason,
      'byok.attempts': trace.attempts.length,
    }),
    // Of a server's span, what the caller did wrong is no error (HTTP conventions).
    status: statusOf(facts.status >= 500 ? facts.outcome : 'ok'),
  };
  const wall = (at: number) => nanos(endedAtMs - (endedAt - at));
  return [
    root,
    ...trace.attempts.map((attempt, i) => attemptSpan(attempt, { ...shared, ids, rootId, wall, isLast: i === trace.attempts.length - 1 })),
  ];
}

interface AttemptParts {
  facts: RequestFacts;
  ids: Ids;
  traceId: string;
  rootId: string;
  wall(at: number): string;
  isLast: boolean;
}

function attemptSpan(attempt: TracedAttempt, { facts, ids, traceId, rootId, wall, isLast }: AttemptParts): object {
  const { matched, settled, streamed } = facts;
  const model = facts.model === null ? null : printable(facts.model);
  const operation = operationOf(matched?.route.path ?? '');
  const answered = attempt.outcome === 'ok' && isLast;
  // What was sent up and never came to a word of the provider's ended as the request did.
  const outcome = answered || attempt.outcome === null ? facts.outcome : attempt.outcome;
  const usage = answered ? settled : null;
  const firstByteMs = usage?.firstByteAt == null ? null : Math.max(0, usage.firstByteAt - usage.startedAt);
  return {
    traceId,
    spanId: attempt.spanId ?? ids.span(),
    parentSpanId: rootId,
    name: model === null ? operation : `${operation} ${model}`,
    kind: client,
    startTimeUnixNano: wall(attempt.startedAt),
    endTimeUnixNano: wall(attempt.endedAt ?? facts.endedAt),
    attributes: attributes({
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': matched?.provider.id,
      'gen_ai.request.model': model,
      'gen_ai.request.stream': streamed || null,
      'gen_ai.usage.input_tokens': usage?.inputTokens,
      'gen_ai.usage.output_tokens': usage?.outputTokens,
      'gen_ai.usage.cache_read.input_tokens': usage?.cachedInputTokens,
      'gen_ai.usage.cache_write.input_tokens': usage?.cacheWriteTokens,
      'gen_ai.usage.reasoning.output_tokens': usage?.reasoningTokens,
      'gen_ai.response.time_to_first_chunk': streamed && firstByteMs !== null ? new Double(firstByteMs / 1_000) : null,
      'http.response.status_code': attempt.status,
      'error.type': outcome === 'ok' ? null : outcome,
      'byok.key_source': attempt.source,
      'byok.fallback_reason': attempt.source === 'platform' ? facts.fallbackReason : null,
      'byok.usage_estimated': usage?.estimated || null,
      'byok.cost_usd': usage?.costNanoUsd == null ? null : new Double(usage.costNanoUsd / 1e9),
    }),
    status: statusOf(outcome),
  };
}

/** A number that is sent as such, whole or not. */
class Double {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

const attributes = (named: Record<string, Value | Double>) =>
  Object.entries(named).flatMap(([key, value]) => (value === null || value === undefined ? [] : [{ key, value: typed(value) }]));

function typed(value: string | number | boolean | Double): object {
  if (value instanceof Double) return { doubleValue: value.value };
  if (typeof value === 'string') return { stringValue: value };
  // 64-bit numbers are texts in JSON.
  return typeof value === 'boolean' ? { boolValue: value } : { intValue: String(value) };
}

const statusOf = (outcome: string) => (outcome === 'ok' ? {} : { code: 2, message: outcome });

/** More digits than a double of nanoseconds since 1970 holds. */
function nanos(ms: number): string {
  const whole = Math.floor(ms);
  return `${whole}${String(Math.min(999_999, Math.floor((ms - whole) * 1e6))).padStart(6, '0')}`;
}

/** By the route's path; what the conventions have no word for is named after its route. */
function operationOf(path: string): string {
  return (
    operations[path] ??
    (path
      .replace(/^\/v1\//, '')
      .replaceAll(/[^a-z]+/g, '_')
      .replace(/_+$/, '') ||
      'unknown')
  );
}
const operations: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'chat',
  '/v1/responses': 'chat',
  '/v1/messages': 'chat',
  '/v1/completions': 'text_completion',
  '/v1/embeddings': 'embeddings',
  '/v1/images/generations': 'generate_content',
  '/v1/audio/speech': 'generate_content',
};
