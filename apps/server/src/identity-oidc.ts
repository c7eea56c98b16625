/**
 * Sign-in to the pages at the operator's own issuer: OpenID Connect, authorization code with PKCE, state and nonce, by openid-client, which is
 * certified for it and kept by the author of jose. Between the two ways a sealed cookie remembers what was asked, so that the answer counts
 * in the browser alone that asked, once, within ten minutes.
 */
import { AppError } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import type { JWTPayload } from 'jose';
import type { Configuration } from 'openid-client';
import { z } from 'zod';
import { baseUrlMistake } from './base-url.ts';
import type { Clock } from './ports/clock.ts';
import { createSmallFetch } from './ports/fetch.ts';
import type { Outbound } from './ports/outbound.ts';

export interface OidcParts {
  outbound: Outbound;
  clock: Clock;
  issuer: string;
  clientId: string;
  clientSecret: Secret;
  /** Without a slash at its end. */
  publicUrl: string;
  /** Seals a text with the server's secret, and opens it again; `open` throws for what another secret sealed. */
  seal(text: string): Promise<string>;
  open(sealed: string): Promise<string>;
  /** Whose account these claims are; made at first sight. */
  admit(claims: JWTPayload): Promise<string>;
}

export type Oidc = Awaited<ReturnType<typeof createOidc>>;

const askedForMs = 10 * 60_000;
const timeoutMs = 8_000;
const maxBytes = 256 * 1_024;
const Asked = z.strictObject({ state: z.string(), nonce: z.string(), verifier: z.string(), back: z.string(), untilMs: z.number() });

export async function createOidc({ outbound, clock, issuer, clientId, clientSecret, publicUrl, seal, open, admit }: OidcParts) {
  // Loaded only where there is such a sign-in.
  const client = await import('openid-client');
  const redirectUri = `${publicUrl}/api/oidc/callback`;
  const timeouts = { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs };
  // The issuer's metadata, which the operator's own address gave, may name other places for keys and tokens.
  const isHere = issuer.startsWith('http:');
  const admits = (origin: string): boolean => (isHere || origin.startsWith('https:')) && baseUrlMistake(origin, publicUrl) === null;
  const fetch = createSmallFetch({ outbound, admits, timeouts, maxBytes, name: 'The identity provider' });
  let known: Promise<Configuration> | null = null;

  async function discover(): Promise<Configuration> {
    const found = await client.discovery(new URL(issuer), clientId, clientSecret.expose(), undefined, {
      [client.customFetch]: fetch as never,
      // `config.ts` lets http through to this machine itself only.
      execute: [...(isHere ? [client.allowInsecureRequests] : []), client.enableNonRepudiationChecks],
    });
    const { authorization_endpoint: entrance } = found.serverMetadata();
    if (!entrance || baseUrlMistake(entrance.replace(/[?#].*$/, '')) !== null) throw new Error('no authorization endpoint');
    return found;
  }

  async function configuration(): Promise<Configuration> {
    known ??= discover();
    try {
      return await known;
    } catch (cause) {
      known = null;
      throw new AppError('provider_unreachable', 'The sign-in service cannot be reached. Please try again in a moment.', {
        cause: named(cause),
      });
    }
  }

  return {
    /**
     * @param back  a path of our pages, to which to come back
     * @returns where to send the browser, and what it is to keep meanwhile
     */
    async start(back: string): Promise<{ url: string; cookie: string }> {
      const config = await configuration();
      const asked = { state: client.randomState(), nonce: client.randomNonce(), verifier: client.randomPKCECodeVerifier(), back };
      const url = client.buildAuthorizationUrl(config, {
        ...{ redirect_uri: redirectUri, scope: 'openid email profile', state: asked.state, nonce: asked.nonce },
        ...{ code_challenge: await client.calculatePKCECodeChallenge(asked.verifier), code_challenge_method: 'S256' },
      });
      return { url: url.href, cookie: await seal(JSON.stringify({ ...asked, untilMs: clock.now() + askedForMs })) };
    },

    /**
     * The browser comes back.
     * @param search  of the address, with its question mark
     * @throws AppError `unauthenticated`: not what this browser asked for, refused there, or too late; `provider_unreachable`
     */
    async finish(search: string, cookie: string): Promise<{ userId: string; back: string }> {
      const asked = await open(cookie)
        .then((text) => Asked.parse(JSON.parse(text)))
        .catch(() => null);
      if (!asked || asked.untilMs <= clock.now()) throw notSignedIn();
      const config = await configuration();
      const checks = { pkceCodeVerifier: asked.verifier, expectedState: asked.state, expectedNonce: asked.nonce, idTokenExpected: true };
      const tokens = await client.authorizationCodeGrant(config, new URL(redirectUri + search), checks).catch((cause: unknown) => {
        throw notSignedIn(named(cause));
      });
      const claims = tokens.claims();
      if (!claims) throw notSignedIn();
      return { userId: await admit(claims as JWTPayload), back: asked.back };
    },
  };
}

const notSignedIn = (cause?: Error) => new AppError('unauthenticated', 'The sign-in did not work. Please try again.', { cause });

/** The library's errors hold answers of the issuer, tokens among them: their names and codes are enough for the log. */
function named(thrown: unknown): Error {
  const { name, code, error } = thrown as Record<string, unknown>;
  const said = new Error([name, code, error].filter((part) => typeof part === 'string').join(' ') || 'unknown');
  said.name = 'SignInError';
  return said;
}
