import { bumpGeneration, statement } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { password, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { encode, startIssuer } from '../test/issuer.ts';
import { afterClaim, type PlanRow } from './plans.ts';

const day = 86_400_000;

async function stage(env: Record<string, string> = {}) {
  const clock = manualClock();
  const issuer = await startIssuer(() => Math.floor(clock.now() / 1_000));
  const app = await testApp({ clock, env: { ...issuer.env, ...env }, platform: { openai: 'good' } });
  const call = (token: string, path = '/api/v1/limits') => app.fetch(null, path, { headers: { authorization: `Bearer ${token}` } });
  return {
    ...{ app, issuer, clock, call },
    /** What somebody with this token may do: their tier, or the status of the refusal. */
    async tier(token: string): Promise<string | number> {
      const res = await call(token);
      return res.status === 200 ? ((await res.json()) as { tier: string }).tier : res.status;
    },
    users: () => app.app.db.orm.select().from(app.app.db.tables.user),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]();
      await issuer[Symbol.asyncDispose]();
    },
  };
}

test('somebody whom the issuer vouches for has an account from their first request on, on REST and the gateway, and only one', async () => {
  await using it = await stage();
  const { app, issuer, call } = it;
  const ada = issuer.token({ email: 'Ada@Example.com', email_verified: true, name: 'Ada L.' });
  const answers = await Promise.all(Array.from({ length: 12 }, () => call(ada)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));
  expect(await it.users()).toMatchObject([{ email: 'ada@example.com', emailVerified: true, name: 'Ada L.', role: 'user' }]);
  expect(await it.tier(issuer.token({ email: 'changed@example.com', email_verified: true }))).toBe('community');
  expect(await it.users()).toHaveLength(1);

  const chat = await app.fetch(null, '/v1/chat/completions', {
    json: { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] },
    headers: { 'x-api-key': ada },
  });
  expect([chat.status, chat.headers.get('x-byok-key-source')]).toEqual([200, 'platform']);
  const [{ id = '' } = {}] = await it.users();
  expect(await app.requests()).toMatchObject([{ userId: id }]);
  expect((await app.app.audit.list({ limit: 5 })).map(({ actor, action, subject }) => [actor, action, subject])).toEqual([
    ['system', 'account.created', id],
  ]);
  // In person: their own gateway tokens may be made, which a gateway token may not do.
  const made = await app.fetch(null, '/api/v1/tokens', { json: { name: 'laptop' }, headers: { authorization: `Bearer ${ada}` } });
  expect(made.status).toBe(201);
  expect(app.everythingWritten().includes(ada)).toBe(false);
});

test('an address joins nobody to an account that is there: neither one that is proven elsewhere, nor one that is not', async () => {
  await using it = await stage();
  const { app, issuer } = it;
  const local = await app.person({ admin: true });
  for (const [sub, email_verified] of [
    ['eve', true],
    ['mallory', false],
    ['trudy', 'true'],
  ] as const)
    expect(await it.tier(issuer.token({ sub, email: local.email, email_verified }))).toBe('community');
  const others = (await it.users()).filter(({ id }) => id !== local.id);
  expect(others).toHaveLength(3);
  for (const { email, role, emailVerified } of others) {
    expect(email).toMatch(/^[0-9a-f]{24}@identity\.invalid$/);
    expect([role, emailVerified]).toEqual(['user', false]);
  }
});

test('who signs in at the issuer gets no link to a password, which would let them in after they are out there', async () => {
  await using it = await stage({ SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'byok@example.com' });
  const { app, issuer, call } = it;
  await call(issuer.token({ email: 'ada@example.com', email_verified: true }));
  const bob = await app.person();
  for (const email of ['ada@example.com', bob.email])
    expect((await app.fetch(null, '/trpc/accounts.askReset', { json: { email } })).status).toBe(200);
  await app.app.auth.links.idle();
  expect(await app.app.db.orm.select().from(app.app.db.tables.accountLink)).toMatchObject([{ userId: bob.id, kind: 'reset_password' }]);
});

test('disabling somebody here wins over every token of the issuer, at the next request', async () => {
  await using it = await stage();
  const { db } = it.app.app;
  const token = it.issuer.token();
  expect(await it.tier(token)).toBe('community');
  await db.commit([
    statement(db.orm.update(db.tables.user).set({ disabledAt: new Date(it.clock.now()) })),
    statement(bumpGeneration(db.orm, db.tables)),
  ]);
  expect(await it.tier(token)).toBe(401);
  expect(await it.tier(it.issuer.token({ iat: 1 }))).toBe(401);
});

test('no forged, foreign or stale token is taken, and none of them makes an account', async () => {
  await using it = await stage();
  const { app, issuer } = it;
  const local = await app.person();
  const ours = (await app.app.auth.issueJwt(await app.app.auth.signIn(local.email, password))).token;
  const now = Math.floor(it.clock.now() / 1_000);
  const [key, mine] = [issuer.key(), issuer.newKey()];
  const jwk = key.publicKey.export({ format: 'jwk' });
  const mineJwk = mine.publicKey.export({ format: 'jwk' });
  const pem = key.publicKey.export({ format: 'pem', type: 'spki' });
  const good = issuer.token();
  const [head = '', body = '', signature = ''] = good.split('.');
  const header = { alg: 'RS256', typ: 'JWT', kid: key.kid };
  const hs = (secret: string | Buffer) => issuer.hmac({ ...header, alg: 'HS256' }, issuer.claims(), secret);
  const forged: Record<string, string> = {
    'alg none': `${encode({ ...header, alg: 'none' })}.${body}.`,
    'alg none with the signature': `${encode({ ...header, alg: 'None' })}.${body}.${signature}`,
    'no alg': `${encode({ kid: key.kid })}.${body}.${signature}`,
    'HS256 with the public key, PEM': hs(pem),
    'HS256 with the public key, PEM, trimmed': hs(pem.toString().trim()),
    'HS256 with the public key, JWK': hs(JSON.stringify(jwk)),
    'HS256 with the modulus': hs(Buffer.from(String(jwk.n), 'base64url')),
    'HS256 with nothing': hs(''),
    'another key, its kid': issuer.token({}, { kid: key.kid }, mine),
    'its own jwk': issuer.token({}, { jwk: mineJwk }, mine),
    'its own jwk, the kid': issuer.token({}, { jwk: mineJwk, kid: key.kid }, mine),
    'a jku': issuer.token({}, { jku: 'http://127.0.0.1:9/keys', kid: key.kid }, mine),
    'an x5u': issuer.token({}, { x5u: 'http://127.0.0.1:9/x', kid: key.kid }, mine),
    'an unknown kid': issuer.token({}, { kid: 'nobody' }),
    'a kid that is SQL': issuer.token({}, { kid: "' or '1'='1" }, mine),
    'a kid that is a path': issuer.token({}, { kid: '../../dev/null' }, mine),
    'a kid that is no text': issuer.token({}, { kid: { $ne: null } }, mine),
    'a crit that we do not know': issuer.token({}, { crit: ['exp2'], exp2: 1 }),
    'another iss': issuer.token({ iss: 'https://evil.example' }),
    'the iss with a slash': issuer.token({ iss: `${issuer.url}/` }),
    'no iss': issuer.token({ iss: undefined }),
    'iss as a list': issuer.token({ iss: [issuer.url] }),
    'another aud': issuer.token({ aud: 'https://other.example' }),
    'no aud': issuer.token({ aud: undefined }),
    'our address as aud': issuer.token({ aud: 'http://byok.test' }),
    expired: issuer.token({ exp: now - 31 }),
    'no exp': issuer.token({ exp: undefined }),
    'exp as text': issuer.token({ exp: String(now + 600) }),
    'not yet': issuer.token({ nbf: now + 120 }),
    'no sub': issuer.token({ sub: undefined }),
    'an empty sub': issuer.token({ sub: '' }),
    'a long sub': issuer.token({ sub: 'x'.repeat(256) }),
    'sub as a number': issuer.token({ sub: 7 }),
    'a logout token': issuer.token({}, { typ: 'logout+jwt' }),
    'a security event': issuer.token({}, { typ: 'secevent+jwt' }),
    'a proof of a key': issuer.token({}, { typ: 'dpop+jwt' }),
    'no signature': `${head}.${body}`,
    'an empty signature': `${head}.${body}.`,
    'zeros as a signature': `${head}.${body}.${Buffer.alloc(256).toString('base64url')}`,
    'other claims': `${head}.${encode(issuer.claims({ sub: 'root' }))}.${signature}`,
    padding: `${good}==`,
    'a space inside': `${head}.${body}.${signature.slice(0, 9)} ${signature.slice(9)}`,
    'a plus sign': `${head}.${body}.+${signature.slice(1)}`,
    'four parts': `${good}.${signature}`,
    'too long': issuer.token({ x: 'x'.repeat(9_000) }),
    'ours, saying that it is theirs': `${ours.split('.')[0]}.${body}.${ours.split('.')[2]}`,
    'theirs, saying that it is ours': issuer.token({ iss: 'http://byok.test', aud: 'http://byok.test', sub: local.id, sid: 'x' }),
    'theirs, ours in all but the signature': issuer.token(
      { ...JSON.parse(Buffer.from(ours.split('.')[1] ?? '', 'base64url').toString()) },
      JSON.parse(Buffer.from(ours.split('.')[0] ?? '', 'base64url').toString()),
    ),
  };
  const before = await it.users();
  for (const [name, token] of Object.entries(forged)) expect(await it.tier(token), name).toBe(401);
  expect(await it.users()).toEqual(before);
  expect(issuer.asked.filter((path) => path === '/keys').length).toBeLessThanOrEqual(2);

  expect(await it.tier(ours)).toBe('premium');
  const taken = {
    good,
    'the other name of its kind': issuer.token({}, { typ: 'at+JWT' }),
    'no typ': issuer.token({}, { typ: undefined }),
    'aud as a list': issuer.token({ aud: ['https://other.example', issuer.env.IDENTITY_AUDIENCE] }),
    'expired within the tolerance': issuer.token({ exp: now - 29 }),
  };
  for (const [name, token] of Object.entries(taken)) expect(await it.tier(token), name).toBe('community');
});

test('a token is good until it expires, whatever is cached', async () => {
  await using it = await stage();
  const token = it.issuer.token();
  expect(await it.tier(token)).toBe('community');
  it.clock.advance(600_000);
  expect(await it.tier(token)).toBe('community');
  it.clock.advance(31_000);
  expect(await it.tier(token)).toBe(401);
});

test('the issuer changes its keys: new ones are found within half a minute, taken ones refused within ten, and made-up ids ask nobody', async () => {
  await using it = await stage();
  const { issuer, clock } = it;
  const old = issuer.key();
  const late = issuer.token({ exp: Math.floor(clock.now() / 1_000) + 7_200 });
  expect(await it.tier(late)).toBe('community');
  const next = [issuer.newKey('ES256'), issuer.newKey('EdDSA')];
  issuer.keys([...next, old]);
  clock.advance(30_000);
  for (const key of next) expect(await it.tier(issuer.token({}, {}, key))).toBe('community');
  issuer.keys(next);
  const asks = issuer.asked.length;
  for (let i = 0; i < 50; i += 1) expect(await it.tier(issuer.token({ sub: `${i}` }, { kid: `made-up-${i}` }, old))).toBe(401);
  expect(issuer.asked.length).toBe(asks);
  clock.advance(600_000);
  expect(await it.tier(late)).toBe(401);
});

test('while the issuer is away its known keys are good for an hour; then, and before the first, that is said and nothing else', async () => {
  await using it = await stage();
  const { issuer, clock } = it;
  issuer.fail({ status: 500, body: 'out of order' });
  expect(await it.tier(issuer.token())).toBe(502);
  issuer.fail(null);
  clock.advance(30_000);
  expect(await it.tier(issuer.token())).toBe('community');
  issuer.fail({ status: 200, body: '{"keys": "none"}' });
  clock.advance(59 * 60_000);
  expect(await it.tier(issuer.token())).toBe('community');
  clock.advance(2 * 60_000);
  expect(await it.tier(issuer.token())).toBe(502);
  const local = await it.app.person();
  expect((await it.app.fetch(local, '/api/v1/limits')).status).toBe(200);
});

test('metadata that names another issuer, or keys in the open, is not believed', async () => {
  await using it = await stage();
  for (const metadata of [
    { issuer: 'https://evil.example' },
    { jwks_uri: 'http://keys.example/keys' },
    { jwks_uri: 'file:///etc/passwd' },
  ]) {
    it.issuer.metadata(metadata);
    expect(await it.tier(it.issuer.token()), JSON.stringify(metadata)).toBe(502);
    it.clock.advance(30_000);
  }
  it.issuer.metadata({});
  expect(await it.tier(it.issuer.token())).toBe('community');
});

test('keys from where the operator says, without metadata', async () => {
  const clock = manualClock();
  const keys = await startIssuer(() => Math.floor(clock.now() / 1_000));
  await using it = await stage({ IDENTITY_JWKS_URL: `${keys.url}/keys` });
  expect(await it.tier(it.issuer.token())).toBe(401);
  expect(await it.tier(it.issuer.token({}, {}, keys.key()))).toBe('community');
  expect(it.issuer.asked).toEqual([]);
  await keys[Symbol.asyncDispose]();
});

const claimed = { IDENTITY_TIER_CLAIM: 'app.roles', IDENTITY_TIERS: 'gold=premium, basic=subscriber,none=community' };

test('the claim says the tier, and what an administrator gives counts over it unless the operator wants it otherwise', async () => {
  for (const wins of [false, true]) {
    await using it = await stage({ ...claimed, IDENTITY_TIER_WINS: wins ? 'on' : 'off' });
    const token = (roles: unknown, n = 0) => it.issuer.token({ app: { roles }, n });
    expect(await it.tier(token(undefined))).toBe('community');
    expect(await it.tier(token('basic'))).toBe('subscriber');
    expect(await it.tier(token(['else', 'gold', 'basic']))).toBe('premium');
    expect(await it.tier(it.issuer.token({ 'app.roles': 'basic' }))).toBe('subscriber');
    expect(await it.tier(token('platinum'))).toBe('community');
    expect(await it.tier(token({ gold: true }))).toBe('community');
    expect(await it.tier(token('gold', 1))).toBe('premium');
    const [{ id = '' } = {}] = await it.users();
    expect(await it.app.app.plans.view(id)).toMatchObject({ source: 'identity', until: new Date(it.clock.now() + 30 * day).toISOString() });
    await it.app.app.plans.set(id, { tier: 'lifetime', source: 'admin' });
    expect(await it.tier(token('basic', 2))).toBe(wins ? 'subscriber' : 'lifetime');
    expect(await it.tier(token('none', 3))).toBe(wins ? 'community' : 'lifetime');
  }
});

test('a claim that stays is written once a day, and one that is no longer seen ends after thirty', () => {
  const now = 1_800_000_000_000;
  const alone = { besideTier: null, besideState: null, besideUntil: null, besideRenews: null, besideSource: null };
  const row = (source: PlanRow['source'], untilMs: number | null): PlanRow => ({
    ...{ tier: 'premium', state: 'active', until: untilMs === null ? null : new Date(untilMs), renews: false, source, ...alone },
  });
  const until = new Date(now + 30 * day);
  expect(afterClaim(undefined, 'premium', false, now)).toEqual({ tier: 'premium', until, source: 'identity' });
  expect(afterClaim(undefined, null, false, now)).toBeNull();
  expect(afterClaim(row('identity', now + 29 * day + 1), 'premium', false, now)).toBeNull();
  expect(afterClaim(row('identity', now + 29 * day), 'premium', false, now)).toEqual({ tier: 'premium', until, source: 'identity' });
  expect(afterClaim(row('identity', now + 30 * day), null, false, now)).toEqual({ tier: 'community', source: 'identity' });
  expect(afterClaim(row('admin', null), 'subscriber', false, now)).toBeNull();
  expect(afterClaim(row('admin', now), 'subscriber', false, now)).toMatchObject({ tier: 'subscriber' });
  expect(afterClaim(row('billing', now + day), 'subscriber', false, now)).toMatchObject({ tier: 'subscriber' });
});

test('without an issuer set, its tokens are nothing', async () => {
  await using it = await stage({ IDENTITY_ISSUER: '', IDENTITY_AUDIENCE: '' });
  expect(await it.tier(it.issuer.token())).toBe(401);
  expect(
    await it.app.app.db.orm.select().from(it.app.app.db.tables.account).where(eq(it.app.app.db.tables.account.accountId, 'ada-at-home')),
  ).toEqual([]);
});
