import { createHmac, createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto';
import { Secret } from '@synthstack/core/secret';
import { testDb } from '@synthstack/core/testing';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { authStage, publicUrl } from '../../test/auth.ts';
import { manualClock } from '../../test/clock.ts';
import { createJwts } from './jwt.ts';

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (part: string | undefined) => JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'));
const eddsa = (header: unknown, claims: unknown, key: KeyObject) => {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`;
};
const ref = { userId: 'ada', sessionId: 's1' };

test('an access token says who and which session, for fifteen minutes, and nothing else', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { token, expiresAt } = await stage.auth.issueJwt(ref);
  const [header, claims] = token.split('.');
  const exp = Math.floor(stage.clock.now() / 1_000) + 900;
  const [row] = await db.orm.select().from(db.tables.jwks);
  expect(decode(header)).toEqual({ alg: 'EdDSA', typ: 'JWT', kid: row?.id });
  expect(decode(claims)).toEqual({ sub: 'ada', sid: 's1', iss: publicUrl, aud: publicUrl, exp });
  expect(expiresAt).toEqual(new Date(exp * 1_000));
  expect(await stage.auth.verifyJwt(token)).toEqual({ ...ref, expiresAt });
  stage.clock.advance(899_000);
  expect(await stage.auth.verifyJwt(token)).toEqual({ ...ref, expiresAt });
  stage.clock.advance(2_000);
  expect(await stage.auth.verifyJwt(token)).toBeNull();
});

test('no forged token is accepted', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { token } = await stage.auth.issueJwt(ref);
  const [head = '', body = '', signature = ''] = token.split('.');
  const [header, claims] = [decode(head), decode(body)];
  const [jwk]: [JsonWebKey & { x: string }] = (await stage.browser().get('/jwks')).body.keys;
  const mine = generateKeyPairSync('ed25519');
  const mineJwk = mine.publicKey.export({ format: 'jwk' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const hmac = (key: string | Buffer, alg = 'HS256') => {
    const text = `${encode({ ...header, alg })}.${body}`;
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  };
  const rs = `${encode({ ...header, alg: 'RS256' })}.${body}`;
  const forged: Record<string, string> = {
    'alg none': `${encode({ ...header, alg: 'none' })}.${body}.`,
    'alg None with the signature': `${encode({ ...header, alg: 'None' })}.${body}.${signature}`,
    'no alg': `${encode({ kid: header.kid, typ: 'JWT' })}.${body}.${signature}`,
    'HS256 with the public key': hmac(Buffer.from(jwk.x, 'base64url')),
    'HS256 with its JWK': hmac(JSON.stringify(jwk)),
    'HS256 with nothing': hmac(''),
    RS256: `${rs}.${sign('sha256', Buffer.from(rs), rsa.privateKey).toString('base64url')}`,
    'another key, our kid': eddsa(header, claims, mine.privateKey),
    'its own jwk': eddsa({ ...header, jwk: mineJwk }, claims, mine.privateKey),
    'its own jwk, no kid': eddsa({ alg: 'EdDSA', typ: 'JWT', jwk: mineJwk }, claims, mine.privateKey),
    'a jku': eddsa({ ...header, jku: 'https://evil.example/jwks' }, claims, mine.privateKey),
    'an x5u': eddsa({ ...header, x5u: 'https://evil.example/x' }, claims, mine.privateKey),
    'an unknown kid': eddsa({ ...header, kid: 'nobody' }, claims, mine.privateKey),
    'a kid that is SQL': eddsa({ ...header, kid: "' or '1'='1" }, claims, mine.privateKey),
    'a kid that is a path': eddsa({ ...header, kid: '../../../../dev/null' }, claims, mine.privateKey),
    'a kid with a NUL': eddsa({ ...header, kid: `${header.kid}\0` }, claims, mine.privateKey),
    'a kid that is no text': eddsa({ ...header, kid: { $ne: null } }, claims, mine.privateKey),
    'no signature': `${head}.${body}`,
    'an empty signature': `${head}.${body}.`,
    'a signature of zeros': `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    'four parts': `${token}.${signature}`,
    padding: `${token}==`,
    'a line end': `${token}\n`,
    'a space inside': `${head}.${body} .${signature}`,
    'a plus sign': `${head}.${body}.${signature.replace(/[-_]|^./, '+')}`,
    'unused bits': `${token.slice(0, -1)}${nextCharacter(token.at(-1) ?? '')}`,
    'other claims': `${head}.${encode({ ...claims, sub: 'root' })}.${signature}`,
    'too long': `${head}.${encode({ ...claims, x: 'x'.repeat(9_000) })}.${signature}`,
    'not a token': 'eyJ',
    empty: '',
    dots: '..',
    nul: '\0.\0.\0',
  };
  for (const [name, text] of Object.entries(forged)) expect([name, await stage.auth.verifyJwt(text)]).toEqual([name, null]);
  for (let i = 0; i < token.length; i += 7) {
    const mutated = `${token.slice(0, i)}${token[i] === 'A' ? 'B' : 'A'}${token.slice(i + 1)}`;
    expect([i, await stage.auth.verifyJwt(mutated)]).toEqual([i, null]);
  }
  expect(await stage.auth.verifyJwt(token)).toMatchObject(ref);
});

test('rightly signed claims that are not ours are refused too', async () => {
  await using db = await testDb();
  const clock = manualClock();
  const plain = { seal: async (text: string) => text, open: async (text: string) => text };
  const jwts = createJwts({ db, clock, publicUrl, ...plain });
  const elsewhere = createJwts({ db, clock, publicUrl: 'https://other.example', ...plain });
  const other = await elsewhere.issue(ref);
  expect(await elsewhere.verify(other.token)).toMatchObject(ref);
  expect(await jwts.verify(other.token)).toBeNull();

  const [row] = await db.orm.select().from(db.tables.jwks);
  const key = createPrivateKey({ key: JSON.parse(JSON.parse(row?.privateKey ?? '')), format: 'jwk' });
  const header = { alg: 'EdDSA', typ: 'JWT', kid: row?.id };
  const exp = Math.floor(clock.now() / 1_000) + 60;
  const claims = { sub: 'ada', sid: 's1', iss: publicUrl, aud: publicUrl, exp };
  expect(await jwts.verify(eddsa(header, claims, key))).toMatchObject(ref);
  const wrong: Record<string, unknown>[] = [
    { iss: 'https://evil.example' },
    { iss: undefined },
    { aud: 'https://evil.example' },
    { aud: undefined },
    { exp: undefined },
    { exp: exp - 61 },
    { exp: String(exp) },
    { sub: undefined },
    { sid: undefined },
    { sub: ['ada'] },
    { sid: 7 },
    { nbf: exp },
  ];
  for (const change of wrong) expect([change, await jwts.verify(eddsa(header, { ...claims, ...change }, key))]).toEqual([change, null]);
  for (const change of [{ typ: 'at+jwt' }, { typ: undefined }, { crit: ['exp'] }, { crit: ['b64'], b64: false }])
    expect([change, await jwts.verify(eddsa({ ...header, ...change }, claims, key))]).toEqual([change, null]);
});

test('a key that somebody put into the table signs nothing', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { token } = await stage.auth.issueJwt(ref);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const planted = { publicKey: JSON.stringify(publicKey.export({ format: 'jwk' })), alg: 'EdDSA', crv: 'Ed25519', createdAt: new Date() };
  const [ours] = await db.orm.select().from(db.tables.jwks);
  await db.orm.insert(db.tables.jwks).values([
    { id: 'plain', ...planted, privateKey: JSON.stringify(privateKey.export({ format: 'jwk' })) },
    { id: 'borrowed', ...planted, privateKey: ours?.privateKey ?? '' },
    { id: 'nonsense', ...planted, privateKey: 'x' },
  ]);
  const [, body] = token.split('.');
  for (const kid of ['plain', 'borrowed', 'nonsense'])
    expect(await stage.auth.verifyJwt(eddsa({ alg: 'EdDSA', typ: 'JWT', kid }, decode(body), privateKey))).toBeNull();
  expect((await stage.browser().get('/jwks')).body.keys).toEqual([expect.objectContaining({ kid: ours?.id })]);
  expect(await stage.auth.verifyJwt(token)).toMatchObject(ref);
});

test('what is published checks a token, and holds no private part; at rest the private key is sealed', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { keys } = (await stage.browser().get('/jwks')).body;
  expect(keys).toEqual([{ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', x: expect.any(String), kid: expect.any(String) }]);
  const { token } = await stage.auth.issueJwt(ref);
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys }), {
    audience: publicUrl,
    currentDate: new Date(stage.clock.now()),
  });
  expect(payload.sub).toBe('ada');
  const rows = await db.orm.select().from(db.tables.jwks);
  expect(rows).toHaveLength(1);
  expect(rows[0]?.privateKey).toMatch(/^"[0-9a-f]+"$/);
});

test('after the secret has changed, old keys and their tokens are worth nothing and a new key is made', async () => {
  await using db = await testDb();
  await using before = await authStage(db);
  const old = await before.auth.issueJwt(ref);
  await using after = await authStage(db, { secret: new Secret('another secret of thirty-two characters') });
  expect(await after.auth.verifyJwt(old.token)).toBeNull();
  const fresh = await after.auth.issueJwt(ref);
  expect(await after.auth.verifyJwt(fresh.token)).toMatchObject(ref);
  expect((await after.browser().get('/jwks')).body.keys).toHaveLength(1);
  expect(await db.orm.select().from(db.tables.jwks)).toHaveLength(2);
});

test('an expired key is replaced within a minute', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const old = await stage.auth.issueJwt(ref);
  await db.orm.update(db.tables.jwks).set({ expiresAt: new Date(stage.clock.now()) });
  stage.clock.advance(60_000);
  const fresh = await stage.auth.issueJwt(ref);
  expect(decode(fresh.token.split('.')[0]).kid).not.toBe(decode(old.token.split('.')[0]).kid);
  expect(await stage.auth.verifyJwt(old.token)).toBeNull();
  expect(await stage.auth.verifyJwt(fresh.token)).toMatchObject(ref);
});

/** 64 bytes are 86 characters, of whose last only two bits count: this is the same signature, written differently. */
function nextCharacter(last: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(last) ^ 1] ?? '';
}
