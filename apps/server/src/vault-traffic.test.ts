import { setImmediate as turn } from 'node:timers/promises';
import type { ProviderId } from '@synthstack/core';
import { statement } from '@synthstack/core/db';
import { Secret } from '@synthstack/core/secret';
import { testDb, testOnSqlite } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { member, vaultStage } from '../test/vault.ts';
import { isDue } from './vault-rechecks.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

type Stage = Awaited<ReturnType<typeof vaultStage>>;
const statusOf = async ({ vault }: Stage, owner: string) => (await vault.list(owner)).map((key) => key.status).join();
const rowOf = async ({ vault }: Stage, owner: string) => {
  const [row] = await vault.sealedOf(owner);
  if (!row) throw new Error('no row');
  return row;
};

test('a refused key is out of use, its owner is told once, and caches hear of it', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { row } = await stage.stored('ada');
  const before = await stage.generation();
  await Promise.all(Array.from({ length: 50 }, () => stage.vault.report(row, 'bad_key')));
  expect(await stage.generation()).toBe(before + 1);
  expect(await stage.vault.list('ada')).toMatchObject([
    { status: 'invalid', isValid: false, lastError: expect.stringContaining('does not accept') },
  ]);
  const data = { keyId: row.id, provider: 'openai', keyHint: row.keyHint };
  expect(await stage.notices.list('ada')).toMatchObject([{ kind: 'key_invalid', data }]);
});

test('outcomes that say nothing about the key change nothing, and an ordinary answer costs no write', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { row } = await stage.stored('ada');
  const before = await db.orm.select().from(db.tables.providerKey);
  const generation = await stage.generation();
  // Without the tables any statement would fail.
  await db.commit([
    { sql: 'alter table provider_key rename to away', params: [] },
    { sql: 'alter table notice rename to away2', params: [] },
  ]);
  for (const outcome of ['ok', 'not_allowed', 'rate_limited', 'refused', 'down'] as const) await stage.vault.report(row, outcome);
  await expect(stage.vault.report(row, 'bad_key')).rejects.toMatchObject({ code: 'storage_unavailable' });
  await db.commit([
    { sql: 'alter table away rename to provider_key', params: [] },
    { sql: 'alter table away2 rename to notice', params: [] },
  ]);
  expect(await db.orm.select().from(db.tables.providerKey)).toEqual(before);
  expect(await stage.generation()).toBe(generation);
});

test('a key without credit is tried by one request after 5 minutes, then at doubling distances up to 6 hours', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { row } = await stage.stored('ada');
  await stage.vault.report(row, 'no_credit');
  expect(await stage.notices.list('ada')).toMatchObject([{ kind: 'key_no_credit' }]);
  for (const waitMs of [5, 10, 20, 40, 80, 160, 320, 360, 360].map((minutes) => minutes * minuteMs)) {
    const key = await rowOf(stage, 'ada');
    stage.clock.advance(waitMs - 1);
    expect(await stage.vault.takeTrial(key)).toBe(false);
    stage.clock.advance(1);
    const taken = await Promise.all(Array.from({ length: 20 }, () => stage.vault.takeTrial(key)));
    expect(taken.filter(Boolean), `after ${waitMs / minuteMs} minutes`).toHaveLength(1);
    await stage.vault.report(key, 'no_credit');
    expect(await statusOf(stage, 'ada')).toBe('no_credit');
    expect(await stage.vault.takeTrial(await rowOf(stage, 'ada'))).toBe(false);
  }
  await stage.vault.report(await rowOf(stage, 'ada'), 'ok');
  expect(await stage.vault.list('ada')).toMatchObject([{ status: 'valid', lastError: null }]);
  expect(await rowOf(stage, 'ada')).toMatchObject({ retryAt: null, retries: 0 });
  expect(await stage.notices.list('ada')).toHaveLength(1);
});

test('a test that finds no credit again does not put off the next trial', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view, row } = await stage.stored('ada', 'anthropic', 'no_credit');
  stage.clock.advance(4 * minuteMs);
  expect(await stage.vault.test(member('ada'), view.id)).toMatchObject({ status: 'no_credit' });
  expect((await rowOf(stage, 'ada')).retryAt).toEqual(row.retryAt);
  expect(row.retryAt?.getTime()).toBe(stage.clock.now() + minuteMs);
});

test('a late answer about a replaced or removed key changes nothing', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { row: old } = await stage.stored('ada');
  const { row } = await stage.stored('ada');
  const generation = await stage.generation();
  await stage.vault.report(old, 'bad_key');
  await stage.vault.report({ ...row, id: old.id }, 'no_credit');
  expect(await statusOf(stage, 'ada')).toBe('valid');
  expect(await stage.generation()).toBe(generation);
  expect(await stage.notices.list('ada')).toEqual([]);
  // The control: the key that is there does change.
  await stage.vault.report(row, 'no_credit');
  expect(await statusOf(stage, 'ada')).toBe('no_credit');
  await stage.vault.remove(member('ada'), row.id);
  await stage.vault.report(row, 'ok');
  expect(await stage.vault.list('ada')).toEqual([]);
});

test('200 interleavings of a replacement and a late 401 of the old key all end with the new key, valid', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  async function interleave(i: number): Promise<string> {
    const user = `user${i}`;
    const { row: old } = await stage.stored(user);
    const late = async () => {
      for (let turns = i % 23; turns > 0; turns -= 1) await turn();
      await stage.vault.report(old, 'bad_key');
    };
    const [{ apiKey }] = await Promise.all([stage.stored(user), late()]);
    const keys = await stage.vault.sealedOf(user);
    const opens = keys.map((row) => stage.vault.use(row, (secret) => secret.expose()) === apiKey);
    return `${keys.map((row) => row.status)} ${opens}`;
  }
  const ends = new Set<string>();
  for (let round = 0; round < 200; round += 20) {
    for (const end of await Promise.all(Array.from({ length: 20 }, (_, i) => interleave(round + i)))) ends.add(end);
  }
  expect([...ends]).toEqual(['valid true']);
  expect(await stage.audit.verify()).toMatchObject({ rows: 400, brokenAt: null });
});

test('a key that could not be checked is checked again after 1, 5, 15 and 60 minutes, then daily, until it is known', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { apiKey } = await stage.stored('ada', 'openai', 'down');
  const asked = () => stage.provider.requests.length;
  for (const waitMs of [minuteMs, 5 * minuteMs, 15 * minuteMs, hourMs, dayMs, dayMs]) {
    stage.clock.advance(waitMs - 1);
    expect(await stage.vault.runRechecks()).toBe(0);
    stage.clock.advance(1);
    const before = asked();
    expect(await stage.vault.dueRechecks()).toHaveLength(1);
    // Two processes that run at once ask once.
    const [one, two] = await Promise.all([stage.vault.runRechecks(), stage.anotherVault(stage.keyring).runRechecks()]);
    expect(one + two, `after ${waitMs / minuteMs} minutes`).toBe(1);
    expect(asked()).toBe(before + 1);
    expect(await statusOf(stage, 'ada')).toBe('unverified');
  }
  stage.provider.key(apiKey, 'good');
  stage.clock.advance(dayMs);
  expect(await stage.vault.runRechecks()).toBe(1);
  expect(await stage.vault.list('ada')).toMatchObject([{ status: 'valid', lastError: null }]);
  expect(await rowOf(stage, 'ada')).toMatchObject({ retryAt: null, retries: 0 });
  expect((await stage.audit.list({ limit: 1 }))[0]).toMatchObject({ actor: 'system', action: 'key.tested', detail: { status: 'valid' } });
  stage.clock.advance(10 * dayMs);
  expect(await stage.vault.runRechecks()).toBe(0);
});

test('a refused key is checked once a day; one found refused by a re-check is told to its owner', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { apiKey } = await stage.stored('ada', 'anthropic', 'overloaded');
  stage.provider.key(apiKey, 'revoked');
  stage.clock.advance(minuteMs);
  expect(await stage.vault.runRechecks()).toBe(1);
  expect(await stage.vault.list('ada')).toMatchObject([{ status: 'invalid' }]);
  expect(await stage.notices.list('ada')).toMatchObject([{ kind: 'key_invalid' }]);
  for (let day = 0; day < 3; day += 1) {
    stage.clock.advance(dayMs - 1);
    expect(await stage.vault.runRechecks()).toBe(0);
    stage.clock.advance(1);
    expect(await stage.vault.runRechecks()).toBe(1);
  }
  stage.provider.key(apiKey, 'good');
  stage.clock.advance(dayMs);
  expect(await stage.vault.runRechecks()).toBe(1);
  expect(await statusOf(stage, 'ada')).toBe('valid');
  expect(await stage.notices.list('ada')).toHaveLength(1);
});

test('keys that are switched off, without credit or in use are not checked by us', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { view } = await stage.stored('ada', 'openai', 'down');
  await stage.vault.set(member('ada'), { id: view.id, isActive: false });
  await stage.stored('bob', 'anthropic', 'no_credit');
  await stage.stored('eve');
  stage.clock.advance(2 * dayMs);
  expect(await stage.vault.runRechecks()).toBe(0);
  await stage.vault.set(member('ada'), { id: view.id, isActive: true });
  expect(await stage.vault.runRechecks()).toBe(1);
});

test('a key that is replaced while we check the old one stays as it was saved', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { apiKey } = await stage.stored('ada', 'openai', 'down');
  stage.provider.key(apiKey, 'revoked');
  stage.clock.advance(minuteMs);
  const gate = stage.provider.gate('head', { key: apiKey });
  const run = stage.vault.runRechecks();
  await gate.reached;
  await stage.stored('ada');
  gate.open();
  expect(await run).toBe(1);
  expect(await statusOf(stage, 'ada')).toBe('valid');
  expect(await stage.notices.list('ada')).toEqual([]);
});

test("trouble with the platform's key is told to administrators, once a day for each kind, and changes no status", async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db, { platformSecrets: { anthropic: new Secret('sk-ant-from-the-environment-0123') } });
  await stage.vault.save({ userId: 'platform', byok: true, actor: 'root' }, { provider: 'openai', apiKey: stage.newKey('openai') });
  for (const provider of ['openai', 'anthropic'] satisfies ProviderId[]) {
    const key = await stage.vault.platformKey(provider);
    if (!key) throw new Error('no platform key');
    for (const outcome of ['bad_key', 'ok', 'down', 'rate_limited', 'refused', 'bad_key', 'no_credit'] as const)
      await stage.vault.report(key, outcome);
  }
  const told = (await stage.notices.list('administrators')).map(({ kind, data }) => `${kind} ${data.provider} ${data.reason}`);
  // The log says so too, as often: on a server without administrators' pages it is all that an operator sees.
  expect(stage.warnings).toHaveLength(told.length);
  expect(stage.warnings.every((line) => line.startsWith("The platform's key does not work") && line.includes('****...'))).toBe(true);
  expect(told.sort()).toEqual([
    'platform_key_failed anthropic bad_key',
    'platform_key_failed anthropic no_credit',
    'platform_key_failed openai bad_key',
    'platform_key_failed openai no_credit',
  ]);
  expect(await statusOf(stage, 'platform')).toBe('valid');
});

test("a platform's key without credit is checked by us, since no user would try it", async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const apiKey = stage.newKey('anthropic', 'no_credit');
  await stage.vault.save({ userId: 'platform', byok: true, actor: 'root' }, { provider: 'anthropic', apiKey });
  for (const minutes of [5, 10, 20]) {
    stage.clock.advance(minutes * minuteMs - 1);
    expect(await stage.vault.runRechecks()).toBe(0);
    stage.clock.advance(1);
    expect(await stage.vault.runRechecks()).toBe(1);
  }
  stage.provider.key(apiKey, 'good');
  stage.clock.advance(40 * minuteMs);
  expect(await stage.vault.runRechecks()).toBe(1);
  expect(await statusOf(stage, 'platform')).toBe('valid');
});

test('a key that cannot be opened is told to its owner once', async () => {
  await using db = await testDb();
  await using stage = await vaultStage(db);
  const { row } = await stage.stored('ada');
  await db.orm
    .update(db.tables.providerKey)
    .set({ encryptedBlob: Buffer.alloc(80) })
    .where(eq(db.tables.providerKey.id, row.id));
  const broken = await rowOf(stage, 'ada');
  expect(broken.status).toBe('unreadable');
  expect(() => stage.vault.use(broken, () => 1)).toThrow(expect.objectContaining({ code: 'key_unusable' }));
  for (let i = 0; i < 5; i += 1) await stage.vault.report(broken, 'unreadable');
  expect(await stage.notices.list('ada')).toMatchObject([{ kind: 'key_unreadable', data: { keyId: row.id } }]);
  expect(await stage.vault.test(member('ada'), row.id)).toMatchObject({ valid: false, status: 'unreadable', latencyMs: 0 });
});

testOnSqlite('the keys that wait for a check are found by their time, not by reading all keys there are', async () => {
  await using db = await testDb();
  const { providerKey } = db.tables;
  const { sql, params } = statement(
    db.orm
      .select()
      .from(providerKey)
      .where(isDue(db, 0, ['mk_one', 'mk_two']))
      .orderBy(providerKey.provider),
  );
  const plan = await db.read({ sql: `explain query plan ${sql}`, params });
  expect(plan[0]?.[3]).toBe('SEARCH provider_key USING INDEX provider_key_retry (retry_at<?)');
});
