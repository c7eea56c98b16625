/**
 * The public keys of the issuer that the operator has set, fetched from where the operator has said, or the issuer's own metadata does. A
 * token never says where its key is. Keys are asked for anew every ten minutes, and sooner when a token names one that is not known, but
 * never more than twice a minute: anybody may send tokens with made-up key ids.
 */
import { AppError } from '@synthstack/core';
import { createLocalJWKSet, errors, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';
import { z } from 'zod';
import { baseUrlMistake } from './base-url.ts';
import type { Clock } from './ports/clock.ts';
import { createSmallFetch } from './ports/fetch.ts';
import type { Outbound } from './ports/outbound.ts';

export interface IssuerKeysParts {
  outbound: Outbound;
  clock: Clock;
  issuer: string;
  /** None: the issuer's metadata says (OpenID Connect Discovery). */
  jwksUrl?: string | undefined;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

const freshMs = 10 * 60_000;
/** How long known keys are still good while the issuer cannot be reached. */
const staleMs = 60 * 60_000;
const pauseMs = 30_000;
const timeoutMs = 5_000;
const maxBytes = 256 * 1_024;

const Metadata = z.object({ issuer: z.string(), jwks_uri: z.url() });
const Keys = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });

export function createIssuerKeys({ outbound, clock, issuer, jwksUrl }: IssuerKeysParts) {
  const timeouts = { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs };
  let known: { set: KeySet; atMs: number } | null = null;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | null = null;

  async function read<T>(url: string, schema: z.ZodType<T>): Promise<T> {
    const { origin } = new URL(url);
    const send = createSmallFetch({ outbound, admits: (to) => to === origin, timeouts, maxBytes, name: 'The identity provider' });
    const answer = await send(url, { headers: { accept: 'application/json' } });
    const parsed = schema.safeParse(answer.status === 200 ? await answer.json().catch(() => null) : null);
    if (parsed.success) return parsed.data;
    throw new AppError('provider_unreachable', 'The identity provider did not tell its keys. Please try again in a moment.');
  }

  /** @throws AppError `provider_unreachable`, `provider_timeout` */
  async function addressOfKeys(): Promise<string> {
    if (jwksUrl) return jwksUrl;
    const metadata = await read(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, Metadata);
    const isOurs = metadata.issuer === issuer && baseUrlMistake(metadata.jwks_uri.replace(/[?#].*$/, '')) === null;
    if (isOurs) return metadata.jwks_uri;
    throw new AppError('provider_unreachable', 'The identity provider names itself otherwise than IDENTITY_ISSUER does.');
  }

  async function fetchKeys(): Promise<void> {
    triedAtMs = clock.now();
    const keys = (await read(await addressOfKeys(), Keys)) as JSONWebKeySet;
    known = { set: createLocalJWKSet(keys), atMs: clock.now() };
  }

  /** Many who ask at once ask once. */
  function ask(): Promise<void> {
    asking ??= fetchKeys().finally(() => {
      asking = null;
    });
    return asking;
  }

  async function current(): Promise<KeySet> {
    const age = known ? clock.now() - known.atMs : Number.POSITIVE_INFINITY;
    if (age >= freshMs && (clock.now() - triedAtMs >= pauseMs || asking)) {
      await ask().catch((error: unknown) => {
        if (age >= staleMs) throw error;
      });
    }
    if (known && clock.now() - known.atMs < staleMs) return known.set;
    throw new AppError('provider_unreachable', 'The identity provider cannot be reached. Please try again in a moment.');
  }

  /** For jose. @throws AppError `provider_unreachable`, `provider_timeout`; jose's errors: no such key */
  return async (header: JWSHeaderParameters, token: FlattenedJWSInput) => {
    const set = await current();
    try {
      return await set(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || (clock.now() - triedAtMs < pauseMs && !asking)) throw error;
      await ask();
      return (known?.set ?? set)(header, token);
    }
  };
}
