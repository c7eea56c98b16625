/** What the audit log says of a person's own keys, for that person: who did it is told as a role, never as somebody else's id. */
import { type KeyEvent, type KeyHistory, type KeyHistoryQuery, KeyStatus, keyEventKinds, ProviderId } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm';

const actions = keyEventKinds.map((kind) => `key.${kind}`);

export function createOwnHistory({ db }: { db: Db }) {
  const { audit } = db.tables;
  return {
    /** A page of what was done to a person's keys, the newest first. */
    async ofKeys(userId: string, { provider, cursor, limit }: KeyHistoryQuery): Promise<KeyHistory> {
      const { seq, at, actor, action, detail } = audit;
      const rows = await db.orm
        .select({ seq, at, actor, action, detail })
        .from(audit)
        .where(
          and(
            ...[eq(audit.subject, userId), inArray(audit.action, actions)],
            cursor === undefined ? undefined : lt(audit.seq, Number(cursor)),
            provider && sql`${audit.detail} like ${`%"provider":"${provider}"%`}`,
          ),
        )
        .orderBy(desc(audit.seq))
        .limit(limit + 1);
      const page = rows.slice(0, limit);
      return {
        events: page.map((row) => eventOf(row, userId)),
        nextCursor: rows.length > limit ? String(page.at(-1)?.seq) : null,
      };
    },
  };
}

interface Row {
  at: number;
  actor: string;
  action: string;
  detail: string;
}

function eventOf({ at, actor, action, detail }: Row, userId: string): KeyEvent {
  const said = fieldsOf(detail);
  const [provider, status] = [ProviderId.safeParse(said.provider), KeyStatus.safeParse(said.status)];
  return {
    at: new Date(at).toISOString(),
    kind: action.slice('key.'.length) as KeyEvent['kind'],
    by: actor === userId ? 'you' : actor === 'system' ? 'server' : 'administrator',
    provider: provider.data ?? null,
    keyId: said.keyId ?? null,
    keyHint: said.keyHint ?? null,
    status: status.data ?? null,
    isActive: switchOf(said.isActive),
    fallback: switchOf(said.fallback),
    expiresAt: said.expiresAt ?? null,
  };
}

const switchOf = (text: string | undefined): boolean | null => (text === undefined ? null : text === 'true');

/** Someone may have changed the row by hand: `doctor` says so, and the list can still be read. */
function fieldsOf(detail: string): Partial<Record<string, string>> {
  try {
    return JSON.parse(detail) as Record<string, string>;
  } catch {
    return {};
  }
}
