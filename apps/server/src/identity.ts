/**
 * People whom the operator's own sign-in vouches for: JWTs of one configured issuer. Whose token it is, its `iss` says, and it is then
 * checked as that and as nothing else. Who is new gets an account; nobody is ever joined to an account that is there already by an
 * e-mail address, which would hand accounts to whoever can claim addresses there.
 */
import { hash } from 'node:crypto';
import { AppError, Email, type TierName, tierNames } from '@synthstack/core';
import type { Statement } from '@synthstack/core/db';
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import type { AuditEntry } from './audit.ts';
import type { Auth } from './auth.ts';
import type { createIssuerKeys } from './identity-keys.ts';
import type { Plans } from './plans.ts';
import type { Clock } from './ports/clock.ts';

export interface IdentityParts {
  clock: Clock;
  keys: ReturnType<typeof createIssuerKeys>;
  auth: Pick<Auth, 'external'>;
  plans: Pick<Plans, 'claim'>;
  issuer: string;
  audience: string;
  /** The claim that says somebody's tier, and what its values mean; null: tiers are given here. */
  tierClaim: string | null;
  tiers: ReadonlyMap<string, TierName>;
  /** The claim counts even over what an administrator has given. */
  claimWins: boolean;
  audit?: (entry: AuditEntry) => Statement;
}

export interface Vouched {
  userId: string;
  expiresAtMs: number;
}

export type Identity = ReturnType<typeof createIdentity>;

/** Signatures of key pairs only: with a shared secret, who can check could also sign. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
/** As RFC 9068 names access tokens, as most issuers do, or not at all; a logout token or a proof of a key is no ticket. */
const types = new Set([undefined, 'jwt', 'at+jwt', 'application/at+jwt']);
const clockToleranceS = 30;
const maxRemembered = 10_000;
/** A signature is believed for so long before its key is looked at again. */
const checkedForMs = 10 * 60_000;

export function createIdentity(parts: IdentityParts) {
  const { clock, keys, auth, plans, issuer, audience, tierClaim, tiers, claimWins, audit } = parts;
  const verified = new Map<string, { claims: Claims; untilMs: number }>();

  async function check(token: string): Promise<Claims | null> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keys, {
        ...{ algorithms, issuer, audience, clockTolerance: clockToleranceS, requiredClaims: ['sub', 'exp'] },
        currentDate: new Date(clock.now()),
      });
      if (!types.has(protectedHeader.typ?.toLowerCase())) return null;
      return claimsOf(payload);
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }

  async function verify(token: string): Promise<Claims | null> {
    const key = hash('sha256', token);
    const known = verified.get(key);
    if (known && known.untilMs > clock.now()) return known.claims;
    verified.delete(key);
    const claims = isCanonical(token) ? await check(token) : null;
    if (!claims) return null;
    const [oldest] = verified.keys();
    if (verified.size >= maxRemembered && oldest !== undefined) verified.delete(oldest);
    verified.set(key, { claims, untilMs: Math.min(clock.now() + checkedForMs, claims.expiresAtMs) });
    return claims;
  }

  /** The best tier that the claim names; null: none. */
  function tierOf(payload: JWTPayload): TierName | null {
    const named = tierClaim === null ? [] : [claimAt(payload, tierClaim)].flat();
    const found = named.flatMap((one) => (typeof one === 'string' ? (tiers.get(one) ?? []) : []));
    return found.sort((a, b) => tierNames.indexOf(b) - tierNames.indexOf(a))[0] ?? null;
  }

  function created(userId: string): Statement[] {
    return audit
      ? [audit({ actor: 'system', subject: userId, action: 'account.created', detail: { role: 'user', source: 'identity' } })]
      : [];
  }

  async function admit({ subject, email, name, payload }: Claims): Promise<string> {
    const userId = await auth.external({ issuer, subject, email, name }, created);
    if (tierClaim !== null) await plans.claim(userId, tierOf(payload), claimWins);
    return userId;
  }

  return {
    /** Whose account these claims are, which somebody else has checked. @throws AppError `unauthenticated`: they name nobody */
    async admit(payload: JWTPayload): Promise<string> {
      const claims = claimsOf(payload);
      if (!claims) throw new AppError('unauthenticated', 'The sign-in did not work. Please try again.');
      return admit(claims);
    },

    /** Whether a token says that it is of this issuer; whether that is true, `vouch` finds out. */
    isFor(token: string): boolean {
      try {
        return decodeJwt(token).iss === issuer;
      } catch {
        return false;
      }
    },

    /**
     * @returns whose token it is, with an account from now on; null: it is not good
     * @throws AppError `provider_unreachable`, `provider_timeout`: the issuer's keys cannot be had
     */
    async vouch(token: string): Promise<Vouched | null> {
      const claims = await verify(token);
      if (!claims) return null;
      return { userId: await admit(claims), expiresAtMs: claims.expiresAtMs };
    },
  };
}

interface Claims {
  subject: string;
  /** Only where the issuer says that it has been proven. */
  email: string | null;
  name: string | null;
  payload: JWTPayload;
  expiresAtMs: number;
}

function claimsOf(payload: JWTPayload): Claims | null {
  const { sub, exp, email, email_verified, name } = payload;
  if (typeof sub !== 'string' || sub === '' || sub.length > 255 || exp === undefined) return null;
  const address = email_verified === true ? Email.safeParse(email) : null;
  const said = typeof name === 'string' ? name.trim().slice(0, 100) : '';
  return {
    subject: sub,
    email: address?.success ? address.data : null,
    name: said || null,
    payload,
    expiresAtMs: (exp + clockToleranceS) * 1_000,
  };
}

/** A claim by its name, which may hold dots itself, or by a path such as `realm_access.roles`. */
function claimAt(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Decoders forgive stray characters and unused bits, with which one signature could be written in several ways. */
function isCanonical(token: string): boolean {
  const parts = token.split('.');
  return parts.length === 3 && parts.every((part) => part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part);
}
