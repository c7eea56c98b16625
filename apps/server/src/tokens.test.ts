import { hash } from 'node:crypto';
import { TokenView } from '@synthstack/core';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { authStage } from '../test/auth.ts';
import { createAudit } from './audit.ts';
import { createTokens } from './tokens.ts';

const day = 86_400_000;
const simple = { name: 'laptop', scopes: ['gateway' as const] };

test('a token is shown once, found by its secret, and only its hash is kept', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const tokens = createTokens({ db, clock: stage.clock });
  const { token, secret } = await tokens.create(userId, { ...simple, scopes: ['gateway', 'manage', 'manage'] });
  expect(secret).toMatch(/^byok_[A-Za-z0-9_-]{43}$/);
  expect(TokenView.parse(token)).toEqual(token);
  expect(token).toMatchObject({
    name: 'laptop',
    prefix: secret.slice(0, 9),
    scopes: ['gateway', 'manage'],
    expiresAt: null,
    lastUsedAt: null,
  });
  expect(await tokens.find(secret)).toEqual({
    ...{ tokenId: token.id, userId, scopes: ['gateway', 'manage'], expiresAt: null },
    ...{ owner: { isAdmin: false, disabled: false }, planRow: undefined },
  });
  expect(await tokens.list(userId)).toEqual([token]);
  const rows = await db.orm.select().from(db.tables.gatewayToken);
  expect(rows[0]?.hash).toBe(hash('sha256', secret));
  expect(JSON.stringify(rows)).not.toContain(secret.slice(9));
});

test('no other text finds a token', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const tokens = createTokens({ db, clock: stage.clock });
  const { secret, token } = await tokens.create(userId, simple);
  const flipped = secret.slice(0, -1) + (secret.endsWith('A') ? 'B' : 'A');
  const others = [
    flipped,
    secret.toUpperCase(),
    `${secret} `,
    ` ${secret}`,
    secret.slice(0, -1),
    hash('sha256', secret),
    token.id,
    'byok_',
    '',
    `byok_${'\0'.repeat(43)}`,
  ];
  for (const text of others) expect([text, await tokens.find(text)]).toEqual([text, null]);
});

test('an expired token is not found, and one that would be born expired is refused', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const tokens = createTokens({ db, clock: stage.clock });
  const iso = (ms: number) => new Date(stage.clock.now() + ms).toISOString();
  const { secret } = await tokens.create(userId, { ...simple, expiresAt: iso(day) });
  stage.clock.advance(day - 1);
  expect(await tokens.find(secret)).toMatchObject({ userId });
  stage.clock.advance(1);
  expect(await tokens.find(secret)).toBeNull();
  expect(await tokens.list(userId)).toHaveLength(1);
  const late = tokens.create(userId, { ...simple, expiresAt: iso(0) });
  await expect(late).rejects.toMatchObject({ code: 'invalid_input', errors: { expiresAt: [expect.any(String)] } });
});

test('a token is revoked by its owner, and to anybody else it does not exist', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const [ada, eve] = [await stage.person('ada'), await stage.person('eve')];
  const audit = createAudit({ db, clock: stage.clock });
  const tokens = createTokens({ db, clock: stage.clock, audit: audit.entry });
  const generation = async () => (await db.orm.select().from(db.tables.generation))[0]?.value ?? Number.NaN;
  const { token, secret } = await tokens.create(ada.userId, simple);
  const before = await generation();

  const refusals = await Promise.allSettled([
    tokens.revoke(eve.userId, token.id),
    tokens.revoke(eve.userId, 'c0ffee00-0000-4000-8000-000000000000'),
  ]);
  const said = refusals.map((one) => one.status === 'rejected' && `${one.reason.code} ${one.reason.message}`);
  expect(said).toEqual(['not_found There is no such token.', 'not_found There is no such token.']);
  expect(await tokens.list(eve.userId)).toEqual([]);
  expect(await tokens.find(secret)).not.toBeNull();

  await tokens.revoke(ada.userId, token.id);
  expect(await tokens.find(secret)).toBeNull();
  expect(await generation()).toBe(before + 1);
  await expect(tokens.revoke(ada.userId, token.id)).rejects.toMatchObject({ code: 'not_found' });
  const notes = await audit.list({ limit: 10 });
  expect(notes.map(({ action, actor, detail }) => [action, actor, detail.token])).toEqual([
    ['token.revoked', ada.userId, token.id],
    ['token.created', ada.userId, token.id],
  ]);
  expect(JSON.stringify(notes)).not.toContain(secret.slice(9, 30));
});

test('last use is written at most once a minute, in one go, and never moves the generation or back in time', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const commits: number[] = [];
  const counted = { ...db, commit: (list: Parameters<typeof db.commit>[0]) => { commits.push(list.length); return db.commit(list); } }; // biome-ignore format: one line
  const tokens = createTokens({ db: counted, clock: stage.clock });
  const [one, two] = [await tokens.create(userId, simple), await tokens.create(userId, simple)];
  const generation = await db.orm.select().from(db.tables.generation);
  commits.length = 0;
  const lastUsed = async (id: string) => (await tokens.list(userId)).find((token) => token.id === id)?.lastUsedAt ?? null;

  for (let i = 0; i < 59; i += 1) {
    tokens.touch(one.token.id);
    stage.clock.advance(1_000);
  }
  tokens.touch(two.token.id);
  expect(commits).toEqual([]);
  stage.clock.advance(1_000);
  await tokens.flush();
  expect(commits).toEqual([2]);
  expect(await lastUsed(one.token.id)).toBe(new Date(stage.clock.now() - 2_000).toISOString());
  expect(await lastUsed(two.token.id)).toBe(new Date(stage.clock.now() - 1_000).toISOString());
  expect(await db.orm.select().from(db.tables.generation)).toEqual(generation);

  tokens.touch(one.token.id);
  const later = new Date(stage.clock.now() + day);
  await db.orm.update(db.tables.gatewayToken).set({ lastUsedAt: later });
  await tokens.flush();
  expect(await lastUsed(one.token.id)).toBe(later.toISOString());
  await tokens.flush();
  expect(commits).toEqual([2, 1]);
});

test('what could not be written is written later', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const tokens = createTokens({ db, clock: stage.clock });
  const { token } = await tokens.create(userId, simple);
  await db.commit([{ sql: 'alter table gateway_token rename to away', params: [] }]);
  const usedAt = stage.clock.now();
  tokens.touch(token.id);
  await expect(tokens.flush()).rejects.toMatchObject({ code: 'storage_unavailable' });
  await db.commit([{ sql: 'alter table away rename to gateway_token', params: [] }]);
  stage.clock.advance(1_000);
  await tokens.flush();
  expect((await tokens.list(userId))[0]?.lastUsedAt).toBe(new Date(usedAt).toISOString());
});
