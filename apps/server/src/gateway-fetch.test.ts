import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import type { Over } from './relay/fetch.ts';

async function stage(app: TestApp, who: Person) {
  const caller = await app.app.callers.identify({ authorization: `Bearer ${who.token}` });
  const ended = Promise.withResolvers<Over>();
  const fetch = app.app.gateway.fetchFor(caller, ended.resolve);
  const chat = (more: object = {}, init: RequestInit = {}) =>
    fetch('http://gateway.invalid/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }], ...more }),
      ...init,
    });
  return { fetch, chat, over: ended.promise };
}

test('the second door answers as the first: the same bytes, headers and row', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const { chat, over } = await stage(app, ada);
  const [inside, outside] = [await chat(), await app.chat(ada, 'hello')];
  const facts = (text: string) => ({ ...JSON.parse(text), id: null, created: null });
  expect(facts(await inside.text())).toEqual(facts(await outside.text()));
  expect([inside.status, inside.headers.get('x-byok-key-source')]).toEqual([200, 'user']);
  expect(inside.headers.get('content-type')).toBe(outside.headers.get('content-type'));
  const [first, second] = await app.requests();
  expect({ ...first, id: 0, startedAt: 0 }).toEqual({ ...second, id: 0, startedAt: 0 });
  expect(await over).toMatchObject({ requestId: inside.headers.get('x-byok-request-id'), error: null, settled: { status: 200 } });
});

test('what the gateway refuses is an answer of its own, in the shape of the route, and told as the error that it is', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const { chat, over } = await stage(app, ada);
  const refused = await chat();
  expect([refused.status, await refused.json()]).toEqual([403, { error: expect.objectContaining({ code: 'no_key' }) }]);
  expect(await over).toMatchObject({ settled: null, error: { code: 'no_key' } });
});

test('a path that is no route of a provider reaches none', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const { fetch } = await stage(app, ada);
  const before = app.provider.requests.length;
  for (const path of ['/v1/../x', '/v1/nothing', '/', '/api/v1/api-keys', '/v1/chat/completions/..'])
    expect((await fetch(`http://gateway.invalid${path}`, { method: 'POST', body: '{}' })).status, path).toBe(404);
  expect(app.provider.requests).toHaveLength(before);
});

test('a reader who is slow holds the provider back, and gets all of it', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { tokens: 60_000 } } });
  const { chat, over } = await stage(app, ada);
  const res = await chat({ stream: true });
  const reader = (res.body ?? new ReadableStream()).getReader();
  await reader.read();
  for (let i = 0; i < 200; i += 1) await new Promise(setImmediate);
  const seen = app.provider.requests.at(-1);
  const standing = seen?.chunks ?? 0;
  expect(standing).toBeLessThan(60_000);
  for (let i = 0; i < 200; i += 1) await new Promise(setImmediate);
  let bytes = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) bytes += next.value.length;
  expect(bytes).toBeGreaterThan(5_000_000);
  expect(await over).toMatchObject({ settled: { outputTokens: 60_000 } });
});

test.each(['before', 'amid', 'by its reader'])('what is called off %s the answer is aborted upstream and settled once', async (when) => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { fault: when === 'before' ? 'silent' : 'stall', tokens: 40, afterChunks: 5 } } });
  const { chat, over } = await stage(app, ada);
  const calling = new AbortController();
  const answer = chat({ stream: true }, { signal: calling.signal });
  if (when === 'before') {
    await app.provider.received(2);
    calling.abort();
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
  } else {
    const reader = ((await answer).body ?? new ReadableStream()).getReader();
    await reader.read();
    if (when === 'amid') {
      calling.abort();
      await expect(
        (async () => {
          while (!(await reader.read()).done);
        })(),
      ).rejects.toMatchObject({ name: 'AbortError' });
    } else await reader.cancel();
  }
  expect(await app.provider.requests.at(-1)?.settled).toBe('aborted');
  expect((await over).settled ?? { errorCode: 'client_closed' }).toMatchObject({ errorCode: 'client_closed' });
  expect(await app.requests()).toMatchObject([{ state: 'failed', errorCode: 'client_closed' }]);
  // Whoever calls off afterwards changes nothing.
  calling.abort();
});

test('one that was called off before it was asked sends nothing', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const { chat, over } = await stage(app, ada);
  const before = app.provider.requests.length;
  await expect(chat({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  expect((await over).settled).toBeNull();
  expect(app.provider.requests).toHaveLength(before);
});
