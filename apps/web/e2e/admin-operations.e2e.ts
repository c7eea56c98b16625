/** The audit log, the server's health, and what everybody is told: as administrators and as everybody sees them. */
import { DatabaseSync } from 'node:sqlite';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { administrator, regularAdministrator } from './admin.ts';
import { button } from './chat.ts';
import { english, expectNoJumps, lookAt, sizes } from './look.ts';
import { openStage, type Stage, until } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ PLATFORM_OPENAI_API_KEY: 'sk-platform-0123456789abcdef' });
  return () => stage[Symbol.asyncDispose]();
});

const dialog = (page: Page) => page.getByRole('dialog');
const entries = (page: Page) => page.getByRole('region', { name: 'Entries' }).getByRole('listitem');
const told = (page: Page) => page.getByRole('complementary', { name: 'Announcements' });

test('everybody is told, in their language and as plain text, until they close it or it is withdrawn', async () => {
  const reader = await stage.user('community');
  const other = await stage.user('premium', { locale: 'de-DE' });
  const { page, complaints } = await regularAdministrator(stage);
  await page.goto('/admin/health');
  await page.getByRole('link', { name: 'Announcements' }).click();
  await page.waitForURL('**/admin/notices');
  await page.getByText('No announcements yet').waitFor();
  await button(page, 'New announcement').click();
  await dialog(page).getByRole('button', { name: 'Announce' }).click();
  await dialog(page).getByText('Say something here.').waitFor();
  await dialog(page).getByRole('radio', { name: 'Warning' }).check();
  await dialog(page).getByLabel('Text', { exact: true }).fill('We move house <img src=x onerror=alert(1)>\non Sunday.');
  await dialog(page).getByLabel('Text in German').fill('Wir ziehen am Sonntag um.');
  await dialog(page).getByLabel('Link').fill('javascript:alert(1)');
  await dialog(page).getByRole('button', { name: 'Announce' }).click();
  await dialog(page).getByText('A link begins with https://').waitFor();
  await dialog(page).getByLabel('Link').fill('/settings/plan');
  await dialog(page).getByRole('button', { name: 'Announce' }).click();
  await dialog(page).waitFor({ state: 'hidden' });
  await page.getByText('The announcement is on everybody’s pages.').waitFor();
  await told(page).getByText('We move house').waitFor();

  await expectNoJumps(reader.page, () =>
    reader.page.goto('/settings/tokens').then(() => reader.page.getByRole('heading', { level: 1 }).waitFor()),
  );
  const text = told(reader.page).getByText('We move house <img src=x onerror=alert(1)> on Sunday.');
  await text.waitFor();
  await told(reader.page).getByRole('link', { name: 'More' }).click();
  await reader.page.waitForURL('**/settings/plan');
  await other.page.goto('/settings/tokens');
  await other.page.getByText('Wir ziehen am Sonntag um.').waitFor();
  await told(reader.page)
    .getByRole('button', { name: /^Close: We move/ })
    .click();
  await told(reader.page).waitFor({ state: 'detached' });
  await reader.page.reload();
  await reader.page.getByRole('heading', { level: 1 }).waitFor();
  expect(await told(reader.page).count()).toBe(0);

  await page.reload();
  await page.getByText('closed by 1 person').waitFor();
  await page.setViewportSize(sizes.phone);
  await lookAt(page, 'admin-announcements');
  await english(page);
  await button(page, 'New announcement').click();
  await dialog(page).getByLabel('Text', { exact: true }).fill('The limits of Premium are higher from today on.');
  await lookAt(page, 'admin-announcements-new');
  await english(page);
  await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  await dialog(page).waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: /^Withdraw: We move/ }).click();
  await dialog(page).getByRole('button', { name: 'Withdraw' }).click();
  await page.getByText('The announcement is withdrawn.').waitFor();
  await page.getByText('Withdrawn', { exact: true }).waitFor();
  await other.page.reload();
  await other.page.getByRole('heading', { level: 1 }).waitFor();
  expect(await other.page.getByText('Wir ziehen').count()).toBe(0);
  expect([...complaints(), ...reader.complaints(), ...other.complaints()]).toEqual([]);
});

test('the audit log is filtered and exported, and its chain verified: whole, and broken once somebody has written past the program', async () => {
  const user = await stage.user('premium');
  await user.call('tokens.create', { name: '=1+1' });
  const { page, context, complaints } = await regularAdministrator(stage, { viewport: sizes.phone });
  await expectNoJumps(page, () => page.goto('/admin/audit').then(() => entries(page).first().waitFor()));
  await page.getByLabel('Concerns').fill(user.email);
  await page.waitForURL(`**?subject=${user.email}`);
  await until(async () => (await entries(page).count()) === 3);
  await page.getByLabel('Action').selectOption({ label: 'Access token made' });
  await until(async () => (await entries(page).count()) === 1);
  const fileOf = async (name: string) => {
    const href = await page.getByRole('link', { name }).getAttribute('href');
    const answer = await context.request.get(`${stage.origin}${href}`);
    expect(answer.headers()['content-disposition']).toContain('attachment');
    return (await answer.text()).trimEnd().split('\n');
  };
  const csv = await fileOf('Export as CSV');
  expect([csv.length, csv[1]]).toEqual([2, expect.stringContaining('token.created')]);
  expect(JSON.parse((await fileOf('Export as JSON Lines'))[0] ?? '')).toMatchObject({
    action: 'token.created',
    detail: { scopes: 'gateway' },
  });
  await page.getByLabel('Concerns').fill('nobody@example.com');
  await page.getByText('Nothing fits these filters.').waitFor();
  await page.goto('/admin/audit');
  await button(page, 'Verify the chain').click();
  await page.getByText(/^Whole: \d+ entries/).waitFor();
  await lookAt(page, 'admin-audit');
  await english(page);

  const file = new DatabaseSync(`${stage.folder}/byok.db`);
  file.exec("update audit set actor = 'mallory' where seq = 2");
  file.close();
  await button(page, 'Verify the chain').click();
  await page.getByText('Broken at entry 2').waitFor();
  await page.getByText('Somebody has written to the database past this program').waitFor();
  expect(complaints()).toEqual([]);
});

test('the server says how it is, part by part, in both themes, sizes and languages', async () => {
  const { page, complaints } = await administrator(stage, 'Ada', { viewport: sizes.phone });
  await expectNoJumps(page, () => page.goto('/admin/health').then(() => page.getByText('Everything is fine').waitFor()));
  const database = page.getByRole('region', { name: 'Database' });
  await database.getByText('Fine').waitFor();
  await database.getByText('SQLite').waitFor();
  await page.getByRole('region', { name: 'E-mail' }).getByText('No SMTP_URL is set').waitFor();
  await page.getByRole('region', { name: 'Master keys' }).getByText('Current', { exact: true }).waitFor();
  await page.getByRole('region', { name: 'Backups' }).getByText('No BACKUP_DIR is set').waitFor();
  await page.getByRole('region', { name: 'OpenAI' }).getByText('yes').waitFor();
  await page.getByRole('region', { name: 'Processes' }).getByText('this one').waitFor();
  await button(page, 'Look again').click();
  await lookAt(page, 'admin-health');
  expect(complaints()).toEqual([]);
});
