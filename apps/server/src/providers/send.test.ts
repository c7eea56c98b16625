import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { AppError } from '@synthstack/core';
import { Secret } from '@synthstack/core/secret';
import { describe, expect, test } from 'vitest';
import { baseUrlMistake } from '../base-url.ts';
import { systemClock } from '../ports/clock.ts';
import { createOutbound } from '../ports/outbound.ts';
import { anthropic } from './anthropic.ts';
import { allProviders } from './catalog.ts';
import { openai } from './openai.ts';
import type { Provider } from './provider.ts';
import { createSender, type UpstreamRequest } from './send.ts';

const secret = new Secret('sk-planted-0123456789abcdef');

/** A sender whose providers are all one server on the loopback. */
async function stage(listener: RequestListener, { suffix = '', firstByteMs = 5_000 } = {}) {
  const seen: IncomingMessage[] = [];
  const server = createServer((req, res) => {
    seen.push(req);
    listener(req, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${suffix}`;
  const outbound = createOutbound();
  const sender = createSender({
    outbound,
    baseUrls: { openai: url, anthropic: url },
    timeouts: { connectMs: 2_000, firstByteMs, idleMs: 5_000, totalMs: 10_000 },
    clock: systemClock,
  });
  return {
    ...sender,
    seen,
    fetch(provider: Provider, request: Partial<UpstreamRequest>): Promise<{ status: number; body: string }> {
      return new Promise((resolve, reject) => {
        let status = 0;
        const chunks: Buffer[] = [];
        sender.send(provider, { method: 'GET', path: '/v1/models', headers: {}, body: null, ...request }, secret, {
          head(code) {
            status = code;
          },
          data: (chunk) => void chunks.push(chunk),
          end: () => resolve({ status, body: Buffer.concat(chunks).toString() }),
          fail: reject,
        });
      });
    },
    async unplug() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
    async [Symbol.asyncDispose]() {
      await outbound.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

const json = (status: number, body: unknown): RequestListener => {
  return (_req, res) => void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

test('a knock carries no key, and takes any answer for one; silence and nobody are failures', async () => {
  for (const status of [200, 401, 404, 503]) {
    await using stand = await stage(json(status, {}));
    for (const provider of allProviders) await stand.reach(provider);
    for (const { url, headers } of stand.seen)
      expect([url, headers.authorization, headers['x-api-key']]).toEqual(['/v1/models', undefined, undefined]);
    await stand.unplug();
    await expect(stand.reach(openai)).rejects.toMatchObject({ code: 'provider_unreachable' });
  }
  await using silent = await stage(() => {}, { firstByteMs: 50 });
  await expect(silent.reach(anthropic)).rejects.toMatchObject({ code: 'provider_timeout' });
});

describe('the upstream URL', () => {
  test.each([
    ['', '/v1/models'],
    ['/', '/v1/models'],
    ['/v1', '/v1/models'],
    ['/v1/', '/v1/models'],
    ['/v1//', '/v1/models'],
    ['/proxy/openai/v1', '/proxy/openai/v1/models'],
    ['/proxy/openai', '/proxy/openai/v1/models'],
    ['/v10', '/v10/v1/models'],
  ])('base %j gives %s', async (suffix, path) => {
    await using app = await stage(json(200, {}), { suffix });
    await app.fetch(openai, {});
    expect(app.seen[0]?.url).toBe(path);
  });

  test('has the query where there is one', async () => {
    await using app = await stage(json(200, {}));
    await app.fetch(openai, { query: 'limit=2&after=a%20b' });
    await app.fetch(openai, { query: '' });
    expect(app.seen.map((req) => req.url)).toEqual(['/v1/models?limit=2&after=a%20b', '/v1/models']);
  });
});

test.each(allProviders.map((provider) => [provider.name, provider] as const))(
  '%s receives our credential and framing, whatever the caller set',
  async (_name, provider) => {
    await using app = await stage(json(200, {}));
    const foreign = Object.fromEntries(
      [
        'Authorization',
        'X-API-Key',
        'api-key',
        'Proxy-Authorization',
        'Cookie',
        'Host',
        'Accept-Encoding',
        'Content-Length',
        'TE',
        'Expect',
        'Connection',
      ].map((name) => [name, 'foreign']),
    );
    const headers = { ...foreign, 'content-type': 'application/json', 'OpenAI-Beta': 'x=1', 'transfer-encoding': 'chunked' };
    const body = Buffer.from('{"model":"m"}');
    await app.fetch(provider, { method: 'POST', path: '/v1/x', headers, body });
    const received = app.seen[0]?.headers ?? {};
    const { host, connection, ...rest } = received;
    expect(rest).toEqual({
      'content-type': 'application/json',
      'openai-beta': 'x=1',
      'accept-encoding': 'identity',
      'content-length': '13',
      ...provider.credential(secret),
    });
    expect(host).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(connection).not.toBe('foreign');
  },
);

describe('asking', () => {
  test('is JSON both ways, with the headers that the provider needs', async () => {
    const bodies: string[] = [];
    await using app = await stage(async (req, res) => {
      let text = '';
      for await (const chunk of req) text += chunk;
      bodies.push(text);
      json(200, { ok: true })(req, res);
    });
    const answer = await app.ask(anthropic, secret)({ method: 'POST', path: '/v1/messages', body: { model: 'ä' } });
    expect(answer).toMatchObject({ status: 200, body: { ok: true } });
    expect(bodies).toEqual(['{"model":"ä"}']);
    expect(app.seen[0]?.headers).toMatchObject({
      'anthropic-version': '2023-06-01',
      'content-type': 'application/json',
      'content-length': '14',
      'x-api-key': secret.expose(),
    });
    expect(app.seen[0]?.headers).not.toHaveProperty('authorization');
  });

  test.each([301, 400, 401, 404, 429, 500, 529])('hands on a %i', async (status) => {
    await using app = await stage(json(status, { error: {} }));
    expect(await app.ask(openai, secret)({ method: 'GET', path: '/v1/models' })).toMatchObject({ status, body: { error: {} } });
  });

  test('what is not JSON, or longer than a megabyte, has a status and no body', async () => {
    await using html = await stage((_req, res) => void res.end('<html>'));
    expect(await html.ask(openai, secret)({ method: 'GET', path: '/v1/models' })).toMatchObject({ status: 200, body: undefined });
    await using endless = await stage((_req, res) => {
      const piece = Buffer.alloc(65_536, 'x');
      const more = () => void (res.writable && (res.write(piece) ? setImmediate(more) : res.once('drain', more)));
      more();
    });
    expect(await endless.ask(openai, secret)({ method: 'GET', path: '/v1/models' })).toMatchObject({ status: 200, body: undefined });
  });

  test('throws only for trouble on the way, and without the key', async () => {
    await using app = await stage(json(200, {}));
    await app.unplug();
    const failure = await app
      .ask(
        openai,
        secret,
      )({ method: 'GET', path: '/v1/models' })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AppError);
    expect(failure).toMatchObject({ code: 'provider_unreachable' });
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('planted');
  });
});

describe('a check over the wire', () => {
  const refused = {
    error: { message: 'Incorrect API key provided: sk-pla*****cdef.', type: 'invalid_request_error', code: 'invalid_api_key' },
  };

  test('OpenAI is asked for its models, Anthropic for one token', async () => {
    await using app = await stage(json(200, {}));
    expect(await app.check(openai, secret)).toMatchObject({ status: 'valid', lastError: null, latencyMs: expect.any(Number) });
    expect(await app.check(anthropic, secret)).toMatchObject({ status: 'valid' });
    expect(app.seen.map((req) => `${req.method} ${req.url}`)).toEqual(['GET /v1/models', 'POST /v1/messages']);
  });

  test('a bad key is invalid, and nothing of what the provider wrote is repeated', async () => {
    await using app = await stage(json(401, refused));
    const result = await app.check(openai, secret);
    expect(result).toMatchObject({ status: 'invalid', lastError: result.message });
    expect(result.message).not.toContain('sk-pla');
    expect(result.message).toContain(openai.keysUrl);
  });

  test('a provider that cannot be reached leaves the key unverified', async () => {
    await using app = await stage(json(200, {}));
    await app.unplug();
    const result = await app.check(anthropic, secret);
    expect(result.status).toBe('unverified');
    expect(result.message).toMatch(/could not reach Anthropic/);
  });

  test('so does one that does not answer in time', async () => {
    await using app = await stage(() => {}, { firstByteMs: 50 });
    const result = await app.check(openai, secret);
    expect(result.status).toBe('unverified');
    expect(result.message).toMatch(/took too long/);
  });
});

describe('a base URL', () => {
  test.each([
    'https://api.openai.com/v1',
    'https://api.anthropic.com',
    'https://gateway.example/openai/v1/',
    'http://localhost:8080/v1',
    'http://127.0.0.1:9',
    'http://127.8.9.1',
    'http://[::1]:9/v1',
    'https://10.0.0.8',
  ])('%s is fine', (url) => {
    expect(baseUrlMistake(url, 'http://localhost:3000')).toBeNull();
  });

  test.each([
    ['', /not a web address/],
    ['api.openai.com', /not a web address/],
    ['ftp://api.openai.com', /not a web address/],
    ['file:///etc/passwd', /not a web address/],
    ['http://api.openai.com/v1', /unencrypted/],
    ['http://10.0.0.8', /unencrypted/],
    ['http://localhost.evil.example', /unencrypted/],
    ['http://127.0.0.1.evil.example', /unencrypted/],
    ['http://0.0.0.0:9', /unencrypted/],
    ['https://user:secret@api.openai.com', /user name/],
    ['https://api.openai.com/v1?key=1', /question mark/],
    ['https://api.openai.com/v1#x', /question mark/],
    ['http://localhost:3000/v1', /call itself/],
    ['http://127.0.0.1:3000/v1', /call itself/],
    ['http://[::1]:3000', /call itself/],
    ['https://byok.example/v1', /call itself/],
    ['https://BYOK.example:443', /call itself/],
  ])('%s is refused', (url, why) => {
    expect(baseUrlMistake(url, 'http://localhost:3000', 'https://byok.example')).toMatch(why);
  });

  test('a server that listens everywhere is found on the loopback too', () => {
    expect(baseUrlMistake('http://127.0.0.1:3000', 'http://0.0.0.0:3000')).toMatch(/call itself/);
    expect(baseUrlMistake('http://127.0.0.1:3001', 'http://0.0.0.0:3000')).toBeNull();
  });

  test('a sender is not made with a wrong one', () => {
    const baseUrls = { openai: 'http://api.openai.com', anthropic: 'https://api.anthropic.com' };
    const timeouts = { connectMs: 1, firstByteMs: 1, idleMs: 1, totalMs: 1 };
    expect(() => createSender({ outbound: createOutbound(), baseUrls, timeouts, clock: systemClock })).toThrow(/unencrypted/);
  });
});
