/** Deterministic stepping of an answer: it stands still at a place until the test lets it go on. No clocks. */

/** `head`: nothing of the answer is out; `body`: the head is out; a number: so many chunks (SSE events) are out. */
export type GatePlace = 'head' | 'body' | number;

export interface Gate {
  /** Resolves when the answer stands at the place, all earlier bytes handed to the socket. */
  readonly reached: Promise<void>;
  /** Lets everything go. */
  open(): void;
  /** Lets `count` more chunks out (the head counts as one) and resolves when the answer stands again, or is over. */
  step(count?: number): Promise<void>;
  /** For the transport: called before each move with what is out (-1 nothing, 0 head, n chunks). */
  pass(out: number): Promise<void> | undefined;
  /** For the transport: the answer is over, whichever way. */
  over(): void;
}

export function createGate(place: GatePlace = 'head'): Gate {
  const reached = Promise.withResolvers<void>();
  let limit = place === 'head' ? -1 : place === 'body' ? 0 : place;
  let standing: PromiseWithResolvers<void> | undefined;
  let stood: PromiseWithResolvers<void> | undefined;

  function go(): void {
    standing?.resolve();
    standing = undefined;
  }
  function open(): void {
    limit = Number.POSITIVE_INFINITY;
    go();
  }
  return {
    reached: reached.promise,
    open,
    async step(count = 1) {
      await reached.promise;
      if (limit === Number.POSITIVE_INFINITY) return;
      limit += count;
      stood = Promise.withResolvers<void>();
      const { promise } = stood;
      go();
      await promise;
    },
    pass(out) {
      if (out < limit) return undefined;
      reached.resolve();
      stood?.resolve();
      standing ??= Promise.withResolvers<void>();
      return standing.promise;
    },
    over() {
      open();
      reached.resolve();
      stood?.resolve();
    },
  };
}
