/** The bodies of AI requests: each is bounded, and so are all of them together, since they stay in memory until their request is over. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '@synthstack/core';
import { eachChunk, jsonObject, tooLarge } from './body.ts';
import { jsonWeight, maxJsonWeight } from './json-weight.ts';

export interface BodyLimits {
  /** Of one body. */
  limitBytes: number;
  /** Of all that are in flight. */
  allBytes?: number;
}

export interface HeldBody {
  bytes: Buffer;
  /** Bytes that count as taken: its own, and what it weighs once parsed. */
  held: number;
  owner: string;
}

export function createBodies({ limitBytes, allBytes = Math.max(512 * 1_048_576, 2 * limitBytes) }: BodyLimits) {
  let inFlight = 0;
  /** By person: nobody may take all, also with bodies that never end. */
  const ofEach = new Map<string, number>();
  const mostOfOne = Math.max(limitBytes, allBytes / 2);

  function add(owner: string, bytes: number): void {
    inFlight += bytes;
    const own = (ofEach.get(owner) ?? 0) + bytes;
    if (own > 0) ofEach.set(owner, own);
    else ofEach.delete(owner);
  }

  return {
    /** Bytes of bodies in memory, and what those that are parsed weigh besides. */
    get inFlight(): number {
      return inFlight;
    },

    /**
     * Reads a body. Its memory counts as taken until `free` is called, once.
     * @param owner  whose memory it is
     * @param isJson  it will be parsed, and what becomes of it counts too
     * @throws AppError `unsupported_media`, `too_large`, `busy`; `request_timeout`: the client left, and nobody reads this error
     */
    async read(req: IncomingMessage, isJson: boolean, owner: string): Promise<HeldBody> {
      const encoding = req.headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity')
        throw new AppError('unsupported_media', 'Send the body without content-encoding.');
      const announced = Number(req.headers['content-length'] ?? 0);
      if (announced > limitBytes) throw tooLarge(limitBytes);
      if (inFlight + announced > allBytes) throw busy();
      const chunks: Buffer[] = [];
      let held = 0;
      const take = (bytes: number) => {
        held += bytes;
        add(owner, bytes);
        if (inFlight > allBytes || (ofEach.get(owner) ?? 0) > mostOfOne) throw busy();
      };
      try {
        let length = 0;
        await eachChunk(req, (chunk) => {
          length += chunk.length;
          if (length > limitBytes) throw tooLarge(limitBytes);
          chunks.push(chunk);
          take(chunk.length);
        });
        const bytes = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
        const weight = isJson ? jsonWeight(bytes) : 0;
        if (weight > maxJsonWeight) throw new AppError('too_large', 'The body holds too many lists, objects and values.');
        take(weight);
        return { bytes, held, owner };
      } catch (error) {
        add(owner, -held);
        throw error;
      }
    },

    free({ held, owner }: HeldBody): void {
      add(owner, -held);
    },
  };
}

/** A byte order mark is not JSON's, but some editors' (RFC 8259, 8.1, lets us pass over it). @throws AppError `invalid_input` */
export const parseJson = (body: Buffer): Record<string, unknown> => jsonObject(body.toString('utf8', body[0] === 0xef ? 3 : 0));

const busy = () =>
  new AppError('busy', 'This server has too many large requests at the moment. Try again shortly.', { retryAfterMs: 1_000 });
