import { setImmediate as turn } from 'node:timers/promises';
import { testDb } from '@synthstack/core/testing';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { appRouter } from './api/router.ts';
import { createMeter, type OpenRequest } from './meter.ts';
import { createLive, type LiveParts } from './meter-live.ts';

const origin = 'http://byok.test';

const cookies = new WeakMap<Person, Promise<string>>();

/** Of one session for each person: a password costs 100 ms. */
function cookieOf(app: TestApp, who: Person): Promise<string> {
  const known = cookies.get(who);
  if (known) return known;
  const signedIn = app.fetch(null, '/api/auth/sign-in/email', { json: { email: who.email, password }, headers: { origin } });
  const cookie = signedIn.then(({ headers }) =>
    headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; '),
  );
  cookies.set(who, cookie);
  return cookie;
}

/** A page's connection, read by hand: what a browser's EventSource would be given. */
async function listen(app: TestApp, who: Person, headers: Record<string, string> = {}) {
  const cookie = await cookieOf(app, who);
  const leaving = new AbortController();
  const res = await app.fetch(null, '/trpc/usage.live', { headers: { cookie, ...headers }, signal: leaving.signal });
  const reader = (res.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';

  return {
    res,
    cookie,
    /** The next event but the one that opens; null: the stream has ended. */
    async next(): Promise<{ event: string; data: string } | null> {
      for (;;) {
        const [whole, event = 'message', data = ''] = /^(?:event: (.*)\n)?data: (.*)\n\n/.exec(text) ?? [];
        if (whole !== undefined) {
          text = text.slice(whole.length).replace(/^\n+/, '');
          if (event !== 'connected') return { event, data };
          continue;
        }
        const { done, value } = await reader.read();
        if (done) return null;
        text += value;
      }
    },
    leave: () => leaving.abort(),
  };
}

/** Until what the network brings about has come about. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

test('a request made elsewhere is told to the open pages of its owner, and to nobody else', async () => {
  await using app = await testApp();
  const [ada, eve] = [await app.person({ keys: { openai: 'good' } }), await app.person({ keys: { openai: 'good' } })];
  const [laptop, phone, foreign] = [await listen(app, ada), await listen(app, ada), await listen(app, eve)];
  expect(laptop.res.headers.get('content-type')).toBe('text/event-stream');
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  app.clock.advance(1_000);
  for (const page of [laptop, phone]) {
    const told = await page.next();
    expect(told?.event).toBe('message');
    expect(JSON.parse(told?.data ?? '')).toEqual({ changedAt: expect.stringMatching(/^\d{4}-.*Z$/) });
  }
  expect((await app.chat(eve, 'hello')).status).toBe(200);
  app.clock.advance(1_000);
  // Hers is the first that she is told of.
  expect(await foreign.next()).toMatchObject({ data: JSON.stringify({ changedAt: new Date(app.clock.now() - 900).toISOString() }) });
});

test('a page of another site may not listen', async () => {
  await using app = await testApp();
  const foreign = await listen(app, await app.person(), { origin: 'https://evil.example' });
  expect(await foreign.next()).toMatchObject({ event: 'serialized-error', data: expect.stringContaining('"code":"forbidden"') });
  expect(app.app.live.streams()).toBe(0);
});

test('ten pages of a user may listen; a client that leaves makes room and leaves nothing behind', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const pages = await Promise.all(Array.from({ length: 10 }, () => listen(app, ada)));
  expect(app.app.live.streams()).toBe(10);
  const refused = await listen(app, ada);
  expect(await refused.next()).toMatchObject({ event: 'serialized-error', data: expect.stringContaining('"code":"limit_reached"') });
  expect(await refused.next()).toBeNull();
  for (const page of pages) page.leave();
  await until(() => app.app.live.streams() === 0);
  const again = await listen(app, ada);
  expect(app.app.live.streams()).toBe(1);
  again.leave();
  await until(() => app.app.live.streams() === 0);
});

test('the stream ends in order within a minute after the session has been signed out, has run out, or its user was disabled', async () => {
  await using app = await testApp();
  const [ada, eve, bob, tom] = [await app.person(), await app.person(), await app.person(), await app.person()];
  const [gone, stays, disabled, expired] = [await listen(app, ada), await listen(app, eve), await listen(app, bob), await listen(app, tom)];
  const { db } = app.app;
  const { user, session } = db.tables;
  await app.fetch(null, '/api/auth/sign-out', { json: {}, headers: { origin, cookie: gone.cookie } });
  const now = new Date(app.clock.now());
  await db.orm.update(user).set({ disabledAt: now }).where(eq(user.id, bob.id));
  await db.orm.update(session).set({ expiresAt: now }).where(eq(session.userId, tom.id));
  let waitedMs = 0;
  for (; app.app.live.streams() > 1; waitedMs += 500) {
    app.clock.advance(500);
    for (let i = 0; i < 20; i += 1) await turn();
  }
  expect(waitedMs).toBeLessThan(60_000);
  for (const page of [gone, disabled, expired]) {
    expect(await page.next()).toMatchObject({ event: 'return' });
    expect(await page.next()).toBeNull();
  }
  expect(app.app.live.streams()).toBe(1);
  stays.leave();
});

test('a stop does not wait for pages that listen, and cuts them so that browsers come again', async () => {
  await using app = await testApp();
  const page = await listen(app, await app.person());
  await app.restart();
  // An orderly end, which stops a browser, would have said `return`.
  expect(await page.next()).toBeNull();
});

test('proxies see a sign of life before they give up', () => {
  expect(appRouter._def._config.sse).toMatchObject({ ping: { enabled: true, intervalMs: 25_000 } });
});

async function stage(more: Partial<LiveParts> = {}) {
  const db = await testDb();
  const clock = manualClock(Date.UTC(2026, 5, 1));
  const live = createLive({ db, clock, watchSession: () => () => undefined, ...more });
  const told: string[] = [];
  const leaving = new AbortController();

  async function open(userId: string, signal = leaving.signal): Promise<void> {
    const stream = await live.open({ userId, sessionId: userId }, signal);
    void (async () => {
      for await (const { changedAt } of stream) told.push(`${userId} ${changedAt.slice(14, 23)}`);
      told.push(`${userId} ended`);
    })();
  }

  return {
    ...{ db, clock, live, told, open, leaving },
    async advance(ms: number): Promise<void> {
      for (let passed = 0; passed === 0 || passed < ms; passed += 100) {
        clock.advance(Math.min(ms, 100));
        for (let i = 0; i < 20; i += 1) await turn();
      }
    },
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

test('however many changes there are, there is one event a second, and the last change has one', async () => {
  await using on = await stage();
  await on.open('ada');
  for (let i = 0; i < 50; i += 1) {
    on.live.changed('ada');
    on.live.changed('nobody');
    await on.advance(50);
  }
  await on.advance(10_000);
  expect(on.told).toEqual(['ada 00:00.100', 'ada 00:01.100', 'ada 00:02.100', 'ada 00:03.100']);
  on.leaving.abort();
  await on.advance(0);
  expect(on.told.at(-1)).toBe('ada ended');
});

test('a clock that is set back an hour keeps nobody waiting an hour', async () => {
  await using on = await stage();
  await on.open('ada');
  on.live.changed('ada');
  await on.advance(200);
  on.clock.advance(-3_600_000);
  on.live.changed('ada');
  await on.advance(2_000);
  expect(on.told).toHaveLength(2);
  on.leaving.abort();
});

test('what another process begins and ends is told within seconds, each once', async () => {
  await using on = await stage();
  const { db, clock } = on;
  const elsewhere = createMeter({ db, clock, boot: { id: 'other', slot: 1 }, price: () => null });
  const request: OpenRequest = {
    ...{ id: elsewhere.newId(), userId: 'ada', tier: 'premium', tokenId: null, provider: 'openai', route: '/v1/chat/completions' },
    ...{
      model: null,
      streamed: true,
      firstKeyId: 'key',
      keyId: 'key',
      source: 'user',
      fallbackReason: null,
      keyPosition: 0,
      hold: null,
      slotAt: null,
    },
    startedAt: clock.now(),
  };
  await on.open('ada');
  await on.open('eve');
  await on.advance(5_000);
  expect(on.told).toEqual([]);
  await elsewhere.record(request);
  await on.advance(20_000);
  expect(on.told).toEqual(['ada 00:10.100']);
  await elsewhere.settle(request, { state: 'failed', status: 500, errorCode: null, usage: null, estimated: false, firstByteAt: null });
  await on.advance(20_000);
  expect(on.told).toEqual(['ada 00:10.100', 'ada 00:30.100']);
  on.leaving.abort();
});

test('a process holds so many streams and no more, and none once it stops', async () => {
  await using on = await stage({ mostStreams: 2 });
  await on.open('ada');
  await on.open('eve');
  await expect(on.open('bob')).rejects.toMatchObject({ code: 'limit_reached' });
  on.leaving.abort();
  expect(on.live.streams()).toBe(0);
  // Whoever has left before all is ready is not kept.
  await on.open('bob', AbortSignal.abort());
  expect(on.live.streams()).toBe(0);
  on.live.stop();
  await expect(on.open('ada', new AbortController().signal)).rejects.toMatchObject({ code: 'draining' });
});
