/** The two promises (no byte before the row is on disk, no end before the usage is), and what becomes of a row when someone leaves or the disk fails. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { hostname } from 'node:os';
import { openDb, statement } from '@synthstack/core/db';
import { testDialect, testOnSqlite } from '@synthstack/core/testing';
import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../../test/app.ts';
import { type Asking, ask, askings, bodyOf, codeIn, pathOf, readAll } from '../../test/asking.ts';

const commitDelayMs = 60;
const streaming = askings.filter((one) => one.stream);

/** The database as another process sees it. PGlite has one connection only. */
async function secondLook(app: TestApp) {
  const other = testDialect === 'sqlite' ? await openDb({ url: `file:${app.folder}/byok.db`, migrate: false }) : null;
  const db = other ?? app.app.db;
  return {
    rows: () => db.orm.select().from(db.tables.request).orderBy(db.tables.request.id),
    async [Symbol.asyncDispose]() {
      await other?.close();
    },
  };
}

const own = (app: TestApp): Promise<Person> => app.person({ keys: { openai: 'good', anthropic: 'good' } });

/** Takes the table of requests away, as a disk that fails does, and brings it back. */
const failDisk = (app: TestApp) => app.app.db.commit([{ sql: 'alter table request rename to request_away', params: [] }]);
const mendDisk = (app: TestApp) => app.app.db.commit([{ sql: 'alter table request_away rename to request', params: [] }]);

for (const asking of askings) {
  test(`${asking.name}: no byte leaves before the row is on disk, and no end before the usage is`, async () => {
    await using app = await testApp({ commitDelayMs });
    const person = await own(app);
    await using disk = await secondLook(app);
    const res = await ask(app, person, asking);
    expect(await disk.rows()).toMatchObject([{ state: asking.stream ? expect.stringMatching(/open|done/) : 'done' }]);
    let text = '';
    let waitedForTheEnd = false;
    for await (const chunk of res.body ?? []) {
      text += Buffer.from(chunk).toString('utf8');
      const [row] = await disk.rows();
      if (/(\[DONE\]|"message_stop"\})\n$/.test(text)) waitedForTheEnd = true;
      if (!asking.stream || /(\[DONE\]|"message_stop"\})\n\n$/.test(text))
        expect(row).toMatchObject({ state: 'done', status: 200, totalTokens: app.provider.requests.at(-1)?.truth?.totalTokens });
    }
    // Only SQLite's writer can be slowed down: there, the last event is seen without its blank line for a while.
    if (asking.stream && testDialect === 'sqlite') expect(waitedForTheEnd).toBe(true);
    expect(text.length).toBeGreaterThan(100);
  });
}

testOnSqlite('a slow disk delays no chunk of a stream that is under way', async () => {
  await using app = await testApp({ commitDelayMs: 150 });
  const person = await own(app);
  const gate = app.provider.gate(3, { path: pathOf('openai') });
  const res = await ask(app, person, { provider: 'openai', stream: true });
  const reader = res.body?.getReader();
  await gate.reached;
  await reader?.read();
  const order: string[] = [];
  const other = ask(app, person, { provider: 'anthropic', stream: false }).then(() => order.push('the commit of another request'));
  await app.provider.received(app.provider.requests.length + 1);
  for (let i = 0; i < 3; i += 1) {
    await gate.step();
    await reader?.read();
    order.push('a chunk');
  }
  await other;
  expect(order).toEqual(['a chunk', 'a chunk', 'a chunk', 'the commit of another request']);
  gate.open();
  await reader?.cancel();
});

testOnSqlite('a provider that is faster than the disk has to wait: what it sends does not pile up in memory', async () => {
  await using app = await testApp({ commitDelayMs: 150 });
  const person = await app.person({ keys: { openai: { fault: 'long_line', lineBytes: 400_000_000 } } });
  const leave = new AbortController();
  await ask(app, person, { provider: 'openai', stream: true }, { signal: leave.signal });
  // Pieces of 64 KiB: a megabyte here, and what the sockets hold.
  expect(app.provider.requests.at(-1)?.chunks).toBeLessThan(320);
  leave.abort();
  expect(await app.provider.requests.at(-1)?.settled).toBe('aborted');
});

testOnSqlite('it waits too while the news of its key is on the way to the disk, and then the row', async () => {
  let sentBytes = 0;
  let hasCredit = true;
  async function speak(res: ServerResponse): Promise<void> {
    res.writeHead(200, { 'content-type': 'audio/mpeg' });
    for (; sentBytes < 200_000_000 && !res.closed; sentBytes += 65_536)
      if (!res.write(Buffer.alloc(65_536))) await Promise.race([once(res, 'drain'), once(res, 'close')]).catch(() => undefined);
  }
  const provider = createServer((req, res) => {
    req.resume();
    if (req.method === 'GET') res.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[]}');
    else if (hasCredit) void speak(res);
    else res.writeHead(429, { 'content-type': 'application/json' }).end('{"error":{"code":"insufficient_quota"}}');
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  await using app = await testApp({
    commitDelayMs: 300,
    env: { OPENAI_BASE_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1` },
  });
  const person = await app.person({ keys: { openai: 'good' } });
  const speech = JSON.stringify({ model: 'tts-1', input: 'x', voice: 'alloy' });
  hasCredit = false;
  expect((await app.fetch(person, '/v1/audio/speech', { json: JSON.parse(speech) })).status).toBe(429);
  hasCredit = true;
  app.clock.advance(3_600_000);
  const reader = connect(Number(new URL(app.url).port), '127.0.0.1').pause();
  const head = `POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${person.token}\r\ncontent-length: ${speech.length}`;
  reader.write(`${head}\r\ncontent-type: application/json\r\n\r\n${speech}`);
  // Its row leaves by itself, behind the news that the key has credit again.
  const time = setInterval(() => app.clock.advance(1), 1);
  await expect.poll(async () => (await app.requests()).length, { timeout: 5_000 }).toBe(2);
  clearInterval(time);
  expect((await app.keysOf(person))[0]?.status).toBe('valid');
  expect(sentBytes / 1_048_576).toBeLessThan(30);
  reader.destroy();
  provider.closeAllConnections();
  provider.close();
});

test('an answer that is broken off does not end cleanly for a client of HTTP/1.0 either', async () => {
  await using app = await testApp();
  const person = await own(app);
  const gate = app.provider.gate(3, { path: pathOf('openai') });
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  const body = JSON.stringify(bodyOf({ provider: 'openai', stream: true }));
  const head = `POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer ${person.token}\r\ncontent-length: ${body.length}`;
  socket.write(`${head}\r\ncontent-type: application/json\r\n\r\n${body}`);
  const ended = new Promise((resolve) => {
    socket.once('end', () => resolve('cleanly')).once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  await gate.reached;
  await once(socket, 'data');
  socket.resume();
  await failDisk(app);
  gate.open();
  expect(await ended).toBe('ECONNRESET');
  await mendDisk(app);
});

test('on a fallback, the row says so on disk before the platform is asked, and a client that leaves then has left one row', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const person = await app.person({ keys: { openai: 'revoked' } });
  const gate = app.provider.gate('head', { key: app.platformSecrets.openai ?? '' });
  const leave = new AbortController();
  const answer = ask(app, person, { provider: 'openai', stream: true }, { signal: leave.signal }).catch(() => 'gone');
  await gate.reached;
  const rerouted = {
    source: 'platform',
    fallbackReason: 'bad_key',
    keyId: null,
    firstKeyId: (await app.keysOf(person))[0]?.id,
    slotAt: expect.any(Number),
  };
  expect(await app.requests()).toMatchObject([{ state: 'open', ...rerouted }]);
  leave.abort();
  expect(await answer).toBe('gone');
  await expect.poll(app.requests).toMatchObject([{ state: 'failed', errorCode: 'client_closed', estimated: true, ...rerouted }]);
});

for (const asking of streaming) {
  test(`${asking.name}: a client that leaves takes its upstream request along, and the row tells a plausible estimate`, async () => {
    await using app = await testApp();
    const person = await app.person({ keys: { [asking.provider]: { tokens: 300 } } });
    const gate = app.provider.gate(150, { path: pathOf(asking.provider) });
    const leave = new AbortController();
    const res = await ask(app, person, asking, { signal: leave.signal });
    await gate.reached;
    const reader = res.body?.getReader();
    let text = '';
    while (text.split('\n\n').length <= 150) text += Buffer.from((await reader?.read())?.value ?? []).toString('utf8');
    leave.abort();
    const upstream = app.provider.requests.at(-1);
    expect(await upstream?.settled).toBe('aborted');
    await expect.poll(app.requests).toMatchObject([{ state: 'failed' }]);
    const [row] = await app.requests();
    expect(row).toMatchObject({ errorCode: 'client_closed', status: 200, estimated: true, streamed: true });
    const passed = asking.provider === 'openai' ? 149 : 147;
    const tolerance = asking.provider === 'openai' ? 0.02 : 0.2;
    expect(Math.abs(Number(row?.outputTokens) - passed) / passed).toBeLessThan(tolerance);
    if (asking.provider === 'anthropic') expect(row?.inputTokens).toBe(upstream?.truth?.inputTokens);
    expect(row?.inputTokens).toBeGreaterThan(2);
    expect(row?.inputTokens).toBeLessThan(40);
    expect(row?.totalTokens).toBe(Number(row?.inputTokens) + Number(row?.outputTokens));
    expect(row?.costNanoUsd).toBeGreaterThan(0);
    // The totals and the row agree.
    expect(await app.keysOf(person)).toMatchObject([{ totalRequests: 1, totalTokens: row?.totalTokens }]);
  });

  test(`${asking.name}: a client that leaves at the terminal event has had the whole answer`, async () => {
    await using app = await testApp({ commitDelayMs });
    const person = await own(app);
    const leave = new AbortController();
    const res = await ask(app, person, asking, { signal: leave.signal });
    let text = '';
    try {
      for await (const chunk of res.body ?? []) {
        text += Buffer.from(chunk).toString('utf8');
        if (/(\[DONE\]|"message_stop"\})\n+$/.test(text)) leave.abort();
      }
    } catch (error) {
      expect(leave.signal.aborted, String(error)).toBe(true);
    }
    await expect
      .poll(app.requests)
      .toMatchObject([{ state: 'done', errorCode: null, estimated: false, totalTokens: app.provider.requests.at(-1)?.truth?.totalTokens }]);
  });
}

for (const asking of askings) {
  test(`${asking.name}: a client that leaves before the answer begins leaves one row, and its input is estimated`, async () => {
    await using app = await testApp();
    const person = await own(app);
    const gate = app.provider.gate('head', { path: pathOf(asking.provider) });
    const leave = new AbortController();
    const answer = ask(app, person, asking, { signal: leave.signal }).catch(() => 'gone');
    await gate.reached;
    leave.abort();
    expect(await answer).toBe('gone');
    expect(await app.provider.requests.at(-1)?.settled).toBe('aborted');
    await expect
      .poll(app.requests)
      .toMatchObject([
        { state: 'failed', errorCode: 'client_closed', status: null, estimated: true, outputTokens: 0, inputTokens: expect.any(Number) },
      ]);
    expect(await app.keysOf(person)).toMatchObject([{ totalRequests: 0 }, { totalRequests: 0 }]);
  });

  test(`${asking.name}: a disk that fails before the answer gives 503 and no row, and all is well once it works again`, async () => {
    await using app = await testApp({ platform: { openai: 'good', anthropic: 'good' } });
    const person = await app.person();
    await failDisk(app);
    const res = await ask(app, person, asking);
    expect([res.status, codeIn(asking.provider, await res.text()), res.headers.get('x-should-retry')]).toEqual([
      503,
      'storage_unavailable',
      null,
    ]);
    // The operator's money is not spent on what cannot be written down.
    expect(app.provider.requests).toEqual([]);
    expect((await app.app.limits.view(person.id, 'premium')).day.used).toBe(0);
    await mendDisk(app);
    expect(await app.requests()).toEqual([]);
    const again = await ask(app, person, asking);
    expect([again.status, (await readAll(again)).broke]).toEqual([200, false]);
    expect(await app.requests()).toMatchObject([{ state: 'done' }]);
  });

  test(`${asking.name}: on one's own key too, a disk that fails before the answer gives 503 and no row, and the provider is let go`, async () => {
    await using app = await testApp();
    const person = await own(app);
    await failDisk(app);
    const res = await ask(app, person, asking);
    expect([res.status, codeIn(asking.provider, await res.text())]).toEqual([503, 'storage_unavailable']);
    expect(await app.provider.requests.at(-1)?.settled).toMatch(/aborted|ended/);
    await mendDisk(app);
    expect(await app.requests()).toEqual([]);
    expect((await readAll(await ask(app, person, asking))).broke).toBe(false);
    expect(await app.requests()).toMatchObject([{ state: 'done' }]);
  });

  test(`${asking.name}: a disk that fails before the end: the answer does not end as complete, and its row is settled once, later`, async () => {
    await using app = await testApp();
    const person = await own(app);
    const gate = app.provider.gate(asking.stream ? 4 : 'head', { path: pathOf(asking.provider) });
    const answer = ask(app, person, asking);
    await gate.reached;
    // The row leaves when it has been held back long enough.
    app.clock.advance(100);
    await expect.poll(app.requests).toMatchObject([{ state: 'open' }]);
    await failDisk(app);
    gate.open();
    const res = await answer;
    const { text, broke } = await readAll(res);
    if (asking.stream) {
      expect(broke).toBe(true);
      expect(text).not.toMatch(/(\[DONE\]|"message_stop"\})\n\n/);
    } else expect([res.status, codeIn(asking.provider, text)]).toEqual([503, 'storage_unavailable']);
    const truth = app.provider.requests.at(-1)?.truth;
    await mendDisk(app);
    expect(await app.requests()).toMatchObject([{ state: 'open' }]);
    await readAll(await ask(app, person, asking));
    const settled = { state: 'failed', errorCode: 'storage_unavailable', totalTokens: truth?.totalTokens };
    await expect.poll(app.requests).toMatchObject([settled, { state: 'done' }]);
    const total = (await app.requests()).reduce((sum, row) => sum + Number(row.totalTokens), 0);
    expect((await app.keysOf(person)).find((key) => key.provider === asking.provider)?.totalTokens).toBe(total);
  });
}

testOnSqlite('a full disk gives 503, acknowledges nothing, and recovers by itself', async () => {
  await using app = await testApp();
  const person = await own(app);
  const pragma = async (text: string) => Number((await app.app.db.commit([{ sql: `pragma ${text}`, params: [] }]))[0]?.rows[0]?.[0]);
  await pragma(`max_page_count = ${await pragma('page_count')}`);
  let answered = 0;
  let res = await ask(app, person, askings[0] as Asking);
  while (res.status === 200 && answered < 500) {
    await readAll(res);
    answered += 1;
    res = await ask(app, person, askings[0] as Asking);
  }
  expect([res.status, codeIn('openai', await res.text())]).toEqual([503, 'storage_unavailable']);
  await pragma('max_page_count = 1000000');
  expect((await ask(app, person, askings[0] as Asking)).status).toBe(200);
  const done = (await app.requests()).filter((row) => row.state === 'done');
  expect(done).toHaveLength(answered + 1);
});

test('the open rows of a process that died are settled at the next start, and those of a living one are left alone', async () => {
  await using app = await testApp();
  const person = await own(app);
  await readAll(await ask(app, person, askings[0] as Asking));
  const { db, clock, meter } = app.app;
  const now = clock.now();
  const boot = { slot: 30, startedAt: now, heartbeatAt: now };
  await db.orm.insert(db.tables.boot).values({ ...boot, id: 'dead', host: hostname(), pid: 2 ** 22 + 1 });
  await db.orm.insert(db.tables.boot).values({ ...boot, slot: 31, id: 'alive elsewhere', host: 'another-host', pid: 1 });
  const [template] = await app.requests();
  if (!template) throw new Error('There is no row to copy.');
  for (const bootId of ['dead', 'alive elsewhere']) {
    await db.orm
      .insert(db.tables.request)
      .values({ ...template, id: meter.newId(), bootId, state: 'open', status: null, endedAt: null, totalTokens: null });
  }
  await app.restart();
  const rows = (await app.requests()).map((row) => [row.bootId, row.state, row.errorCode]);
  expect(rows.slice(1)).toEqual([
    ['dead', 'failed', 'server_stopped'],
    ['alive elsewhere', 'open', null],
  ]);
  // Sixty seconds without a heartbeat, and the other host counts as dead too.
  app.clock.advance(70_000);
  await expect.poll(async () => (await app.requests()).at(-1)?.state).toBe('failed');
  expect(rows[0]).toEqual([template.bootId, 'done', null]);
  expect(await app.app.db.read(statement(db.orm.select({ count: sql`count(*)` }).from(db.tables.request)))).toBeTruthy();
});
