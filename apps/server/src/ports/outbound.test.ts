import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import type { AppError } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type AnswerHandler, createOutbound, type Exchange, type OutboundRequest, type Timeouts } from './outbound.ts';

const patient: Timeouts = { connectMs: 2_000, firstByteMs: 5_000, idleMs: 5_000, totalMs: 10_000 };

async function serve(listener: RequestListener) {
  const server = createServer(listener);
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    openSockets: () => sockets.size,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function stage() {
  const outbound = createOutbound();
  return { ...outbound, [Symbol.asyncDispose]: () => outbound.close() };
}

/** Notes everything that a handler is told, and says when it is over. */
function listen(onData?: (chunk: Buffer) => void) {
  const events: string[] = [];
  const chunks: Buffer[] = [];
  let failure: AppError | undefined;
  const over = Promise.withResolvers<void>();
  const handler: AnswerHandler = {
    head: (status, headers) => void events.push(`head ${status} ${headers.location ?? ''}`.trim()),
    data(chunk) {
      if (events.at(-1) !== 'data') events.push('data');
      chunks.push(chunk);
      onData?.(chunk);
    },
    end() {
      events.push('end');
      over.resolve();
    },
    fail(error) {
      events.push(`fail ${error.code}`);
      failure = error;
      over.resolve();
    },
  };
  return { handler, events, over: over.promise, body: () => Buffer.concat(chunks).toString(), failure: () => failure };
}

const get = (origin: string, more: Partial<OutboundRequest> = {}): OutboundRequest => ({
  origin,
  path: '/',
  method: 'GET',
  headers: {},
  body: null,
  timeouts: patient,
  name: 'OpenAI',
  ...more,
});

/** What is asked of the loopback is asked again until it is so: other processes' sockets close when they close. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('a request arrives as it was given and its answer comes back as it was sent', async () => {
  const seen: Pick<IncomingMessage, 'method' | 'url' | 'headers'>[] = [];
  await using server = await serve(async (req, res) => {
    seen.push({ method: req.method, url: req.url, headers: req.headers });
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    res.writeHead(201, { 'X-One': '1', 'set-cookie': ['a=1', 'b=2'] });
    res.end(Buffer.concat(chunks));
  });
  await using out = stage();
  const answer = listen();
  const body = Buffer.from('{"model":"gpt-4o"}');
  out.dispatch(
    get(server.origin, { method: 'POST', path: '/v1/x?y=1', headers: ['content-type', 'application/json'], body }),
    answer.handler,
  );
  await answer.over;
  expect(answer.events).toEqual(['head 201', 'data', 'end']);
  expect(answer.body()).toBe('{"model":"gpt-4o"}');
  expect(seen[0]).toMatchObject({
    method: 'POST',
    url: '/v1/x?y=1',
    headers: { 'content-length': '18', 'content-type': 'application/json' },
  });
});

test('a redirect is handed on as a status and the other host is never visited', async () => {
  let visits = 0;
  await using trap = await serve((_req, res) => {
    visits += 1;
    res.end();
  });
  for (const status of [301, 302, 303, 307, 308]) {
    await using server = await serve((_req, res) => void res.writeHead(status, { location: trap.origin }).end());
    await using out = stage();
    const answer = listen();
    out.dispatch(get(server.origin, { headers: { authorization: 'Bearer sk-planted' } }), answer.handler);
    await answer.over;
    expect(answer.events).toEqual([`head ${status} ${trap.origin}`, 'end']);
  }
  expect(visits).toBe(0);
  expect(trap.connections()).toBe(0);
});

test('sockets are kept and used again', async () => {
  await using server = await serve((_req, res) => void res.end('ok'));
  await using out = stage();
  for (let i = 0; i < 3; i += 1) {
    const answer = listen();
    out.dispatch(get(server.origin), answer.handler);
    await answer.over;
    // A socket is free again one turn after its answer.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(server.connections()).toBe(1);
  expect(out.openSockets()).toBe(1);
});

test('an early hint is not the answer', async () => {
  await using server = await serve((_req, res) => {
    res.writeEarlyHints({ link: '</x>; rel=preload' });
    res.end('ok');
  });
  await using out = stage();
  const answer = listen();
  out.dispatch(get(server.origin), answer.handler);
  await answer.over;
  expect(answer.events).toEqual(['head 200', 'data', 'end']);
});

test('a closed port is provider_unreachable, and the handler hears of it only after dispatch', async () => {
  const server = await serve(() => {});
  await server[Symbol.asyncDispose]();
  await using out = stage();
  const answer = listen();
  out.dispatch(get(server.origin, { headers: { authorization: 'Bearer sk-planted-0123456789' } }), answer.handler);
  expect(answer.events).toEqual([]);
  await answer.over;
  expect(answer.events).toEqual(['fail provider_unreachable']);
  expect(answer.failure()?.message).toContain('OpenAI');
  expect(inspect(answer.failure(), { depth: 9, showHidden: true })).not.toContain('planted');
});

test.each([
  {
    what: 'no answer',
    limits: { firstByteMs: 50 },
    answers: () => {},
    events: ['fail provider_timeout'],
    says: 'did not answer within 50 ms',
  },
  {
    what: 'an answer that stops',
    limits: { idleMs: 50 },
    answers: (_req, res) => void res.write('a'),
    events: ['head 200', 'data', 'fail provider_timeout'],
    says: 'stopped in the middle of its answer for 50 ms',
  },
  {
    what: 'an answer without end',
    limits: { totalMs: 80 },
    answers: (_req, res) => {
      const drip = setInterval(() => res.write('a'), 5);
      res.on('close', () => clearInterval(drip));
    },
    events: ['head 200', 'data', 'fail provider_timeout'],
    says: 'did not finish its answer within 80 ms',
  },
] satisfies { what: string; limits: Partial<Timeouts>; answers: RequestListener; events: string[]; says: string }[])(
  '$what ends at its limit, and its socket is closed',
  async ({ limits, answers, events, says }) => {
    await using server = await serve(answers);
    await using out = stage();
    const answer = listen();
    out.dispatch(get(server.origin, { timeouts: { ...patient, ...limits } }), answer.handler);
    await answer.over;
    expect(answer.events).toEqual(events);
    expect(answer.failure()?.message).toContain(says);
    await until(() => server.openSockets() === 0);
    expect(answer.events).toEqual(events);
  },
);

test('a paused answer stops flowing, and its pause does not count as idle', async () => {
  const size = 32 * 1_048_576;
  let written = 0;
  await using server = await serve((_req, res) => {
    const piece = Buffer.alloc(65_536);
    const more = () => {
      while (written < size) {
        written += piece.length;
        if (!res.write(piece)) return void res.once('drain', more);
      }
      res.end();
    };
    more();
  });
  await using out = stage();
  let received = 0;
  let exchange: Exchange | undefined;
  const answer = listen((chunk) => {
    if (received === 0) exchange?.pause();
    received += chunk.length;
  });
  exchange = out.dispatch(get(server.origin, { timeouts: { ...patient, idleMs: 40 } }), answer.handler);
  await until(() => received > 0);
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(received).toBeLessThan(1_048_576);
  expect(written).toBeLessThan(size);
  exchange.resume();
  await answer.over;
  expect(answer.events).toEqual(['head 200', 'data', 'end']);
  expect(received).toBe(size);
});

test('an answer paused before it began waits', async () => {
  await using server = await serve((_req, res) => void res.end('ok'));
  await using out = stage();
  const answer = listen();
  const exchange = out.dispatch(get(server.origin), answer.handler);
  exchange.pause();
  await until(() => answer.events.length > 0);
  expect(answer.events).not.toContain('end');
  exchange.resume();
  await answer.over;
  expect(answer.body()).toBe('ok');
});

test.each([
  { what: 'a reset', cut: (res: ServerResponse) => res.socket?.resetAndDestroy() },
  { what: 'a chunked answer that is closed early', cut: (res: ServerResponse) => res.socket?.end() },
])('$what in the middle fails and never ends well', async ({ cut }) => {
  await using server = await serve((_req, res) => {
    res.write('half', () => cut(res));
  });
  await using out = stage();
  const answer = listen();
  out.dispatch(get(server.origin), answer.handler);
  await answer.over;
  expect(answer.events.at(-1)).toBe('fail provider_unreachable');
  expect(answer.events).not.toContain('end');
});

test('an answer shorter than it said fails', async () => {
  await using server = await serve((_req, res) => {
    res.writeHead(200, { 'content-length': '100' });
    res.write('half', () => res.socket?.end());
  });
  await using out = stage();
  const answer = listen();
  out.dispatch(get(server.origin), answer.handler);
  await answer.over;
  expect(answer.events).toEqual(['head 200', 'data', 'fail provider_unreachable']);
});

test('what is not HTTP fails, and the error keeps nothing of it', async () => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nbad header sk-planted-answer\r\n\r\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await using out = stage();
  const answer = listen();
  out.dispatch(get(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), answer.handler);
  await answer.over;
  server.close();
  expect(answer.events).toEqual(['fail provider_unreachable']);
  expect(inspect(answer.failure(), { depth: 9, showHidden: true })).not.toContain('planted');
});

test('a header that cannot be sent fails without its value', async () => {
  await using out = stage();
  const answer = listen();
  out.dispatch(get('http://127.0.0.1:9', { headers: { authorization: 'Bearer sk-planted\n' } }), answer.handler);
  expect(answer.events).toEqual([]);
  await answer.over;
  expect(answer.events).toEqual(['fail provider_unreachable']);
  expect(inspect(answer.failure(), { depth: 9, showHidden: true })).not.toContain('planted');
});

test('an abort closes the socket and the handler hears no more', async () => {
  await using server = await serve((_req, res) => {
    const drip = setInterval(() => res.write('a'), 1);
    res.on('close', () => clearInterval(drip));
  });
  await using out = stage();
  const began = Promise.withResolvers<void>();
  const answer = listen(() => began.resolve());
  const exchange = out.dispatch(get(server.origin), answer.handler);
  await began.promise;
  exchange.abort();
  const heard = answer.body().length;
  await until(() => server.openSockets() === 0);
  exchange.abort();
  expect(answer.events).toEqual(['head 200', 'data']);
  expect(answer.body()).toHaveLength(heard);
});

test('what is aborted before its socket is open is never sent', async () => {
  let requests = 0;
  await using server = await serve((_req, res) => {
    requests += 1;
    res.end('ok');
  });
  await using out = stage();
  const aborted = listen();
  out.dispatch(get(server.origin), aborted.handler).abort();
  const next = listen();
  out.dispatch(get(server.origin), next.handler);
  await next.over;
  expect(next.body()).toBe('ok');
  expect(requests).toBe(1);
  expect(aborted.events).toEqual([]);
});

test('a handler that throws fails as our own fault, not as the network', async () => {
  await using server = await serve((_req, res) => void res.end('ok'));
  await using out = stage();
  const answer = listen(() => {
    throw new Error('a bug');
  });
  out.dispatch(get(server.origin), answer.handler);
  await answer.over;
  expect(answer.events.at(-1)).toBe('fail internal');
});

test('closing breaks off what is open', async () => {
  await using server = await serve((_req, res) => void res.write('a'));
  const out = createOutbound();
  const began = Promise.withResolvers<void>();
  const answer = listen(() => began.resolve());
  out.dispatch(get(server.origin), answer.handler);
  await began.promise;
  await out.close();
  await answer.over;
  expect(answer.events.at(-1)).toBe('fail provider_unreachable');
  expect(out.openSockets()).toBe(0);
});
