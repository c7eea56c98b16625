/** Bodies of requests, as bytes that arrive; one place knows how to stop reading without cutting off the answer. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '@synthstack/core';

/** @throws AppError `request_timeout`: the client is too slow; or it left, and nobody reads this error */
export async function* chunksOf(req: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // Leaving the loop must not destroy the socket: the caller is still to be told.
    yield* req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (cause) {
    // An error of ours: http-connections.ts has lost patience.
    throw cause instanceof AppError ? cause : new AppError('request_timeout', 'The client left before its body was there.', { cause });
  }
}

/** A small body, whole. @throws AppError `too_large`, `request_timeout` */
export async function readText(req: IncomingMessage, limitBytes = 64 * 1_024): Promise<string> {
  if (Number(req.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunksOf(req)) {
    length += chunk.length;
    if (length > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export const tooLarge = (limitBytes: number) => new AppError('too_large', `The body is larger than ${limitBytes} bytes.`);
