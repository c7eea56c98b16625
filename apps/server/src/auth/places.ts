/**
 * From where people sign in: a device that somebody never used, or a network that they never came from, is news for them. What is kept is
 * the browser's family and the network, not the whole user agent.
 */
import { deviceOf } from '@synthstack/core';
import { type Db, type Statement, statement } from '@synthstack/core/db';
import { and, count, desc, eq, gt, inArray, lt, ne } from 'drizzle-orm';
import type { NoticeEntry } from '../notices.ts';
import type { Clock } from '../ports/clock.ts';
import { neighbourhood } from './address.ts';

export interface PlacesParts {
  db: Db;
  clock: Clock;
  notice(entry: NoticeEntry): Statement;
}

export interface SignedIn {
  userId: string;
  sessionId: string;
  address: string;
  userAgent: string;
}

const dayMs = 86_400_000;
/** Whoever has not come from somewhere for so long is told of it again. */
const keptMs = 180 * dayMs;
/** A script that signs in from a new address each time is told of so often a day. */
const mostNewsADay = 20;
const mostForgotten = 1_000;

export type Places = ReturnType<typeof createPlaces>;

export function createPlaces({ db, clock, notice }: PlacesParts) {
  const { signInPlace: place, session } = db.tables;

  const learn = (userId: string, device: string, network: string, at: Date): Statement =>
    statement(
      db.orm
        .insert(place)
        .values({ userId, device, network, firstAt: at, lastAt: at })
        .onConflictDoUpdate({ target: [place.userId, place.device, place.network], set: { lastAt: at } }),
    );

  /** Where somebody has been, newest first. Nobody wrote it down before this was built: the sessions that hold tell some of it. */
  async function known({ userId, sessionId }: SignedIn): Promise<{ device: string; network: string }[]> {
    const rows = await db.orm.select().from(place).where(eq(place.userId, userId)).orderBy(desc(place.lastAt)).limit(mostForgotten);
    if (rows.length > 0) return rows;
    const others = await db.orm
      .select({ address: session.ipAddress, userAgent: session.userAgent })
      .from(session)
      .where(and(eq(session.userId, userId), ne(session.id, sessionId)))
      .limit(100);
    return others.map(({ address, userAgent }) => ({ device: nameOf(userAgent ?? ''), network: neighbourhood(address ?? '') }));
  }

  async function newsSince(userId: string, at: Date): Promise<number> {
    const [row] = await db.orm
      .select({ n: count() })
      .from(place)
      .where(and(eq(place.userId, userId), gt(place.firstAt, at)));
    return Number(row?.n ?? 0);
  }

  return {
    /** Remembers from where somebody has signed in, and tells them where that is new. The first time of all is not news. */
    async signedIn(from: SignedIn): Promise<void> {
      const { userId, address, userAgent } = from;
      const at = new Date(clock.now());
      const [device, network] = [nameOf(userAgent), neighbourhood(address)];
      const before = await known(from);
      const isKnown = before.some((one) => one.device === device) && before.some((one) => one.network === network);
      const isNews = before.length > 0 && !isKnown && (await newsSince(userId, new Date(at.getTime() - dayMs))) < mostNewsADay;
      const found = deviceOf(userAgent);
      const data = {
        ...(found ? { browser: found.browser, system: found.system } : device !== '' && { program: device }),
        ...(address !== '' && { address }),
        at: at.toISOString(),
      };
      const dedupe = `new_sign_in:${userId}:${device}:${network}:${at.toISOString().slice(0, 10)}`;
      await db.commit([learn(userId, device, network, at), ...(isNews ? [notice({ userId, kind: 'new_sign_in', dedupe, data })] : [])]);
    },

    /** @returns how many places nobody came from for 180 days */
    async forgetOld(): Promise<number> {
      const before = lt(place.lastAt, new Date(clock.now() - keptMs));
      const old = await db.orm.selectDistinct({ userId: place.userId }).from(place).where(before).limit(mostForgotten);
      const users = old.map(({ userId }) => userId);
      if (users.length > 0) await db.commit([statement(db.orm.delete(place).where(and(before, inArray(place.userId, users))))]);
      return users.length;
    },
  };
}

/** `Firefox on Linux`; of a program its own name, without its version, as far as it is one word. */
function nameOf(userAgent: string): string {
  const device = deviceOf(userAgent);
  if (device) return `${device.browser} on ${device.system}`;
  return /^[\w.-]{1,40}/.exec(userAgent)?.[0] ?? '';
}
