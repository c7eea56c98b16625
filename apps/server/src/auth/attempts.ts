/**
 * What keeps people from guessing passwords: how often one account and one address may try, and how many of the costly
 * hashes may be under way at once. All of it is in memory; a restart forgets it.
 */
import { hash } from 'node:crypto';
import { AppError } from '@synthstack/core';
import type { Clock } from '../ports/clock.ts';
import { neighbourhood } from './address.ts';

export interface AttemptLimits {
  windowMs: number;
  perAccount: number;
  perAddress: number;
}

const patient: AttemptLimits = { windowMs: 15 * 60_000, perAccount: 20, perAddress: 100 };
/** Of one kind, from one address: as better-auth has it for sign-ins, but also where something of ours is asked before it. */
export const hasty: AttemptLimits = { windowMs: 10_000, perAccount: Number.POSITIVE_INFINITY, perAddress: 3 };
const maxRemembered = 20_000;

export type Attempts = ReturnType<typeof createAttempts>;

/** Attempts count before they are judged, so that many at once cannot all slip through the last free place. */
export function createAttempts(clock: Clock, { windowMs, perAccount, perAddress }: AttemptLimits = patient) {
  const counts = new Map<string, { count: number; endsAt: number }>();

  function refusal(key: string, limit: number): number {
    const entry = counts.get(key);
    return entry && entry.endsAt > clock.now() && entry.count >= limit ? entry.endsAt - clock.now() : 0;
  }

  function count(key: string): void {
    const entry = counts.get(key);
    if (entry && entry.endsAt > clock.now()) {
      entry.count += 1;
      return;
    }
    counts.delete(key);
    const [oldest] = counts.keys();
    if (counts.size >= maxRemembered && oldest !== undefined) counts.delete(oldest);
    counts.set(key, { count: 1, endsAt: clock.now() + windowMs });
  }

  return {
    /** @throws AppError `limit_reached` when this account or this address has tried too often */
    take(email: string, address: string): void {
      const [account, place] = keysOf(email, address);
      const retryAfterMs = Math.max(refusal(account, perAccount), refusal(place, perAddress));
      if (retryAfterMs > 0) throw new AppError('limit_reached', 'Too many attempts. Please try again later.', { retryAfterMs });
      count(account);
      count(place);
    },
    /** The attempt succeeded: it should count against nobody. */
    forgive(email: string, address: string): void {
      const [account, place] = keysOf(email, address);
      counts.delete(account);
      const entry = counts.get(place);
      if (entry) entry.count -= 1;
    },
  };
}

/** Hashed, so that a dump of the memory does not list who signs in from where. */
function keysOf(email: string, address: string): [account: string, address: string] {
  return [hash('sha256', `account ${email.toLowerCase()}`), hash('sha256', `address ${neighbourhood(address)}`)];
}

export type Gate = ReturnType<typeof createGate>;

/**
 * Lets few at a time through: a password hash costs 150 ms of a core and 32 MB.
 * @param places  how many run at once; others wait in line, up to `line` of them
 */
export function createGate(places: number, line: number) {
  let running = 0;
  const waiting: (() => void)[] = [];

  /** @throws AppError `busy`: the line is full */
  return async function through<T>(fn: () => Promise<T>): Promise<T> {
    if (running >= places) {
      if (waiting.length >= line)
        throw new AppError('busy', 'Too many people sign in right now. Please try again.', { retryAfterMs: 2_000 });
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await fn();
    } finally {
      // The place is handed over, not given back, so that nobody who comes now overtakes the line.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
