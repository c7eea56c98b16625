/** Answers that are written as they come: no faster than their reader takes them. */
import type { Writable } from 'node:stream';

/** Between two signs of life: proxies close what is silent for a minute. */
export const signOfLifeMs = 25_000;

/** Writes all parts, and ends. Whoever leaves early gets no more of them. */
export async function sendParts(out: Writable, parts: AsyncIterable<string | Buffer>): Promise<void> {
  for await (const part of parts) {
    if (out.destroyed) return;
    if (!out.write(part)) await drained(out);
  }
  out.end();
}

/** Until there is room again, or nobody to write to. Leaves no listener behind: an export waits a thousand times. */
async function drained(out: Writable): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  out.on('drain', resolve).on('close', resolve);
  await promise;
  out.off('drain', resolve).off('close', resolve);
}
