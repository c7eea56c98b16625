import { randomUUID } from 'node:crypto';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { ask } from '../test/chat.ts';
import { ending, meterOn, opening } from '../test/meter.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const noon = Date.UTC(2026, 10, 2, 12);
const query = { timezone: 'UTC', days: 7 };

test('each use is counted once with its request, whether the row is opened and closed at once, apart, or moved to another key', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  at(noon);
  const [first, second, token] = [randomUUID(), randomUUID(), randomUUID()];
  const begun = (more: Parameters<typeof opening>[2] = {}) =>
    opening(meter, noon, { keyId: first, firstKeyId: first, tokenId: token, ...more });
  const atOnce = begun();
  meter.begin(atOnce);
  await meter.settle(atOnce, ending(5, 5));
  const apart = begun();
  await meter.record(apart);
  await meter.settle(apart, ending(5, 5));
  // Refused on its first key, answered on the next; and one that fell back to the platform's.
  const moved = begun();
  await meter.record(moved);
  moved.keyId = second;
  await meter.reroute(moved);
  await meter.settle(moved, ending(5, 5));
  const fell = begun();
  const opened = meter.begin(fell);
  Object.assign(fell, { keyId: null, source: 'platform' });
  await opened.onDisk();
  await meter.reroute(fell);
  await meter.settle(fell, ending(5, 5));
  const platforms = begun({ keyId: null, firstKeyId: null, source: 'platform' });
  await meter.record(platforms);
  await meter.settle(platforms, ending(5, 5));
  const { uses } = await meter.uses('ada', query);
  expect(uses.map(({ keyId, uses: n }) => [keyId, n]).sort()).toEqual(
    [
      [first, 4],
      [second, 1],
    ].sort(),
  );
  expect(uses[0]).toMatchObject({ day: '2026-11-02', provider: 'openai', keyHint: null, token: { id: token, name: null } });
  expect(uses[0]?.lastAt).toBe('2026-11-02T12:00:00.000Z');
});

test('a thousand at once add up, by hour and token, and the last time is the last, in whatever order they arrive', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  const [key, one, other] = [randomUUID(), randomUUID(), randomUUID()];
  at(noon + 3 * hourMs);
  await Promise.all(
    Array.from({ length: 1_000 }, async (_, i) => {
      const startedAt = noon + ((i * 7_919) % 1_000) * 7_200;
      const request = opening(meter, startedAt, { keyId: key, tokenId: i % 4 === 0 ? one : i % 4 === 1 ? null : other });
      meter.begin(request);
      await meter.settle(request, ending(1, 1));
    }),
  );
  const rows = await db.orm.select().from(db.tables.keyUse);
  expect(rows).toHaveLength(6);
  expect(rows.reduce((sum, row) => sum + row.uses, 0)).toBe(1_000);
  const { uses } = await meter.uses('ada', query);
  const byToken = Object.fromEntries(uses.map((use) => [use.token?.id ?? 'none', use.uses]));
  expect(byToken).toEqual({ [one]: 250, none: 250, [other]: 500 });
  expect(uses[0]?.lastAt).toBe(new Date(noon + 999 * 7_200 - ((999 * 7_200) % 1_000)).toISOString());
});

test('days are those of the zone, the newest first; a page goes on where there is something, and 90 days are kept', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  const key = randomUUID();
  const use = async (atMs: number, more: Parameters<typeof opening>[2] = {}) => {
    at(atMs);
    const request = opening(meter, atMs, { keyId: key, ...more });
    await meter.record(request);
    await meter.settle(request, ending(1, 1));
  };
  // 23:30 and 00:30 in Berlin.
  await use(Date.UTC(2026, 9, 1, 21, 30));
  await use(Date.UTC(2026, 9, 31, 22, 30));
  await use(Date.UTC(2026, 9, 31, 23, 30));
  await use(Date.UTC(2026, 9, 31, 23, 40), { provider: 'anthropic' });
  await use(Date.UTC(2026, 9, 31, 23, 50), { userId: 'bob' });
  const berlin = { timezone: 'Europe/Berlin', days: 2 };
  const page = await meter.uses('ada', berlin);
  expect(page.today).toBe('2026-11-01');
  expect(page.uses.map(({ day, provider }) => [day, provider])).toEqual([
    ['2026-11-01', 'anthropic'],
    ['2026-11-01', 'openai'],
    ['2026-10-31', 'openai'],
  ]);
  expect((await meter.uses('ada', { ...berlin, provider: 'anthropic' })).uses).toHaveLength(1);
  expect(page.nextBefore).toBe('2026-10-02');
  expect(await meter.uses('ada', { ...berlin, before: page.nextBefore ?? '' })).toMatchObject({
    uses: [{ day: '2026-10-01', uses: 1 }],
    nextBefore: null,
  });
  expect((await meter.uses('ada', { ...query, days: 1 })).uses.map(({ day, uses: n }) => [day, n])).toEqual([
    ['2026-10-31', 1],
    ['2026-10-31', 2],
  ]);
  expect((await meter.uses('nobody', berlin)).uses).toEqual([]);
  at(Date.UTC(2026, 9, 31, 23) + 90 * dayMs);
  expect(await meter.forgetOldUses()).toBe(2);
  expect(await meter.forgetOldUses()).toBe(0);
  expect(await db.orm.select().from(db.tables.keyUse)).toHaveLength(3);
});

test('through the gateway: what was tried, looked up or asked of an agent counts, the platform does not, and names are the owner’s', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const person = await app.person({ keys: { openai: 'good' } });
  const [key] = await app.keysOf(person);
  const usesOf = async () => {
    const res = await app.fetch(person, '/api/v1/api-keys/uses?days=1');
    expect(res.status).toBe(200);
    return ((await res.json()) as { uses: { uses: number; token: { name: string } | null; keyHint: string }[] }).uses;
  };
  expect(await usesOf()).toEqual([]);
  for (let i = 0; i < 3; i += 1) await (await app.chat(person, 'hello')).text();
  await (await app.chat(person, 'hello', { stream: true })).text();
  await (await app.fetch(person, '/v1/models')).text();
  await expect.poll(async () => (await usesOf())[0]?.uses).toBe(5);
  await ask(app, person, { content: 'hello' });
  await app.app.agents.idle();
  app.provider.key(person.secrets.openai ?? '', 'revoked', 'openai');
  // Refused by the provider, answered by the platform's key: it was opened all the same. The next one does not open it.
  for (const _ of [1, 2]) await (await app.chat(person, 'hello')).text();
  const uses = await usesOf();
  expect(uses.map(({ uses: n, token, keyHint }) => [n, token?.name, keyHint])).toEqual([[7, 'test', key?.keyHint]]);
  const other = await app.person();
  expect(await (await app.fetch(other, '/api/v1/api-keys/uses?days=31')).json()).toMatchObject({ uses: [], nextBefore: null });
});
