/** Streams that the load keeps open, and how old each chunk is when it comes in. */
import { setTimeout as wait } from 'node:timers/promises';
import { type Connection, openConnection, type Target } from './client.ts';
import { quantile } from './figures.ts';
import { type Crowd, oneOf, tokenOf } from './people.ts';
import { agesOf } from './stamp.ts';

export interface Opening {
  target: Target;
  /** Without it they are the target's own. */
  crowd?: Crowd;
  streams: number;
  /** They are opened one after the other, over so long. */
  overMs: number;
}

export interface Heard {
  chunks: number;
  p50Ms: number;
  p99Ms: number;
}

export interface Left {
  /** How many streams came to their end, and how many broke off or were refused. */
  whole: number;
  broken: number;
}

interface Stream {
  connection: Connection;
  begun: Promise<void>;
  /** The status, once it has come whole. */
  ended: Promise<number>;
}

export function createListeners() {
  let streams: Stream[] = [];
  /** Null: nobody listens. */
  let ages: number[] | null = null;

  async function openOne(target: Target, token?: string): Promise<Stream> {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<number>();
    const connection = await openConnection(target, (piece) => {
      begun.resolve();
      if (ages) ages.push(...agesOf(piece));
    });
    connection.ask((status) => {
      begun.resolve();
      ended.resolve(status);
    }, token);
    return { connection, begun: begun.promise, ended: ended.promise };
  }

  return {
    /** Resolves when all of them have begun. */
    async open({ target, crowd, streams: count, overMs }: Opening): Promise<void> {
      const startMs = performance.now();
      const opening: Promise<Stream>[] = [];
      for (let i = 0; i < count; i += 1) {
        const earlyMs = startMs + (i * overMs) / count - performance.now();
        if (earlyMs > 1) await wait(earlyMs);
        opening.push(openOne(target, crowd && tokenOf(oneOf(crowd, i / count))));
      }
      streams = await Promise.all(opening);
      await Promise.all(streams.map(({ begun }) => begun));
    },

    async listen(forMs: number): Promise<Heard> {
      const heard: number[] = [];
      ages = heard;
      await wait(forMs);
      ages = null;
      // Typed arrays sort numbers as numbers.
      const sorted = Float64Array.from(heard).sort();
      return { chunks: sorted.length, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
    },

    /** Waits until the upstream has ended all of them. */
    async leave(): Promise<Left> {
      const statuses = await Promise.all(streams.map(({ ended }) => ended));
      for (const { connection } of streams) connection.close();
      streams = [];
      const whole = statuses.filter((status) => status === 200).length;
      return { whole, broken: statuses.length - whole };
    },
  };
}
