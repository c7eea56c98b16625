import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { count, sql, sum } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { createModules } from '../src/app.ts';
import { createLog } from '../src/ports/log.ts';
import { benchConfig, newSecrets } from './config.ts';
import { idOf, oneOf, tokenOf } from './people.ts';
import { seed } from './seed.ts';
import { providerKey } from './shapes.ts';

/** Seven people and a thousand requests, opened by the program's own modules. */
async function seeded(busyEvery = 0) {
  const folder = await mkdtemp(join(tmpdir(), 'byok-bench-'));
  const config = benchConfig({ folder, secrets: newSecrets(), upstreamPort: 1 });
  await seed(config, { users: 7, rows: 1_000, busyEvery });
  const modules = await createModules(config, { log: createLog({ level: 'silent', format: 'json' }) });
  return {
    ...modules,
    async [Symbol.asyncDispose]() {
      await modules.outbound.close();
      await modules.db.close();
      await rm(folder, { recursive: true });
    },
  };
}

test('people of the seed have a token, a plan and a key that opens', async () => {
  await using app = await seeded();
  for (const person of [0, 3, 6]) {
    const userId = idOf('user', person);
    expect(await app.tokens.find(tokenOf(person))).toMatchObject({ userId, scopes: ['gateway'] });
    expect(await app.auth.person(userId)).toEqual({ isAdmin: false, disabled: false });
    expect(await app.plans.of(userId)).toMatchObject({ tier: 'premium', byok: true });
    const [key] = await app.vault.sealedOf(userId);
    if (!key) throw new Error('There is no key.');
    expect(key).toMatchObject({ status: 'valid', isActive: true, keyHint: `****...${providerKey.slice(-4)}` });
    expect(app.vault.use(key, (secret) => secret.expose())).toBe(providerKey);
  }
  expect(await app.tokens.find(tokenOf(7))).toBeNull();
});

test('the sums of the seed are those of its requests, and its indexes are there', async () => {
  await using app = await seeded();
  const { request, usageUser, usageTotal, usageUserDay, keyTotals } = app.db.tables;
  const [rows] = await app.db.orm.select({ requests: count(), cost: sum(request.costNanoUsd) }).from(request);
  expect(rows?.requests).toBe(1_000);
  for (const table of [usageUser, usageTotal, usageUserDay, keyTotals]) {
    expect(await app.db.orm.select({ requests: sum(table.requests), cost: sum(table.costNanoUsd) }).from(table)).toEqual([
      { requests: '1000', cost: rows?.cost },
    ]);
  }
  const own = (userId: string) => sql`${request.userId} = ${userId}`;
  const [mine] = await app.db.orm
    .select({ requests: count() })
    .from(request)
    .where(own(idOf('user', 2)));
  const [summed] = await app.db.orm
    .select({ requests: sum(usageUser.requests) })
    .from(usageUser)
    .where(sql`${usageUser.userId} = ${idOf('user', 2)}`);
  expect(Number(summed?.requests)).toBe(mine?.requests);
  const indexes = await app.db.read({ sql: "select name from sqlite_master where name = 'request_user'", params: [] });
  expect(indexes).toHaveLength(1);
});

test("a busy person's requests are of many kinds, and each sum has them once", async () => {
  await using app = await seeded(2);
  const { request, usageUser, usageTotal, usageUserDay, keyTotals } = app.db.tables;
  const { orm } = app.db;
  const kinds = await orm
    .select({ provider: request.provider, model: request.model, source: request.source, requests: count() })
    .from(request)
    .groupBy(request.provider, request.model, request.source)
    .orderBy(request.provider, request.model, request.source);
  expect(kinds.length).toBeGreaterThan(5);
  for (const table of [usageUser, usageTotal]) {
    const { provider, model, source } = table;
    const summed = orm
      .select({ provider, model, source, requests: sum(table.requests).mapWith(Number) })
      .from(table)
      .groupBy(provider, model, source)
      .orderBy(provider, model, source);
    expect(await summed).toEqual(kinds);
  }
  const ofOwnKeys = kinds.filter(({ source }) => source === 'user').reduce((all, { requests }) => all + requests, 0);
  expect(await orm.select({ requests: sum(usageUserDay.requests) }).from(usageUserDay)).toEqual([{ requests: '1000' }]);
  expect(await orm.select({ requests: sum(keyTotals.requests) }).from(keyTotals)).toEqual([{ requests: String(ofOwnKeys) }]);
});

test('a crowd is drawn from all over the people', () => {
  const drawn = Array.from({ length: 1_000 }, (_, i) => oneOf({ users: 1_000_000, active: 1_000 }, i / 1_000));
  expect(new Set(drawn).size).toBe(1_000);
  expect([Math.min(...drawn), Math.max(...drawn)]).toEqual([0, 999_000]);
  expect(oneOf({ users: 10, active: 10 }, 0.999)).toBe(9);
});
