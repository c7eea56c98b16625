import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { brotliDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadPages } from './pages.ts';
import { targetOf } from './target.ts';

const script = `console.log(${JSON.stringify('x'.repeat(5_000))})`;
const index = '<!doctype html><div id="app"></div>';

/** Built pages in a folder, beside something that nobody may have. */
async function stage(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'byok-pages-'));
  for (const part of ['assets', 'agents']) mkdirSync(join(folder, 'dist', part), { recursive: true });
  writeFileSync(join(folder, 'secret.txt'), 'the secret');
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, 'dist', name), content);
  const pages = loadPages(join(folder, 'dist'));
  const server = createServer((req, res) => pages.serve(req, res, targetOf(req.url ?? '').pathname));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    /** Sends the path as it stands: fetch would tidy it up. */
    get: (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      new Promise<{ status: number | undefined; headers: NodeJS.Dict<string | string[]>; body: Buffer }>((resolve, reject) => {
        const req = request({ port, host: '127.0.0.1', path, headers, method, agent: false }, (res) => {
          buffer(res).then((body) => resolve({ status: res.statusCode, headers: res.headers, body }), reject);
        });
        req.on('error', reject).end();
      }),
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
}

const built = { 'index.html': index, 'favicon.svg': '<svg/>', 'assets/index-D4f3.js': script };

test('hashed files are kept for a year, the page itself is asked for each time, missing files are 404', async () => {
  await using pages = await stage(built);
  const asset = await pages.get('/assets/index-D4f3.js?v=1');
  expect(asset).toMatchObject({
    status: 200,
    headers: {
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
    },
  });
  expect(asset.body.toString()).toBe(script);
  for (const path of ['/', '/index.html', '/settings/api-keys', '/setup?token=x', '/agents/']) {
    const page = await pages.get(path);
    expect(page, path).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' } });
    expect(page.body.toString()).toBe(index);
  }
  for (const path of ['/assets/gone-1234.js', '/robots.txt', '/.env', '/assets/../gone.js'])
    expect((await pages.get(path)).status).toBe(404);
  const head = await pages.get('/assets/index-D4f3.js', {}, 'HEAD');
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, `${script.length}`, 0]);
});

test('a path has the HTML that is named like it, or the one for all that is beside it', async () => {
  await using pages = await stage({
    ...built,
    'agents.html': 'all agents',
    'agents/_.html': 'any agent',
    'agents/writer.html': 'the writer',
  });
  const expected = {
    '/agents': 'all agents',
    '/agents/': 'all agents',
    '/agents/writer': 'the writer',
    '/agents/general?start=1': 'any agent',
    '/agents/general/': 'any agent',
    '/agents/general/more': index,
    '/agent': index,
    '/': index,
  };
  for (const [path, html] of Object.entries(expected)) {
    const page = await pages.get(path);
    expect(page, path).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' } });
    expect(page.body.toString(), path).toBe(html);
  }
});

test('what is long goes out as brotli where that is understood', async () => {
  await using pages = await stage(built);
  for (const accept of ['br', 'gzip, deflate, br', 'gzip;q=0.5, br;q=1.0', 'br;q=0.1']) {
    const asset = await pages.get('/assets/index-D4f3.js', { 'accept-encoding': accept });
    expect(asset.headers['content-encoding'], accept).toBe('br');
    expect(asset.headers['content-length']).toBe(`${asset.body.length}`);
    expect(asset.body.length).toBeLessThan(500);
    expect(brotliDecompressSync(asset.body).toString()).toBe(script);
  }
  for (const accept of ['', 'gzip', 'br;q=0', 'gzip, br;q=0.0', 'brotli', 'x-br'])
    expect((await pages.get('/assets/index-D4f3.js', { 'accept-encoding': accept })).headers['content-encoding'], accept).toBeUndefined();
  expect((await pages.get('/', { 'accept-encoding': 'br' })).headers['content-encoding']).toBeUndefined();
});

test('no path leads out of the folder', async () => {
  await using pages = await stage(built);
  const tricks = [
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e%2fsecret.txt',
    '/..\\secret.txt',
    '/..%5csecret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '//secret.txt',
    '//etc/passwd',
    '/./../secret.txt',
    '/....//secret.txt',
    '/%252e%252e/secret.txt',
    '/assets/%00../../secret.txt',
    '/assets/..;/../secret.txt',
    'http://127.0.0.1/../secret.txt',
    '/__proto__',
    '/constructor',
  ];
  for (const path of tricks) {
    const answer = await pages.get(path);
    expect([200, 404], path).toContain(answer.status);
    expect(answer.body.toString(), path).toBe(answer.status === 200 ? index : 'Not found');
  }
  expect((await pages.get('/secret.txt')).status).toBe(404);
});

test('without built pages it says how to build them', async () => {
  await using pages = await stage({});
  expect((await pages.get('/')).body.toString()).toContain('npx --yes pnpm@12.21.0 start');
});
