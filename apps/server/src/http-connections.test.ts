/** Clients that are slow, or speak no HTTP, on real sockets; the server's patience is a fraction of a second here. */
import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { createBodies } from './gateway-bodies.ts';
import { createServer } from './http.ts';
import { createConnections } from './http-connections.ts';

const patience = { headersTimeout: 250, requestTimeout: 500, connectionsCheckingInterval: 50 };

async function listening(server: Server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

/** All that comes back until the server closes, while one more byte is sent every few milliseconds. */
async function drip(port: number, head: string, dripped = 'x'): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  const text = textOf(socket);
  socket.write(head);
  // `once` would reject on the reset that a client may get which still sends.
  const closed = new Promise((done) => socket.once('close', done));
  let isOpen = true;
  void closed.then(() => (isOpen = false));
  while (isOpen) {
    socket.write(dripped);
    await Promise.race([sleep(20), closed]);
  }
  return text();
}

function textOf(socket: Socket): () => string {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

const headOf = (who: Person, path: string, ...lines: string[]) =>
  [`POST ${path} HTTP/1.1`, 'host: byok.test', `authorization: Bearer ${who.token}`, ...lines, '', ''].join('\r\n');
const impatient = (app: TestApp) => listening(createServer(app.app, app.folder, patience));

test('who drips the head of a request gets 408, and the connection ends', async () => {
  await using app = await testApp();
  await using server = await impatient(app);
  expect(await drip(server.port, 'GET /v1/models HTTP/1.1\r\nx: ')).toBe('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
  expect(await drip(server.port, '', '\r\n')).toContain('HTTP/1.1 408 ');
  expect(await drip(server.port, '', '')).toContain('HTTP/1.1 408 ');
});

test.each([
  ['/v1/chat/completions', 'content-length: 100000', 'x', { error: { type: 'server_error', code: 'request_timeout' } }],
  ['/v1/chat/completions', 'transfer-encoding: chunked', '1\r\nx\r\n', { error: { type: 'server_error', code: 'request_timeout' } }],
  ['/v1/audio/transcriptions', 'content-length: 100000', 'x', { error: { code: 'request_timeout' } }],
  [
    '/v1/messages',
    'content-length: 100000',
    'x',
    { type: 'error', error: { type: 'timeout_error', details: { error_code: 'request_timeout' } } },
  ],
])('who drips a body gets 408 in the shape of %s (%s), and nothing goes up or is left behind', async (path, framing, dripped, shape) => {
  await using app = await testApp({ platform: { openai: 'good', anthropic: 'good' } });
  await using server = await impatient(app);
  const ada = await app.person();
  const answer = await drip(server.port, headOf(ada, path, framing), dripped);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1.1 408 /);
  expect(head).toMatch(/connection: close/i);
  expect(head).toMatch(/x-byok-request-id: req_/);
  expect(JSON.parse(body)).toMatchObject(shape);
  expect(app.provider.requests).toEqual([]);
  expect(await app.requests()).toEqual([]);
  expect(app.lines.some((line) => line.includes('"code":"request_timeout"'))).toBe(true);
  expect(app.lines.some((line) => line.includes('"level":"error"'))).toBe(false);
});

test.each(['/api/v1/auth/token', '/api/auth/sign-in/email', '/trpc/accounts.token'])(
  'who drips a body elsewhere is let go too: %s',
  async (path) => {
    await using app = await testApp();
    await using server = await impatient(app);
    const ada = await app.person();
    const answer = await drip(server.port, headOf(ada, path, 'content-type: application/json', 'content-length: 1000'));
    expect(answer).not.toMatch(/^HTTP\/1.1 2/);
    if (path.startsWith('/api/v1/')) expect(answer).toMatch(/^HTTP\/1.1 408 .*"code":"request_timeout"/s);
    expect((await app.fetch(null, '/healthz')).status).toBe(200);
  },
);

test('who has been answered before all of the body was there hears nothing more', async () => {
  await using app = await testApp();
  await using server = await impatient(app);
  const ada = await app.person();
  const answer = await drip(server.port, headOf(ada, '/api/v1/auth/token', 'content-type: application/json', 'content-length: 100000'));
  expect(answer.split('HTTP/1.1 ')).toEqual(['', expect.stringMatching(/^413 /)]);
});

test('an answer may take longer than a request: only who is slow is let go', async () => {
  await using app = await testApp();
  await using server = await impatient(app);
  const ada = await app.person({ keys: { openai: 'good' } });
  const gate = app.provider.gate('head', { path: '/v1/chat/completions' });
  const answer = fetch(`http://127.0.0.1:${server.port}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ada.token}` },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] }),
  });
  await gate.reached;
  // The slow one comes later, and is let go first.
  expect(await drip(server.port, headOf(ada, '/v1/chat/completions', 'content-length: 100000'))).toContain('HTTP/1.1 408 ');
  gate.open();
  expect((await answer).status).toBe(200);
});

test('what a slow client has sent is forgotten: its memory is there for the next', async () => {
  const bodies = createBodies({ limitBytes: 1_000, allBytes: 1_000 });
  const connections = createConnections();
  const codes: string[] = [];
  const server = createHttpServer(patience, (req, res) => {
    connections.begin(req, res);
    bodies
      .read(req, false, 'ada')
      .then((body) => {
        bodies.free(body);
        res.end(String(body.bytes.length));
      })
      .catch((error: unknown) => {
        codes.push(error instanceof AppError ? error.code : 'unforeseen');
        res.writeHead(error instanceof AppError ? error.form.http : 500, { connection: 'close' }).end();
      });
  });
  await using listener = await listening(connections.watch(server));
  const most = () => fetch(`http://127.0.0.1:${listener.port}`, { method: 'POST', body: 'x'.repeat(1_000) });
  for (let i = 1; i <= 3; i += 1) {
    const head = 'POST / HTTP/1.1\r\nhost: byok.test\r\ntransfer-encoding: chunked\r\n\r\n';
    const dripping = drip(listener.port, `${head}384\r\n${'x'.repeat(900)}\r\n`, '1\r\nx\r\n');
    // As long as it is there, there is no room.
    await expect.poll(async () => (await most()).status).toBe(503);
    expect(await dripping).toMatch(/^HTTP\/1.1 408 /);
    expect(await (await most()).text()).toBe('1000');
  }
  expect(codes.filter((code) => code !== 'busy')).toEqual(['request_timeout', 'request_timeout', 'request_timeout']);
});

test.each([
  ['no HTTP', 'Good day to you\r\n\r\n', '400 Bad Request'],
  [
    'a head that is too large',
    `GET / HTTP/1.1\r\nhost: byok.test\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`,
    '431 Request Header Fields Too Large',
  ],
  [
    'two lengths',
    'POST /v1/messages HTTP/1.1\r\nhost: byok.test\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    '400 Bad Request',
  ],
])('%s is told so, and the connection ends', async (_, bytes, status) => {
  await using app = await testApp();
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1').on('error', () => undefined);
  const text = textOf(socket);
  socket.write(bytes);
  await new Promise((done) => socket.once('close', done));
  expect(text()).toBe(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
});

test('nonsense after a request does not get a status into the middle of the answer', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { chunks: 20, tokens: 20 } } });
  const gate = app.provider.gate(3, { path: '/v1/chat/completions' });
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1').on('error', () => undefined);
  const text = textOf(socket);
  const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }], stream: true });
  socket.write(headOf(ada, '/v1/chat/completions', `content-length: ${body.length}`) + body);
  await gate.reached;
  await expect.poll(text).toContain('data: ');
  socket.write('nonsense\r\n\r\n');
  await new Promise((done) => socket.once('close', done));
  gate.open();
  expect(text()).toContain('HTTP/1.1 200 OK');
  expect(text()).not.toContain('400 Bad Request');
});
