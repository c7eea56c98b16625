/** An identity provider, scripted, on a real socket: metadata and keys as OpenID Connect has them, and tokens of every kind, good and forged. */
import { createHmac, generateKeyPairSync, hash, type KeyObject, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export type ScriptedIssuer = Awaited<ReturnType<typeof startIssuer>>;
export const audience = 'https://byok.test/api';
export const client = { OIDC_CLIENT_ID: 'byok-pages', OIDC_CLIENT_SECRET: 'Kd83hfPq02LmXz71TtYe9Rb4' };

interface SigningKey {
  kid: string;
  alg: 'RS256' | 'ES256' | 'EdDSA';
  privateKey: KeyObject;
  publicKey: KeyObject;
}

export const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** @param now  seconds, as JWTs count; the test's clock */
export async function startIssuer(now: () => number) {
  let made = 0;
  let keys: SigningKey[] = [];
  let trouble: { status: number; body: string } | null = null;
  let metadata: Record<string, unknown> = {};
  const asked: string[] = [];

  function newKey(alg: SigningKey['alg'] = 'RS256'): SigningKey {
    const pair =
      alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
        : alg === 'ES256'
          ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
          : generateKeyPairSync('ed25519');
    return { kid: `key-${++made}`, alg, ...pair };
  }

  /** Codes that were given out: what was asked for, and who signed in. */
  const codes = new Map<string, URLSearchParams>();
  let person: Record<string, unknown> = { sub: 'ada-at-home' };
  let idToken: (claims: Record<string, unknown>) => string = (claims) =>
    signed({ alg: first().alg, typ: 'JWT', kid: first().kid }, claims, first());

  /** The page at which people sign in: one button, and back with a code. */
  function authorize(query: URLSearchParams): string {
    const code = randomUUID();
    codes.set(code, query);
    const back = new URL(query.get('redirect_uri') ?? '');
    back.search = new URLSearchParams({ code, state: query.get('state') ?? '', iss: url }).toString();
    return back.href;
  }

  /** A code is good once, for the client that asked, with the verifier of its challenge. */
  function exchange(authorization: string | undefined, form: URLSearchParams): Record<string, unknown> | null {
    const query = codes.get(form.get('code') ?? '');
    codes.delete(form.get('code') ?? '');
    const id = `${client.OIDC_CLIENT_ID}:${client.OIDC_CLIENT_SECRET}`;
    const isClient =
      authorization === `Basic ${Buffer.from(id).toString('base64')}` || `${form.get('client_id')}:${form.get('client_secret')}` === id;
    const challenge = hash('sha256', form.get('code_verifier') ?? '', 'base64url');
    if (!query || !isClient || challenge !== query.get('code_challenge') || form.get('redirect_uri') !== query.get('redirect_uri'))
      return null;
    const told = { iss: url, aud: client.OIDC_CLIENT_ID, iat: now(), exp: now() + 600, nonce: query.get('nonce'), ...person };
    return { access_token: randomUUID(), token_type: 'Bearer', expires_in: 600, id_token: idToken(told) };
  }

  const server = createServer(async (req, res) => {
    asked.push(req.url ?? '');
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://issuer.test');
    if (pathname === '/authorize') {
      const page = `<!doctype html><title>Issuer</title><link rel="icon" href="data:,"><h1>Issuer</h1><a href="${authorize(searchParams).replaceAll('&', '&amp;')}">Continue as Ada</a>`;
      return void res.writeHead(200, { 'content-type': 'text/html' }).end(page);
    }
    if (pathname === '/token') {
      const tokens = exchange(req.headers.authorization, new URLSearchParams(await text(req)));
      res.writeHead(tokens ? 200 : 400, { 'content-type': 'application/json' });
      return void res.end(JSON.stringify(tokens ?? { error: 'invalid_grant' }));
    }
    const body: Record<string, unknown> = {
      '/.well-known/openid-configuration': {
        ...{ issuer: url, jwks_uri: `${url}/keys`, authorization_endpoint: `${url}/authorize`, token_endpoint: `${url}/token` },
        ...{ response_types_supported: ['code'], id_token_signing_alg_values_supported: ['RS256', 'ES256'] },
        ...{ authorization_response_iss_parameter_supported: true, ...metadata },
      },
      '/keys': { keys: keys.map(({ kid, alg, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' })) },
    };
    const found = body[req.url ?? ''];
    res.writeHead(trouble?.status ?? (found ? 200 : 404), { 'content-type': 'application/json' });
    res.end(trouble?.body ?? JSON.stringify(found ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  keys = [newKey()];

  const claims = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
    ...{ iss: url, aud: audience, sub: 'ada-at-home', iat: now(), exp: now() + 600 },
    ...more,
  });
  const first = (): SigningKey => keys[0] ?? newKey();

  function signed(header: Record<string, unknown>, body: Record<string, unknown>, { alg, privateKey }: SigningKey): string {
    const text = `${encode(header)}.${encode(body)}`;
    const data = Buffer.from(text);
    const signature =
      alg === 'ES256'
        ? sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
        : sign(alg === 'RS256' ? 'sha256' : null, data, privateKey);
    return `${text}.${signature.toString('base64url')}`;
  }

  return {
    url,
    asked,
    claims,
    signed,
    newKey,
    env: { IDENTITY_ISSUER: url, IDENTITY_AUDIENCE: audience },
    /** A token as it should be, but for what is said otherwise. */
    token(more: Record<string, unknown> = {}, header: Record<string, unknown> = {}, key: SigningKey = first()): string {
      return signed({ alg: key.alg, typ: 'JWT', kid: key.kid, ...header }, claims(more), key);
    },
    key: first,
    keys(list: SigningKey[]): void {
      keys = list;
    },
    metadata(more: Record<string, unknown>): void {
      metadata = more;
    },
    authorize,
    /** Who signs in, and what the ID token says of them. */
    person(claims: Record<string, unknown>): void {
      person = claims;
    },
    idToken(make: typeof idToken): void {
      idToken = make;
    },
    fail(how: typeof trouble): void {
      trouble = how;
    },
    hmac(header: Record<string, unknown>, body: Record<string, unknown>, secret: string | Buffer): string {
      const text = `${encode(header)}.${encode(body)}`;
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
