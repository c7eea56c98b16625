/** All that is known of somebody, handed over and deleted: every table has a row of theirs, and everything that they wrote is looked for. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Column, eq, getTableColumns, getTableName, type Table } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../test/app.ts';
import { say } from '../test/chat.ts';
import { findPlanted } from '../test/planted.ts';
import { createGate } from '../test/provider/gate.ts';
import { ofSomebody } from './accounts-data.ts';

/** Words that nobody else writes. */
const words = {
  name: 'Adaline Quillfeather',
  token: 'heliotrope laptop',
  passkey: 'amaranth phone',
  said: 'the zeppelin leaves at noon',
  model: 'ft:gpt-4o-mini:gossamer',
};

const rowsOf = async ({ app: { db } }: TestApp, { table, of }: { table: Table; of: Column }, id: string) =>
  db.orm
    .select()
    .from(table as never)
    .where(eq(of, id));

/** A row of theirs in each table that has none yet, made of what its columns take. */
async function fillUp(app: TestApp, who: Person): Promise<void> {
  const { db } = app.app;
  for (const one of ofSomebody(db.tables)) {
    if ((await rowsOf(app, one, who.id)).length > 0) continue;
    const row = Object.entries(getTableColumns(one.table)).map(([name, column]) => [name, column === one.of ? who.id : valueFor(column)]);
    await db.orm.insert(one.table as never).values(Object.fromEntries(row) as never);
  }
}

function valueFor(column: Column): unknown {
  if (column.dataType === 'boolean') return true;
  if (column.dataType === 'number' || column.dataType === 'bigint') return 1;
  if (column.dataType === 'date' || /instant|_at$|^until$|^since$/i.test(column.name)) return new Date(1_780_000_000_000);
  if (column.dataType === 'buffer' || /blob|nonce|public_key/.test(column.name)) return randomBytes(12);
  return column.dataType === 'json' || column.name === 'data' || column.name === 'transports' ? {} : `some-${randomUUID()}`;
}

/** Somebody with a row in every table, and words of theirs wherever a person can write any. */
async function resident(app: TestApp): Promise<Person & { jwt: string }> {
  const ada = await app.person({ keys: { openai: 'good' } });
  const { accounts, tokens, auth, db } = app.app;
  await accounts.update(ada.id, { name: words.name });
  await tokens.create(ada.id, { name: words.token, scopes: ['gateway'] });
  const { token } = await tokens.create(ada.id, { name: words.token, scopes: ['gateway'] });
  await tokens.revoke(ada.id, token.id);
  await auth.signIn(ada.email, password, { ip: '203.0.113.7', userAgent: 'Quillbrowser/1.0' });
  await say(app, ada, words.said);
  await (await app.chat(ada, 'hello', { model: words.model })).text();
  const now = new Date(app.clock.now());
  const more = { credentialId: randomUUID(), publicKey: randomBytes(30), counter: 0, transports: ['usb'], createdAt: now };
  await db.orm.insert(db.tables.passkey).values({ id: randomUUID(), userId: ada.id, name: words.passkey, ...more });
  const mail = {
    id: randomUUID(),
    address: ada.email,
    kind: 'reset_password',
    state: 'waiting',
    dueAt: null,
    expiresAt: now,
    createdAt: now,
  } as const;
  await db.orm.insert(db.tables.mailOutbox).values(mail);
  // Before there is a second factor, whose codes no app has.
  const jwt = await jwtOf(app, ada);
  const closed = { english: 'Hello.', kind: 'info' } as const;
  const { id } = await app.app.announcements.add(ada.id, closed);
  await app.app.announcements.close(ada.id, id);
  await fillUp(app, ada);
  return { ...ada, jwt };
}

/** Every row of every table, as text. */
async function everyRow({ app: { db } }: TestApp): Promise<string> {
  const all = await Promise.all(
    Object.values(db.tables).map(async (table) => [getTableName(table), await db.orm.select().from(table as never)]),
  );
  return JSON.stringify(all);
}

const jwtOf = async ({ app: { auth } }: TestApp, who: Person) => (await auth.issueJwt(await auth.signIn(who.email, password))).token;

async function exported(app: TestApp, { jwt }: { jwt: string }): Promise<Record<string, Record<string, unknown>[]>> {
  const res = await fetch(`${app.url}/api/v1/account/export`, { headers: { authorization: `Bearer ${jwt}` } });
  expect(res.status).toBe(200);
  expect(res.headers.get('content-disposition')).toMatch(/^attachment; filename="account-\d{4}-\d\d-\d\d\.json"$/);
  return (await res.json()) as Record<string, Record<string, unknown>[]>;
}

test('a person is handed all that is known of them, and nothing that opens anything or is of somebody else', async () => {
  await using app = await testApp();
  const ada = await resident(app);
  const bob = await app.person({ keys: { openai: 'good' } });
  await say(app, bob, 'something of Bob');
  const all = await exported(app, ada);
  for (const { told } of ofSomebody(app.app.db.tables)) if (told) expect(all[told.as]?.length, told.as).toBeGreaterThan(0);
  expect(all.account).toEqual([expect.objectContaining({ id: ada.id, email: ada.email, name: words.name })]);
  expect(all.tokens?.map(({ name }) => name)).toContain(words.token);
  expect(all.passkeys?.map(({ name }) => name)).toContain(words.passkey);
  expect(all.keys?.[0]).toMatchObject({ provider: 'openai', status: 'valid', keyHint: expect.stringMatching(/^\*{4}\.\.\./) });
  const [request] = await app.requests();
  expect(all.requests?.[0]).toMatchObject({ startedAt: new Date(request?.startedAt ?? 0).toISOString(), provider: 'openai' });
  expect(all.requests?.map(({ id }) => id)).toContainEqual(expect.stringMatching(/^req_/));
  expect(all.sessions?.map(({ ipAddress }) => ipAddress)).toContain('203.0.113.7');
  expect(all.audit?.map(({ action }) => action)).toEqual(expect.arrayContaining(['key.saved', 'token.revoked', 'account.exported']));
  const [conversation] = all.conversations ?? [];
  expect(conversation?.messages).toEqual(expect.arrayContaining([expect.objectContaining({ content: words.said })]));

  const text = Buffer.from(JSON.stringify(all));
  const { gatewayToken, session, account } = app.app.db.tables;
  const secrets = [ada.token, ada.secrets.openai ?? ''];
  for (const { hash } of await app.app.db.orm.select().from(gatewayToken)) secrets.push(hash);
  for (const { token } of await app.app.db.orm.select().from(session)) secrets.push(token);
  for (const one of await app.app.db.orm.select().from(account)) secrets.push(one.password ?? 'no password of theirs');
  for (const secret of secrets) expect(findPlanted(secret, withoutHints(text))).toEqual([]);
  expect(findPlanted(ada.token, Buffer.concat([text, Buffer.from(ada.token)]))).not.toEqual([]);
  for (const others of [bob.id, bob.email, 'something of Bob']) expect(text.toString()).not.toContain(others);
});

/** A token's first characters are shown to its owner, so that tokens can be told apart. */
const withoutHints = (text: Buffer): Buffer => Buffer.from(text.toString().replaceAll(/"prefix":"[^"]*"/g, ''));

test('the export goes on from page to page, whatever puts the rows in order', async () => {
  await using app = await testApp();
  const ada = await resident(app);
  const { db, conversations, clock } = app.app;
  const { exportAccount } = await import('./api/account-export.ts');
  const write = async (pageRows: number) => {
    let text = '';
    for await (const part of exportAccount({
      db,
      conversations,
      userId: ada.id,
      publicUrl: 'http://byok.test',
      nowMs: clock.now(),
      pageRows,
    }))
      text += part;
    return JSON.parse(text) as unknown;
  };
  const copies = Array.from({ length: 7 }, (_, i) => ({ ...sumOf(ada.id), model: `model ${i % 3}`, bucket: 900_000 * Math.floor(i / 3) }));
  await db.orm.insert(db.tables.usageUser).values(copies);
  const whole = await write(500);
  expect((whole as { usage: unknown[] }).usage.length).toBeGreaterThan(7);
  for (const rows of [1, 2, 3]) expect(await write(rows)).toEqual(whole);
});

const sumOf = (userId: string) => ({ userId, bucket: 0, provider: 'openai', model: '', source: 'user', keyId: '', requests: 1 }) as const;

test('who removes their account leaves no word behind; the sums of all and the audit log stay, under an id of nobody', async () => {
  await using app = await testApp();
  const ada = await resident(app);
  const bob = await app.person({ keys: { openai: 'good' } });
  await say(app, bob, 'something of Bob');
  const { db, removal } = app.app;
  const before = await everyRow(app);
  for (const word of [ada.email, words.name, words.token, words.passkey, words.model]) expect(before, word).toContain(word);
  // PostgreSQL's files are its own.
  expect(app.everythingWritten().includes(ada.email)).toBe(db.dialect === 'sqlite');
  const totals = await db.orm.select().from(db.tables.usageTotal);
  const ofBob = await Promise.all(
    ofSomebody(db.tables).map(async (one) => [getTableName(one.table), (await rowsOf(app, one, bob.id)).length]),
  );

  const { jwt } = ada;
  const remove = (json: object) =>
    fetch(`${app.url}/trpc/accounts.remove`, {
      method: 'POST',
      headers: { authorization: `Bearer ${jwt}`, 'content-type': 'application/json' },
      body: JSON.stringify(json),
    });
  // Her second factor is asked for, and taken away for what follows.
  expect((await remove({ password: 'not the password' })).status).toBe(400);
  const unfactored = await remove({ password });
  expect(await unfactored.text()).toContain('second_factor_required');
  await app.app.auth.resetFactors(ada.id, 'cli');
  const again = await jwtOf(app, ada);
  const done = await fetch(`${app.url}/trpc/accounts.remove`, {
    method: 'POST',
    headers: { authorization: `Bearer ${again}`, 'content-type': 'application/json' },
    body: JSON.stringify({ password }),
  });
  expect(await done.text()).not.toContain('error');
  for (const credential of [ada.token, again]) {
    const refused = await app.fetch({ ...ada, token: credential }, '/v1/chat/completions', { json: {} });
    expect(refused.status).toBe(401);
  }
  await removal.idle();
  expect(await everyRow(app)).toContain('account.removing');
  app.clock.advance(86_400_000);
  await removal.goOn();

  for (const one of ofSomebody(db.tables)) {
    const left = (await rowsOf(app, one, ada.id)).length;
    if (one.leaves === 'stays') expect(left, getTableName(one.table)).toBeGreaterThan(0);
    else expect(left, getTableName(one.table)).toBe(0);
  }
  const after = await everyRow(app);
  for (const word of [ada.email, ...Object.values(words).filter((word) => word !== words.model)]) expect(after, word).not.toContain(word);
  expect(after).not.toContain('account.removing');
  expect(await db.orm.select().from(db.tables.usageTotal)).toEqual(totals);
  expect((await app.app.audit.verify()).brokenAt).toBeNull();
  expect((await app.app.audit.list({ subject: ada.id, limit: 1 }))[0]).toMatchObject({ action: 'account.removed', actor: ada.id });
  expect(
    await Promise.all(ofSomebody(db.tables).map(async (one) => [getTableName(one.table), (await rowsOf(app, one, bob.id)).length])),
  ).toEqual(ofBob);
  expect((await app.chat(bob, 'hello')).status).toBe(200);

  // Nor in what the files still hold of deleted rows, nor in the log.
  const written = app.everythingWritten();
  for (const word of [ada.email, words.name, words.token, words.passkey]) expect(written.includes(word), word).toBe(false);
  // The address is free again, for another account.
  const { userId } = await app.app.accounts.add({ email: ada.email, password, tier: 'community', admin: false });
  expect(userId).not.toBe(ada.id);
});

test('who has many requests is gone at once, and the rest follows in small writes, also after a restart', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await (await app.chat(ada, 'hello')).text();
  const { db, clock, audit } = app.app;
  const { createAccountRemoval } = await import('./accounts-removal.ts');
  const [row] = await app.requests();
  if (!row) throw new Error('There is no request.');
  await db.orm.insert(db.tables.request).values(Array.from({ length: 40 }, (_, i) => ({ ...row, id: row.id + 1 + i })));
  const errors: unknown[] = [];
  const removal = createAccountRemoval({ db, clock, audit: audit.entry, onError: (error) => errors.push(error), batchRows: 7 });
  // As if the process had died right after the first write.
  const dying = removal.stop();
  await removal.remove({ actor: 'cli', userId: ada.id });
  await Promise.all([dying, removal.idle()]);
  expect(await app.requests()).toHaveLength(41);
  expect((await app.chat(ada, 'hello')).status).toBe(401);
  await app.restart();
  await app.app.removal.idle();
  expect(await app.requests()).toHaveLength(0);
  app.clock.advance(86_400_000);
  await app.app.removal.goOn();
  expect(await everyRow(app)).not.toContain('account.removing');
  expect(errors).toEqual([]);
});

test('what was under way while an account went leaves nothing of it behind: no key that was being checked, no request', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const [checked, answered] = [createGate(), createGate()];
  if (ada.secrets.openai) app.provider.key(ada.secrets.openai, { gate: answered });
  const apiKey = app.newSecret('anthropic', { gate: checked });
  const saving = app.app.vault.save({ userId: ada.id, byok: true }, { provider: 'anthropic', apiKey }).then(
    () => 'saved',
    (error: { code: string }) => error.code,
  );
  const asking = app.chat(ada, 'hello').then((res) => res.text());
  await Promise.all([checked.reached, answered.reached]);
  await app.app.removal.remove({ actor: ada.id, userId: ada.id });
  await app.app.removal.idle();
  checked.open();
  answered.open();
  expect(await saving).toBe('conflict');
  expect(await app.app.vault.list(ada.id)).toEqual([]);
  await asking;
  await app.app.removal.goOn();
  for (const one of ofSomebody(app.app.db.tables))
    if (one.leaves !== 'stays') expect((await rowsOf(app, one, ada.id)).length, getTableName(one.table)).toBe(0);
});

test('the last administrator stays, also when two go at once, and so does who would go on paying', async () => {
  await using app = await testApp();
  const [ada, bob, eve] = [await app.person({ admin: true }), await app.person({ admin: true }), await app.person()];
  const { removal, db, accounts } = app.app;
  const act = ({ id }: Person) =>
    removal.remove({ actor: id, userId: id }).then(
      () => 'gone',
      (error: { code: string }) => error.code,
    );
  expect((await Promise.all([act(ada), act(bob)])).sort()).toEqual(['conflict', 'gone']);
  expect(await accounts.needsSetUp()).toBe(false);
  await db.orm.update(db.tables.plan).set({ source: 'billing', renews: true }).where(eq(db.tables.plan.userId, eve.id));
  await expect(act(eve)).resolves.toBe('conflict');
  const change = (changes: object) => db.orm.update(db.tables.plan).set(changes).where(eq(db.tables.plan.userId, eve.id));
  // Stripe asks for the open bill again and again, also once the plan does not count any more.
  await change({ renews: false, state: 'past_due', until: new Date(app.clock.now() - 1) });
  await expect(act(eve)).resolves.toBe('conflict');
  await change({
    source: 'cli',
    state: 'active',
    besideTier: 'premium',
    besideSource: 'billing',
    besideState: 'past_due',
    besideRenews: false,
  });
  await expect(act(eve)).resolves.toBe('conflict');
  await change({ besideState: 'lapsed' });
  await expect(act(eve)).resolves.toBe('gone');
  await expect(act(eve)).resolves.toBe('not_found');
});

test('who has no password shows by a fresh sign-in that it is they', async () => {
  await using app = await testApp();
  const { auth, db } = app.app;
  const ada = await app.person();
  const session = await auth.signIn(ada.email, password);
  await db.orm
    .update(db.tables.account)
    .set({ password: null, providerId: 'https://issuer.example.com' })
    .where(eq(db.tables.account.userId, ada.id));
  await auth.demandOwner(session, {}, '127.0.0.1');
  await expect(auth.demandOwner({ ...session, sessionId: null }, {}, '127.0.0.1')).rejects.toMatchObject({ code: 'forbidden' });
  app.clock.advance(900_000);
  await expect(auth.demandOwner(session, {}, '127.0.0.1')).rejects.toMatchObject({ code: 'forbidden' });
});
