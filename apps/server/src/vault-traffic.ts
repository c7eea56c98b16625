/** What traffic teaches about keys: status changes by DESIGN.md's tables, trial requests, and the news about them. */
import { atomically, bumpGeneration, type Db, must, type Statement } from '@synthstack/core/db';
import { and, eq, ne } from 'drizzle-orm';
import type { Administrators, NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';
import type { Fields } from './ports/log.ts';
import { providerOf } from './providers/catalog.ts';
import type { Outcome } from './providers/provider.ts';
import { type EnvironmentKey, platform, type StoredKey, type UsableKey } from './vault-rows.ts';
import { afterAnswer, nextRetry } from './vault-status.ts';
import { isConflict, type KeyWrites } from './vault-writes.ts';

export interface TrafficParts {
  db: Db;
  clock: Clock;
  writes: KeyWrites;
  notice(entry: NoticeEntry): Statement;
  warn(fields: Fields, message: string): void;
}

const rememberedNews = 10_000;

export function createTraffic({ db, clock, writes, notice, warn }: TrafficParts) {
  const { providerKey } = db.tables;
  /** News that this process has written, so that thousands of requests do not each try to. */
  const told = new Set<string>();

  async function tellOnce(news: NoticeEntry): Promise<void> {
    if (told.has(news.dedupe)) return;
    if (news.kind === 'platform_key_failed')
      warn(news.data, "The platform's key does not work: put another in its place, or look after its account");
    await db.commit([notice(news)]);
    if (told.size >= rememberedNews) told.clear();
    told.add(news.dedupe);
  }

  return {
    isNews: (key: UsableKey, outcome: Outcome | 'unreadable'): boolean =>
      outcome !== 'ok' || !('environment' in key || key.owner === platform || key.status === 'valid'),

    async report(key: UsableKey, outcome: Outcome | 'unreadable'): Promise<void> {
      const nowMs = clock.now();
      if ('environment' in key || key.owner === platform) {
        if (isPlatformTrouble(outcome)) await tellOnce(platformNews(key, outcome, nowMs));
        return;
      }
      if (outcome === 'unreadable') {
        await tellOnce(keyNews(key, 'key_unreadable', nowMs));
        return;
      }
      const change = afterAnswer(key.status, outcome, providerOf(key.provider), nowMs);
      if (!change) return;
      const news = newsOf(key, change.status, nowMs);
      const isNew = and(writes.current(key), ne(providerKey.status, change.status));
      await isFirst(
        atomically(db, (tx, t) => [
          must(
            tx
              .update(t.providerKey)
              .set({ ...change, updatedAt: new Date(nowMs) })
              .where(isNew),
          ),
          ...(news ? [notice(news)] : []),
          bumpGeneration(tx, t),
        ]),
      );
    },

    async takeTrial(key: StoredKey): Promise<boolean> {
      const nowMs = clock.now();
      if (key.status !== 'no_credit' || key.retryAt === null || key.retryAt.getTime() > nowMs) return false;
      const due = and(writes.current(key), eq(providerKey.status, 'no_credit'), eq(providerKey.retryAt, key.retryAt));
      const next = nextRetry('no_credit', key.retries + 1, nowMs);
      return isFirst(
        atomically(db, (tx, t) => [
          must(
            tx
              .update(t.providerKey)
              .set({ ...next, updatedAt: new Date(nowMs) })
              .where(due),
          ),
          // Other requests know the old time from their cache: without this each would try to take the trial too.
          bumpGeneration(tx, t),
        ]),
      );
    },
  };
}

/** False: someone else was first, or the key is no longer the one that was used. */
export async function isFirst(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
}

/** What to tell when a key comes to this status while its owner is not looking; null: nothing. */
export function newsOf(key: StoredKey, status: StoredKey['status'], nowMs: number): NoticeEntry | null {
  if (status !== 'invalid' && status !== 'no_credit') return null;
  if (key.owner === platform) return platformNews(key, status === 'invalid' ? 'bad_key' : status, nowMs);
  return keyNews(key, status === 'invalid' ? 'key_invalid' : 'key_no_credit', nowMs);
}

function keyNews(key: StoredKey, kind: 'key_invalid' | 'key_no_credit' | 'key_unreadable', nowMs: number): NoticeEntry {
  const { id, owner, provider, keyHint } = key;
  // A key that goes to and fro is news once a day.
  return { userId: owner, kind, dedupe: `${kind}:${id}:${dayOf(nowMs)}`, data: { keyId: id, provider, keyHint } };
}

type PlatformTrouble = 'bad_key' | 'no_credit' | 'not_allowed' | 'unreadable';
const administrators: Administrators = 'administrators';

function isPlatformTrouble(outcome: Outcome | 'unreadable'): outcome is PlatformTrouble {
  return outcome === 'bad_key' || outcome === 'no_credit' || outcome === 'not_allowed' || outcome === 'unreadable';
}

function platformNews(key: StoredKey | EnvironmentKey, reason: PlatformTrouble, nowMs: number): NoticeEntry {
  const { provider, keyHint } = key;
  const which = 'environment' in key ? 'environment' : key.id;
  const dedupe = `platform_key_failed:${provider}:${which}:${reason}:${dayOf(nowMs)}`;
  return { userId: administrators, kind: 'platform_key_failed', dedupe, data: { provider, reason, keyHint } };
}

const dayOf = (nowMs: number): string => new Date(nowMs).toISOString().slice(0, 10);
