/** What administrators do to accounts, through the doors that the page uses. */
import type { AddedUser, AdminUserDetails, AdminUserList, ResetLink } from '@synthstack/core';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../../test/app.ts';

const dayMs = 86_400_000;

async function stage(env: Record<string, string> = {}) {
  const app = await testApp({ env });
  const root = await app.person({ admin: true, tier: 'lifetime' });
  const { auth } = app.app;
  const jwts = new Map<string, string>();

  async function jwtOf(who: Person): Promise<string> {
    const known = jwts.get(who.id);
    if (known) return known;
    const { token } = await auth.issueJwt(await auth.signIn(who.email, password));
    jwts.set(who.id, token);
    return token;
  }

  /** As that administrator, in person. */
  async function send(method: string, path: string, json?: unknown, by: Person = root) {
    const headers = { authorization: `Bearer ${await jwtOf(by)}` };
    const res = await app.fetch(null, `/api/v1/admin/users${path}`, { method, headers, ...(json !== undefined && { json }) });
    const text = await res.text();
    return { status: res.status, body: text === '' ? undefined : JSON.parse(text), text };
  }

  return {
    app,
    root,
    send,
    details: async ({ id }: { id: string }): Promise<AdminUserDetails> => (await send('GET', `/${id}`)).body,
    audit: (who: { id: string }) => app.app.audit.list({ subject: who.id, limit: 50 }),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

const meStatus = async (app: TestApp, who: Person) => (await app.fetch(who, '/api/v1/api-keys')).status;

test('the page of one user says what there is, and of secrets only that', async () => {
  await using place = await stage();
  const { app } = place;
  const ada = await app.person({ tier: 'premium', until: new Date(app.clock.now() + dayMs), keys: { openai: 'good', anthropic: 'good' } });
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  await app.app.auth.signIn(ada.email, password);
  const answer = await place.send('GET', `/${ada.id}`);
  const details: AdminUserDetails = answer.body;
  expect(details).toMatchObject({
    user: { id: ada.id, email: ada.email, isAdmin: false, disabledAt: null, plan: { tier: 'premium', source: 'admin', byok: true } },
    ...{ signsIn: 'password', unconfirmed: false, self: false, sessions: 1, factor: null, passkeys: 0, reset: 'show' },
    given: { tier: 'premium', source: 'admin', renews: false },
    bought: null,
    usage: { requests: 1 },
  });
  expect(details.keys.toSorted((a, b) => a.provider.localeCompare(b.provider))).toEqual([
    { provider: 'anthropic', status: 'valid', isActive: true },
    { provider: 'openai', status: 'valid', isActive: true },
  ]);
  expect(details.tokens).toEqual([{ name: 'test', lastUsedAt: null }]);
  const [token] = await app.app.tokens.list(ada.id);
  for (const secret of [
    ...Object.values(ada.secrets),
    ...Object.values(ada.secrets).map((one) => one.slice(-4)),
    ada.token,
    token?.prefix ?? '-',
  ])
    expect(answer.text).not.toContain(secret);
  expect(answer.text).not.toMatch(/hint|hash|nonce|blob/i);
  // The control: the owner's own list has the last characters.
  expect(await (await app.fetch(ada, '/api/v1/api-keys')).text()).toContain(ada.secrets.openai?.slice(-4));
  expect((await place.send('GET', '/00000000-0000-4000-8000-000000000000')).status).toBe(404);
});

test('a plan is given, in the audit log and from the next request on; two administrators do not undo each other', async () => {
  await using place = await stage();
  const { app } = place;
  const ada = await app.person({ tier: 'community' });
  const other = await app.person({ admin: true });
  const seen = (await place.details(ada)).planVersion;
  const until = new Date(app.clock.now() + 30 * dayMs).toISOString();
  const given = await place.send('POST', `/${ada.id}/plan`, { tier: 'premium', until, planVersion: seen });
  expect([given.status, given.body.user.plan]).toMatchObject([200, { tier: 'premium', until, source: 'admin', lapsed: false }]);
  const byok = await app.fetch(ada, '/api/v1/api-keys', { json: { provider: 'openai', apiKey: app.newSecret('openai') } });
  expect(byok.status).toBe(201);
  // The other one still looks at what was there before.
  const late = await place.send('POST', `/${ada.id}/plan`, { tier: 'subscriber', until: null, planVersion: seen }, other);
  expect([late.status, late.body.code]).toEqual([409, 'conflict']);
  expect((await place.details(ada)).given).toMatchObject({ tier: 'premium' });
  const version = (await place.details(ada)).planVersion;
  const both = await Promise.all(
    [place.root, other].map((by, i) =>
      place.send('POST', `/${ada.id}/plan`, { tier: i ? 'lifetime' : 'subscriber', until: null, planVersion: version }, by),
    ),
  );
  expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
  const changes = (await place.audit(ada)).filter(({ action }) => action === 'plan.changed');
  expect(changes.map(({ actor }) => actor)).toHaveLength(2);
  expect(changes.at(-1)).toMatchObject({ actor: place.root.id, detail: { tier: 'premium', until, source: 'admin' } });
  // A plan that is over lets the keys rest; renewed, they work again.
  const past = new Date(app.clock.now() - 1).toISOString();
  const ended = await place.send('POST', `/${ada.id}/plan`, {
    tier: 'premium',
    until: past,
    planVersion: (await place.details(ada)).planVersion,
  });
  expect(ended.body.user.plan).toMatchObject({ lapsed: true, tier: 'community', plan: 'premium' });
});

test('what was bought stays beside what is given', async () => {
  await using place = await stage();
  const { app } = place;
  const ada = await app.person({ tier: 'community' });
  const end = new Date(app.clock.now() + dayMs);
  const bought = { tier: 'premium', state: 'active', until: end, renews: true } as const;
  await app.app.db.commit(app.app.plans.writesOfPurchase(ada.id, undefined, bought));
  const { planVersion } = await place.details(ada);
  const given = await place.send('POST', `/${ada.id}/plan`, { tier: 'subscriber', until: null, planVersion });
  expect(given.body).toMatchObject({
    user: { plan: { tier: 'premium', source: 'billing' } },
    given: { tier: 'subscriber', source: 'admin' },
    bought: { tier: 'premium', renews: true, source: 'billing' },
  });
  const removed = await place.send('DELETE', `/${ada.id}`);
  expect([removed.status, removed.body.detail]).toEqual([409, expect.stringContaining('Cancel it first, in Settings > Plan or in Stripe')]);
});

test('a disabled account opens nothing, and everything again once it is enabled', async () => {
  await using place = await stage();
  const { app } = place;
  const ada = await app.person({ tier: 'premium', keys: { openai: 'good' } });
  const session = await app.app.auth.signIn(ada.email, password);
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  expect((await place.send('PATCH', `/${ada.id}`, { disabled: true })).body.user.disabledAt).not.toBeNull();
  expect([(await app.chat(ada, 'hello')).status, await meStatus(app, ada)]).toEqual([401, 401]);
  expect(await app.app.auth.liveSession(session.sessionId)).toBeNull();
  await expect(app.app.auth.signIn(ada.email, password)).rejects.toMatchObject({ code: 'forbidden' });
  // Once more changes nothing, and is not written down.
  expect((await place.send('PATCH', `/${ada.id}`, { disabled: true })).status).toBe(200);
  expect((await place.send('PATCH', `/${ada.id}`, { disabled: false })).body.user.disabledAt).toBeNull();
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  expect(await app.app.auth.liveSession(session.sessionId)).toBeNull();
  expect((await place.audit(ada)).slice(0, 2).map(({ action, actor }) => [action, actor])).toEqual([
    ['account.enabled', place.root.id],
    ['account.disabled', place.root.id],
  ]);
});

test('administrators are made and withdrawn, never oneself, and never the last of two at once', async () => {
  await using place = await stage();
  const { app, root } = place;
  const ada = await app.person();
  expect((await app.fetch(ada, '/api/v1/admin/users')).status).toBe(403);
  expect((await place.send('PATCH', `/${ada.id}`, { admin: true })).body.user.isAdmin).toBe(true);
  expect((await app.fetch(ada, '/api/v1/admin/users')).status).toBe(200);
  for (const [method, json] of [
    ['PATCH', { admin: false }],
    ['PATCH', { disabled: true }],
    ['DELETE', undefined],
  ] as const)
    expect(await place.send(method, `/${root.id}`, json), `${method} ${JSON.stringify(json)}`).toMatchObject({ status: 409 });
  expect((await place.send('PATCH', `/${root.id}`, { disabled: true, admin: false })).status).toBe(400);
  // Each withdraws, disables or removes the other at the same moment: one of them is left, and one change is written.
  for (const how of [{ admin: false }, { disabled: true }, null]) {
    const pair = [await app.person({ admin: true }), await app.person({ admin: true })];
    for (const one of pair) await place.send('GET', '', undefined, one);
    await Promise.all(pair.map((by, i) => place.send(how ? 'PATCH' : 'DELETE', `/${pair[1 - i]?.id}`, how ?? undefined, by)));
    const left = await Promise.all(pair.map(({ id }) => app.app.accountSearch.one(id)));
    expect(left.filter((one) => one?.isAdmin && one.disabledAt === null)).toHaveLength(1);
  }
});

test('a user is added as by the command; the password that is made is told once and works', async () => {
  await using place = await stage();
  const { app, root } = place;
  const added = await place.send('POST', '', { email: 'New@Example.com', tier: 'premium' });
  const { user, password: made }: AddedUser = added.body;
  expect([added.status, user]).toMatchObject([
    201,
    { email: 'new@example.com', name: 'new', isAdmin: false, plan: { tier: 'premium', source: 'admin' } },
  ]);
  expect(await app.app.auth.signIn('new@example.com', made ?? '')).toMatchObject({ userId: user.id });
  expect(app.everythingWritten().includes(made ?? '-')).toBe(false);
  expect((await place.audit(user)).map(({ action, actor }) => [action, actor])).toEqual([
    ['plan.changed', root.id],
    ['account.created', root.id],
  ]);
  const twice = await place.send('POST', '', { email: 'new@example.com', password: 'correct horse battery' });
  expect([twice.status, twice.body.detail]).toEqual([409, 'There is already an account with this e-mail address.']);
  expect((await place.send('POST', '', { email: 'x', password: 'short', role: 'admin' })).body.errors).toMatchObject({
    email: [expect.any(String)],
    password: [expect.any(String)],
    role: [expect.any(String)],
  });
});

test('a removed account is gone with its keys, tokens, notices and requests; sums and what was done to it stay', async () => {
  await using place = await stage();
  const { app } = place;
  const ada = await app.person({ tier: 'premium', keys: { openai: 'good' } });
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  const { db, audit, tokens } = app.app;
  const { providerKey, gatewayToken, notice, user, request } = db.tables;
  const [before] = await db.orm.select().from(providerKey).where(eq(providerKey.owner, ada.id));
  expect((await place.send('DELETE', `/${ada.id}`)).status).toBe(204);
  expect(await meStatus(app, ada)).toBe(401);
  expect(await tokens.list(ada.id)).toEqual([]);
  for (const rows of [
    await db.orm.select().from(providerKey).where(eq(providerKey.owner, ada.id)),
    await db.orm.select().from(gatewayToken).where(eq(gatewayToken.userId, ada.id)),
    await db.orm.select().from(notice).where(eq(notice.userId, ada.id)),
    await db.orm.select().from(user).where(eq(user.id, ada.id)),
  ])
    expect(rows).toEqual([]);
  await app.app.removal.idle();
  expect(await db.orm.select({ id: request.id }).from(request).where(eq(request.userId, ada.id))).toEqual([]);
  const { usageUserDay } = db.tables;
  expect(await db.orm.select().from(usageUserDay).where(eq(usageUserDay.userId, ada.id))).toMatchObject([{ requests: 1 }]);
  expect((await audit.list({ subject: ada.id, limit: 1 }))[0]).toMatchObject({ action: 'account.removed', actor: place.root.id });
  expect(await audit.verify()).toMatchObject({ brokenAt: null });
  if (db.dialect === 'sqlite') expect(app.everythingWritten().includes(before?.encryptedBlob ?? 'none')).toBe(false);
  expect((await place.send('DELETE', `/${ada.id}`)).status).toBe(404);
  const list: AdminUserList = (await place.send('GET', `?search=${ada.email}`)).body;
  expect(list.users).toEqual([]);
});

test('a link to a new password is told once and works once; where it would let somebody in who should not be, there is none', async () => {
  await using place = await stage();
  const { app, root } = place;
  const ada = await app.person();
  const made = await place.send('POST', `/${ada.id}/reset-link`);
  const { url, expiresAt }: ResetLink = made.body;
  expect(Date.parse(expiresAt)).toBe(app.clock.now() + 3_600_000);
  expect((await place.audit(ada))[0]).toMatchObject({ action: 'account.reset_link_made', actor: root.id });
  const token = new URL(url ?? '').searchParams.get('token') ?? '-';
  expect(app.everythingWritten().includes(token)).toBe(false);
  await app.app.auth.links.reset(token, 'another horse battery');
  expect(await app.app.auth.signIn(ada.email, 'another horse battery')).toMatchObject({ userId: ada.id });
  await expect(app.app.auth.links.reset(token, 'another horse battery')).rejects.toMatchObject({ code: 'forbidden' });
  const off = await app.person();
  await place.send('PATCH', `/${off.id}`, { disabled: true });
  for (const who of [off, root]) {
    expect((await place.details(who)).reset).toBeNull();
    expect((await place.send('POST', `/${who.id}/reset-link`)).status).toBe(403);
  }
  expect((await place.send('POST', `/${root.id}/reset-factors`)).status).toBe(409);
});

test('where e-mail is sent, the link goes to its owner, and nobody else sees it', async () => {
  await using place = await stage({ SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'byok@example.com' });
  const { app } = place;
  const ada = await app.person();
  expect((await place.details(ada)).reset).toBe('send');
  const made = await place.send('POST', `/${ada.id}/reset-link`);
  expect([made.status, made.body.url]).toEqual([200, null]);
  const { mailOutbox } = app.app.db.tables;
  const waiting = await app.app.db.orm.select().from(mailOutbox).where(eq(mailOutbox.userId, ada.id));
  expect(waiting.map(({ kind }) => kind)).toContain('reset_password');
});

test('factors are reset and sessions ended, and the owner is told', async () => {
  await using place = await stage();
  const { app } = place;
  const ada = await app.person();
  const { auth, notices } = app.app;
  await auth.factors.begin(ada.id, ada.email);
  const { twoFactor } = app.app.db.tables;
  await app.app.db.orm.update(twoFactor).set({ confirmedAt: new Date(app.clock.now()) });
  expect((await place.details(ada)).factor).toMatchObject({ codesLeft: 0 });
  const session = await auth.openSession(ada.id, { ip: '', userAgent: '' });
  expect(session.ok).toBe(true);
  expect((await place.send('POST', `/${ada.id}/sign-out`)).body).toEqual({ ended: 1 });
  const after = await place.send('POST', `/${ada.id}/reset-factors`);
  expect(after.body).toMatchObject({ factor: null, sessions: 0 });
  expect((await notices.list(ada.id))[0]).toMatchObject({ kind: 'account_security', data: { event: 'factors_reset' } });
  expect((await place.audit(ada)).slice(0, 2).map(({ action }) => action)).toEqual(['factor.reset', 'account.signed_out']);
});

test('the list is read with filters by REST, and nonsense in it is named', async () => {
  await using place = await stage();
  const { app, root } = place;
  const ada = await app.person({ tier: 'premium' });
  expect((await place.send('GET', '?admins=true')).body.users.map(({ id }: { id: string }) => id)).toEqual([root.id]);
  expect((await place.send('GET', '?tier=premium&state=active&limit=5')).body.users.map(({ id }: { id: string }) => id)).toEqual([ada.id]);
  const wrong = await place.send('GET', '?tier=gold&state=x&limit=1000&search=%00&admin=1');
  expect([wrong.status, Object.keys(wrong.body.errors).sort()]).toEqual([400, ['admin', 'limit', 'search', 'state', 'tier']]);
});
