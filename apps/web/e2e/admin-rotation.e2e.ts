/** The master key is changed from the page: begun, watched, killed in the middle, gone on with, and a row in the way that does not open. */
import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { openDb } from '@synthstack/core/db';
import { createKeyring } from '@synthstack/core/keyring';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { administrator } from './admin.ts';
import { button } from './chat.ts';
import { english, lookAt } from './look.ts';
import { newKey, openStage, type Stage, until } from './stage.ts';

const newMasterKey = () => randomBytes(32).toString('hex');
const [former, current] = [newMasterKey(), newMasterKey()];
const formerId = createKeyring({ current: former }).sealingKeyId;
/** So many that a run can be caught in the middle. */
const manyRows = 10_000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ ENCRYPTION_KEY: former });
  return () => stage[Symbol.asyncDispose]();
});

/** Keys of people who are not there, sealed as the vault seals. */
async function seal(rows: number): Promise<void> {
  const keyring = createKeyring({ current: former });
  const db = await openDb({ url: `file:${stage.folder}/byok.db` });
  const [provider, now] = ['openai' as const, new Date()];
  for (let from = 0; from < rows; from += 500) {
    const some = Array.from({ length: Math.min(500, rows - from) }, (_, i) => {
      const [id, owner] = [`row-${from + i}`, `owner-${from + i}`];
      const sealed = keyring.seal('provider-key', [owner, provider, id], newKey(provider));
      return { id, owner, provider, keyHint: '****...abc1', status: 'valid' as const, createdAt: now, updatedAt: now, ...sealed };
    });
    await db.orm.insert(db.tables.providerKey).values(some);
  }
  await db.close();
}

function query(sql: string): Record<string, unknown>[] {
  const file = new DatabaseSync(`${stage.folder}/byok.db`);
  try {
    return file.prepare(sql).all();
  } finally {
    file.close();
  }
}

const serverPid = () => Number(query('select pid from boot order by started_at desc limit 1')[0]?.pid);
const left = () => Number(query(`select count(*) as n from provider_key where master_key_id = '${formerId}'`)[0]?.n);
const panel = (page: Page) => page.getByRole('region', { name: 'Change of the master key' });
const dialog = (page: Page) => page.getByRole('dialog');

test('an administrator changes the master key: asked first, told how far it is, killed in the middle, gone on with, to its end', async () => {
  const user = await stage.user('premium');
  await user.call('keys.save', { provider: 'openai', apiKey: newKey('openai') });
  const { page, complaints } = await administrator(stage, 'Ada');
  await page.goto('/admin/health');
  await panel(page).getByText('Nothing to do').waitFor();
  await panel(page).getByText('put a new key in ENCRYPTION_KEY').waitFor();
  expect(await panel(page).getByRole('button').count()).toBe(0);
  await stage.restart(() => seal(manyRows), { ENCRYPTION_KEY: current, ENCRYPTION_KEY_PREVIOUS: former });
  await page.reload();
  await panel(page).getByText(`10,001 rows are sealed with the former key ${formerId}`).waitFor();
  await button(page, 'Seal everything anew').click();
  await dialog(page).getByText('nobody’s request fails or waits').waitFor();
  await lookAt(page, 'admin-rotation-ready');
  await english(page);
  // One row in the way, changed past the program.
  query("update provider_key set owner = 'mallory' where id = 'row-77'");
  await dialog(page).getByRole('button', { name: 'Seal anew' }).click();
  await until(() => left() < manyRows - 300);
  await standStill(() =>
    panel(page)
      .getByText(/^([1-9]\d*|\d,\d{3}) of 10,001 rows/)
      .waitFor(),
  );
  expect(left()).toBeGreaterThan(1);
  await lookAt(page, 'admin-rotation-running');
  await english(page);
  await stage.restart();

  await panel(page).getByText('Nothing is lost').waitFor();
  await panel(page)
    .getByText(/^Last started by Ada, /)
    .waitFor();
  await goOn(page, 'Go on');
  await panel(page).getByText('1 row does not open with the key that it names').waitFor();
  expect(left()).toBe(1);
  query("update provider_key set owner = 'owner-77' where id = 'row-77'");
  await goOn(page, 'Try again');
  await panel(page).getByText(`Nothing is sealed with ${formerId} any more: take it out of ENCRYPTION_KEY_PREVIOUS`).waitFor();
  await panel(page).getByText('10,001 of 10,001 rows on the current key').waitFor();
  await page.locator('strong').getByText(formerId).waitFor({ state: 'detached' });
  expect(left()).toBe(0);
  expect(await panel(page).getByRole('button').count()).toBe(0);
  await lookAt(page, 'admin-rotation-done');
  await english(page);

  await stage.restart(undefined, { ENCRYPTION_KEY_PREVIOUS: '' });
  await panel(page).getByText('Nothing to do').waitFor();
  await user.page.goto('/settings/api-keys');
  await user.page.getByText('Valid').first().waitFor();
  expect(complaints(/Failed to load resource|net::ERR/)).toEqual([]);
}, 120_000);

/** Holds a run in its middle, until what is to be seen then is seen; the server stays stopped. */
async function standStill(seen: () => Promise<void>): Promise<void> {
  const file = new DatabaseSync(`${stage.folder}/byok.db`, { timeout: 5_000 });
  file.exec('begin immediate');
  await seen();
  process.kill(serverPid(), 'SIGSTOP');
  file.exec('rollback');
  file.close();
}

async function goOn(page: Page, name: string): Promise<void> {
  await button(page, name).click();
  await dialog(page).getByRole('button', { name: 'Seal anew' }).click();
  await dialog(page).waitFor({ state: 'hidden' });
}
