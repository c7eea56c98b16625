/** What the browser gets: how much of it, how it is kept, and what its policy allows. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Response } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { openStage, type Stage } from './stage.ts';

/** Of script and style, compressed. */
const mostBytes = 170_000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  return () => stage[Symbol.asyncDispose]();
});

test.each(['en-US', 'de-DE'])('the first page is at most 170 kB of script and style, for who reads %s', async (locale) => {
  const { context: signedIn } = await stage.user('premium', { locale });
  const storageState = await signedIn.storageState();
  for (const [path, options] of [['/sign-in', { locale }] as const, ['/settings/api-keys', { locale, storageState }] as const]) {
    const { page, context } = await stage.visitor(options);
    const files: Promise<number>[] = [];
    context.on('response', (response) => {
      if (['script', 'stylesheet'].includes(response.request().resourceType())) files.push(sizeOf(response));
    });
    await page.goto(path);
    await page.waitForLoadState('networkidle');
    await page.getByRole('button').first().waitFor();
    const bytes = (await Promise.all(files)).reduce((sum, one) => sum + one, 0);
    console.info(`${path} in ${locale}: ${files.length} files of script and style, ${bytes.toLocaleString('en')} bytes gzip`);
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(mostBytes);
    await context.close();
  }
  await signedIn.close();
});

const sizeOf = async (response: Response) => gzipSync(await response.body(), { level: 9 }).length;

test('the HTML of a page names every file that opening it takes', async () => {
  const { context } = await stage.user('premium');
  const storageState = await context.storageState();
  const forUsers = ['/settings/api-keys', '/settings/api-keys/usage', '/settings/tokens', '/settings/plan', '/settings/profile'];
  for (const path of ['/sign-in', ...forUsers, '/agents', '/agents/general']) {
    const { page, context: visit } = await stage.visitor(path === '/sign-in' ? {} : { storageState });
    const html = await (await fetch(`${stage.origin}${path}`)).text();
    const fetched: string[] = [];
    page.on('request', (request) => fetched.push(new URL(request.url()).pathname));
    await page.goto(path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForLoadState('networkidle');
    const files = fetched.filter((file) => file.startsWith('/assets/'));
    expect(files.length, path).toBeGreaterThan(2);
    expect(
      files.filter((file) => !html.includes(`"${file}"`)),
      path,
    ).toEqual([]);
    await visit.close();
  }
  await context.close();
});

test('files with a hash in their name are kept for a year and come compressed; the page itself is asked for again', async () => {
  const page = await fetch(`${stage.origin}/sign-in`);
  expect(page.headers.get('cache-control')).toBe('no-cache');
  const files = [...(await page.text()).matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, file]) => file ?? '');
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) {
    expect(file).toMatch(/-[\w-]{8}\.(js|css)$/);
    const answer = await fetch(`${stage.origin}${file}`, { headers: { 'accept-encoding': 'br' } });
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    // The smallest would gain nothing.
    const { byteLength } = await answer.arrayBuffer();
    if (byteLength > 1_000) expect(answer.headers.get('content-encoding'), file).toBe('br');
  }
});

test('no answer of the server may be framed or run a script that is not a file of its own', async () => {
  const paths = ['/', '/sign-in', '/settings/api-keys', '/theme.js', '/no-such-file.js', '/api/docs', '/api/openapi.json', '/api/none'];
  for (const path of [...paths, '/trpc/none', '/api/auth/none', '/healthz']) {
    const policy = (await fetch(`${stage.origin}${path}`, { redirect: 'manual' })).headers.get('content-security-policy') ?? '';
    expect(policy, path).toMatch(/default-src 'none'; script-src 'self'; style-src 'self';.* frame-ancestors 'none'$/);
    expect(policy, path).not.toContain('unsafe');
  }
});

test('the built pages hold no inline script or style, no eval, and no font or icon font', () => {
  const dist = join(import.meta.dirname, '../dist');
  const files = globSync('**/*.*', { cwd: dist });
  expect(files.filter((file) => !/\.(html|js|css|svg)$/.test(file))).toEqual([]);
  const html = readFileSync(join(dist, 'index.html'), 'utf8');
  expect(html.match(/<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=/g)).toBeNull();
  for (const file of files.filter((one) => one.endsWith('.js'))) {
    // zod and ECharts can each make functions from text; none of that may be reached, and best is that it is not there.
    const found = readFileSync(join(dist, file), 'utf8').match(/\beval\(|\bnew Function\(/g);
    expect(found, file).toBeNull();
  }
});
