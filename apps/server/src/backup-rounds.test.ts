import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testOnSqlite } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { type TestApp, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { readBackup } from './backup.ts';

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

test('a folder for backups and a database of PostgreSQL do not go together, which is said', async () => {
  const started = testApp({ env: { BACKUP_DIR: './kept', DATABASE_URL: 'postgres://db.example.com/byok' } });
  await expect(started).rejects.toMatchObject({ code: 'invalid_config', message: expect.stringContaining('BACKUP_DIR') });
});
