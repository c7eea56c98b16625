import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { testApp } from '../../test/app.ts';
import { createConcurrency } from './concurrency.ts';

test('exactly as many as may be are let in, one person at a time, and each place comes back once', () => {
  const concurrency = createConcurrency(3);
  const enter = (who: string) => {
    try {
      return concurrency.enter(who);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const [first, second, third] = [enter('ada'), enter('ada'), enter('ada')] as (() => void)[];
  expect(enter('ada')).toBe('limit_reached');
  const eve = enter('eve') as () => void;
  expect(eve).toBeTypeOf('function');
  first?.();
  first?.();
  expect(enter('ada')).toBeTypeOf('function');
  expect(enter('ada')).toBe('limit_reached');
  eve();
  expect(concurrency.people).toBe(1);
  second?.();
  third?.();
});

test('nobody is remembered who has nothing under way', () => {
  const concurrency = createConcurrency(5);
  const leaves = Array.from({ length: 100 }, (_, i) => concurrency.enter(`person ${i % 30}`));
  expect(concurrency.people).toBe(30);
  for (const leave of leaves) leave();
  expect(concurrency.people).toBe(0);
});

const most = 3;
const platform = { openai: 'good', anthropic: 'good' } as const;
const env = { MAX_CONCURRENT_REQUESTS: String(most) };

test('of many requests at once as many go up as may be, whoever’s key it is; the others are told to wait, and leave nothing behind', async () => {
  await using app = await testApp({ platform, env });
  for (const person of [await app.person({ keys: { openai: 'good' } }), await app.person()]) {
    const before = app.provider.requests.length;
    const rowsBefore = (await app.requests()).length;
    const gates = Array.from({ length: most }, () => app.provider.gate('head', { path: '/v1/chat/completions' }));
    const answers = Array.from({ length: 12 }, () => app.chat(person, 'hello'));
    await Promise.all(gates.map((gate) => gate.reached));
    const refused: Response[] = [];
    for (const answer of answers) void answer.then((res) => res.status === 429 && refused.push(res));
    await expect.poll(() => refused.length).toBe(12 - most);
    expect(app.provider.requests.length - before).toBe(most);
    const [one] = refused;
    expect(await one?.json()).toMatchObject({
      error: { type: 'requests', code: 'limit_reached', message: expect.stringContaining('3 requests under way') },
    });
    expect([one?.headers.get('retry-after'), one?.headers.get('x-should-retry')]).toEqual(['1', null]);
    const other = await app.person();
    expect((await app.chat(other, 'hello')).status).toBe(200);
    for (const gate of gates) gate.open();
    expect((await Promise.all(answers)).filter((res) => res.status === 200)).toHaveLength(most);
    expect((await app.requests()).length - rowsBefore).toBe(most + 1);
    expect((await app.app.limits.view(person.id, 'premium')).day.used).toBe(person.secrets.openai ? 0 : most);
    expect((await app.chat(person, 'hello')).status).toBe(200);
  }
});

test('a place comes back however its request ends', async () => {
  await using app = await testApp({ platform, env: { ...env, PLATFORM_MODELS_COMMUNITY: 'gpt-4o-mini' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const secret = ada.secrets.openai ?? '';
  const bob = await app.person({ tier: 'community' });
  /** The log tells of a request when it is over. */
  const told = () => app.lines.filter((line) => line.includes('"msg":"request"')).length;
  let sent = 0;
  /** Were one place lost with each, the fourth of its kind would be refused. */
  const again = async (name: string, act: () => Promise<unknown>) => {
    for (let i = 0; i < most + 1; i += 1) {
      expect([name, await act()]).toEqual([name, expect.not.stringContaining('limit_reached')]);
      sent += 1;
      await expect.poll(told).toBe(sent);
    }
  };
  const said = async (res: Promise<Response>) => (await res).text().catch(() => 'broken');
  const end = (script: Parameters<typeof app.provider.next>[0], more: Record<string, unknown> = {}) => {
    app.provider.next(script, { path: '/v1/chat/completions' });
    return said(app.chat(ada, 'hello', more));
  };
  await again('an answer', () => said(app.chat(ada, 'hello')));
  await again('a stream', () => said(app.chat(ada, 'hello', { stream: true })));
  await again('a refusal', () => end('rate_limited'));
  await again('trouble', () => end('overloaded'));
  await again('no answer', () => end('reset'));
  await again('a broken stream', () => end({ fault: 'reset_mid_stream', afterChunks: 2 }, { stream: true }));
  await again('a redirect', () => end('redirect_307'));
  await again('a fallback', () => {
    app.provider.next('no_credit', { path: '/v1/chat/completions', key: secret });
    return said(app.chat(ada, 'hello'));
  });
  await again('a model that is not allowed', () =>
    said(app.fetch(bob, '/v1/chat/completions', { json: { model: 'gpt-4o', messages: [] } })),
  );
  await again('no key', () => said(app.fetch(bob, '/v1/responses/resp_1')));
  await again('a list of models', () => said(app.fetch(bob, '/v1/models')));
  await again('a client that leaves before the first byte', async () => {
    const gate = app.provider.gate('head', { path: '/v1/chat/completions' });
    const leaving = new AbortController();
    const answer = app
      .fetch(bob, '/v1/chat/completions', { json: { model: 'gpt-4o-mini', messages: [] }, signal: leaving.signal })
      .catch(() => 'left');
    expect(await Promise.race([gate.reached, answer])).toBeUndefined();
    const upstream = app.provider.requests.at(-1);
    leaving.abort();
    expect(await upstream?.settled).toBe('aborted');
    gate.open();
    return answer;
  });
  await again('a client that leaves in the middle', async () => {
    app.provider.next({ chunks: 50, fault: 'stall', afterChunks: 3 }, { path: '/v1/chat/completions' });
    const leaving = new AbortController();
    const res = await app.fetch(bob, '/v1/chat/completions', {
      json: { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }], stream: true },
      signal: leaving.signal,
    });
    const upstream = app.provider.requests.at(-1);
    const code = res.status === 429 ? await res.text() : 'read';
    leaving.abort();
    expect(await upstream?.settled).toBe('aborted');
    return code;
  });
});

test('a client that has not sent its body yet takes no place', async () => {
  await using app = await testApp({ env: { MAX_CONCURRENT_REQUESTS: '1' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: byok.test\r\nauthorization: Bearer ${ada.token}\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n`,
  );
  await once(socket, 'data');
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  socket.destroy();
});
