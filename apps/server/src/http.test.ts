import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../test/app.ts';

const ours = 'http://byok.test';

async function cookieOf(app: TestApp, who: Person): Promise<string> {
  const res = await app.fetch(null, '/api/auth/sign-in/email', { json: { email: who.email, password }, headers: { origin: ours } });
  expect(res.status).toBe(200);
  return res.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
}

/** Sends method, path and headers as they stand; fetch would tidy them up. */
function raw(app: TestApp, method: string, path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(app.url);
    const req = request({ hostname, port, path, method, headers, agent: false }, (res) => {
      text(res).then((body) => resolve({ status: res.statusCode ?? 0, body }), reject);
    });
    req.on('error', reject).end();
  });
}

test("a cookie works only for our own page; another site's request changes and reads nothing", async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const cookie = await cookieOf(app, ada);
  const [{ id } = { id: '' }] = await app.keysOf(ada);
  const json = { provider: 'anthropic', apiKey: app.newSecret('anthropic') };
  const changes: [path: string, method: string, json?: unknown][] = [
    ['/api/v1/api-keys', 'POST', json],
    ['/trpc/keys.save', 'POST', json],
    [`/api/v1/api-keys/${id}`, 'DELETE'],
    [`/api/v1/api-keys/${id}`, 'PATCH', { isActive: false }],
    ['/api/v1/tokens', 'POST', { name: 'theirs' }],
    ['/api/v1/api-keys', 'GET'],
    ['/trpc/keys.list', 'GET'],
    ['/api/v1/api-keys/usage.csv?from=2026-01-01T00:00:00Z&to=2026-12-01T00:00:00Z', 'GET'],
  ];
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'https://byok.test' },
    { origin: 'http://byok.test.evil.example' },
    { origin: `http://127.0.0.1:${new URL(app.url).port}` },
    { 'sec-fetch-site': 'cross-site' },
  ];
  for (const [path, method, body] of changes) {
    for (const headers of foreign) {
      const res = await app.fetch(null, path, { method, json: body, headers: { cookie, ...headers } });
      expect(res.status, `${method} ${path} ${JSON.stringify(headers)}`).toBe(403);
      expect([...res.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  }
  expect(await app.keysOf(ada)).toMatchObject([{ id, isActive: true }]);
  expect(await app.app.tokens.list(ada.id)).toHaveLength(1);
  const fromOurs = await app.fetch(null, '/trpc/keys.save', { json, headers: { cookie, origin: ours, 'sec-fetch-site': 'same-origin' } });
  expect(fromOurs.status).toBe(200);
  // A token is no cookie: no browser sends it along by itself.
  expect((await app.fetch(ada, '/api/v1/api-keys', { headers: { origin: 'https://evil.example' } })).status).toBe(200);
  const preflight = await app.fetch(null, '/api/v1/api-keys', {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  });
  expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null]);
});

test('the cookie cannot be read by script, and is sent along by our own site only', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const signIn = { json: { email: ada.email, password }, headers: { origin: ours } };
  const [line = '', ...more] = (await app.fetch(null, '/api/auth/sign-in/email', signIn)).headers.getSetCookie();
  expect(more).toEqual([]);
  expect(line).toMatch(/^byok\.session_token=/);
  for (const attribute of [/; HttpOnly/i, /; SameSite=(Lax|Strict)/i, /; Path=\//i]) expect(line).toMatch(attribute);
});

test('every answer but those of /v1 carries the security headers, and no page can be framed or run inline script', async () => {
  await using app = await testApp();
  const paths = [
    '/',
    '/settings/api-keys',
    '/nothing.js',
    '/healthz',
    '/api/docs',
    '/api/docs.css',
    '/api/openapi.json',
    '/api/nothing',
    '/api/v1/limits',
    '/api/auth/ok',
    '/api/auth/nothing',
    '/trpc/accounts.instance',
    '/trpc/nothing',
  ];
  for (const path of paths) {
    const { headers } = await app.fetch(null, path);
    const policy = headers.get('content-security-policy') ?? '';
    for (const part of ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "connect-src 'self'"])
      expect(policy, path).toContain(part);
    expect(policy).not.toMatch(/script-src[^;]*(unsafe|data:|\*)/);
    expect(headers.get('x-content-type-options'), path).toBe('nosniff');
    expect(headers.get('referrer-policy'), path).toBe('no-referrer');
    expect(headers.get('x-powered-by'), path).toBeNull();
    expect(
      [...headers.keys()].filter((name) => name.startsWith('access-control')),
      path,
    ).toEqual([]);
  }
});

test('health and readiness, also for HEAD; while it drains it is alive and not ready', async () => {
  await using app = await testApp();
  const statusOf = async (method: string, path: string) => (await app.fetch(null, path, { method })).status;
  for (const method of ['GET', 'HEAD']) {
    expect(await statusOf(method, '/healthz')).toBe(200);
    expect(await statusOf(method, '/readyz')).toBe(200);
  }
  app.app.drain();
  for (const method of ['GET', 'HEAD']) {
    expect(await statusOf(method, '/healthz')).toBe(200);
    expect(await statusOf(method, '/readyz')).toBe(503);
  }
});

test('a stop lets what is under way end, and waits for nothing else', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const gate = app.provider.gate(undefined, { path: '/v1/chat/completions' });
  const answer = app.chat(ada, 'hello');
  await app.provider.received(app.provider.requests.length + 1);
  const restarted = app.restart();
  gate.open();
  const res = await answer;
  expect(res.status).toBe(200);
  expect(await res.json()).toMatchObject({ object: 'chat.completion' });
  // The client keeps its connection open, as clients do; a stop that waited for it would take a minute.
  await restarted;
  expect(await app.requests()).toMatchObject([{ state: 'done', status: 200 }]);
});

test('path tricks reach no route, no file and no other door', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const headers = { authorization: `Bearer ${ada.token}` };
  for (const path of [
    '/../api/v1/api-keys',
    '//api/v1/api-keys',
    '/x/../api/v1/api-keys',
    '/%61pi/v1/api-keys',
    '/API/v1/api-keys',
    '/trpc%2fkeys.list',
    '/..%2fpackage.json',
    '/%2e%2e/%2e%2e/package.json',
    '/assets/../../package.json',
    '\\api\\v1\\api-keys',
  ].map((path) => (path.startsWith('/') ? path : `/${path}`))) {
    const answer = await raw(app, 'GET', path, headers);
    expect([200, 404], path).toContain(answer.status);
    expect(answer.body, path).not.toMatch(/"keys"|"dependencies"|"devDependencies"/);
  }
  for (const path of [
    '/v1/../api/v1/api-keys',
    '/v1//chat/completions',
    '/v1/%2e%2e/healthz',
    '/v1/chat/completions/',
    '/v1/chat\\completions',
    '/v1/chat/completions;x=1',
  ]) {
    const answer = await raw(app, 'POST', path, headers);
    expect(answer, path).toMatchObject({ status: 404, body: expect.stringContaining('"code":"not_found"') });
  }
  expect(app.provider.requests).toEqual([]);
  for (const [method, path] of [
    ['TRACE', '/'],
    ['PROPFIND', '/api/v1/api-keys'],
    ['OPTIONS', '*'],
  ] as const)
    expect((await raw(app, method, path, headers)).status, `${method} ${path}`).toBe(405);
});

test('a page that is opened under another name of this machine is sent to the one under which people can sign in', async () => {
  await using app = await testApp({ env: { PUBLIC_URL: 'http://localhost:3000' } });
  const open = (host: string, accept: string) =>
    new Promise<[number | undefined, string | undefined]>((resolve, reject) => {
      const { hostname, port } = new URL(app.url);
      const req = request({ hostname, port, path: '/setup?token=x', headers: { host, accept }, agent: false }, (res) => {
        res.resume().on('end', () => resolve([res.statusCode, res.headers.location]));
      });
      req.on('error', reject).end();
    });
  expect(await open('127.0.0.1:3000', 'text/html')).toEqual([307, 'http://localhost:3000/setup?token=x']);
  expect(await open('[::1]:3000', 'text/html')).toEqual([307, 'http://localhost:3000/setup?token=x']);
  for (const [host, accept] of [
    ['localhost:3000', 'text/html'],
    ['127.0.0.1:3001', 'text/html'],
    ['evil.example:3000', 'text/html'],
    ['127.0.0.1:3000', '*/*'],
  ] as const) {
    expect(await open(host, accept)).toEqual([200, undefined]);
  }
});

test('a few requests may be sent before the first is answered; who sends hundreds at once has no answers piled up for them', async () => {
  await using app = await testApp();
  const ask = async (times: number) => {
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1').on('error', () => undefined);
    let answers = '';
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString('latin1')));
    const last = 'GET /healthz HTTP/1.1\r\nhost: byok.test\r\nconnection: close\r\n\r\n';
    socket.write('GET /api/openapi.json HTTP/1.1\r\nhost: byok.test\r\n\r\n'.repeat(times - 1) + last);
    await once(socket, 'close');
    return answers.split('HTTP/1.1 200 OK').length - 1;
  };
  expect(await ask(16)).toBe(16);
  expect(await ask(500)).toBeLessThan(17);
  expect((await app.fetch(null, '/healthz')).status).toBe(200);
});

test.each(['/api/v1/auth/token', '/api/auth/sign-in/email'])('who leaves in the middle of a body is no error of ours: %s', async (path) => {
  await using app = await testApp();
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket.write(`POST ${path} HTTP/1.1\r\nhost: byok.test\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`);
  await once(socket, 'connect');
  // The other request is answered after the first has arrived.
  await app.fetch(null, '/healthz');
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(app.lines).toEqual([]);
});

test('a batch of calls holds at most twenty', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const batch = (calls: number) => app.fetch(ada, `/trpc/${Array<string>(calls).fill('keys.list').join(',')}?batch=1`);
  expect([(await batch(20)).status, (await batch(21)).status]).toEqual([200, 400]);
});

test('a body may be as large as the procedure takes it, in a batch as that which takes most', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const send = async (path: string, bytes: number) => (await app.fetch(ada, path, { json: { words: 'x'.repeat(bytes) } })).status;
  const rest = '/api/v1/agents/general/messages';
  const statuses = (bytes: number) =>
    Promise.all(['/trpc/keys.save', '/trpc/agents.ask', '/trpc/keys.save,agents.ask?batch=1', rest].map((path) => send(path, bytes)));
  // It has not the expected shape, which shows once it has been read.
  expect(await statuses(100_000)).toEqual([413, 400, 400, 400]);
  expect(await statuses(3_000_000)).toEqual([413, 413, 413, 413]);
});
