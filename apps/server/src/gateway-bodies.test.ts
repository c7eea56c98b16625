/** What a client may send to /v1/*, and what it is told if it may not: paths, bodies, credentials. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { createBodies } from './gateway-bodies.ts';

const chat = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Say hello' }] };
const last = (app: TestApp) => app.provider.requests.at(-1);

/** Bytes as they are, and all that comes back until the server closes. */
async function raw(app: TestApp, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  // A server that refuses a body may close before all of it is sent.
  socket.on('error', () => undefined);
  for (const part of parts) socket.write(part);
  await once(socket, 'close');
  return text;
}
const headOf = (who: Person, path: string, ...lines: string[]) =>
  [
    `POST ${path} HTTP/1.1`,
    'host: byok.test',
    `authorization: Bearer ${who.token}`,
    'content-type: application/json',
    ...lines,
    '',
    '',
  ].join('\r\n');

test('a body goes up byte for byte on the user’s key, whatever numbers, spaces, marks and duplicates it holds', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { status: 200, body: {} } } });
  for (const body of [
    '{"model":"gpt-4o-mini","seed":12345678901234567890,"messages":[]}',
    ' \r\n{ "model" : "gpt-4o-mini",\t"temperature":1.0e-0 , "messages":[] }\n ',
    '{"model":"gpt-4o","model":"gpt-4o-mini","messages":[]}',
    '\ufeff{"model":"gpt-4o-mini","messages":[]}',
    '{"model":"gpt-4o-mini","__proto__":{"a":1},"constructor":{"prototype":1},"messages":[]}',
    `{"model":"gpt-4o-mini","messages":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  ]) {
    const res = await app.fetch(ada, '/v1/chat/completions', {
      method: 'POST',
      body: Buffer.from(body),
      headers: { 'content-type': 'application/json' },
    });
    expect([res.status, last(app)?.body.toString()]).toEqual([200, body]);
  }
});

test.each([
  ['not JSON', '{"model":', 'invalid_input', 400],
  ['a list', '[]', 'invalid_input', 400],
  ['null', 'null', 'invalid_input', 400],
  ['nothing', '', 'invalid_input', 400],
  ['larger than allowed', JSON.stringify({ ...chat, user: 'x'.repeat(3_000) }), 'too_large', 413],
])('a body that is %s is refused in the shape of the route, with one sentence, and nothing goes up', async (_, body, code, status) => {
  await using app = await testApp({ env: { BODY_LIMIT_BYTES: '2048' } });
  const ada = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  const before = app.provider.requests.length;
  const openai = await app.fetch(ada, '/v1/chat/completions', { method: 'POST', body });
  expect([openai.status, await openai.json()]).toEqual([
    status,
    { error: { message: expect.any(String), type: 'invalid_request_error', param: null, code } },
  ]);
  const anthropic = await app.fetch(ada, '/v1/messages', { method: 'POST', body });
  const type = status === 413 ? 'request_too_large' : 'invalid_request_error';
  expect([anthropic.status, await anthropic.json()]).toEqual([
    status,
    {
      type: 'error',
      error: { type, message: expect.any(String), details: { error_code: code } },
      request_id: anthropic.headers.get('x-byok-request-id'),
    },
  ]);
  expect(app.provider.requests.length).toBe(before);
  expect(await app.requests()).toEqual([]);
});

test.each([
  ['lists', '[],'],
  ['objects', '{},'],
  ['a nest', '['],
  ['fields', '"a":[],'],
])('a small body that would become very large when it is parsed is refused: %s', async (_, piece) => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const inside = piece.repeat(Math.floor(8_000_000 / piece.length));
  const body = piece === '"a":[],' ? `{${inside}"model":"gpt-4o-mini"}` : `{"model":"gpt-4o-mini","messages":[${inside}`;
  const res = await app.fetch(ada, '/v1/chat/completions', { method: 'POST', body });
  expect([res.status, await res.json()]).toEqual([413, { error: expect.objectContaining({ code: 'too_large' }) }]);
});

test('what is large because of its texts and numbers is not', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const text = '"\\[{,:'.repeat(400_000);
  expect((await app.chat(ada, text)).status).toBe(200);
  const input = Array.from({ length: 300_000 }, (_, i) => i);
  expect((await app.fetch(ada, '/v1/embeddings', { json: { model: 'text-embedding-3-small', input } })).status).toBe(200);
});

test('all bodies in flight share their memory, and give it back', async () => {
  const bodies = createBodies({ limitBytes: 1_000, allBytes: 1_500 });
  const finish = Promise.withResolvers<void>();
  const outcomes: string[] = [];
  const server = createServer((req, res) => {
    bodies
      .read(req, false, String(req.headers.owner))
      .then(async (body) => {
        outcomes.push('held');
        await finish.promise;
        res.end('ok');
        bodies.free(body);
      })
      .catch((error: { code: string }) => {
        outcomes.push(error.code);
        res.writeHead(503, { connection: 'close' }).end();
      });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const send = (bytes: number, owner = 'ada') =>
    fetch(url, { method: 'POST', headers: { owner }, body: 'x'.repeat(bytes) }).then((res) => res.status);
  const first = send(1_000);
  await expect.poll(() => outcomes).toEqual(['held']);
  expect([await send(501, 'bob'), outcomes]).toEqual([503, ['held', 'busy']]);
  // Nobody may take all, or others would be left without.
  expect([await send(1), outcomes]).toEqual([503, ['held', 'busy', 'busy']]);
  const second = send(500, 'bob');
  await expect.poll(() => outcomes).toEqual(['held', 'busy', 'busy', 'held']);
  finish.resolve();
  expect([await first, await second, await send(1_000)]).toEqual([200, 200, 200]);
  server.closeAllConnections();
  server.close();
});

test('a body without a length is bounded too, and so is one that is compressed', async () => {
  await using app = await testApp({ env: { BODY_LIMIT_BYTES: '2048' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const piece = `400\r\n${'x'.repeat(1_024)}\r\n`;
  expect(await raw(app, headOf(ada, '/v1/chat/completions', 'transfer-encoding: chunked'), piece, piece, piece)).toMatch(/^HTTP\/1.1 413 /);
  const packed = await app.fetch(ada, '/v1/chat/completions', { method: 'POST', body: 'x', headers: { 'content-encoding': 'gzip' } });
  expect(packed.status).toBe(415);
});

test('a client that is told of a far too large body while it still sends hears it, and the connection ends', async () => {
  await using app = await testApp({ env: { BODY_LIMIT_BYTES: '2048' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const answer = await raw(app, headOf(ada, '/v1/chat/completions', `content-length: ${20_000_000}`), Buffer.alloc(100_000, 'x'));
  expect(answer).toMatch(/^HTTP\/1.1 413 /);
});

test('a client that reads its answer only once it has sent everything gets it too, and its connection goes on', async () => {
  await using app = await testApp({ env: { BODY_LIMIT_BYTES: '2048' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const body = Buffer.alloc(20_000_000, 'x');
  const next = headOf(ada, '/v1/models', 'connection: close').replace('POST', 'GET');
  const answers = await raw(app, headOf(ada, '/v1/chat/completions', `content-length: ${body.length}`), body, next);
  expect(answers.match(/HTTP\/1.1 \d{3}/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200']);
});

test('a client that leaves in the middle of its body leaves no row and no trouble in the log', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket.write(headOf(ada, '/v1/chat/completions', 'content-length: 100', 'expect: 100-continue'));
  expect(String((await once(socket, 'data'))[0])).toContain('100 Continue');
  socket.write('{"model":');
  socket.resetAndDestroy();
  await expect.poll(() => app.lines.some((line) => line.includes('"status":499') && line.includes('"code":"client_closed"'))).toBe(true);
  expect(app.lines.filter((line) => (JSON.parse(line) as { level: number | string }).level === 'error')).toEqual([]);
  expect(await app.requests()).toEqual([]);
});

test('only the exact path is a route', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const before = app.provider.requests.length;
  const body = JSON.stringify(chat);
  for (const path of [
    ...[
      '/v1/chat/completions/',
      '/v1//chat/completions',
      '/v1/./chat/completions',
      '/v1/x/../chat/completions',
      '/v1/%2e%2e/chat/completions',
    ],
    ...[
      '/v1/chat%2fcompletions',
      '/v1/chat/completions;x=1',
      '/v1/chat\\completions',
      '/v1/Chat/completions',
      '/v1/chat/completions%00',
      '/v1/files',
    ],
    ...['/v1/responses/..', '/v1/responses/%2e%2e/cancel', '/v1/responses/a%2fb/cancel', `/v1/responses/${'a'.repeat(257)}/cancel`],
  ]) {
    const answer = await raw(app, headOf(ada, path, `content-length: ${body.length}`, 'connection: close'), body);
    expect({ path, status: answer.slice(9, 12) }).toEqual({ path, status: '404' });
  }
  expect(app.provider.requests.length).toBe(before);
});

test('an id in a path is checked, encoded again, and takes its query along on the user’s key', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const res = await app.fetch(ada, '/v1/responses/resp%5F1:a.b-c?include=x');
  expect(res.status).toBe(404);
  expect([last(app)?.path, last(app)?.query]).toEqual(['/v1/responses/resp_1%3Aa.b-c', 'include=x']);
});

test('two different credentials are refused, the same twice is one, and neither goes up', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const send = (apiKey: string) => app.fetch(ada, '/v1/chat/completions', { json: chat, headers: { 'x-api-key': apiKey } });
  expect((await send('byok_other')).status).toBe(400);
  expect((await send(ada.token)).status).toBe(200);
  expect(JSON.stringify(last(app)?.rawHeaders)).not.toContain(ada.token);
  expect(last(app)?.headers['x-api-key']).toBeUndefined();
});

test('moderations and token counts cost nothing, and that is known', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  expect((await app.fetch(ada, '/v1/moderations', { json: { input: 'Hi' } })).status).toBe(200);
  const counted = await app.fetch(ada, '/v1/messages/count_tokens', {
    json: { model: 'claude-haiku-4-5', messages: chat.messages },
    headers: { 'anthropic-version': '2023-06-01' },
  });
  expect(counted.status).toBe(200);
  expect(await app.requests()).toMatchObject([
    { state: 'done', totalTokens: 0, costNanoUsd: 0 },
    { state: 'done', totalTokens: 0, costNanoUsd: 0 },
  ]);
  expect(await app.keysOf(ada)).toMatchObject([
    { totalRequests: 1, unpricedRequests: 0 },
    { totalRequests: 1, unpricedRequests: 0 },
  ]);
});

test('two credentials in one request are refused, also under the same name, and one that is said twice is one', async () => {
  await using app = await testApp();
  const [ada, eve] = [await app.person({ keys: { openai: 'good' } }), await app.person({ keys: { openai: 'good' } })];
  const get = (...lines: string[]) =>
    raw(app, ['GET /v1/models HTTP/1.1', 'host: byok.test', 'connection: close', ...lines, '', ''].join('\r\n'));
  for (const [first, second, status] of [
    [ada, eve, 400],
    [ada, ada, 200],
  ] as const) {
    const bearers = await get(`authorization: Bearer ${first.token}`, `authorization: Bearer ${second.token}`);
    const keys = await get(`x-api-key: ${first.token}`, `x-api-key: ${second.token}`);
    expect([bearers, keys].map((text) => Number(text.slice(9, 12)))).toEqual([status, status]);
  }
});
