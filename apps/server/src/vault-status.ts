/** What a check or an answer makes of a stored key: DESIGN.md's tables "Which key pays", as pure functions. */
import type { KeyStatus } from '@synthstack/core';
import type { CheckResult, Outcome, Provider } from './providers/provider.ts';
import { verdict } from './providers/verdict.ts';

/** `unreadable` is computed and never stored: a key that opens again is good again. */
export type StoredStatus = Exclude<KeyStatus, 'unreadable'>;

/** The columns that change with a key's status. */
export interface Standing {
  status: StoredStatus;
  lastError: string | null;
  /** When our own re-check, or a trial request of the user, is due; null: none. */
  retryAt: Date | null;
  /** How many of them in a row have changed nothing. */
  retries: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const unverifiedMs = [minuteMs, 5 * minuteMs, 15 * minuteMs, hourMs];

/** How long a key of that status waits for its next re-check or trial, after so many in vain; null: it needs none. */
export function retryMs(status: StoredStatus, retries: number): number | null {
  switch (status) {
    case 'valid':
      return null;
    case 'unverified':
      return unverifiedMs[retries] ?? dayMs;
    case 'invalid':
      return dayMs;
    case 'no_credit':
      return Math.min(5 * minuteMs * 2 ** Math.min(retries, 10), 6 * hourMs);
  }
}

/** A key that has just come to this status. */
export function standing({ status, lastError }: Pick<CheckResult, 'status' | 'lastError'>, nowMs: number): Standing {
  return { status, lastError, ...nextRetry(status, 0, nowMs) };
}

export function nextRetry(status: StoredStatus, retries: number, nowMs: number): Pick<Standing, 'retryAt' | 'retries'> {
  const waitMs = retryMs(status, retries);
  return { retryAt: waitMs === null ? null : new Date(nowMs + waitMs), retries };
}

/**
 * What a check changes on a key that is already stored. One that learnt nothing (network trouble, 5xx) leaves the status as it is, so
 * that a test during a provider's bad hour takes no working key out of use.
 */
export function afterCheck(before: KeyStatus, result: CheckResult, nowMs: number): Partial<Standing> {
  if (result.status === 'unverified') return before === 'unverified' ? { lastError: result.lastError } : {};
  // The waiting goes on where it was, or people who press "Test" would keep their key from its next trial.
  if (result.status === before) return { lastError: result.lastError };
  return standing(result, nowMs);
}

/** What came back on a key in traffic, as its new standing; null: it changes nothing. */
export function afterAnswer(before: KeyStatus, outcome: Outcome, provider: Provider, nowMs: number): Standing | null {
  if (outcome !== 'ok' && outcome !== 'bad_key' && outcome !== 'no_credit') return null;
  const { status, lastError } = verdict(provider, outcome === 'ok' ? 'works' : outcome);
  return status === before ? null : standing({ status, lastError }, nowMs);
}
