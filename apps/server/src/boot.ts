/**
 * The row that says "this process is alive". Its slot (0 to 31) keeps request ids of several processes apart; its heartbeat
 * tells a start whose open requests nobody will ever settle.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { AppError } from '@synthstack/core';
import { atomically, type Db, type Tables } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import { type Clock, repeatedly } from './ports/clock.ts';

const heartbeatMs = 10_000;
const deadAfterMs = 60_000;
const slots = 32;

export interface Boot {
  id: string;
  slot: number;
  /** Removes the rows of processes that are gone. @returns their ids */
  buryDead(): Promise<string[]>;
  stop(): Promise<void>;
}

/** @param sealsWith  id of the master key that this process seals with */
export async function startBoot({ db, clock, sealsWith = '' }: { db: Db; clock: Clock; sealsWith?: string }): Promise<Boot> {
  const { boot } = db.tables;
  const id = randomUUID();
  const host = hostname();

  async function buryDead(): Promise<string[]> {
    const dead = (await db.orm.select().from(boot)).filter((row) => row.id !== id && isDead(row, clock.now()));
    if (dead.length > 0) await atomically(db, (tx) => dead.map((row) => tx.delete(boot).where(eq(boot.id, row.id))));
    return dead.map((row) => row.id);
  }

  async function takeSlot(): Promise<number> {
    const taken = new Set((await db.orm.select({ slot: boot.slot }).from(boot)).map((row) => row.slot));
    const free = Array.from({ length: slots }, (_, slot) => slot).filter((slot) => !taken.has(slot));
    for (const slot of free) {
      const now = clock.now();
      try {
        await db.orm.insert(boot).values({ id, slot, host, pid: process.pid, sealsWith, startedAt: now, heartbeatAt: now });
        return slot;
      } catch (error) {
        if (!(await isTaken(slot))) throw error;
      }
    }
    throw new AppError('storage_unavailable', `${slots} processes use this database already. Stop one first.`);
  }
  const isTaken = async (slot: number): Promise<boolean> =>
    (await db.orm.select({ id: boot.id }).from(boot).where(eq(boot.slot, slot))).length > 0;

  living.add(id);
  const slot = await takeSlot();
  const beating = repeatedly(clock, heartbeatMs, async () => {
    // A beat that is missed for lack of disk is made up for by the next one.
    await db.orm
      .update(boot)
      .set({ heartbeatAt: clock.now() })
      .where(eq(boot.id, id))
      .catch(() => undefined);
  });

  return {
    id,
    slot,
    buryDead,
    async stop() {
      beating.stop();
      await beating.idle();
      living.delete(id);
      await db.orm.delete(boot).where(eq(boot.id, id));
    },
  };
}

type BootRow = Tables['boot']['$inferSelect'];

/** The servers that use this database now, whatever process they are. */
export async function livingBoots({ db, clock }: { db: Db; clock: Clock }): Promise<BootRow[]> {
  return (await db.orm.select().from(db.tables.boot)).filter((row) => !isDead(row, clock.now()));
}

function isDead(row: BootRow, nowMs: number): boolean {
  if (row.host !== hostname()) return nowMs - row.heartbeatAt > deadAfterMs;
  // Our own process number under another id: it was given to us after its former owner had died.
  return row.pid === process.pid ? !living.has(row.id) : !processLives(row.pid);
}

/** The boots of this very process: tests start several. */
const living = new Set<string>();

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
