/** Gateway tokens: the bearers that we issue for SDKs. A secret is told once; what is kept is its SHA-256, by which it is found. */
import { hash, randomBytes, randomUUID } from 'node:crypto';
import { AppError, type NewToken, TokenScope, type TokenView } from '@synthstack/core';
import { atomically, bumpGeneration, type Db, must, prepared, prepareFind, type Statement, type Tables } from '@synthstack/core/db';
import { and, desc, eq, getTableColumns, isNull, lt, or, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';

export const tokenPrefix = 'byok_';
const secretLength = tokenPrefix.length + 43;
const flushEveryMs = 60_000;
const mostAtOnce = 500;

export interface TokensParts {
  db: Db;
  clock: Clock;
  audit?: (entry: AuditEntry) => Statement;
}

export interface FoundToken {
  tokenId: string;
  userId: string;
  scopes: readonly TokenScope[];
  /** Null: it does not expire. */
  expiresAt: Date | null;
  owner: { isAdmin: boolean; disabled: boolean };
  /** Of the owner; undefined: none, so community. */
  planRow: Omit<Tables['plan']['$inferSelect'], 'userId' | 'updatedAt'> | undefined;
}

export type Tokens = ReturnType<typeof createTokens>;

export function createTokens({ db, clock, audit }: TokensParts) {
  const { gatewayToken, user, plan } = db.tables;
  const { userId: _owner, updatedAt: _changed, ...planColumns } = getTableColumns(plan);
  // All that a request needs to know of its caller, in one look-up.
  const findByHash = prepareFind(db, (tokenHash) =>
    db.orm
      .select({
        ...{ tokenId: gatewayToken.id, userId: gatewayToken.userId, scopes: gatewayToken.scopes, expiresAt: gatewayToken.expiresAt },
        ...{ role: user.role, disabledAt: user.disabledAt },
        ...planColumns,
      })
      .from(gatewayToken)
      .innerJoin(user, eq(user.id, gatewayToken.userId))
      .leftJoin(plan, eq(plan.userId, gatewayToken.userId))
      .where(eq(gatewayToken.hash, tokenHash)),
  );
  const older = or(isNull(gatewayToken.lastUsedAt), lt(gatewayToken.lastUsedAt, sql.placeholder('atMs')));
  const setLastUsed = prepared<{ id: string; at: Date; atMs: number }>(
    db.orm
      .update(gatewayToken)
      .set({ lastUsedAt: sql.placeholder('at') as never })
      .where(and(eq(gatewayToken.id, sql.placeholder('id')), older)),
  );
  /** Token id -> when it was last used, in milliseconds; what has not been written yet. */
  let touched = new Map<string, number>();
  let planned: (() => void) | null = null;
  let writing: Promise<void> = Promise.resolve();

  const entries = (entry: AuditEntry): Statement[] => (audit ? [audit(entry)] : []);

  /** Resolves when all that was touched until now is on disk, what another flush is writing included. */
  function flush(): Promise<void> {
    planned?.();
    planned = null;
    writing = writing.catch(() => undefined).then(write);
    return writing;
  }

  async function write(): Promise<void> {
    const all = [...touched];
    touched = new Map();
    // A minute's worth may be a hundred thousand: nobody else's write is to wait for all of them.
    for (let from = 0; from < all.length; from += mostAtOnce) {
      try {
        // No new generation: nobody caches when a token was used, and every cache would be dropped once a minute.
        await db.commit(all.slice(from, from + mostAtOnce).map(([id, atMs]) => setLastUsed({ id, at: new Date(atMs), atMs })));
      } catch (error) {
        for (const [id, atMs] of all.slice(from)) if ((touched.get(id) ?? 0) < atMs) touched.set(id, atMs);
        throw error;
      }
    }
  }

  function planFlush(): void {
    planned ??= clock.after(flushEveryMs, () => {
      planned = null;
      // The disk is full or away: what was touched is kept, and the next minute tries again.
      flush().catch(planFlush);
    });
  }

  return {
    flush,

    /** @throws AppError `invalid_input`: it would have expired already */
    async create(userId: string, { name, expiresAt: until, scopes }: NewToken): Promise<{ token: TokenView; secret: string }> {
      const [createdAt, expiresAt] = [new Date(clock.now()), until ? new Date(until) : null];
      if (expiresAt && expiresAt <= createdAt) {
        const sentence = 'Choose a moment in the future.';
        throw new AppError('invalid_input', sentence, { errors: { expiresAt: [sentence] } });
      }
      const secret = tokenPrefix + randomBytes(32).toString('base64url');
      const row = { id: randomUUID(), userId, name, prefix: secret.slice(0, 9), scopes: [...new Set(scopes)], expiresAt, createdAt };
      await atomically(db, (tx, t) => [
        tx.insert(t.gatewayToken).values({ ...row, hash: hash('sha256', secret) }),
        ...entries({
          actor: userId,
          subject: userId,
          action: 'token.created',
          detail: { token: row.id, scopes: row.scopes.join(' ') },
        }),
        bumpGeneration(tx, t),
      ]);
      return { token: toView({ ...row, lastUsedAt: null }), secret };
    },

    /** The user's own, newest first, expired ones too. */
    async list(userId: string): Promise<TokenView[]> {
      const mine = eq(gatewayToken.userId, userId);
      const rows = await db.orm.select().from(gatewayToken).where(mine).orderBy(desc(gatewayToken.createdAt), gatewayToken.id);
      return rows.map(toView);
    },

    /** @throws AppError `not_found`: no such token, or someone else's */
    async revoke(userId: string, tokenId: string): Promise<void> {
      const mine = and(eq(gatewayToken.id, tokenId), eq(gatewayToken.userId, userId));
      const [row] = await db.orm.select({ name: gatewayToken.name }).from(gatewayToken).where(mine);
      if (!row) throw new AppError('not_found', 'There is no such token.');
      await atomically(db, (tx, t) => [
        must(tx.delete(t.gatewayToken).where(mine)),
        ...entries({ actor: userId, subject: userId, action: 'token.revoked', detail: { token: tokenId } }),
        bumpGeneration(tx, t),
      ]);
    },

    /** @returns null: it was never issued, is revoked or has expired. Who keeps the answer must look at `expiresAt` again. */
    async find(secret: string): Promise<FoundToken | null> {
      if (secret.length !== secretLength || !secret.startsWith(tokenPrefix)) return null;
      const [row] = await findByHash(hash('sha256', secret));
      if (!row || (row.expiresAt !== null && row.expiresAt.getTime() <= clock.now())) return null;
      const { tokenId, userId, scopes, expiresAt, role, disabledAt, ...plan } = row;
      const owner = { isAdmin: role === 'admin', disabled: disabledAt !== null };
      // Without a plan, all of its columns are null.
      const planRow = plan.tier === null ? undefined : (plan as FoundToken['planRow']);
      return { tokenId, userId, scopes: Scopes.parse(scopes), expiresAt, owner, planRow };
    },

    /** It was used just now. Written within a minute, together with all others, and at the latest by `flush`. */
    touch(tokenId: string): void {
      touched.set(tokenId, clock.now());
      planFlush();
    },
  };
}

const Scopes = z.array(TokenScope);

type Row = Omit<Tables['gatewayToken']['$inferSelect'], 'hash'>;

function toView({ id, name, prefix, scopes, expiresAt, lastUsedAt, createdAt }: Row): TokenView {
  return {
    ...{ id, name, prefix, scopes },
    expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}
