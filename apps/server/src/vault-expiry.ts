/**
 * Until when a key is to be used, as its owner says. After that it is not, which is worked out by the clock at each use and never stored: a
 * clock that ran ahead leaves no key behind that is out of use. Its owner is reminded before, each time once.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { AppError, reminderDays } from '@synthstack/core';
import { atomically, type Db, must, type Statement } from '@synthstack/core/db';
import { and, asc, eq, gt, isNotNull, isNull, lte, ne, or, sql } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';

export interface KeyExpiryParts {
  db: Db;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
  notice(entry: NoticeEntry): Statement;
}

const dayMs = 86_400_000;
const longestMs = 20 * 366 * dayMs;
const pageLength = 200;
/** On its last day. */
const lastDay = 0;
const hasCome = -1;

export const isExpired = ({ expiresAt }: { expiresAt: Date | null }, nowMs: number): boolean =>
  expiresAt !== null && expiresAt.getTime() <= nowMs;

/** Which reminder it is time for, in days before: 14, 3, 0 (its last 24 hours), -1 (it has come); null: none yet. */
export function reminderDue(expiresAt: Date, nowMs: number): number | null {
  const leftMs = expiresAt.getTime() - nowMs;
  if (leftMs <= 0) return hasCome;
  if (leftMs <= dayMs) return lastDay;
  return [...reminderDays].reverse().find((days) => leftMs <= days * dayMs) ?? null;
}

/**
 * The columns that a new date sets. Whoever sets one ten days ahead knows that it is less than 14 days, so that is told already.
 * @throws AppError `invalid_input`
 */
export function newExpiry(text: string | null, nowMs: number): { expiresAt: Date | null; expiryTold: number | null } {
  if (text === null) return { expiresAt: null, expiryTold: null };
  const expiresAt = new Date(text);
  if (isExpired({ expiresAt }, nowMs)) throw wrong('Choose a day that is still to come.');
  if (expiresAt.getTime() > nowMs + longestMs) throw wrong('Choose a day in the next twenty years.');
  return { expiresAt, expiryTold: reminderDue(expiresAt, nowMs) };
}

function wrong(sentence: string): AppError {
  return new AppError('invalid_input', sentence, { errors: { expiresAt: [sentence] } });
}

export function createKeyExpiry({ db, clock, audit, notice }: KeyExpiryParts) {
  const { providerKey } = db.tables;
  const { id, owner, provider, keyHint, nonce, expiresAt, expiryTold } = providerKey;

  const page = (after: { expiresAt: Date; id: string }, nowMs: number) =>
    db.orm
      .select({ id, owner, provider, keyHint, nonce, expiresAt, expiryTold })
      .from(providerKey)
      .where(
        and(
          isNotNull(expiresAt),
          or(isNull(expiryTold), sql`${expiryTold} >= 0`),
          lte(expiresAt, new Date(nowMs + Math.max(...reminderDays) * dayMs)),
          or(gt(expiresAt, after.expiresAt), and(eq(expiresAt, after.expiresAt), gt(id, after.id))),
          ne(owner, 'platform'),
        ),
      )
      .orderBy(asc(expiresAt), asc(id))
      .limit(pageLength);
  type Row = Awaited<ReturnType<typeof page>>[number] & { expiresAt: Date };

  /** What belongs to the reminder: words to its owner, unless they have been told on its last day; and at the end, the entry in the log. */
  function words(key: Row, due: number): Statement[] {
    const about = { keyId: key.id, provider: key.provider, keyHint: key.keyHint };
    const until = key.expiresAt;
    const dedupe = `key_expires:${key.id}:${until.getTime()}:${due}`;
    const data = { ...about, until: until.toISOString(), days: String(due) };
    const entry = {
      actor: 'system',
      subject: key.owner,
      action: 'key.expired',
      detail: { ...about, expiresAt: until.toISOString() },
    } as const;
    return [
      ...(due === hasCome && key.expiryTold === lastDay ? [] : [notice({ userId: key.owner, kind: 'key_expires', dedupe, data })]),
      ...(due === hasCome ? [audit(entry)] : []),
    ];
  }

  /** @returns false: another process has told it, or the key has another date by now */
  async function tell(key: Row, due: number): Promise<boolean> {
    const asRead = and(
      ...[eq(id, key.id), eq(nonce, key.nonce), eq(expiresAt, key.expiresAt)],
      key.expiryTold === null ? isNull(expiryTold) : eq(expiryTold, key.expiryTold),
    );
    try {
      await atomically(db, (tx, t) => [must(tx.update(t.providerKey).set({ expiryTold: due }).where(asRead)), ...words(key, due)]);
      return true;
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict') return false;
      throw error;
    }
  }

  return {
    /** To be called every hour. @returns how often something was told */
    async run(): Promise<number> {
      const nowMs = clock.now();
      let after = { expiresAt: new Date(0), id: '' };
      let done = 0;
      for (;;) {
        const rows = (await page(after, nowMs)) as Row[];
        for (const key of rows) {
          const due = reminderDue(key.expiresAt, nowMs);
          // A clock that was set back tells nothing again.
          if (due !== null && (key.expiryTold === null || due < key.expiryTold) && (await tell(key, due))) done += 1;
        }
        const last = rows.at(-1);
        if (!last || rows.length < pageLength) return done;
        after = last;
        await turn();
      }
    },
  };
}
