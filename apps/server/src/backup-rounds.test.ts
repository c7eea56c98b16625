import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKeyring } from '@synthstack/core/keyring';
import { formerSchemas, makeFormerDb, testOnSqlite, testPlace } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { type TestApp, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { masterKeys } from '../test/vault.ts';
import { createModules } from './app.ts';
import { readBackup, restoreBackup } from './backup.ts';
import { loadConfig } from './config.ts';
import { createLog } from './ports/log.ts';

const log = createLog({ level: 'error', format: 'json', write: () => undefined });

const hourMs = 3_600_000;
const minuteMs = 60_000;

/** That time, and the next look after it. */
async function later(app: TestApp, ms: number): Promise<void> {
  for (const step of [ms, minuteMs]) {
    app.clock.advance(step);
    await app.app.backups?.idle();
  }
}

const startOfTime = Date.UTC(2026, 10, 23, 12);
const namesIn = (dir: string) => readdirSync(dir).sort();
const noticesOf = (app: TestApp) => app.app.notices.list('administrators');

testOnSqlite('backups are made as often as is set, also over restarts, and the oldest of its own go', async () => {
  await using app = await testApp({ clock: manualClock(startOfTime), env: { BACKUP_EVERY_HOURS: '6', BACKUP_KEEP: '2' } });
  expect(app.app.backups).toBeNull();
  const dir = join(app.folder, 'kept');
  await app.restart({ BACKUP_DIR: dir });
  await later(app, minuteMs);
  expect(namesIn(dir)).toEqual(['byok-2026-11-23T12-01-00Z.backup']);
  const file = join(dir, 'byok-2026-11-23T12-01-00Z.backup');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readBackup(file, app.app)).toMatchObject({ madeAt: '2026-11-23T12:01:00.000Z' });
  writeFileSync(join(dir, 'of-somebody-else.backup'), '');
  await later(app, 5 * hourMs);
  await app.restart();
  await later(app, minuteMs);
  expect(namesIn(dir)).toHaveLength(2);
  expect(app.app.backups?.lastAt()).toBe(startOfTime + minuteMs);
  await later(app, hourMs);
  await later(app, 6 * hourMs);
  const [first, second] = [/^byok-2026-11-23T18-0\d-00Z\.backup$/, /^byok-2026-11-24T00-0\d-00Z\.backup$/];
  expect(namesIn(dir)).toEqual([expect.stringMatching(first), expect.stringMatching(second), 'of-somebody-else.backup']);
  expect(await noticesOf(app)).toEqual([]);
  const metrics = await (await fetch(`${app.url}/metrics`)).text();
  expect(metrics).toContain('byok_backup_failing 0');
  expect(metrics).toContain(`byok_backup_last_timestamp_seconds ${(app.app.backups?.lastAt() ?? 0) / 1_000}`);
});

testOnSqlite('one that cannot be made is told once, tried again, and stops nothing', async () => {
  await using app = await testApp({ clock: manualClock(startOfTime) });
  const ada = await app.person({ keys: { openai: 'good' } });
  const dir = join(app.folder, 'kept');
  writeFileSync(dir, 'not a folder');
  await app.restart({ BACKUP_DIR: dir });
  await later(app, minuteMs);
  expect(app.app.backups?.isFailing() ?? true).toBe(true);
  await later(app, minuteMs);
  for (let i = 0; i < 3; i += 1) await later(app, 10 * minuteMs);
  expect(await noticesOf(app)).toMatchObject([{ kind: 'backup_failed', data: { reason: 'unwritable' } }]);
  expect(app.lines.filter((line) => line.includes('No backup could be made')).length).toBeGreaterThan(1);
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  expect(await (await fetch(`${app.url}/metrics`)).text()).toContain('byok_backup_failing 1');
  rmSync(dir);
  mkdirSync(dir);
  chmodSync(dir, 0o700);
  await later(app, 10 * minuteMs);
  expect(namesIn(dir)).toHaveLength(1);
  expect(app.app.backups?.isFailing()).toBe(false);
});

testOnSqlite(
  'before a newer version changes the tables, it keeps the database as it was; without that backup it changes nothing',
  async () => {
    await using place = await testPlace(false);
    const [former = '', database] = [formerSchemas.at(-3), join(place.folder, 'byok.db')];
    const keyring = createKeyring({ current: masterKeys.one });
    const apiKey = 'sk-proj-Kq83hfPq02LmXz71TtYe9Rb4Vb3kQ9xT7mZ2';
    const sealed = keyring.seal('provider-key', ['ada', 'openai', 'k1'], apiKey);
    await makeFormerDb(place, former, async (run) => {
      const sql = `insert into provider_key (id, owner, provider, key_hint, encrypted_blob, nonce, master_key_id, status, created_at, updated_at)
      values ('k1', 'ada', 'openai', '****...7mZ2', ?, ?, ?, 'valid', 1, 1)`;
      await run({ sql, params: [sealed.encryptedBlob, sealed.nonce, sealed.masterKeyId] });
    });
    const start = (ENCRYPTION_KEY: string) =>
      createModules(loadConfig({ ENCRYPTION_KEY, AUTH_SECRET: 'c2f1d6a5e0b94b7f8a3d1e6c5b2a9f80', DATA_DIR: place.folder }), { log });
    await expect(start(masterKeys.two)).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('Before its tables are changed'),
    });
    const kept = join(place.folder, 'backups');
    rmSync(kept, { recursive: true });
    writeFileSync(kept, 'in the way');
    await expect(start(masterKeys.one)).rejects.toMatchObject({
      code: 'storage_unavailable',
      message: expect.stringContaining('no such folder'),
    });
    rmSync(kept);
    const modules = await start(masterKeys.one);
    const [key] = await modules.vault.sealedOf('ada');
    expect(key && modules.vault.use(key, (secret) => secret.expose())).toBe(apiKey);
    await modules.outbound.close();
    await modules.db.close();
    const [name = ''] = namesIn(kept);
    expect(name).toMatch(/^before-0\.1\.0-.*Z\.backup$/);
    // A later start finds nothing to change, and makes none.
    const again = await start(masterKeys.one);
    await again.outbound.close();
    await again.db.close();
    expect(namesIn(kept)).toEqual([name]);
    const parts = { keyring, version: '0.1.0', nowMs: () => 0, database };
    const { manifest } = await restoreBackup(parts, join(kept, name), { force: true });
    expect(manifest.migrations.at(-1)).toBe(former);
  },
);

test('a folder for backups and a database of PostgreSQL do not go together, which is said', async () => {
  const started = testApp({ env: { BACKUP_DIR: './kept', DATABASE_URL: 'postgres://db.example.com/byok' } });
  await expect(started).rejects.toMatchObject({ code: 'invalid_config', message: expect.stringContaining('BACKUP_DIR') });
});
