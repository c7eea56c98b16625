import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemHealth } from '@synthstack/core';
import { testDialect } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';

test('it says how the server is, without a secret, and what the last requests to providers met', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const root = await app.person({ admin: true });
  const ada = await app.person({ tier: 'premium', keys: { openai: 'good' } });
  const ask = async () => {
    const res = await app.fetch(root, '/api/v1/admin/health');
    const text = await res.text();
    expect(res.status, text).toBe(200);
    return { health: SystemHealth.parse(JSON.parse(text)), text };
  };
  const { health, text } = await ask();
  expect(health).toMatchObject({
    state: 'ok',
    database: { state: 'ok', engine: testDialect, readMs: expect.any(Number), writeMs: expect.any(Number) },
    mail: { state: 'ok', available: false, waiting: 0, oldestAt: null, lastError: null },
    backup: null,
    prices: { state: 'ok', listAt: null, waitingModels: 0 },
    processes: [{ self: true, pid: process.pid }],
    program: { version: app.app.config.version, node: process.versions.node },
  });
  expect(health.database.bytes).toBeGreaterThan(0);
  expect(health.database.logBytes === null).toBe(testDialect === 'postgres');
  expect(health.disk.freeBytes).toBeGreaterThan(0);
  const [key, ...others] = health.masterKeys.keys;
  expect([key, others]).toMatchObject([{ current: true, given: true, opens: true, seals: 1 }, []]);
  expect(key?.rows).toContainEqual({ what: 'provider_key', rows: 1 });
  expect(text).not.toContain('7d1f0c93ab5e42866df9b0a1c7e83524f6a90bd2e1583c47690fadb3c5e81726');
  for (const secret of Object.values({ ...ada.secrets, ...app.platformSecrets })) expect(text).not.toContain(secret);

  const openaiOf = async () => (await ask()).health.providers.find(({ id }) => id === 'openai');
  const answered = await openaiOf();
  expect(answered).toMatchObject({ state: 'ok', platform: true, answeredAt: expect.any(String), failedAt: null, error: null });
  expect((await ask()).health.providers.find(({ id }) => id === 'anthropic')).toMatchObject({ answeredAt: null, platform: false });
  app.clock.advance(1_000);
  app.provider.key(ada.secrets.openai ?? '', 'reset', 'openai');
  expect((await app.chat(ada, 'hello')).status).toBe(502);
  expect(await openaiOf()).toMatchObject({ state: 'warning', failedAt: expect.any(String), error: 'provider_unreachable' });
  app.clock.advance(1_000);
  app.provider.key(ada.secrets.openai ?? '', 'good', 'openai');
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  expect(await openaiOf()).toMatchObject({ state: 'ok' });
});

test('e-mail that waits for long or failed, and a model without a price, are said', async () => {
  await using app = await testApp({ env: { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'byok@example.com' } });
  const { db, health, mail } = app.app;
  const ada = await app.person();
  await db.commit([mail.entry({ userId: ada.id, kind: 'notice.plan_ends', data: {} })]);
  expect((await health.report()).mail).toMatchObject({ state: 'ok', available: true, waiting: 1, failedToday: 0 });
  const { mailOutbox } = db.tables;
  const at = new Date(app.clock.now());
  await db.orm.update(mailOutbox).set({ state: 'failed', dueAt: null, endedAt: at, lastError: 'sender' });
  expect((await health.report()).mail).toMatchObject({ state: 'warning', waiting: 0, failedToday: 1, lastError: 'sender' });
});

test('the newest backup is told, and that it is old or not there yet; PostgreSQL has its own', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'byok-test-'));
  const dir = folder.path;
  await using app = await testApp({ env: testDialect === 'sqlite' ? { BACKUP_DIR: dir, BACKUP_EVERY_HOURS: '6' } : {} });
  const backup = async () => (await app.app.health.report()).backup;
  if (testDialect === 'postgres') return expect(await backup()).toBeNull();
  expect(await backup()).toEqual({ state: 'warning', folder: dir, everyHours: 6, keep: expect.any(Number), newestAt: null });
  const newestAt = new Date(Math.floor(app.clock.now() / 1_000) * 1_000).toISOString();
  writeFileSync(join(dir, `byok-${newestAt.slice(0, 19).replaceAll(':', '-')}Z.backup`), '');
  expect(await backup()).toMatchObject({ state: 'ok', newestAt });
  app.clock.advance(13 * 3_600_000);
  expect(await app.app.health.report()).toMatchObject({ state: 'warning', backup: { state: 'warning' } });
});

test('a master key that sealed something and is not the current one is a warning, one that is not here a failure', async () => {
  await using app = await testApp();
  const { db, health } = app.app;
  const ada = await app.person({ keys: { openai: 'good' } });
  const { masterKey, providerKey } = db.tables;
  const id = 'mk_0123456789abcdef';
  await db.orm.insert(masterKey).values({ id, canary: Buffer.alloc(8), nonce: Buffer.alloc(12), createdAt: new Date(app.clock.now()) });
  expect((await health.report()).masterKeys.state).toBe('ok');
  await db.orm.update(providerKey).set({ masterKeyId: id });
  const { masterKeys, state } = await health.report();
  expect([state, masterKeys.state]).toEqual(['failed', 'failed']);
  expect(masterKeys.keys.find((one) => one.id === id)).toMatchObject({
    given: false,
    opens: false,
    rows: expect.arrayContaining([{ what: 'provider_key', rows: 1 }]),
  });
  expect(ada.id).toBeTruthy();
});
