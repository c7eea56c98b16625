/** An answer that is no event stream: the bytes pass, the last piece waits for the settled row, and a copy tells the usage. */
import { jsonWeight, maxJsonWeight } from '../json-weight.ts';
import type { Route, Usage } from '../providers/provider.ts';
import { parsed } from '../providers/reading.ts';
import { type Headers, isEventStream } from './attempt.ts';
import { decoded, isEncoded } from './decode.ts';
import { breakOff, cut, type Delivered, type Delivery, nothingUsed } from './deliver.ts';
import { createTap } from './tap.ts';

/** Answers with images are large, and tell their usage at the end. */
const maxCopyBytes = 32 * 1_048_576;

export function deliverBytes(delivery: Delivery): Promise<void> {
  const { answer, exchange, outlet, route } = delivery;
  let copy: Buffer[] | null = tellsUsage(answer.headers) ? [] : null;
  let copied = 0;
  let last: Buffer | null = null;
  let begun = false;
  let over = false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();

  function begin(): void {
    if (!begun) outlet.head(answer.status, delivery.headers);
    begun = true;
  }

  /** Once: whoever comes first knows how the answer ended. */
  async function close(read: () => Promise<Delivered>, end: () => void): Promise<void> {
    if (over) return;
    over = true;
    let delivered: Delivered | null = null;
    try {
      delivered = await read();
      await delivery.settle(delivered);
      if (!outlet.gone) end();
      resolve();
    } catch (error) {
      // As long as nothing has gone out, an error of ours can still say what happened.
      if (!begun) return reject(error);
      await breakOff(delivery, delivered, error);
      resolve();
    }
  }

  outlet.onDrain(exchange.resume);
  outlet.onGone(() => {
    exchange.abort();
    void close(
      () => cut(delivery, 'client_closed', null, ''),
      () => undefined,
    );
  });
  answer.follow({
    data(chunk) {
      if (last) {
        begin();
        if (!outlet.write(last)) exchange.pause();
      }
      last = chunk;
      copied += chunk.length;
      if (copy && copied <= maxCopyBytes) copy.push(chunk);
      else copy = null;
    },
    end() {
      let isWhole = true;
      const read = async (): Promise<Delivered> => {
        const unread = { usage: route.usage ? null : nothingUsed, text: '', isWhole };
        const seen = copy && route.usage ? await readCopy(delivery, copy, route.usage) : unread;
        isWhole = seen.isWhole || !route.endsByEvent;
        if (!isWhole) return cut(delivery, 'upstream_reset', seen.usage, seen.text);
        return { state: 'done', errorCode: null, usage: seen.usage, estimated: false };
      };
      void close(read, () => {
        begin();
        if (isWhole) outlet.end(last ?? undefined);
        else outlet.breakOff();
      });
    },
    fail(error) {
      if (begun) {
        void close(
          () => cut(delivery, error.code === 'provider_timeout' ? 'provider_timeout' : 'upstream_reset', null, ''),
          () => outlet.breakOff(),
        );
      } else if (!over) {
        over = true;
        reject(error);
      }
    },
  });
  return promise;
}

const tellsUsage = (headers: Headers): boolean => isEventStream(headers) || String(headers['content-type'] ?? '').includes('json');

interface Seen {
  usage: Usage | null;
  text: string;
  /** False: an event stream without its terminal event. */
  isWhole: boolean;
}

async function readCopy({ answer, provider, undecoded }: Delivery, copy: Buffer[], usage: NonNullable<Route['usage']>): Promise<Seen> {
  const { headers } = answer;
  const bytes = isEncoded(headers) ? await decoded(Buffer.concat(copy), headers) : Buffer.concat(copy);
  if (!bytes) undecoded(provider.id);
  if (!bytes || jsonWeight(bytes) > maxJsonWeight) return { usage: null, text: '', isWhole: true };
  if (!isEventStream(headers)) return { usage: usage.plain(parsed(bytes.toString('utf8'))), text: '', isWhole: true };
  const reader = usage.stream();
  const tap = createTap({ reader, dropUsageEvent: false });
  tap.push(bytes);
  return { usage: reader.usage(), text: reader.text(), isWhole: tap.finished };
}
