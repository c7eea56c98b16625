import { bumpGeneration, statement } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { password, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { client, encode, startIssuer } from '../test/issuer.ts';
import { findPlanted } from '../test/planted.ts';

async function stage(env: Record<string, string> = {}) {
  const clock = manualClock();
  const issuer = await startIssuer(() => Math.floor(clock.now() / 1_000));
  const app = await testApp({ clock, env: { ...issuer.env, ...client, ...env } });

  /** A browser that follows by hand. */
  function browser() {
    const cookies = new Map<string, string>();
    const get = async (path: string) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const res = await app.fetch(null, path, { headers: { cookie } });
      for (const line of res.headers.getSetCookie()) {
        const [pair = ''] = line.split(';');
        const at = pair.indexOf('=');
        if (/max-age=0/i.test(line)) cookies.delete(pair.slice(0, at));
        else cookies.set(pair.slice(0, at), pair.slice(at + 1));
      }
      return res;
    };
    return {
      ...{ get, cookies },
      /** @returns where the issuer sends the browser back to, as a path here */
      async leave(path = '/api/oidc/start'): Promise<string> {
        const to = new URL((await get(path)).headers.get('location') ?? '');
        expect(to.origin + to.pathname).toBe(`${issuer.url}/authorize`);
        const back = new URL(issuer.authorize(to.searchParams));
        expect(back.origin).toBe('http://byok.test');
        return back.pathname + back.search;
      },
      /** Who is signed in: the page's own question. */
      async who(): Promise<string | number> {
        const res = await get('/trpc/accounts.me');
        return res.status === 200 ? ((await res.json()) as { result: { data: { email: string } } }).result.data.email : res.status;
      },
    };
  }
  return {
    ...{ app, issuer, clock, browser },
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]();
      await issuer[Symbol.asyncDispose]();
    },
  };
}

test('somebody signs in at the issuer and is where they wanted to go, with the account that their tokens have too', async () => {
  await using it = await stage({ IDENTITY_TIER_CLAIM: 'tier', IDENTITY_TIERS: 'gold=premium' });
  it.issuer.person({ sub: 'ada-at-home', email: 'ada@example.com', email_verified: true, name: 'Ada', tier: 'gold' });
  const page = it.browser();
  const start = await page.get('/api/oidc/start?back=/settings/plan?from=mail');
  const asked = new URL(start.headers.get('location') ?? '').searchParams;
  expect(Object.fromEntries(asked)).toMatchObject({
    ...{ client_id: client.OIDC_CLIENT_ID, response_type: 'code', code_challenge_method: 'S256', scope: 'openid email profile' },
    redirect_uri: 'http://byok.test/api/oidc/callback',
  });
  for (const name of ['state', 'nonce', 'code_challenge']) expect(asked.get(name)).toMatch(/^[\w-]{43}$/);
  const [kept = ''] = start.headers.getSetCookie();
  expect(kept).toMatch(/; Path=\/api\/oidc; Max-Age=600; HttpOnly; SameSite=Lax$/);
  for (const name of ['state', 'nonce']) expect(kept).not.toContain(asked.get(name));

  const back = new URL(it.issuer.authorize(asked));
  const done = await page.get(back.pathname + back.search);
  expect([done.status, done.headers.get('location')]).toEqual([303, '/settings/plan?from=mail']);
  expect(await page.who()).toBe('ada@example.com');
  expect([...page.cookies.keys()]).not.toContain('byok_oidc');
  const users = await it.app.app.db.orm.select().from(it.app.app.db.tables.user);
  expect(users).toHaveLength(1);
  expect(await it.app.app.plans.view(users[0]?.id ?? '')).toMatchObject({ tier: 'premium', source: 'identity' });
  const limits = await it.app.fetch(null, '/api/v1/limits', { headers: { authorization: `Bearer ${it.issuer.token()}` } });
  expect(limits.status).toBe(200);
  expect(await it.app.app.db.orm.select().from(it.app.app.db.tables.user)).toHaveLength(1);
  expect(findPlanted(client.OIDC_CLIENT_SECRET, it.app.everythingWritten())).toEqual([]);
});

test('what this browser did not ask for, or no longer, signs nobody in', async () => {
  await using it = await stage();
  const failed = async (page: ReturnType<typeof it.browser>, path: string, name: string, code = 'unauthenticated') => {
    const res = await page.get(path);
    expect([res.status, res.headers.get('location')], name).toEqual([303, `/sign-in?failed=${code}`]);
    expect(await page.who(), name).toBe(401);
  };
  const leave = async () => {
    const page = it.browser();
    return { page, path: await page.leave() };
  };
  const change = (path: string, name: string, value: string | null) => {
    const url = new URL(path, 'http://byok.test');
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
    return url.pathname + url.search;
  };
  const ways: [string, (path: string) => string][] = [
    ['another state', (path) => change(path, 'state', 'x'.repeat(43))],
    ['no state', (path) => change(path, 'state', null)],
    ['another code', (path) => change(path, 'code', 'guessed')],
    ['no code', (path) => change(path, 'code', null)],
    ['another issuer', (path) => change(path, 'iss', 'https://evil.example')],
    ['no issuer', (path) => change(path, 'iss', null)],
    ['refused there', (path) => change(change(path, 'code', null), 'error', 'access_denied')],
    ['two codes', (path) => `${path}&code=another`],
  ];
  for (const [name, way] of ways) {
    const { page, path } = await leave();
    await failed(page, way(path), name);
  }
  // Somebody else's way back, in one's own browser: with no cookie, and with that of one's own way.
  const [eve, ada] = [await leave(), await leave()];
  await failed(it.browser(), eve.path, 'no cookie');
  await failed(ada.page, eve.path, "somebody else's");
  const late = await leave();
  it.clock.advance(10 * 60_000);
  await failed(late.page, late.path, 'too late');

  const again = await leave();
  const cookie = again.page.cookies.get('byok_oidc') ?? '';
  await again.page.get(again.path);
  expect(await again.page.who()).not.toBe(401);
  const other = it.browser();
  other.cookies.set('byok_oidc', cookie);
  await failed(other, again.path, 'a second time');
  other.cookies.set('byok_oidc', `${cookie.slice(0, -2)}00`);
  await failed(other, again.path, 'a changed cookie');
});

test('an ID token that is not good signs nobody in', async () => {
  await using it = await stage();
  const { issuer } = it;
  const mine = issuer.newKey();
  const key = issuer.key();
  const header = { alg: 'RS256', typ: 'JWT', kid: key.kid };
  type Claims = Record<string, unknown>;
  const good = (claims: Claims) => issuer.signed(header, claims, key);
  const bad: Record<string, (claims: Claims) => string> = {
    'another nonce': (claims) => good({ ...claims, nonce: 'x' }),
    'no nonce': (claims) => good({ ...claims, nonce: undefined }),
    'another aud': (claims) => good({ ...claims, aud: 'another-client' }),
    'the audience of the API': (claims) => good({ ...claims, aud: issuer.env.IDENTITY_AUDIENCE }),
    'another iss': (claims) => good({ ...claims, iss: 'https://evil.example' }),
    expired: (claims) => good({ ...claims, exp: Number(claims.exp) - 7_200 }),
    'no sub': (claims) => good({ ...claims, sub: undefined }),
    'another key': (claims) => issuer.signed(header, claims, mine),
    'its own jwk': (claims) => issuer.signed({ ...header, jwk: mine.publicKey.export({ format: 'jwk' }) }, claims, mine),
    'alg none': (claims) => `${encode({ alg: 'none' })}.${encode(claims)}.`,
    'HS256 with the client secret': (claims) => issuer.hmac({ ...header, alg: 'HS256' }, claims, client.OIDC_CLIENT_SECRET),
    'HS256 with the public key': (claims) =>
      issuer.hmac({ ...header, alg: 'HS256' }, claims, key.publicKey.export({ format: 'pem', type: 'spki' })),
    'no signature': (claims) => good(claims).replace(/[^.]+$/, ''),
    'no token at all': () => '',
  };
  for (const [name, make] of Object.entries(bad)) {
    issuer.idToken(make);
    const page = it.browser();
    await page.get(await page.leave());
    expect(await page.who(), name).toBe(401);
  }
  expect(await it.app.app.db.orm.select().from(it.app.app.db.tables.user)).toEqual([]);
  issuer.idToken(good);
  const page = it.browser();
  await page.get(await page.leave());
  expect(await page.who()).toMatch(/@identity\.invalid$/);
});

test('whoever is disabled here is not let in from there, and a session that was opened ends', async () => {
  await using it = await stage();
  const page = it.browser();
  await page.get(await page.leave());
  expect(await page.who()).not.toBe(401);
  const { db } = it.app.app;
  await db.commit([
    statement(db.orm.update(db.tables.user).set({ disabledAt: new Date(it.clock.now()) })),
    statement(bumpGeneration(db.orm, db.tables)),
  ]);
  expect(await page.who()).toBe(401);
  const back = await page.get(await page.leave());
  expect(back.headers.get('location')).toBe('/sign-in?failed=forbidden');
  expect(await page.who()).toBe(401);
});

test('nobody is led out of our pages', async () => {
  await using it = await stage();
  for (const back of [
    '//evil.example',
    'https://evil.example',
    '/\\evil.example',
    'javascript:alert(1)',
    '/\t/evil.example',
    '/.//evil.example',
    '/%2e//evil.example',
    '/settings/..//evil.example',
    `/${'x'.repeat(2_000)}`,
  ]) {
    const page = it.browser();
    const done = await page.get(await page.leave(`/api/oidc/start?back=${encodeURIComponent(back)}`));
    expect(done.headers.get('location'), back).toBe('/');
  }
});

test('while the issuer cannot be reached the sign-in page says so, and afterwards it works without a new start', async () => {
  await using it = await stage();
  it.issuer.metadata({ issuer: 'https://evil.example' });
  const page = it.browser();
  expect((await page.get('/api/oidc/start')).headers.get('location')).toBe('/sign-in?failed=provider_unreachable');
  it.issuer.metadata({ authorization_endpoint: 'javascript:alert(1)' });
  expect((await page.get('/api/oidc/start')).headers.get('location')).toBe('/sign-in?failed=provider_unreachable');
  it.issuer.metadata({});
  await page.get(await page.leave());
  expect(await page.who()).not.toBe(401);
});

test('with local accounts off a password lets administrators in and nobody else, who are told where to go', async () => {
  await using it = await stage({ AUTH_LOCAL: 'off' });
  const [ada, root] = [await it.app.person(), await it.app.person({ admin: true })];
  const signIn = (path: string, email: string, secret = password) =>
    it.app.fetch(null, path, { json: { email, password: secret }, headers: { origin: 'http://byok.test' } });
  const sentence = 'Passwords are for administrators only here. Sign in with your organisation.';
  for (const path of ['/api/auth/sign-in/email', '/api/v1/auth/token']) {
    const refused = await signIn(path, ada.email);
    expect([refused.status, ((await refused.json()) as { detail: string }).detail]).toEqual([403, sentence]);
    expect(refused.headers.getSetCookie()).toEqual([]);
    expect((await signIn(path, ada.email, 'not the password')).status).toBe(401);
    expect((await signIn(path, 'nobody@example.com')).status).toBe(401);
    expect((await signIn(path, root.email)).status).toBe(200);
  }
  const { session } = it.app.app.db.tables;
  expect(await it.app.app.db.orm.select().from(session).where(eq(session.userId, ada.id))).toEqual([]);
  const instance = await it.app.fetch(null, '/trpc/accounts.instance');
  expect(await instance.json()).toMatchObject({ result: { data: { external: true, passwords: false, signUp: false } } });
});
