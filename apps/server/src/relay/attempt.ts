/**
 * One upstream call, up to the moment at which it is known what it is: an answer to pass on, or a refusal, which is small and
 * held back, because another key may answer instead.
 */
import type { AppError } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import type { Clock } from '../ports/clock.ts';
import type { Exchange } from '../ports/outbound.ts';
import type { Outcome, Provider } from '../providers/provider.ts';
import { parsed } from '../providers/reading.ts';
import type { Sender, UpstreamRequest } from '../providers/send.ts';

export type Headers = Record<string, string | string[]>;

/** A 2xx whose bytes are still coming. They wait until somebody follows. */
export interface Answer {
  kind: 'answer';
  status: number;
  headers: Headers;
  events: boolean;
  follow(reader: AnswerReader): void;
}

export interface AnswerReader {
  data(chunk: Buffer): void;
  end(): void;
  /** Broken off by the provider or by a timeout. */
  fail(error: AppError): void;
}

/** Anything else, whole. */
export interface Refusal {
  kind: 'refusal';
  status: number;
  headers: Headers;
  body: Buffer;
  outcome: Exclude<Outcome, 'ok'>;
}

export interface Call {
  /** @throws AppError `provider_unreachable`, `provider_timeout` */
  begun: Promise<Answer | Refusal>;
  exchange: Exchange;
}

export interface CallParts {
  sender: Sender;
  clock: Clock;
  provider: Provider;
  request: UpstreamRequest;
  secret: Secret;
}

const maxRefusalBytes = 1_048_576;
/** How long an event stream may wait for its first event, so that an immediate `error` event can still fall back. */
const firstEventMs = 2_000;

export function call({ sender, clock, provider, request, secret }: CallParts): Call {
  let status = 0;
  let headers: Headers = {};
  let events = false;
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  let ended: { error: AppError | null } | null = null;
  let reader: AnswerReader | null = null;
  let isAnswer = false;
  let cancelWait = () => {};
  const { promise: begun, resolve, reject } = Promise.withResolvers<Answer | Refusal>();

  function answer(): void {
    if (isAnswer) return;
    isAnswer = true;
    cancelWait();
    resolve({ kind: 'answer', status, headers, events, follow });
  }

  function refuse(outcome: Refusal['outcome']): void {
    cancelWait();
    resolve({ kind: 'refusal', status, headers, body: Buffer.concat(waiting), outcome });
  }

  function follow(newReader: AnswerReader): void {
    reader = newReader;
    for (const chunk of waiting.splice(0)) reader.data(chunk);
    if (ended?.error) reader.fail(ended.error);
    else if (ended) reader.end();
  }

  function begin(): void {
    if (status >= 300) return;
    if (events) cancelWait = clock.after(firstEventMs, answer);
    else answer();
  }

  /** The first event decides: an error may still be answered by another key, anything else is the answer. */
  function lookAtFirstEvent(): void {
    const text = Buffer.concat(waiting).toString('utf8');
    const end = /\r?\n\r?\n/.exec(text);
    if (!end) return;
    const outcome = outcomeOfEvent(provider, text.slice(0, end.index));
    if (outcome === 'bad_key' || outcome === 'no_credit') {
      exchange.abort();
      refuse(outcome);
    } else answer();
  }

  const exchange = sender.send(provider, request, secret, {
    head(code, answerHeaders) {
      status = code;
      headers = answerHeaders;
      events = code < 300 && String(answerHeaders['content-type'] ?? '').startsWith('text/event-stream') && !isEncoded(answerHeaders);
      begin();
    },
    data(chunk) {
      if (reader) return reader.data(chunk);
      waiting.push(chunk);
      waitingBytes += chunk.length;
      if (isAnswer) return;
      if (status < 300) lookAtFirstEvent();
      if (waitingBytes > maxRefusalBytes) {
        if (status < 300) answer();
        else exchange.abort();
        if (status >= 300) refuse(outcomeOf(provider, status, undefined));
      }
    },
    end() {
      ended = { error: null };
      if (reader) reader.end();
      else if (status < 300) answer();
      else refuse(outcomeOf(provider, status, parsed(Buffer.concat(waiting).toString('utf8'))));
    },
    fail(error) {
      ended = { error };
      cancelWait();
      if (reader) reader.fail(error);
      // Nothing of the answer has been passed on: it can be answered as if there had been none.
      else reject(error);
    },
  });
  return { begun, exchange };
}

export function isEncoded(headers: Headers): boolean {
  const encoding = headers['content-encoding'];
  return encoding !== undefined && encoding !== 'identity';
}

function outcomeOf(provider: Provider, status: number, body: unknown): Refusal['outcome'] {
  const outcome = provider.classify(status, body);
  return outcome === 'ok' ? 'down' : outcome;
}

function outcomeOfEvent(provider: Provider, event: string): Outcome {
  const lines = event.split(/\r?\n/);
  const fieldsOf = (field: string) => lines.filter((line) => line.startsWith(field)).map((line) => line.slice(field.length).trimStart());
  const data = fieldsOf('data:').join('\n');
  const isError = fieldsOf('event:')[0] === 'error' || /^\{\s*"error"/.test(data);
  return isError ? provider.classifyEvent(data) : 'ok';
}
