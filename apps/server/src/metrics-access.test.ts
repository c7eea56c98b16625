import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { type TestApp, testApp } from '../test/app.ts';
import { isLoopbackAddress } from './metrics-access.ts';

const token = 'wH7-a-token-for-the-scraper';

/** Headers as they stand; fetch would not send some of them. */
function scrape(
  app: TestApp,
  headers: Record<string, string> = {},
  hostname = '127.0.0.1',
): Promise<{ status: number; body: string; type: string }> {
  return new Promise((resolve, reject) => {
    const req = request({ hostname, port: new URL(app.url).port, path: '/metrics', headers, agent: false }, (res) => {
      text(res).then((body) => resolve({ status: res.statusCode ?? 0, body, type: String(res.headers['content-type']) }), reject);
    });
    req.on('error', reject).end();
  });
}

function refused(status: 401 | 403) {
  const code = status === 401 ? 'unauthenticated' : 'forbidden';
  return { status, type: 'application/problem+json', body: expect.stringContaining(`"code":"${code}"`) };
}
const open = { status: 200, body: expect.stringContaining('byok_build_info{') };

const forwarded: readonly Record<string, string>[] = [
  { forwarded: 'for=127.0.0.1' },
  { via: '1.1 proxy' },
  { 'x-forwarded-for': '127.0.0.1' },
  { 'X-Forwarded-For': '' },
  { 'x-forwarded-host': 'localhost' },
  { 'x-forwarded-proto': 'https' },
  { 'x-forwarded-anything': '1' },
];

test('without a token only this machine may scrape, and nothing that a request says makes it this machine', async () => {
  await using app = await testApp({ env: { TRUST_PROXY: '127.0.0.1,::1', HOST: '0.0.0.0' } });
  expect(await scrape(app)).toMatchObject(open);
  for (const headers of forwarded) expect(await scrape(app, headers), JSON.stringify(headers)).toMatchObject(refused(403));
  // Another name for this machine: a page elsewhere whose name was made to point here, or a proxy that passes its own on.
  for (const host of [
    'byok.test',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    'evil@127.0.0.1',
    '127.0.0.1/x',
  ])
    expect(await scrape(app, { host }), host).toMatchObject(refused(403));
  for (const host of ['localhost', 'localhost:3000', '127.0.0.1', '[::1]:3000'])
    expect(await scrape(app, { host }), host).toMatchObject(open);
  const elsewhere = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  for (const { address } of elsewhere.filter(({ internal, family }) => !internal && family === 'IPv4'))
    expect(await scrape(app, { host: 'localhost' }, address), address).toMatchObject(refused(403));
});

test('with a token, whoever has it may scrape from anywhere, and nobody else, from wherever', async () => {
  await using app = await testApp({ env: { METRICS_TOKEN: token } });
  for (const headers of [{}, ...forwarded, { host: 'byok.example.com' }]) {
    expect(await scrape(app, { ...headers, authorization: `Bearer ${token}` })).toMatchObject(open);
    expect(await scrape(app, headers)).toMatchObject(refused(401));
  }
  const root = await app.person({ admin: true });
  const wrong = ['', 'Bearer', 'Bearer ', `Basic ${token}`, token, `Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`];
  for (const authorization of [...wrong, `Bearer x, Bearer ${token}`, `Bearer ${root.token}`]) {
    const answer = await scrape(app, { authorization });
    expect(answer, authorization).toMatchObject(refused(401));
    expect(answer.body).not.toContain(token);
  }
});

test('who is refused hears the same, and is counted', async () => {
  await using app = await testApp({ env: { METRICS_TOKEN: token } });
  const bodies = new Set<string>();
  for (const authorization of ['', 'Bearer wrong', `Bearer ${token}x`]) bodies.add((await scrape(app, { authorization })).body);
  expect(bodies.size).toBe(1);
  expect((await scrape(app, { authorization: `bearer ${token}` })).body).toContain('byok_errors_total{code="unauthenticated"} 3\n');
});

test.each(['GET', 'HEAD', 'POST'])('%s /metrics is no page', async (method) => {
  await using app = await testApp();
  const res = await app.fetch(null, '/metrics', { method });
  expect([res.status, res.headers.get('content-type')]).toEqual(
    method === 'POST' ? [405, 'application/problem+json'] : [200, 'text/plain; version=0.0.4; charset=utf-8'],
  );
  expect(res.headers.get('cache-control')).toBe('no-store');
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['128.0.0.1', false],
  ['10.0.0.1', false],
  ['0.0.0.0', false],
  ['::', false],
  ['::2', false],
  ['::ffff:10.0.0.1', false],
  ['fe80::1', false],
  ['localhost', false],
  ['', false],
  [undefined, false],
])('%s is this machine itself: %s', (address, expected) => {
  expect(isLoopbackAddress(address)).toBe(expected);
});
