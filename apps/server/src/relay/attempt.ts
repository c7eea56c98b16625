/**
 * One upstream call, up to the moment at which it is known what it is: an answer to pass on, or a refusal, which is small and
 * held back, because another key may answer instead.
 */
import { AppError } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import type { Clock } from '../ports/clock.ts';
import type { AnswerHandler, Exchange } from '../ports/outbound.ts';
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

export function call(parts: CallParts): Call {
  return new Attempted(parts);
}

/** One a request, so a class: functions of its own for each would cost as much as the answer. */
class Attempted implements Call, AnswerHandler, Answer {
  readonly kind = 'answer';
  readonly begun: Promise<Answer | Refusal>;
  readonly exchange: Exchange;
  status = 0;
  headers: Headers = {};
  events = false;
  readonly #provider: Provider;
  readonly #clock: Clock;
  readonly #refused: ReadonlySet<Outcome>;
  #resolve!: (result: Answer | Refusal) => void;
  #reject!: (error: AppError) => void;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Of an event stream, what no blank line has ended yet. */
  #unread: Buffer[] = [];
  #seam: Buffer = none;
  #isFull = false;
  #ended = false;
  #error: AppError | null = null;
  #reader: AnswerReader | null = null;
  #isAnswer = false;
  #cancelWait: (() => void) | null = null;

  constructor({ provider, clock, refused, sender, request, secret }: CallParts) {
    // Not the secret, which is not to outlive the sending, nor the request.
    this.#provider = provider;
    this.#clock = clock;
    this.#refused = refused;
    this.begun = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.exchange = sender.send(provider, request, secret, this);
  }

  giveUp(why: AppError): void {
    this.#reject(why);
  }

  head(code: number, headers: Headers): void {
    this.status = code;
    this.headers = headers;
    if (code >= 300) return;
    this.events = isEventStream(headers) && !isEncoded(headers);
    if (this.events) this.#cancelWait = this.#clock.after(firstEventMs, () => this.#answer());
    else this.#answer();
  }

  data(chunk: Buffer): void {
    if (this.#reader) {
      this.#reader.data(chunk);
      return;
    }
    this.#keep(chunk);
    if (!this.#isAnswer && this.status < 300) this.#lookAtFirstEvent(chunk);
  }

  end(): void {
    this.#ended = true;
    if (this.#reader) this.#reader.end();
    else if (this.status >= 300) void this.#judge();
    else if (this.events && !this.#isAnswer)
      this.fail(new AppError('provider_unreachable', `${this.#provider.name} closed the stream before its first event.`));
  }

  fail(error: AppError): void {
    this.#ended = true;
    this.#error = error;
    this.#cancelWait?.();
    if (this.#reader) this.#reader.fail(error);
    // Nothing of the answer has been passed on: it can be answered as if there had been none.
    else this.#reject(error);
  }

  follow(reader: AnswerReader): void {
    // Before the reader has its say: it may want a pause at once.
    if (this.#isFull && !this.#ended) this.exchange.resume();
    for (const chunk of this.#waiting.splice(0)) reader.data(chunk);
    this.#reader = reader;
    if (this.#error) reader.fail(this.#error);
    else if (this.#ended) reader.end();
  }

  #answer(): void {
    if (this.#isAnswer) return;
    this.#isAnswer = true;
    this.#unread = [];
    this.#seam = none;
    this.#cancelWait?.();
    this.#resolve(this);
  }

  #refuse(outcome: Outcome): void {
    this.#cancelWait?.();
    const { status, headers } = this;
    this.#resolve({ kind: 'refusal', status, headers, body: Buffer.concat(this.#waiting), outcome: outcome === 'ok' ? 'down' : outcome });
  }

  /** Nobody follows yet: the row is on its way to the disk. A provider that is faster than the disk has to wait. */
  #keep(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes <= maxWaitingBytes || this.#isFull) return;
    this.#isFull = true;
    if (this.status < 300) {
      this.#answer();
      this.exchange.pause();
    } else {
      this.exchange.abort();
      const { name } = this.#provider;
      this.#reject(new AppError('provider_unreachable', `${name} answered with an error that is too long (status ${this.status}).`));
    }
  }

  /** The first event decides. Each byte is looked at once, however small the pieces are in which a provider sends it. */
  #lookAtFirstEvent(chunk: Buffer): void {
    this.#unread.push(chunk);
    const around = Buffer.concat([this.#seam, chunk]).toString('latin1');
    this.#seam = Buffer.from(around.slice(-seamBytes), 'latin1');
    if (!blankLine.test(around)) return;
    const blocks = Buffer.concat(this.#unread).toString('latin1').split(blankLine);
    this.#unread = [Buffer.from(blocks.pop() ?? '', 'latin1')];
    // Comments, which only keep a connection awake, say nothing.
    const event = blocks.find((block) => /^(data|event)/m.test(block));
    if (event === undefined) return;
    const outcome = outcomeOfEvent(this.#provider, Buffer.from(event, 'latin1').toString('utf8'));
    if (this.#refused.has(outcome)) {
      this.exchange.abort();
      this.#refuse(outcome);
    } else this.#answer();
  }

  async #judge(): Promise<void> {
    const body = Buffer.concat(this.#waiting);
    const readable = isEncoded(this.headers) ? await decoded(body, this.headers) : body;
    this.#refuse(this.#provider.classify(this.status, readable ? parsed(readable.toString('utf8')) : undefined));
  }
}

const none: Buffer = Buffer.alloc(0);

export function isEventStream(headers: Headers): boolean {
  return String(headers['content-type'] ?? '')
    .toLowerCase()
    .startsWith('text/event-stream');
}

/** @param event  without the blank line that ends it */
export function outcomeOfEvent(provider: Provider, event: string): Outcome {
  const lines = event.split(/\r?\n/);
  const valuesOf = (field: string) => lines.filter((line) => line.startsWith(field)).map((line) => line.slice(field.length).trimStart());
  const data = valuesOf('data:').join('\n');
  const isError = valuesOf('event:')[0] === 'error' || /^\{\s*"error"\s*:\s*[{"]/.test(data);
  return isError ? provider.classifyEvent(data) : 'ok';
}
