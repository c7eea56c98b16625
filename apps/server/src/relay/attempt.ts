/**
 * One upstream call, up to the moment at which it is known what it is: an answer to pass on, or a refusal, which is small and
 * held back, because another key may answer instead.
 */
import { AppError } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import type { Clock } from '../ports/clock.ts';
import type { Exchange } from '../ports/outbound.ts';
import type { Outcome, Provider } from '../providers/provider.ts';
import { parsed } from '../providers/reading.ts';
import type { Sender, UpstreamRequest } from '../providers/send.ts';
import { decoded, isEncoded } from './decode.ts';

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

/** Anything else, whole; or what a stream's first event said, with the 2xx of that stream. */
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
  /** Whoever waits for `begun` waits no longer. */
  giveUp(why: AppError): void;
  exchange: Exchange;
}

export interface CallParts {
  sender: Sender;
  clock: Clock;
  provider: Provider;
  request: UpstreamRequest;
  secret: Secret;
  /** What an error in a stream's first event may say to be a refusal; anything else is the answer. */
  refused: ReadonlySet<Outcome>;
}

/** What may wait in memory until somebody follows; also the longest refusal. */
const maxWaitingBytes = 1_048_576;
/** How long an event stream may wait for its first event, so that an immediate `error` event can still fall back. */
const firstEventMs = 2_000;
const blankLine = /\r?\n\r?\n/;
/** So many bytes at the end of a piece may be the beginning of a blank line. */
const seamBytes = 3;

export function call({ sender, clock, provider, request, secret, refused }: CallParts): Call {
  let status = 0;
  let headers: Headers = {};
  let events = false;
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  /** Of an event stream, what no blank line has ended yet. */
  let unread: Buffer[] = [];
  let seam: Buffer = Buffer.alloc(0);
  let isFull = false;
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

  function refuse(outcome: Outcome): void {
    cancelWait();
    resolve({ kind: 'refusal', status, headers, body: Buffer.concat(waiting), outcome: outcome === 'ok' ? 'down' : outcome });
  }

  function follow(newReader: AnswerReader): void {
    for (const chunk of waiting.splice(0)) newReader.data(chunk);
    reader = newReader;
    if (ended?.error) reader.fail(ended.error);
    else if (ended) reader.end();
    else if (isFull) exchange.resume();
  }

  /** Nobody follows yet: the row is on its way to the disk. A provider that is faster than the disk has to wait. */
  function keep(chunk: Buffer): void {
    waiting.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes <= maxWaitingBytes || isFull) return;
    isFull = true;
    if (status < 300) {
      answer();
      exchange.pause();
    } else {
      exchange.abort();
      reject(new AppError('provider_unreachable', `${provider.name} answered with an error that is too long (status ${status}).`));
    }
  }

  /** The first event decides. Each byte is looked at once, however small the pieces are in which a provider sends it. */
  function lookAtFirstEvent(chunk: Buffer): void {
    unread.push(chunk);
    const around = Buffer.concat([seam, chunk]).toString('latin1');
    seam = Buffer.from(around.slice(-seamBytes), 'latin1');
    if (!blankLine.test(around)) return;
    const blocks = Buffer.concat(unread).toString('latin1').split(blankLine);
    unread = [Buffer.from(blocks.pop() ?? '', 'latin1')];
    // Comments, which only keep a connection awake, say nothing.
    const event = blocks.find((block) => /^(data|event)/m.test(block));
    if (event === undefined) return;
    const outcome = outcomeOfEvent(provider, Buffer.from(event, 'latin1').toString('utf8'));
    if (refused.has(outcome)) {
      exchange.abort();
      refuse(outcome);
    } else answer();
  }

  async function judge(): Promise<void> {
    const body = Buffer.concat(waiting);
    const readable = isEncoded(headers) ? await decoded(body, headers) : body;
    refuse(provider.classify(status, readable ? parsed(readable.toString('utf8')) : undefined));
  }

  const exchange = sender.send(provider, request, secret, {
    head(code, answerHeaders) {
      status = code;
      headers = answerHeaders;
      if (status >= 300) return;
      events = isEventStream(headers) && !isEncoded(headers);
      if (events) cancelWait = clock.after(firstEventMs, answer);
      else answer();
    },
    data(chunk) {
      if (reader) return reader.data(chunk);
      keep(chunk);
      if (!isAnswer && status < 300) lookAtFirstEvent(chunk);
    },
    end() {
      ended = { error: null };
      if (reader) reader.end();
      else if (status >= 300) void judge();
      else if (events && !isAnswer)
        this.fail(new AppError('provider_unreachable', `${provider.name} closed the stream before its first event.`));
    },
    fail(error) {
      ended = { error };
      cancelWait();
      if (reader) reader.fail(error);
      // Nothing of the answer has been passed on: it can be answered as if there had been none.
      else reject(error);
    },
  });
  return { begun, giveUp: reject, exchange };
}

export function isEventStream(headers: Headers): boolean {
  return String(headers['content-type'] ?? '')
    .toLowerCase()
    .startsWith('text/event-stream');
}

function outcomeOfEvent(provider: Provider, event: string): Outcome {
  const lines = event.split(/\r?\n/);
  const valuesOf = (field: string) => lines.filter((line) => line.startsWith(field)).map((line) => line.slice(field.length).trimStart());
  const data = valuesOf('data:').join('\n');
  const isError = valuesOf('event:')[0] === 'error' || /^\{\s*"error"\s*:\s*[{"]/.test(data);
  return isError ? provider.classifyEvent(data) : 'ok';
}
