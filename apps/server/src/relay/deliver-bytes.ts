/** An answer that is no event stream: the bytes pass, the last piece waits for the settled row, and a copy tells the usage. */
import type { AppError } from '@synthstack/core';
import { jsonWeight, maxJsonWeight } from '../json-weight.ts';
import type { Route, Usage } from '../providers/provider.ts';
import { parsed } from '../providers/reading.ts';
import { type AnswerReader, type Headers, isEventStream } from './attempt.ts';
import { decoded, isEncoded } from './decode.ts';
import { breakOff, brokenBy, cut, type Delivered, type Delivery, nothingUsed } from './deliver.ts';
import { createTap } from './tap.ts';

/** Answers with images are large, and tell their usage at the end. */
const maxCopyBytes = 32 * 1_048_576;

export function deliverBytes(delivery: Delivery): Promise<void> {
  return new BytesDelivery(delivery).done;
}

/** One a request, so a class: functions of its own for each would cost as much as the answer. */
class BytesDelivery implements AnswerReader {
  readonly done: Promise<void>;
  readonly #delivery: Delivery;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;
  #copy: Buffer[] | null;
  #copied = 0;
  /** The last piece so far: it waits for the settled row, unless another comes. */
  #last: Buffer | null = null;
  /** What may go once the row is on disk; null: it is, and pieces pass as they come. */
  #held: Buffer[] | null = [];
  /** Something has gone out. */
  #begun = false;
  #over = false;
  /** False: a compressed event stream without its terminal event. */
  #isWhole = true;

  constructor(delivery: Delivery) {
    const { answer, exchange, outlet } = delivery;
    this.#delivery = delivery;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#copy = tellsUsage(answer.headers) ? [] : null;
    outlet.onDrain(exchange.resume);
    outlet.onGone(() => this.#gone());
    answer.follow(this);
  }

  data(chunk: Buffer): void {
    if (this.#last) this.#pass(this.#last);
    this.#last = chunk;
    this.#copied += chunk.length;
    if (this.#copy && this.#copied <= maxCopyBytes) this.#copy.push(chunk);
    else this.#copy = null;
  }

  end(): void {
    void this.#close(
      () => this.#ending(),
      () => {
        if (this.#isWhole) this.#delivery.outlet.end(this.#last ?? undefined);
        else this.#delivery.outlet.breakOff();
      },
    );
  }

  fail(error: AppError): void {
    if (this.#begun) {
      void this.#close(
        () => cut(this.#delivery, brokenBy(error), null, ''),
        () => this.#delivery.outlet.breakOff(),
      );
    } else this.#giveUp(error);
  }

  /** Nothing has gone out: an error of ours can still say what happened. */
  #giveUp(error: unknown): void {
    if (!this.#over) this.#reject(error);
    this.#over = true;
  }

  #ending(): Delivered | Promise<Delivered> {
    const { route, answer } = this.#delivery;
    const copy = this.#copy;
    if (!copy || !route.usage) return { state: 'done', errorCode: null, usage: route.usage ? null : nothingUsed, estimated: false };
    const bytes = copy.length === 1 && copy[0] ? copy[0] : Buffer.concat(copy);
    if (!isEncoded(answer.headers)) return this.#endingAsRead(bytes, route.usage);
    const { usage } = route;
    return decoded(bytes, answer.headers).then((plain) => this.#endingAsRead(plain, usage));
  }

  #endingAsRead(bytes: Buffer | null, usage: NonNullable<Route['usage']>): Delivered | Promise<Delivered> {
    const seen = readUsage(this.#delivery, bytes, usage);
    this.#isWhole = seen.isWhole || !this.#delivery.route.endsByEvent;
    if (!this.#isWhole) return cut(this.#delivery, 'upstream_reset', seen.usage, seen.text);
    return { state: 'done', errorCode: null, usage: seen.usage, estimated: false };
  }

  #gone(): void {
    this.#delivery.exchange.abort();
    void this.#close(
      () => cut(this.#delivery, 'client_closed', null, ''),
      () => undefined,
    );
  }

  #pass(chunk: Buffer): void {
    if (this.#held) {
      if (this.#held.push(chunk) === 1) void this.#waitForDisk();
    } else this.#write(chunk);
  }

  async #waitForDisk(): Promise<void> {
    const { exchange, onDisk } = this.#delivery;
    exchange.pause();
    try {
      await onDisk();
      if (this.#over) return;
      exchange.resume();
      this.#flush();
    } catch (error) {
      exchange.abort();
      this.#giveUp(error);
    }
  }

  #flush(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const chunk of held) this.#write(chunk);
  }

  #write(chunk: Buffer): void {
    this.#begin();
    if (!this.#delivery.outlet.write(chunk)) this.#delivery.exchange.pause();
  }

  #begin(): void {
    if (!this.#begun) this.#delivery.outlet.head(this.#delivery.answer.status, this.#delivery.headers);
    this.#begun = true;
  }

  /** Once: whoever comes first knows how the answer ended. */
  async #close(read: () => Delivered | Promise<Delivered>, end: () => void): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    let delivered: Delivered | null = null;
    try {
      const ending = read();
      delivered = ending instanceof Promise ? await ending : ending;
      await this.#delivery.settle(delivered);
      if (!this.#delivery.outlet.gone) {
        this.#flush();
        this.#begin();
        end();
      }
      this.#resolve();
    } catch (error) {
      if (!this.#begun) return this.#reject(error);
      await breakOff(this.#delivery, delivered, error);
      this.#resolve();
    }
  }
}

const tellsUsage = (headers: Headers): boolean => isEventStream(headers) || String(headers['content-type'] ?? '').includes('json');

interface Seen {
  usage: Usage | null;
  text: string;
  /** False: an event stream without its terminal event. */
  isWhole: boolean;
}

/** @param bytes  null: nobody can decode them */
function readUsage({ answer, provider, undecoded }: Delivery, bytes: Buffer | null, usage: NonNullable<Route['usage']>): Seen {
  if (!bytes) undecoded(provider.id);
  if (!bytes || jsonWeight(bytes) > maxJsonWeight) return { usage: null, text: '', isWhole: true };
  if (!isEventStream(answer.headers)) return { usage: usage.plain(parsed(bytes.toString('utf8'))), text: '', isWhole: true };
  const reader = usage.stream();
  const tap = createTap({ reader, dropUsageEvent: false });
  tap.push(bytes);
  return { usage: reader.usage(), text: reader.text(), isWhole: tap.finished };
}
