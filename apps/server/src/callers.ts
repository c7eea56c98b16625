/**
 * Who is asking: a gateway token, an access token or a page's cookie, turned into a user with a plan. What the database said
 * is kept until the generation moves, in whatever process; what time can change is asked of the clock at every use.
 */
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { AppError, type TokenScope } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import type { Auth } from './auth.ts';
import { createGenerationCache } from './generation.ts';
import type { Identity } from './identity.ts';
import type { EffectivePlan, PlanRow, Plans } from './plans.ts';
import type { Clock } from './ports/clock.ts';
import { recognise } from './providers/catalog.ts';
import { type Tokens, tokenPrefix } from './tokens.ts';

const maxCredentialLength = 8_192;
const allScopes: readonly TokenScope[] = ['gateway', 'manage'];

export interface Caller {
  userId: string;
  isAdmin: boolean;
  plan: EffectivePlan;
  via: 'token' | 'jwt' | 'cookie';
  /** The gateway token's, where one was used. */
  tokenId: string | null;
  /** The session's, behind an access token of ours or a cookie. */
  sessionId: string | null;
  /** Access tokens and cookies may do all that their user may. */
  scopes: readonly TokenScope[];
}

export interface CallersParts {
  db: Db;
  clock: Clock;
  tokens: Pick<Tokens, 'find' | 'touch'>;
  auth: Pick<Auth, 'verifyJwt' | 'liveSession' | 'sessionOf' | 'person'>;
  plans: Pick<Plans, 'row' | 'fresh' | 'effective'>;
  /** The operator's own sign-in, where there is one. */
  identity?: Pick<Identity, 'isFor' | 'vouch'> | null;
}

interface Person {
  isAdmin: boolean;
  planRow: PlanRow | undefined;
}

/** What is known of a credential for as long as the generation stands. */
interface Known extends Person {
  userId: string;
  via: 'token' | 'jwt';
  tokenId: string | null;
  sessionId: string | null;
  scopes: readonly TokenScope[];
  expiresAtMs: number;
}

/** As one text, or each as it was sent. */
export type CredentialHeaders = Readonly<Partial<Record<string, string | string[]>>>;

/**
 * The headers that may hold a credential, each as often as it was sent: `headers` hides all but the first of several equal names, and Node's
 * `headersDistinct` works out all others too.
 */
export function credentialHeaders({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): CredentialHeaders {
  const found: { authorization: string[]; 'x-api-key': string[] } = { authorization: [], 'x-api-key': [] };
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    // Names of these lengths are rare, and those of other lengths need no look.
    if (name.length !== 13 && name.length !== 9) continue;
    const lower = name.toLowerCase();
    if (lower === 'authorization' || lower === 'x-api-key') found[lower].push(rawHeaders[i + 1] ?? '');
  }
  return found;
}

export type Callers = ReturnType<typeof createCallers>;

export function createCallers({ db, clock, tokens, auth, plans, identity = null }: CallersParts) {
  /** SHA-256 of a credential -> what it stands for. */
  const cache = createGenerationCache<Known>(db);

  async function personOf(userId: string): Promise<Person> {
    const [person, planRow] = [await auth.person(userId), await plans.row(userId)];
    if (!person) throw badCredential();
    return enabled(person, planRow);
  }

  /** @throws AppError `unauthenticated` */
  async function look(credential: string): Promise<Known> {
    if (credential.startsWith(tokenPrefix)) {
      const token = await tokens.find(credential);
      if (!token) throw badCredential();
      const { tokenId, userId, scopes, expiresAt, owner, planRow } = token;
      const expiresAtMs = expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
      return { ...enabled(owner, planRow), userId, via: 'token', tokenId, sessionId: null, scopes, expiresAtMs };
    }
    const known = { via: 'jwt', tokenId: null, scopes: allScopes } as const;
    if (identity?.isFor(credential)) {
      const vouched = await identity.vouch(credential);
      if (!vouched) throw badCredential();
      const { userId, expiresAtMs } = vouched;
      return { ...known, ...(await personOf(userId)), userId, sessionId: null, expiresAtMs };
    }
    const jwt = await auth.verifyJwt(credential);
    if (!jwt) throw badCredential();
    const { userId, sessionId, expiresAt } = jwt;
    return { ...known, ...(await personOf(userId)), userId, sessionId, expiresAtMs: expiresAt.getTime() };
  }

  function toCaller(known: Person & Omit<Caller, 'plan'>): Caller {
    const { userId, isAdmin, planRow, via, tokenId, sessionId, scopes } = known;
    return { userId, isAdmin, plan: plans.effective(planRow), via, tokenId, sessionId, scopes };
  }

  return {
    /**
     * For the gateway and REST: `Authorization: Bearer` or `x-api-key`.
     * @param headers  of a request: `credentialHeaders`
     * @throws AppError `unauthenticated`: none, or not a good one; `invalid_input`: two different ones
     */
    async identify(headers: CredentialHeaders): Promise<Caller> {
      const credential = credentialOf(headers);
      // Whoever has just moved to this server: their SDK still sends what it used to.
      if (recognise(credential)) throw providersKey();
      const key = hash('sha256', credential);
      const changing = plans.fresh();
      if (changing) await changing;
      const known = await cache.get(key, () => look(credential));
      if (known.expiresAtMs <= clock.now()) {
        cache.delete(key);
        throw badCredential();
      }
      if (known.tokenId !== null) tokens.touch(known.tokenId);
      else if (known.sessionId !== null && (await auth.liveSession(known.sessionId))?.userId !== known.userId) throw badCredential();
      return toCaller(known);
    },

    /** For tRPC from the page: its cookie. @returns null: not signed in */
    async identifyPage(headers: IncomingHttpHeaders): Promise<Caller | null> {
      const session = await auth.sessionOf(headers);
      if (!session) return null;
      const person = await personOf(session.userId);
      await plans.fresh();
      return toCaller({ ...person, ...session, via: 'cookie', tokenId: null, scopes: allScopes });
    },
  };
}

/** @throws AppError `unauthenticated`: the account is disabled */
function enabled({ isAdmin, disabled }: { isAdmin: boolean; disabled: boolean }, planRow: PlanRow | undefined): Person {
  if (disabled) throw new AppError('unauthenticated', 'This account is disabled. Ask an administrator of this server.');
  return { isAdmin, planRow };
}

/** OpenAI's SDK sends the one header, Anthropic's the other, and some send the same in both. */
function credentialOf({ authorization, 'x-api-key': apiKey }: CredentialHeaders): string {
  const given = [...listOf(authorization).map(bearerOf), ...listOf(apiKey)];
  const [credential = ''] = given;
  if (given.some((other) => other !== credential))
    throw new AppError('invalid_input', 'Send one credential: Authorization and x-api-key hold different ones.');
  if (credential === '') throw new AppError('unauthenticated', 'Send a gateway token as "Authorization: Bearer byok_..." or as x-api-key.');
  if (credential.length > maxCredentialLength) throw badCredential();
  return credential;
}

function listOf(header: string | string[] | undefined): readonly string[] {
  if (header === undefined) return [];
  return typeof header === 'string' ? [header] : header;
}

/** The scheme is case-insensitive (RFC 9110, 11.1). Another scheme is a credential too, only not one of ours. */
function bearerOf(authorization: string): string {
  const isBearer = authorization.length > 6 && authorization.slice(0, 7).toLowerCase() === 'bearer ';
  return isBearer ? authorization.slice(7).trim() : authorization;
}

/** The same whether anybody has stored that key or not. */
const providersKey = () =>
  new AppError('unauthenticated', "This is a provider's key. Store it in Settings > API Keys, and send an access token (byok_...) here.");
const badCredential = () => new AppError('unauthenticated', 'This token is not valid: it is unknown, revoked or expired.');
