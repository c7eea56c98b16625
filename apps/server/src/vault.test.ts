import { setImmediate as turn } from 'node:timers/promises';
import { KeyView, type ProviderId } from '@synthstack/core';
import { createKeyring } from '@synthstack/core/keyring';
import { Secret } from '@synthstack/core/secret';
import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import type { Script } from '../test/provider.ts';
import { failure, masterKeys, member, vaultStage } from '../test/vault.ts';

const ada = member('ada');
const lapsed = { userId: 'ada', byok: false };

test('a key is checked, stored sealed and shown without itself; use lends it again', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const apiKey = stage.newKey('openai');
  const view = await stage.vault.save(ada, { provider: 'openai', apiKey: `  ${apiKey}\n` });
  const [row] = await stage.vault.sealedOf('ada');
  if (!row) throw new Error('no row');
  expect(KeyView.strict().parse(view)).toEqual(view);
  expect(view).toMatchObject({ provider: 'openai', keyHint: `****...${apiKey.slice(-4)}`, status: 'valid', isValid: true, isActive: true });
  expect(view).toMatchObject({ fallback: true, lastError: null, totalRequests: 0, lastUsedAt: null, lastTestedAt: view.createdAt });
  expect(await stage.vault.list('ada')).toEqual([view]);
  expect(await stage.vault.list('bob')).toEqual([]);
  expect(stage.vault.use(row, (secret) => secret.expose())).toBe(apiKey);
  expect(stage.provider.requests.map(({ method, path, key }) => [method, path, key])).toEqual([['GET', '/v1/models', apiKey]]);
  expect(await stage.audit.list({ limit: 9 })).toMatchObject([
    { actor: 'ada', subject: 'ada', action: 'key.saved', detail: { keyId: view.id, provider: 'openai', status: 'valid' } },
  ]);
});

const checkTable: [ProviderId, Script, string, boolean][] = [
  ['openai', 'good', 'valid', false],
  ['openai', 'missing_scopes', 'valid', true],
  ['openai', { state: 'rate_limited', everywhere: true }, 'valid', false],
  ['openai', 'revoked', 'invalid', true],
  ['openai', { state: 'no_credit', everywhere: true }, 'no_credit', true],
  ['openai', 'down', 'unverified', true],
  ['openai', 'refuse', 'unverified', true],
  ['anthropic', 'good', 'valid', false],
  ['anthropic', 'permission_error', 'valid', true],
  ['anthropic', 'rate_limited', 'valid', false],
  ['anthropic', 'revoked', 'invalid', true],
  ['anthropic', 'no_credit', 'no_credit', true],
  ['anthropic', 'overloaded', 'unverified', true],
];

test('what the check says is what is stored, and the owner is told what to do', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  for (const [provider, script, status, hasError] of checkTable) {
    const apiKey = stage.newKey(provider, script);
    const name = `${provider} ${JSON.stringify(script)}`;
    const view = await stage.vault.save(ada, { provider, apiKey });
    expect(view, name).toMatchObject({ status, isValid: status === 'valid', isActive: true });
    expect(view.lastError !== null, name).toBe(hasError);
    expect(
      (await stage.vault.list('ada')).find((one) => one.id === view.id),
      name,
    ).toEqual(view);
  }
  expect(await stage.vault.list('ada')).toHaveLength(2);
});

test('what cannot be a key is refused before anybody is asked', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const other = stage.newKey('anthropic');
  const wrong: [ProviderId, string, RegExp][] = [
    ['openai', other, /looks like a key of Anthropic/],
    ['anthropic', stage.newKey('openai'), /looks like a key of OpenAI/],
    ['openai', 'hello there my friend', /special characters|spaces/],
    ['openai', 'sk-x9q2w7', /too short/],
    ['openai', `sk-${'x'.repeat(600)}`, /longer than/],
    ['openai', 'sk-proj-with-ümlaut-inside-0123', /special characters/],
    ['openai', 'sk-proj-first\nsk-proj-second-0123', /spaces, line ends/],
    ['openai', 'byok_0123456789abcdef0123456789', /gateway token/],
    ['mistral' as ProviderId, other, /Unknown provider/],
  ];
  for (const [provider, apiKey, sentence] of wrong) {
    for (const call of [stage.vault.save, stage.vault.check]) {
      const error = await failure(call(ada, { provider, apiKey }));
      const field = provider === 'openai' || provider === 'anthropic' ? 'apiKey' : 'provider';
      expect(error).toMatchObject({ code: 'invalid_input', errors: { [field]: [expect.stringMatching(sentence)] } });
      expect(JSON.stringify(error) + String(error)).not.toContain(apiKey.slice(3));
    }
  }
  expect(stage.provider.requests).toEqual([]);
  expect(await stage.vault.list('ada')).toEqual([]);
});

test('without a plan that includes it nothing is stored and nobody asked; what is stored can still be looked after', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const typed = { provider: 'openai' as const, apiKey: stage.newKey('openai') };
  for (const call of [stage.vault.save, stage.vault.check]) {
    expect(await failure(call(lapsed, typed))).toMatchObject({ code: 'plan_required', form: { http: 403 } });
  }
  expect(stage.provider.requests).toEqual([]);
  expect(await stage.vault.list('ada')).toEqual([]);
  const { view } = await stage.stored('ada');
  expect(await stage.vault.test(lapsed, view.id)).toMatchObject({ valid: true });
  expect(await stage.vault.set(lapsed, { id: view.id, isActive: false })).toMatchObject({ isActive: false });
  await stage.vault.remove(lapsed, view.id);
  expect(await stage.vault.list('ada')).toEqual([]);
});

test('a new key takes the place of the old one, keeps its fallback and totals, and begins afresh otherwise', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view: old, row } = await stage.stored('ada', 'openai', 'revoked');
  await stage.vault.set(ada, { id: old.id, isActive: false, fallback: false });
  const sums = { requests: 150, totalTokens: 50_000, costNanoUsd: 1_230_000_000, unpricedRequests: 3, lastUsedAt: stage.clock.now() };
  await db.orm.insert(db.tables.keyTotals).values({ owner: 'ada', provider: 'openai', ...sums });
  stage.clock.advance(60_000);
  const { view, row: now } = await stage.stored('ada');
  expect(await stage.vault.list('ada')).toEqual([view]);
  expect(view).toMatchObject({ isActive: true, fallback: false, lastError: null, totalRequests: 150, totalTokens: 50_000 });
  expect(view).toMatchObject({ estimatedCostUsd: 1.23, unpricedRequests: 3, lastUsedAt: '2026-11-02T12:00:00.000Z' });
  expect(view.id).not.toBe(old.id);
  expect(now.sealed.nonce).not.toEqual(row.sealed.nonce);
  expect((await stage.audit.list({ limit: 1 }))[0]).toMatchObject({ action: 'key.replaced', detail: { keyId: view.id, replaces: old.id } });
  expect(await stage.audit.verify()).toMatchObject({ rows: 3, brokenAt: null });
});

test('check and test ask the provider; check stores nothing, test remembers, a test that learns nothing takes no key out of use', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { apiKey, view } = await stage.stored('ada');
  const checked = await stage.vault.check(ada, { provider: 'anthropic', apiKey: stage.newKey('anthropic', 'revoked') });
  expect(checked).toEqual({
    valid: false,
    status: 'invalid',
    message: expect.stringContaining('does not accept'),
    latencyMs: expect.any(Number),
  });
  expect(await stage.vault.list('ada')).toEqual([view]);
  stage.clock.advance(60_000);
  stage.provider.key(apiKey, 'down');
  expect(await stage.vault.test(ada, view.id)).toMatchObject({ valid: false, status: 'unverified' });
  expect(await stage.vault.list('ada')).toEqual([{ ...view, lastTestedAt: '2026-11-02T12:01:00.000Z' }]);
  stage.provider.key(apiKey, 'revoked');
  const before = await stage.generation();
  expect(await stage.vault.test(ada, view.id)).toMatchObject({ valid: false, status: 'invalid' });
  expect(await stage.vault.list('ada')).toMatchObject([
    { status: 'invalid', isValid: false, lastError: expect.stringContaining('does not accept') },
  ]);
  stage.provider.key(apiKey, 'good');
  expect(await stage.vault.test(ada, view.id)).toMatchObject({ valid: true, status: 'valid' });
  expect(await stage.vault.list('ada')).toMatchObject([{ status: 'valid', isValid: true, lastError: null }]);
  expect(await stage.generation()).toBe(before + 2);
  expect(await stage.notices.list('ada')).toEqual([]);
});

test("someone else's key and no key give the same error everywhere, and nothing is asked or changed", async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view } = await stage.stored('ada');
  const asked = stage.provider.requests.length;
  const bob = member('bob');
  const calls = [
    (id: string) => stage.vault.test(bob, id),
    (id: string) => stage.vault.set(bob, { id, isActive: false }),
    (id: string) => stage.vault.set(bob, { id }),
    (id: string) => stage.vault.remove(bob, id),
  ];
  for (const call of calls) {
    const foreign = await failure(call(view.id));
    expect(foreign).toMatchObject({ code: 'not_found', form: { http: 404 } });
    expect(await failure(call(crypto.randomUUID()))).toEqual(foreign);
  }
  expect(stage.provider.requests).toHaveLength(asked);
  expect(await stage.vault.list('ada')).toEqual([view]);
  expect(await stage.audit.verify()).toMatchObject({ rows: 1 });
});

test('the sixth test in a minute and the 21st check of any kind are refused, and nothing is stored', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { vault } = stage;
  const { id } = await vault.save(ada, { provider: 'openai', apiKey: stage.newKey('openai') });
  for (let i = 0; i < 5; i += 1) await vault.test(ada, id);
  expect(await failure(vault.test(ada, id))).toMatchObject({ code: 'limit_reached', retryAfterMs: 60_000 });
  const typed = { provider: 'anthropic' as const, apiKey: stage.newKey('anthropic') };
  for (let i = 0; i < 5; i += 1) await vault.check(ada, typed);
  expect(await failure(vault.check(ada, typed))).toMatchObject({ code: 'limit_reached' });
  for (let i = 0; i < 9; i += 1) await vault.save(ada, { provider: 'openai', apiKey: stage.newKey('openai') });
  const asked = stage.provider.requests.length;
  expect(await failure(vault.save(ada, typed))).toMatchObject({ code: 'limit_reached', form: { http: 429 } });
  expect(stage.provider.requests).toHaveLength(asked);
  expect(await vault.list('ada')).toMatchObject([{ provider: 'openai' }]);
  stage.clock.advance(60_000);
  expect(await vault.save(ada, typed)).toMatchObject({ provider: 'anthropic' });
});

test('200 saves at once leave one row that opens', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const saved = await Promise.all(
    Array.from({ length: 200 }, () => stage.newKey('openai')).map(async (apiKey, i) => {
      const view = await stage.vault.save(member('ada', `actor${i}`), { provider: 'openai', apiKey });
      return [view.id, apiKey] as const;
    }),
  );
  const [row, ...others] = await stage.vault.sealedOf('ada');
  if (!row) throw new Error('no row');
  expect(others).toEqual([]);
  expect(stage.vault.use(row, (secret) => secret.expose())).toBe(new Map(saved).get(row.id));
  const entries = await stage.audit.list({ limit: 300 });
  expect(entries.filter((entry) => entry.action === 'key.saved')).toHaveLength(1);
  expect(entries.filter((entry) => entry.action === 'key.replaced')).toHaveLength(199);
  expect(new Set(entries.map((entry) => entry.detail.replaces)).size).toBe(200);
  const [{ seals } = { seals: 0 }] = await db.orm.select().from(db.tables.masterKey);
  expect(seals).toBe(200);
});

test('saves from two processes at once leave one row that opens', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const vaults = [stage.vault, stage.anotherVault(stage.keyring), stage.anotherVault(stage.keyring)];
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(vaults.map((vault) => vault.save(ada, { provider: 'openai', apiKey: stage.newKey('openai') })));
  }
  const keys = await stage.vault.sealedOf('ada');
  expect(keys).toMatchObject([{ status: 'valid' }]);
  expect(await stage.audit.verify()).toMatchObject({ rows: 15, brokenAt: null });
});

test('save and delete at once: what was deleted never comes back, what was saved is there', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const user = `user${i}`;
      const { view: old } = await stage.stored(user);
      const waits = async (turns: number) => {
        for (let n = 0; n < turns; n += 1) await turn();
      };
      const [saved] = await Promise.all([
        stage.stored(user).then(({ view }) => view),
        waits(i % 7).then(async () => {
          await stage.vault.remove(member(user), old.id).catch((error: unknown) => expect(error).toMatchObject({ code: 'not_found' }));
          expect((await stage.vault.sealedOf(user)).map((row) => row.id)).not.toContain(old.id);
        }),
      ]);
      expect((await stage.vault.list(user)).map((key) => key.id)).toEqual([saved.id]);
    }),
  );
});

test('a nonce that was used before is refused by the database and made anew', async () => {
  await using db = await testDb();
  const nonces = [...'canary', 'A', 'A', 'B'].map((letter) => Buffer.alloc(12, letter)).slice(5);
  const keyring = createKeyring({ current: masterKeys.one, randomNonce: () => nonces.shift() ?? Buffer.alloc(12, 'A') });
  await using stage = await vaultStage(db, { keyring });
  await stage.stored('ada', 'openai');
  const { apiKey, row } = await stage.stored('ada', 'anthropic');
  expect(row.sealed.nonce).toEqual(Buffer.alloc(12, 'B'));
  expect(stage.vault.use(row, (secret) => secret.expose())).toBe(apiKey);
  // Only repeats are left.
  expect(await failure(stage.stored('bob', 'openai'))).toMatchObject({ code: 'conflict' });
  expect(await stage.vault.list('bob')).toEqual([]);
});

test('seals are counted; from 2^31 administrators are told, at 2^32 nothing is sealed any more', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const count = (seals: number) => db.orm.update(db.tables.masterKey).set({ seals });
  await count(2 ** 31 - 2);
  await stage.stored('ada');
  expect(await stage.notices.list('administrators')).toEqual([]);
  await stage.stored('ada');
  await stage.stored('ada');
  expect(await stage.notices.list('administrators')).toMatchObject([
    { kind: 'rotation_due', data: { masterKeyId: stage.keyring.sealingKeyId } },
  ]);
  await count(2 ** 32 - 1);
  const { view } = await stage.stored('ada');
  expect(await failure(stage.stored('ada'))).toMatchObject({
    code: 'storage_unavailable',
    message: expect.stringContaining('Nothing was saved'),
  });
  expect(await stage.vault.list('ada')).toEqual([view]);
});

test('a database that cannot be written says that nothing was saved, and recovers alone', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view } = await stage.stored('ada');
  await db.commit([{ sql: 'alter table audit rename to away', params: [] }]);
  const apiKey = stage.newKey('openai');
  const error = await failure(stage.vault.save(ada, { provider: 'openai', apiKey }));
  expect(error).toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining('Nothing was saved') });
  await expect(stage.vault.remove(ada, view.id)).rejects.toMatchObject({ code: 'storage_unavailable' });
  expect(await stage.vault.list('ada')).toEqual([view]);
  await db.commit([{ sql: 'alter table away rename to audit', params: [] }]);
  expect(await stage.vault.save(ada, { provider: 'openai', apiKey })).toMatchObject({ status: 'valid' });
});

test("the platform's key: a stored one that works, else the environment's, else what is stored; all lent alike", async () => {
  await using db = await testDb();
  const given = new Secret('sk-ant-from-the-environment-0123');
  await using stage = await vaultStage(db, { platformSecrets: { anthropic: given } });
  const root = { userId: 'platform', byok: true, actor: 'root' };
  const lent = async (id: ProviderId) => {
    const key = await stage.vault.platformKey(id);
    return key && stage.vault.use(key, (secret) => secret.expose());
  };
  expect([await lent('openai'), await lent('anthropic')]).toEqual([null, 'sk-ant-from-the-environment-0123']);
  expect([...(await stage.vault.platformProviders())]).toEqual(['anthropic']);
  const broke = stage.newKey('anthropic', 'no_credit');
  await stage.vault.save(root, { provider: 'anthropic', apiKey: broke });
  expect(await lent('anthropic')).toBe('sk-ant-from-the-environment-0123');
  const good = stage.newKey('anthropic');
  const view = await stage.vault.save(root, { provider: 'anthropic', apiKey: good });
  expect(await lent('anthropic')).toBe(good);
  await stage.vault.set(root, { id: view.id, isActive: false });
  expect(await lent('anthropic')).toBe('sk-ant-from-the-environment-0123');
  const openai = stage.newKey('openai', 'down');
  await stage.vault.save(root, { provider: 'openai', apiKey: openai });
  expect(await lent('openai')).toBe(openai);
  expect(await stage.vault.list('platform')).toHaveLength(2);
  expect((await stage.audit.list({ subject: 'platform', limit: 1 }))[0]).toMatchObject({ actor: 'root' });
  // The two purposes have different subkeys: nobody can turn a user's row into the platform's.
  await stage.stored('ada', 'openai');
  await db.orm.delete(db.tables.providerKey).where(eq(db.tables.providerKey.owner, 'platform'));
  await db.orm.update(db.tables.providerKey).set({ owner: 'platform' });
  expect(await stage.vault.list('platform')).toMatchObject([{ status: 'unreadable' }]);
  expect(await lent('openai')).toBeNull();
});
