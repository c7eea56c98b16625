import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../../test/app.ts';
import { type AuthenticatorOptions, authenticator } from '../../test/authenticator.ts';

const headers = { origin: 'http://byok.test' };
type Device = ReturnType<typeof authenticator>;

const ownerOf = ({ id, email }: Person) => ({ userId: id, email, name: 'Ada' });

async function added(app: TestApp, who: Person, device: Device = authenticator()): Promise<Device> {
  const { challenge } = await app.app.auth.passkeys.addOptions(ownerOf(who));
  await app.app.auth.passkeys.add(who.id, 'Phone', device.create(challenge));
  return device;
}

async function challengeOf(app: TestApp): Promise<string> {
  const res = await app.fetch(null, '/api/auth/passkey/options', { json: {}, headers });
  return ((await res.json()) as { challenge: string }).challenge;
}

const signIn = (app: TestApp, response: unknown) => app.fetch(null, '/api/auth/passkey/sign-in', { json: { response }, headers });
const sessions = (app: TestApp) => app.app.db.orm.select().from(app.app.db.tables.session);

test('a passkey is added with the password, listed, signs in by itself, and is gone when it is removed', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const entered = await app.fetch(null, '/api/auth/sign-in/email', { json: { email: ada.email, password }, headers });
  const cookie = entered.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const call = async (name: string, json: unknown) => {
    const res = await app.fetch(null, `/trpc/accounts.${name}`, { json, headers: { ...headers, cookie } });
    // biome-ignore lint/suspicious/noExplicitAny: what a browser gets has no type yet
    return { status: res.status, data: ((await res.json()) as any).result?.data };
  };
  const device = authenticator();
  expect((await call('passkeyOptions', { password: 'wrong' })).status).toBe(400);
  const { options } = (await call('passkeyOptions', { password })).data;
  expect(options).toMatchObject({
    rp: { id: 'byok.test' },
    user: { name: ada.email },
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  });
  expect((await call('addPasskey', { name: 'Phone', response: device.create(options.challenge) })).status).toBe(200);
  const [passkey] = await app.app.auth.passkeys.list(ada.id);
  expect(passkey).toMatchObject({ name: 'Phone', lastUsedAt: null });

  const answer = await signIn(app, device.get(await challengeOf(app)));
  expect(answer.status).toBe(200);
  expect(answer.headers.getSetCookie()[0]).toMatch(/^byok\.session_token=[^;]+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/);
  const own = answer.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  expect(await app.app.auth.sessionOf({ cookie: own })).toMatchObject({ userId: ada.id });
  expect(await app.app.auth.passkeys.list(ada.id)).toMatchObject([{ lastUsedAt: new Date(app.clock.now()).toISOString() }]);
  // The cookie's secret stands in no body.
  for (const { token } of await sessions(app)) expect(await answer.clone().text()).not.toContain(token);

  expect((await call('removePasskey', { id: passkey?.id })).status).toBe(200);
  expect((await signIn(app, device.get(await challengeOf(app)))).status).toBe(401);
  const actions = (await app.app.audit.list({ subject: ada.id, limit: 9 })).map(({ action }) => action);
  expect(actions).toEqual(expect.arrayContaining(['passkey.added', 'passkey.removed']));
  const told = (await app.app.notices.list(ada.id)).map(({ data }) => data.event);
  expect(told).toEqual(expect.arrayContaining(['passkey_added', 'passkey_removed']));
});

test('a challenge is good once, for five minutes, for what it was made for, and only from this server', async () => {
  await using app = await testApp();
  const [ada, eve] = [await app.person(), await app.person()];
  const device = await added(app, ada);
  const { passkeys } = app.app.auth;
  const challenge = await challengeOf(app);
  const first = device.get(challenge);
  const both = await Promise.all([signIn(app, first), signIn(app, first)]);
  expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
  expect((await signIn(app, device.get(challenge))).status).toBe(401);
  const old = await challengeOf(app);
  app.clock.advance(5 * 60_000);
  expect((await signIn(app, device.get(old))).status).toBe(401);
  const forAdding = (await passkeys.addOptions(ownerOf(ada))).challenge;
  expect((await signIn(app, device.get(forAdding))).status).toBe(401);
  for (const made of [Buffer.alloc(38, 255).toString('base64url'), 'AAAA', ''])
    expect((await signIn(app, device.get(made))).status, made).toBe(401);
  // One that was made for another user adds nothing here.
  await expect(passkeys.add(eve.id, 'x', authenticator().create(forAdding))).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(passkeys.add(eve.id, 'x', authenticator().create(await challengeOf(app)))).rejects.toMatchObject({ code: 'invalid_input' });
  expect(await passkeys.list(eve.id)).toEqual([]);
});

const strangers: [string, AuthenticatorOptions][] = [
  ['for another page', { origin: 'http://evil.test' }],
  ['for another host', { rpId: 'evil.test' }],
  ['without finger or PIN', { verified: false }],
];
test.each(strangers)('a passkey %s is neither added nor opens anything', async (_what, options) => {
  await using app = await testApp();
  const ada = await app.person();
  const { passkeys } = app.app.auth;
  const bad = authenticator(options);
  const { challenge } = await passkeys.addOptions(ownerOf(ada));
  await expect(passkeys.add(ada.id, 'x', bad.create(challenge))).rejects.toMatchObject({ code: 'invalid_input' });
  const { db } = app.app;
  const good = await added(app, ada);
  await db.orm.update(db.tables.passkey).set({ credentialId: bad.id }).where(eq(db.tables.passkey.credentialId, good.id));
  expect((await signIn(app, bad.get(await challengeOf(app)))).status).toBe(401);
  expect(await sessions(app)).toEqual([]);
});

test('a signature of another key, a copy of the device, and a passkey of someone else open nothing', async () => {
  await using app = await testApp();
  const [ada, eve] = [await app.person(), await app.person()];
  const device = await added(app, ada);
  const challenge = await challengeOf(app);
  expect((await signIn(app, { ...authenticator().get(challenge), id: device.id, rawId: device.id })).status).toBe(401);
  const right = device.get(challenge);
  const bent = Buffer.from(right.response.signature, 'base64url');
  bent[bent.length - 1] = (bent.at(-1) ?? 0) ^ 1;
  expect((await signIn(app, { ...right, response: { ...right.response, signature: bent.toString('base64url') } })).status).toBe(401);
  expect((await signIn(app, device.get(await challengeOf(app)))).status).toBe(200);
  device.rewind();
  expect((await signIn(app, device.get(await challengeOf(app)))).status).toBe(401);
  // The same device is not added twice, nor to somebody else.
  const { challenge: hers } = await app.app.auth.passkeys.addOptions(ownerOf(eve));
  await expect(app.app.auth.passkeys.add(eve.id, 'x', device.create(hers))).rejects.toMatchObject({ code: 'conflict' });
});

test('who is disabled does not come in with a passkey, and the operator takes passkeys away with the second factor', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const device = await added(app, ada);
  const { db } = app.app;
  const set = (disabledAt: Date | null) => db.orm.update(db.tables.user).set({ disabledAt }).where(eq(db.tables.user.id, ada.id));
  await set(new Date());
  expect((await signIn(app, device.get(await challengeOf(app)))).status).toBe(403);
  await set(null);
  expect((await signIn(app, device.get(await challengeOf(app)))).status).toBe(200);
  await app.app.auth.resetFactors(ada.id, 'cli');
  expect(await sessions(app)).toEqual([]);
  expect((await signIn(app, device.get(await challengeOf(app)))).status).toBe(401);
});
