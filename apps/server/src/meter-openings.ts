/**
 * Rows that have been opened and not closed. Nobody needs the row of a request before the first byte of its answer leaves, and many answers
 * are there at once: so an opened row is held back a little, and where the answer comes meanwhile, one write does for both.
 */
import type { Db, List, Ticket } from '@synthstack/core/db';
import type { Clock } from './ports/clock.ts';

/** A row on its way. */
export interface Recording {
  /** Sends it, if it has not left yet. Resolves when it is on disk, open or closed already. @throws AppError `storage_unavailable` */
  onDisk(): Promise<void>;
}

interface OpeningsParts {
  db: Pick<Db, 'enqueue'>;
  clock: Clock;
  /** A row leaves by itself once it is as old as this, and before it is twice as old, in ms. 0: at once. */
  holdMs: number;
  /** Called when a row has reached the disk. */
  landed(): void;
}

interface Opening {
  /** Makes the list that opens the row. */
  open(): List;
  /** null: held back. */
  ticket: Ticket | null;
  /** Was held when the clock struck last. */
  isOld: boolean;
}

export type Openings = ReturnType<typeof createOpenings>;

export function createOpenings({ db, clock, holdMs, landed }: OpeningsParts) {
  /** By the request's id, those that are not on disk; the oldest first. */
  const openings = new Map<number, Opening>();
  let isTicking = false;

  function send(id: number, opening: Opening, list = opening.open()): Ticket {
    const ticket = db.enqueue(list);
    opening.ticket = ticket;
    ticket.landed.then(
      () => {
        openings.delete(id);
        landed();
      },
      // Whoever waits for it sees the error.
      () => void openings.delete(id),
    );
    return ticket;
  }

  function tick(): void {
    for (const [id, opening] of openings) {
      if (opening.isOld && !opening.ticket) send(id, opening);
      opening.isOld = true;
    }
    isTicking = openings.size > 0;
    if (isTicking) clock.after(holdMs, tick);
  }

  return {
    /** @param open  makes the list that opens the row */
    begin(id: number, open: () => List): Recording {
      const opening: Opening = { open, ticket: null, isOld: false };
      openings.set(id, opening);
      if (holdMs === 0) send(id, opening);
      else if (!isTicking) {
        isTicking = true;
        clock.after(holdMs, tick);
      }
      return {
        async onDisk() {
          await (opening.ticket ?? send(id, opening)).landed;
        },
      };
    },

    /**
     * Opens and closes the row in one, where it has not left yet.
     * @param both  makes the list that does
     * @returns null: it has left, and must be closed by itself
     */
    closeUnsent(id: number, both: () => List): Promise<unknown> | null {
      const opening = openings.get(id);
      if (!opening) return null;
      const { ticket } = opening;
      if (!ticket) return send(id, opening, both()).landed;
      return ticket.replace(both()) ? ticket.landed : null;
    },
  };
}
