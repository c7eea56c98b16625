/** An identity provider, scripted, on a real socket: metadata and keys as OpenID Connect has them, and tokens of every kind, good and forged. */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ScriptedIssuer = Awaited<ReturnType<typeof startIssuer>>;
export const audience = 'https://byok.test/api';

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

  const server = createServer((req, res) => {
    asked.push(req.url ?? '');
    const body: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys`, ...metadata },
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
