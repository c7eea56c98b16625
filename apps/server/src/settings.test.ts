import { type TestDb, testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { createAudit } from './audit.ts';
import { createSettings, type SettingKey } from './settings.ts';

const key = 'limits.community' satisfies SettingKey;
const startMs = Date.UTC(2026, 10, 23, 12);

async function settingsOn(db: TestDb | Awaited<ReturnType<TestDb['reopen']>>) {
  const clock = manualClock(startMs);
  const audit = createAudit({ db, clock });
  const warnings: object[] = [];
  const settings = createSettings({ db, clock, audit: audit.entry, warn: (fields) => void warnings.push(fields) });
  await settings.fresh();
  return { settings, audit, clock, warnings };
}

test('a value that is set has a version, its line in the audit log with what was and what is, and moves the generation', async () => {
  await using db = await testDb();
  const { settings, audit } = await settingsOn(db);
  expect(settings.get(key)).toEqual({ value: {}, version: 0, actor: null });
  const generation = await db.generation();
  await settings.change('ada', key, 0, { requestsPerMinute: 20, byok: true });
  expect(settings.get(key)).toEqual({ value: { requestsPerMinute: 20, byok: true }, version: startMs, actor: 'ada' });
  expect(await db.generation()).not.toEqual(generation);
  // In the same millisecond, and yet later.
  await settings.change('bob', key, startMs, { requestsPerMinute: 30, byok: true });
  expect(settings.get(key)).toMatchObject({ version: startMs + 1, actor: 'bob' });
  await settings.change('bob', key, startMs + 1, {});
  expect(settings.get(key)).toMatchObject({ value: {}, version: startMs + 2 });
  expect((await audit.list({ limit: 9 })).map(({ actor, subject, action, detail }) => [actor, subject, action, detail])).toEqual([
    [
      'bob',
      'platform',
      'setting.changed',
      { setting: key, before: '{"requestsPerMinute":30,"byok":true}', after: '{"requestsPerMinute":null,"byok":null}' },
    ],
    ['bob', 'platform', 'setting.changed', { setting: key, before: '{"requestsPerMinute":20}', after: '{"requestsPerMinute":30}' }],
    [
      'ada',
      'platform',
      'setting.changed',
      { setting: key, before: '{"requestsPerMinute":null,"byok":null}', after: '{"requestsPerMinute":20,"byok":true}' },
    ],
  ]);
  expect((await audit.verify()).brokenAt).toBeNull();
});

test('of twenty who change the same version at once one does, and the others are told', async () => {
  await using db = await testDb();
  const { settings, audit } = await settingsOn(db);
  for (const version of [0, startMs]) {
    const all = Array.from({ length: 20 }, (_, i) =>
      settings.change(`user${i}`, key, version, { requestsPerDay: 1 + i + (version && 100) }),
    );
    const ended = await Promise.allSettled(all);
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of ended) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'conflict' });
  }
  expect(await audit.list({ limit: 9 })).toHaveLength(2);
});

test('what changes nothing writes nothing', async () => {
  await using db = await testDb();
  const { settings, audit } = await settingsOn(db);
  await settings.change('ada', key, 0, {});
  await settings.change('ada', key, 0, { requestsPerDay: 5 });
  await settings.change('ada', key, startMs, { requestsPerDay: 5 });
  expect(settings.get(key).version).toBe(startMs);
  expect(await audit.list({ limit: 9 })).toHaveLength(1);
});

test('another process sees a change at its next look, and what is derived from it is made anew once', async () => {
  await using db = await testDb();
  const { settings } = await settingsOn(db);
  const elsewhere = await db.reopen();
  const other = await settingsOn(elsewhere);
  let made = 0;
  const limit = other.settings.derived(() => {
    made += 1;
    return other.settings.get(key).value.requestsPerMinute ?? 10;
  });
  expect([limit(), limit()]).toEqual([10, 10]);
  await settings.change('ada', key, 0, { requestsPerMinute: 20 });
  // A look is believed for a millisecond.
  await expect
    .poll(async () => {
      await other.settings.fresh();
      return limit();
    })
    .toBe(20);
  expect([limit(), made]).toEqual([20, 2]);
  await elsewhere.close();
});

test('a value that is not understood counts as not set, is told of, and can be set again', async () => {
  await using db = await testDb();
  const { setting } = db.tables;
  const values = ['gibberish', { actor: 'x', value: { requestsPerMinute: -5 } }, { actor: 'x', value: { unknown: 1 } }, null, [1]];
  for (const value of values) {
    await db.orm.delete(setting);
    await db.orm.insert(setting).values({ key, value: value ?? 'null', updatedAt: new Date(startMs - 5) });
    const { settings, warnings } = await settingsOn(db);
    expect(settings.get(key)).toMatchObject({ value: {}, version: startMs - 5 });
    expect(warnings).toEqual([{ setting: key }]);
    await settings.change('ada', key, startMs - 5, { requestsPerDay: 7 });
    expect(settings.get(key)).toEqual({ value: { requestsPerDay: 7 }, version: startMs, actor: 'ada' });
  }
});

test('the rows of prices are none of its business', async () => {
  await using db = await testDb();
  await db.orm.insert(db.tables.setting).values({ key: 'prices.version', value: 'abc', updatedAt: new Date(startMs) });
  const { settings, warnings } = await settingsOn(db);
  await settings.change('ada', key, 0, { requestsPerDay: 7 });
  expect(warnings).toEqual([]);
  expect(await db.orm.select().from(db.tables.setting)).toHaveLength(2);
});
