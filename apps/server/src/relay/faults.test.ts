/** Every way in which a provider's connection can go wrong: the right answer, one row, and both SDKs raise an error for a stream that broke. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from 'node:zlib';
import type { ProviderId } from '@synthstack/core';
import { testDialect } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../../test/app.ts';
import { type Asking, ask, askings, bodyOf, codeIn, pathOf, readAll } from '../../test/asking.ts';
import type { Script } from '../../test/provider.ts';
import { workMs } from '../../test/work.ts';

interface Outcome {
  status: number;
  /** An error of ours, before the first byte. */
  code?: string;
  /** How the answer ends: the route's own end, our error event, the provider's, or with a broken socket. */
  end?: 'clean' | 'broken_off' | 'provider_error' | 'cut';
  row: { state: 'done' | 'failed'; errorCode: string | null; estimated: boolean };
  /** The usage is the provider's truth. */
  exact?: true;
}

const done: Outcome = { status: 200, end: 'clean', row: { state: 'done', errorCode: null, estimated: false }, exact: true };
const unread: Outcome = { status: 200, end: 'clean', row: { state: 'done', errorCode: null, estimated: false } };
const failed = (status: number, code: string): Outcome => ({ status, code, row: { state: 'failed', errorCode: code, estimated: false } });
const unreachable = failed(502, 'provider_unreachable');
const timeout = failed(504, 'provider_timeout');
const broken = (errorCode: string): Outcome => ({ status: 200, end: 'broken_off', row: { state: 'failed', errorCode, estimated: true } });
const reset = broken('upstream_reset');

/** Fault, on a plain answer, on a stream. */
const table: readonly [name: string, script: Script, plain: Outcome, stream: Outcome][] = [
  ['good', 'good', done, done],
  ['gzip', 'gzip', done, done],
  ['br', 'br', done, done],
  ['drip', 'drip', done, done],
  ['CR LF', { crlf: true }, done, done],
  ['a line of 3 MB', { fault: 'long_line', lineBytes: 3_000_000 }, done, done],
  ['refuse', 'refuse', unreachable, unreachable],
  ['reset', 'reset', unreachable, unreachable],
  ['reset_after_head', 'reset_after_head', unreachable, unreachable],
  ['reset_mid_stream', 'reset_mid_stream', unreachable, reset],
  ['reset_mid_event', 'reset_mid_event', unreachable, reset],
  ['truncated', 'truncated', unreachable, reset],
  // Half a JSON text that ends cleanly looks like an answer to everybody but its reader.
  ['close_early', 'close_early', unread, reset],
  ['close_mid_event', 'close_mid_event', unread, reset],
  ['closed before the first event', { fault: 'close_early', afterChunks: 0 }, unread, unreachable],
  ['closed inside the first event', { fault: 'close_mid_event', afterChunks: 0 }, unread, unreachable],
  ['malformed', 'malformed', unread, done],
  [
    'an error event in the middle',
    { fault: 'error_event', afterChunks: 3, error: 'overloaded' },
    done,
    { status: 200, end: 'provider_error', row: { state: 'failed', errorCode: 'provider_error', estimated: true } },
  ],
];

/** They wait for a timeout, so they are asked all at once. */
const slowTable: typeof table = [
  ['silent', 'silent', timeout, timeout],
  ['silent_after_head', 'silent_after_head', timeout, timeout],
  ['stall', 'stall', timeout, broken('provider_timeout')],
];

const terminal: Record<ProviderId, RegExp> = {
  openai: /data: \[DONE\]\r?\n\r?\n$/,
  anthropic: /event: message_stop\r?\ndata: .*\r?\n\r?\n$/,
};
const brokenOff: Record<ProviderId, string> = {
  openai:
    'data: {"error":{"message":"The connection to OpenAI broke off.","type":"server_error","param":null,"code":"upstream_reset"}}\n\n',
  anthropic: 'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"The connection to Anthropic broke off."}}\n\n',
};

function endOf({ provider, stream }: Asking, text: string, broke: boolean): Outcome['end'] {
  if (broke) return 'cut';
  if (!stream) return 'clean';
  if (text.endsWith(`\n\n${brokenOff[provider]}`)) return 'broken_off';
  if (terminal[provider].test(text)) return 'clean';
  return text.includes('overloaded') ? 'provider_error' : undefined;
}

/** Asks, reads all, and compares with what the table says. @param used  places in the limits that it should have cost */
async function meet(app: TestApp, who: Person, asking: Asking, name: string, outcome: Outcome, used: number): Promise<void> {
  const { provider } = asking;
  const res = await ask(app, who, asking);
  const source = res.headers.get('x-byok-key-source');
  const encoding = res.headers.get('content-encoding');
  const { text, broke } = await readAll(res);
  const [row, ...others] = (await app.requests()).filter((one) => one.userId === who.id);
  const upstream = app.provider.requests.filter(
    (one) => one.path === pathOf(provider) && one.key === (who.secrets[provider] ?? app.platformSecrets[provider]),
  );
  expect({
    name,
    status: res.status,
    code: outcome.code && codeIn(provider, text),
    end: outcome.end && endOf(asking, text, broke),
    row: row && { state: row.state, errorCode: row.errorCode, estimated: row.estimated },
    others,
    source,
    status2: row?.status,
    used: (await app.app.limits.view(who.id, 'premium')).day.used,
  }).toEqual({
    name,
    status: outcome.status,
    code: outcome.code,
    end: outcome.end,
    row: outcome.row,
    others: [],
    source: who.secrets[provider] ? 'user' : 'platform',
    status2: outcome.status,
    used,
  });
  // Nothing went out a second time: one request of this one and, on the user's key, its check.
  if (who.secrets[provider]) expect(upstream.filter((one) => JSON.parse(one.body.toString()).max_tokens !== 1)).toHaveLength(1);
  const truth = upstream.at(-1)?.truth;
  if (outcome.exact) expect({ name, total: row?.totalTokens }).toEqual({ name, total: truth?.totalTokens });
  else if (outcome.row.estimated) expect(row?.outputTokens).toBeLessThanOrEqual((truth?.outputTokens ?? 0) + 8);
  else expect(row?.totalTokens).toBeNull();
  if (outcome.row.estimated) expect(row?.costNanoUsd).toBeGreaterThan(0);
  // fetch has opened it: what came was what it said it was.
  if (name === 'gzip' || name === 'br') expect(encoding).toBe(name);
}

/** What a socket does is the same on both databases: on the slower one, streams are enough. */
const met = testDialect === 'sqlite' ? askings : askings.filter((one) => one.stream);

for (const asking of met) {
  const { provider, stream } = asking;
  test(`${asking.name}: faults on the user's key`, async () => {
    await using app = await testApp();
    for (const [name, script, plain, streamed] of table) {
      const person = await app.person({ keys: { [provider]: script } });
      await meet(app, person, asking, name, stream ? streamed : plain, 0);
      expect((await app.keysOf(person))[0]?.status).toBe('valid');
    }
  });

  test(`${asking.name}: faults on the platform's key, and the place in the limits`, async () => {
    await using app = await testApp({ platform: { [provider]: 'good' } });
    for (const [name, script, plain, streamed] of table) {
      app.provider.key(app.platformSecrets[provider] ?? '', script, provider);
      const outcome = stream ? streamed : plain;
      await meet(app, await app.person(), asking, name, outcome, outcome.code ? 0 : 1);
    }
  });

  test(`${asking.name}: what never comes is not waited for without end`, async () => {
    await using app = await testApp({ env: { UPSTREAM_FIRST_BYTE_TIMEOUT_MS: '900', UPSTREAM_IDLE_TIMEOUT_MS: '900' } });
    const people = await Promise.all(slowTable.map(([, script]) => app.person({ keys: { [provider]: script } })));
    await Promise.all(
      slowTable.map(async ([name, , plain, streamed], i) => {
        const person = people[i];
        if (person) await meet(app, person, asking, name, stream ? streamed : plain, 0);
      }),
    );
  });
}

test('an error event that comes first falls back, or says in our words what is wrong with the platform', async () => {
  await using app = await testApp({ platform: { openai: 'good', anthropic: 'good' } });
  for (const { provider, stream } of askings.filter((one) => one.stream)) {
    const asking = { provider, stream };
    const first = (error: 'revoked' | 'no_credit' | 'overloaded'): Script => ({ fault: 'error_event', afterChunks: 0, error });
    for (const [error, reason, status] of [
      ['revoked', 'bad_key', 'invalid'],
      ['no_credit', 'out_of_credit', 'no_credit'],
    ] as const) {
      const person = await app.person({ keys: { [provider]: first(error) } });
      const res = await ask(app, person, asking);
      expect((await readAll(res)).text).toMatch(terminal[provider]);
      // Anthropic's "credit balance" is a 400 like any other, known by its words.
      expect({ error, reason: res.headers.get('x-byok-fallback-reason') }).toEqual({ error, reason });
      expect((await app.keysOf(person))[0]?.status).toBe(status);
    }
    const person = await app.person({ keys: { [provider]: first('overloaded') } });
    const own = await ask(app, person, asking);
    expect([own.status, own.headers.get('x-byok-key-source')]).toEqual([200, 'user']);
    expect((await readAll(own)).text).toContain('overloaded');

    app.provider.key(app.platformSecrets[provider] ?? '', first('overloaded'), provider);
    const other = await app.person();
    const busy = await ask(app, other, asking);
    expect([busy.status, codeIn(provider, await busy.text())]).toEqual([502, 'provider_unreachable']);
    expect((await app.app.limits.view(other.id, 'premium')).day.used).toBe(0);
    app.provider.key(app.platformSecrets[provider] ?? '', first('revoked'), provider);
    const dead = await ask(app, other, asking);
    expect([dead.status, codeIn(provider, await dead.text())]).toEqual([503, 'platform_unavailable']);
  }
});

test('without a platform key, an error event that comes first reaches the user as it is, and the key is known to be bad', async () => {
  await using app = await testApp();
  for (const asking of askings.filter((one) => one.stream)) {
    const person = await app.person({ keys: { [asking.provider]: { fault: 'error_event', afterChunks: 0, error: 'revoked' } } });
    const res = await ask(app, person, asking);
    expect([res.status, res.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect((await readAll(res)).text).toMatch(/^(event: error\n)?data: \{.*"error".*\}\n\n$/);
    expect(await app.keysOf(person)).toMatchObject([{ status: 'invalid', totalRequests: 0 }]);
    expect((await app.requests()).at(-1)).toMatchObject({ state: 'failed', errorCode: 'bad_key', status: 200 });
  }
});

test('both clients raise an error for each stream that broke', async () => {
  await using app = await testApp();
  const faults = ['reset_mid_stream', 'reset_mid_event', 'truncated', 'close_early', 'close_mid_event', 'reset_after_head'] as const;
  for (const fault of [...faults, { fault: 'error_event', afterChunks: 3, error: 'overloaded' } as const]) {
    const person = await app.person({ keys: { openai: fault, anthropic: fault } });
    const drain = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    };
    const quiet = { logLevel: 'off' } as const;
    const messages = [{ role: 'user' as const, content: 'Say hello' }];
    const viaOpenai = async () =>
      drain(await app.openai(person, quiet).chat.completions.create({ model: 'gpt-4o-mini', messages, stream: true }));
    const viaAnthropic = async () =>
      drain(await app.anthropic(person, quiet).messages.create({ model: 'claude-haiku-4-5', max_tokens: 200, messages, stream: true }));
    await expect(viaOpenai(), `OpenAI: ${JSON.stringify(fault)}`).rejects.toThrow();
    await expect(viaAnthropic(), `Anthropic: ${JSON.stringify(fault)}`).rejects.toThrow();
  }
});

test.each([
  ['gzip', gzipSync, gunzipSync, constants.Z_SYNC_FLUSH],
  ['br', brotliCompressSync, brotliDecompressSync, constants.BROTLI_OPERATION_FLUSH],
] as const)('an answer that came as %s all the same passes byte for byte', async (encoding, pack, open, finishFlush) => {
  await using app = await testApp();
  const plain = JSON.stringify({
    id: 'x',
    model: 'gpt-4o-mini',
    choices: [],
    usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
  });
  const person = await app.person({ keys: { openai: { encoding, body: plain }, anthropic: encoding } });
  const own = await raw(app, person, { provider: 'openai', stream: false });
  expect(own.equals(pack(plain))).toBe(true);
  expect(await app.requests()).toMatchObject([{ state: 'done', inputTokens: 7, outputTokens: 5 }]);
  // A stream that is flushed event by event need not have the end that its encoding would give it.
  const stream = open(await raw(app, person, { provider: 'anthropic', stream: true }), { finishFlush });
  expect(stream.toString()).toMatch(terminal.anthropic);
});

/** The bytes on the wire, which fetch would open. */
async function raw(app: TestApp, who: Person, asking: Asking): Promise<Buffer> {
  const headers = { authorization: `Bearer ${who.token}`, 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
  const req = request(`${app.url}${pathOf(asking.provider)}`, { method: 'POST', headers }).end(JSON.stringify(bodyOf(asking)));
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  return Buffer.concat(await res.toArray());
}

test('a redirect is never followed: the trap sees nothing', async () => {
  await using app = await testApp({ platform: { openai: 'good', anthropic: 'good' } });
  let seen = 0;
  const trap = createServer((_, res) => {
    seen += 1;
    res.end('{}');
  }).listen(0, '127.0.0.1');
  await once(trap, 'listening');
  const location = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/v1/chat/completions`;
  for (const status of [301, 302, 303, 307, 308]) {
    for (const asking of met) {
      const script: Script = { status, location, body: 'Moved' };
      const person = await app.person({ keys: { [asking.provider]: script } });
      const res = await ask(app, person, asking);
      expect([res.status, codeIn(asking.provider, await res.text()), res.headers.get('location')]).toEqual([
        502,
        'provider_unreachable',
        null,
      ]);
      app.provider.next(script, { key: app.platformSecrets[asking.provider] ?? '' });
      expect((await ask(app, await app.person(), asking)).status).toBe(502);
    }
  }
  expect(seen).toBe(0);
  expect((await fetch(location)).status).toBe(200);
  expect(seen).toBe(1);
  trap.closeAllConnections();
  trap.close();
});

test('of an endless stream, the provider sends no more once the client has left, and there is one row', async () => {
  await using app = await testApp();
  for (const provider of ['openai', 'anthropic'] as const) {
    const person = await app.person({ keys: { [provider]: 'endless' } });
    const leave = new AbortController();
    const res = await ask(app, person, { provider, stream: true }, { signal: leave.signal });
    const reader = res.body?.getReader();
    for (let i = 0; i < 20; i += 1) await reader?.read();
    leave.abort();
    const upstream = app.provider.requests.at(-1);
    expect(await upstream?.settled).toBe('aborted');
    await expect
      .poll(async () => (await app.requests()).at(-1))
      .toMatchObject({ userId: person.id, state: 'failed', errorCode: 'client_closed', status: 200, estimated: true });
  }
  expect(await app.requests()).toHaveLength(2);
});

test('a flood of comments before the first event holds nobody else up', async () => {
  const provider = createServer((req, res) => {
    req.resume();
    if (req.method === 'GET') return void res.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[]}');
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    // Each is a piece of its own.
    for (let i = 0; i < 200_000; i += 1) res.write(':\n\n');
    res.end('data: [DONE]\n\n');
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const { port } = provider.address() as AddressInfo;
  await using app = await testApp({ env: { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const took = await workMs(async () => {
    const res = await app.chat(ada, 'Hi', { stream: true });
    expect((await res.text()).endsWith(':\n\ndata: [DONE]\n\n')).toBe(true);
  });
  expect(took).toBeLessThan(8_000);
  provider.close();
}, 120_000);
