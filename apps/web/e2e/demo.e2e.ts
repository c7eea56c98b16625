/** The demo as a person meets it who follows what its console says. */
import { type Browser, chromium } from 'playwright-core';
import { beforeAll, expect, inject, test } from 'vitest';
import { type Demo, startDemo } from './demo-process.ts';
import { lookAt, pictureForReadme } from './look.ts';
import { openVisitor } from './stage.ts';

let demo: Demo;
let browser: Browser;

beforeAll(async () => {
  demo = await startDemo();
  browser = await chromium.connect(inject('chromium'));
  return async () => {
    await browser.close();
    await demo[Symbol.asyncDispose]();
  };
});

test.for([
  ['ada', 'Valid', 'Switched off'],
  ['bob', 'No credit', 'Invalid'],
  ['carol', 'Stored, not used', 'Stored, not used'],
])('%s of the demo sees her keys, 60 days of usage, and that all of it is a demo', async ([name = '', openai = '', anthropic = '']) => {
  const { page, context, complaints } = await openVisitor(browser, demo.origin);
  await page.goto('/');
  await page.getByRole('complementary', { name: 'Demo' }).waitFor();
  await page.getByLabel('E-mail').fill(`${name}@demo.example`);
  await page.getByLabel('Password', { exact: true }).fill(demo.password);
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'OpenAI', exact: true }).getByText(openai, { exact: true }).waitFor();
  await page.getByRole('region', { name: 'Anthropic', exact: true }).getByText(anthropic, { exact: true }).waitFor();
  await page.getByRole('complementary', { name: 'Demo' }).waitFor();
  if (name === 'ada') await pictureForReadme(page, 'keys');
  await lookAt(page, `demo-${name}-keys`);
  await page.goto('/settings/api-keys/usage');
  await page.getByRole('heading', { name: 'By day' }).waitFor();
  await page.getByRole('complementary', { name: 'Demo' }).waitFor();
  if (name === 'ada') {
    await pictureForReadme(page, 'usage');
    await lookAt(page, 'demo-ada-usage');
  }
  expect(complaints()).toEqual([]);
  await context.close();
});
