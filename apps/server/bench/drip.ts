/** Streams that stay open, each with a chunk a second; the chunks of all of them are spread evenly over the second. */
import type { Socket } from 'node:net';

export interface DripParts {
  /** The answer's head and first event. */
  lead: Buffer;
  /** The next chunk, made at the moment at which it goes out. */
  chunk(): Buffer;
  /** From the last event to the end of the answer. */
  closing: Buffer;
}

const periodMs = 1_000;

export type Drip = ReturnType<typeof createDrip>;

export function createDrip({ lead, chunk, closing }: DripParts) {
  const slots = Array.from({ length: periodMs }, (): Socket[] => []);
  let added = 0;
  let open = 0;
  let isFinishing = false;
  let atMs = 0;
  let timer: NodeJS.Timeout | null = null;

  function tick(): void {
    const nowMs = Math.floor(performance.now());
    for (; atMs < nowMs; atMs += 1) serve(atMs % periodMs);
    if (open > 0) return;
    clearInterval(timer ?? undefined);
    timer = null;
    isFinishing = false;
  }

  function serve(slot: number): void {
    const sockets = slots[slot] ?? [];
    const living = sockets.filter((socket) => !socket.destroyed);
    for (const socket of living) socket.write(isFinishing ? closing : chunk());
    slots[slot] = isFinishing ? [] : living;
    open -= sockets.length - slots[slot].length;
  }

  return {
    add(socket: Socket): void {
      socket.write(lead);
      // 619 and 1,000 have no common divisor: neighbours lie far apart, and no slot is taken twice before all are taken once.
      slots[(added * 619) % periodMs]?.push(socket);
      added += 1;
      open += 1;
      if (timer) return;
      atMs = Math.floor(performance.now());
      timer = setInterval(tick, 1);
    },

    /** Each stream ends at the moment at which its next chunk was due. */
    finish(): void {
      isFinishing = open > 0;
    },
  };
}
