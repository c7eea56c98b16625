/**
 * Access tokens for REST: fifteen minutes, EdDSA, nothing in them but who and which session. Keys come from the `jwks` table
 * only, and count only if their private half opens with our secret: a row that somebody else put there signs nothing.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type JsonWebKey, type KeyObject, randomUUID } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { type Db, statement } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../ports/clock.ts';

const lifetimeMs = 15 * 60_000;
const maxTokenLength = 2_048;
const maxRemembered = 10_000;
/** A key that was removed or has expired is forgotten after this time. */
const keyFreshMs = 60_000;

export interface JwtParts {
  db: Db;
  clock: Clock;
  /** `iss` and `aud`. */
  publicUrl: string;
  /** Seals a private key with the server's secret, and opens it again; `open` throws for what another secret sealed. */
  seal(text: string): Promise<string>;
  open(sealed: string): Promise<string>;
}

interface Key {
  kid: string;
  publicKey: KeyObject;
  privateKey: KeyObject;
  createdAt: number;
  expiresAt: number;
  readAt: number;
}

export interface VerifiedJwt {
  userId: string;
  sessionId: string;
  expiresAt: Date;
}

export function createJwts({ db, clock, publicUrl, seal, open }: JwtParts) {
  const { jwks } = db.tables;
  const keys = new Map<string, Key>();
  const verified = new Map<string, VerifiedJwt>();
  let making: Promise<Key> | null = null;

  type Row = typeof jwks.$inferSelect;

  /** @returns the key of a row, or null if it is not one of ours */
  async function keyOf(row: Row): Promise<Key | null> {
    try {
      const privateJwk = JSON.parse(await open(JSON.parse(row.privateKey) as string)) as JsonWebKey;
      const publicJwk = JSON.parse(row.publicKey) as JsonWebKey;
      if (privateJwk.crv !== 'Ed25519' || publicJwk.x !== privateJwk.x) return null;
      const privateKey = createPrivateKey({ key: privateJwk, format: 'jwk' });
      const expiresAt = row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
      return {
        kid: row.id,
        privateKey,
        publicKey: createPublicKey(privateKey),
        createdAt: row.createdAt.getTime(),
        expiresAt,
        readAt: clock.now(),
      };
    } catch {
      return null;
    }
  }

  /** @param kid  whatever stands in the header of a token that anybody may have written */
  async function keyFor(kid: unknown): Promise<Key> {
    if (typeof kid !== 'string' || !/^[\w-]{1,64}$/.test(kid)) throw new errors.JWKSNoMatchingKey();
    const known = keys.get(kid);
    if (known && clock.now() - known.readAt < keyFreshMs && known.expiresAt > clock.now()) return known;
    const [row] = await db.orm.select().from(jwks).where(eq(jwks.id, kid));
    const key = row ? await keyOf(row) : null;
    if (!key || key.expiresAt <= clock.now()) {
      keys.delete(kid);
      throw new errors.JWKSNoMatchingKey();
    }
    keys.set(key.kid, key);
    return key;
  }

  async function liveKeys(): Promise<Key[]> {
    const found = await Promise.all((await db.orm.select().from(jwks)).map(keyOf));
    return found.filter((key): key is Key => key !== null && key.expiresAt > clock.now()).sort((a, b) => b.createdAt - a.createdAt);
  }

  async function signingKey(): Promise<Key> {
    for (const key of keys.values()) if (clock.now() - key.readAt < keyFreshMs && key.expiresAt > clock.now()) return key;
    const [newest] = await liveKeys();
    making ??= newest ? null : makeKey();
    const key = newest ?? (await making);
    if (!key) throw new AppError('internal', 'There is no key to sign access tokens with.');
    keys.set(key.kid, key);
    return key;
  }

  async function makeKey(): Promise<Key> {
    try {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const [kid, createdAt] = [randomUUID(), new Date(clock.now())];
      const sealed = await seal(JSON.stringify(privateKey.export({ format: 'jwk' })));
      // The same form as that of better-auth's jwt plugin, which could take over the rows.
      const row = {
        publicKey: JSON.stringify(publicKey.export({ format: 'jwk' })),
        privateKey: JSON.stringify(sealed),
        alg: 'EdDSA',
        crv: 'Ed25519',
      };
      await db.commit([statement(db.orm.insert(jwks).values({ id: kid, ...row, createdAt }))]);
      return { kid, publicKey, privateKey, createdAt: createdAt.getTime(), expiresAt: Number.POSITIVE_INFINITY, readAt: clock.now() };
    } finally {
      making = null;
    }
  }

  async function check(token: string): Promise<VerifiedJwt | null> {
    try {
      const { payload } = await jwtVerify(token, async (header) => (await keyFor(header.kid)).publicKey, {
        algorithms: ['EdDSA'],
        typ: 'JWT',
        issuer: publicUrl,
        audience: publicUrl,
        requiredClaims: ['sub', 'sid', 'exp'],
        currentDate: new Date(clock.now()),
      });
      if (typeof payload.sub !== 'string' || typeof payload.sid !== 'string' || payload.exp === undefined) return null;
      return { userId: payload.sub, sessionId: payload.sid, expiresAt: new Date(payload.exp * 1_000) };
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }

  return {
    /** @returns a token with the claims `sub sid iss aud exp` and no others */
    async issue({ userId, sessionId }: { userId: string; sessionId: string }): Promise<{ token: string; expiresAt: Date }> {
      const { kid, privateKey } = await signingKey();
      const exp = Math.floor((clock.now() + lifetimeMs) / 1_000);
      const claims = { sub: userId, sid: sessionId, iss: publicUrl, aud: publicUrl, exp };
      const token = await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid }).sign(privateKey);
      return { token, expiresAt: new Date(exp * 1_000) };
    },

    /** Who signed it and until when it counts; whether the session still lives is another question. Null: not one of ours. */
    async verify(token: string): Promise<VerifiedJwt | null> {
      if (token.length > maxTokenLength) return null;
      const key = hash('sha256', token);
      const known = verified.get(key);
      if (known && known.expiresAt.getTime() > clock.now()) return known;
      verified.delete(key);
      const checked = isCanonical(token) ? await check(token) : null;
      if (!checked) return null;
      const [oldest] = verified.keys();
      if (verified.size >= maxRemembered && oldest !== undefined) verified.delete(oldest);
      verified.set(key, checked);
      return checked;
    },

    /** What `/api/auth/jwks` shows: the public keys with which tokens can be checked elsewhere. */
    async publicKeys(): Promise<{ keys: JsonWebKey[] }> {
      await signingKey();
      const live = await liveKeys();
      return { keys: live.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' })) };
    },
  };
}

/** Decoders forgive stray characters and unused bits, with which one signature could be written in several ways. */
function isCanonical(token: string): boolean {
  const parts = token.split('.');
  return parts.length === 3 && parts.every((part) => part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part);
}
