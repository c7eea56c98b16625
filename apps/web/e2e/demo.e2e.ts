/** The demo as a person meets it who follows what its console says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { beforeAll, expect, inject, test } from 'vitest';
import { lookAt } from './look.ts';
import { openVisitor, until } from './stage.ts';

const program = join(import.meta.dirname, '../../server/demo/demo.ts');
let origin: string;
let browser: Browser;
let demoPassword: string;

beforeAll(async () => {
  const demo = spawn(process.execPath, [program], { cwd: tmpdir(), env: { PATH: process.env.PATH ?? '', PORT: '0' } });
  let said = '';
  for (const stream of [demo.stdout, demo.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const exited = once(demo, 'exit');
  const told = await until(() => {
    if (demo.exitCode !== null) throw new Error(`The demo ended:\n${said}`);
    return said.includes('Ctrl-C') && /Open +(?<url>http:\S+)\s+Password +(?<password>\S+)/.exec(said)?.groups;
  }, 50_000).catch((error: unknown) => {
    demo.kill('SIGKILL');
    throw error;
  });
  origin = told.url ?? '';
  demoPassword = told.password ?? '';
  browser = await chromium.connect(inject('chromium'));
  return async () => {
    await browser.close();
    demo.kill('SIGTERM');
    await exited;
  };
});

test.for([
  ['ada', 'Valid', 'Switched off'],
  ['bob', 'No credit', 'Invalid'],
  ['carol', 'Stored, not used', 'Stored, not used'],
])('%s of the demo sees her keys, 60 days of usage, and that all of it is a demo', async ([name = '', openai = '', anthropic = '']) => {
  const { page, context, complaints } = await openVisitor(browser, origin);
  await page.goto('/');
  await page.getByRole('complementary', { name: 'Demo' }).waitFor();
  await page.getByLabel('E-mail').fill(`${name}@demo.example`);
  await page.getByLabel('Password', { exact: true }).fill(demoPassword);
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'OpenAI', exact: true }).getByText(openai, { exact: true }).waitFor();
  await page.getByRole('region', { name: 'Anthropic', exact: true }).getByText(anthropic, { exact: true }).waitFor();
  await page.getByRole('complementary', { name: 'Demo' }).waitFor();
  await lookAt(page, `demo-${name}-keys`);
  await page.goto('/settings/api-keys/usage');
  await page.getByRole('heading', { name: 'By day' }).waitFor();
  await page.getByRole('complementary', { name: 'Demo' }).waitFor();
  if (name === 'ada') await lookAt(page, 'demo-ada-usage');
  expect(complaints()).toEqual([]);
  await context.close();
});
