import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { exposedValue, parseExposition } from '../test/exposition.ts';
import { findPlanted } from '../test/planted.ts';
import { createMetrics, type Ended } from './metrics.ts';
import { openai } from './providers/openai.ts';

async function scrape(app: TestApp) {
  const res = await app.fetch(null, '/metrics');
  expect([res.status, res.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  const text = await res.text();
  const families = parseExposition(text);
  return { text, families, value: (name: string, labels?: Record<string, string>) => exposedValue(families, name, labels) };
}

/** The lines of the log that tell of requests, once there are so many. */
async function requestLines(app: TestApp, count: number) {
  const found = () => app.lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request');
  while (found().length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  return found();
}

const chat = '/v1/chat/completions';

/** Sends a request by hand, the last bytes of its body withheld if it says so, and leaves when `when` is over. */
async function leaving(app: TestApp, who: Person, more: object, when: (socket: Socket) => Promise<unknown>, withheld = 0) {
  const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }], ...more });
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  const head = `POST ${chat} HTTP/1.1\r\nhost: byok.test\r\nauthorization: Bearer ${who.token}\r\ncontent-type: application/json\r\n`;
  socket.write(`${head}content-length: ${body.length}\r\n\r\n${body.slice(0, body.length - withheld)}`);
  await when(socket);
  socket.destroy();
}

test('answers are counted with their tokens, their cost and their times, under the name that the price list has for their model', async () => {
  await using app = await testApp();
  const ada = await app.person({
    keys: { openai: { text: 'Hi', usage: { inputTokens: 1_000, cachedInputTokens: 400, outputTokens: 50 } } },
  });
  for (const model of ['gpt-4o-mini', 'gpt-4o-mini-2024-07-18']) expect((await app.chat(ada, 'hello', { model })).status).toBe(200);
  expect(await (await app.chat(ada, 'hello', { stream: true })).text()).toContain('[DONE]');
  const { value, families } = await scrape(app);
  const payer = { provider: 'openai', model: 'gpt-4o-mini', key_source: 'user' };
  expect(value('byok_requests_total', { ...payer, route: chat, outcome: 'ok' })).toBe(3);
  const rows = await app.requests();
  const sum = (pick: (row: (typeof rows)[number]) => number | null) => rows.reduce((all, row) => all + (pick(row) ?? 0), 0);
  expect(value('byok_tokens_total', { ...payer, kind: 'input' })).toBe(3_000);
  expect(value('byok_tokens_total', { ...payer, kind: 'cached_input' })).toBe(1_200);
  expect(value('byok_tokens_total', { ...payer, kind: 'output' })).toBe(150);
  expect(value('byok_cost_usd_total', payer)).toBe(sum((row) => row.costNanoUsd) / 1e9);
  expect(value('byok_cost_usd_total', payer)).toBeGreaterThan(0);
  const ended = { provider: 'openai', key_source: 'user', outcome: 'ok' };
  expect(value('byok_request_duration_seconds_count', ended)).toBe(3);
  expect(value('byok_request_duration_seconds_bucket', { ...ended, le: '600' })).toBe(3);
  expect(value('byok_time_to_first_byte_seconds_count', { provider: 'openai', key_source: 'user' })).toBe(3);
  expect(value('byok_upstream_responses_total', ended)).toBe(3);
  for (const name of ['byok_unpriced_requests_total', 'byok_unmeasured_requests_total', 'byok_fallbacks_total', 'byok_errors_total'])
    expect(families.get(name)?.samples, name).toEqual([]);
  for (const name of ['byok_requests_in_flight', 'byok_streams_in_flight', 'byok_request_body_bytes_in_flight'])
    expect(value(name)).toBe(0);
  expect(value('byok_build_info', { version: app.app.config.version })).toBe(1);
});

test('a fallback, a limit, an unknown model, a provider that is down and one that refuses each have their series', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const [ada, eve] = [await app.person({ keys: { openai: 'revoked' } }), await app.person({ keys: { openai: 'down' } })];
  const bob = await app.person({ tier: 'community' });
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  expect((await app.chat(eve, 'hello')).status).toBe(500);
  for (let i = 0; i < 11; i += 1) await app.chat(bob, 'hello');
  expect((await app.chat(bob, 'hello', { model: 'no-such-model' })).status).toBe(403);
  expect((await app.fetch(null, chat, { json: {} })).status).toBe(401);
  expect((await app.fetch(bob, '/v1/nothing', { json: {} })).status).toBe(404);
  const { value } = await scrape(app);
  expect(value('byok_fallbacks_total', { provider: 'openai', reason: 'bad_key' })).toBe(1);
  expect(value('byok_limit_refusals_total', { tier: 'community', window: 'minute' })).toBe(1);
  expect(value('byok_errors_total', { code: 'limit_reached' })).toBe(1);
  expect(value('byok_errors_total', { code: 'unauthenticated' })).toBe(1);
  expect(value('byok_requests_total', { model: 'gpt-4o-mini', key_source: 'platform', outcome: 'ok' })).toBe(11);
  expect(value('byok_requests_total', { model: 'gpt-4o-mini', key_source: 'platform', outcome: 'limit_reached' })).toBe(1);
  expect(value('byok_requests_total', { model: 'gpt-4o-mini', key_source: 'user', outcome: 'down' })).toBe(1);
  expect(value('byok_requests_total', { model: 'other', outcome: 'model_not_allowed' })).toBe(1);
  expect(value('byok_requests_total', { provider: 'none', route: 'none', outcome: 'not_found' })).toBe(1);
  expect(value('byok_upstream_responses_total', { key_source: 'user', outcome: 'bad_key' })).toBe(1);
  expect(value('byok_upstream_responses_total', { key_source: 'user', outcome: 'down' })).toBe(1);
  expect(value('byok_upstream_responses_total', { key_source: 'platform', outcome: 'ok' })).toBe(11);
  expect((await requestLines(app, 16)).map(({ status, code }) => `${status} ${code}`)).toEqual(
    expect.arrayContaining(['200 undefined', '500 down', '429 limit_reached', '403 model_not_allowed', '401 unauthenticated']),
  );
});

test('what is not priced, not measured or cannot be opened is counted as such, and never as a cost of nothing', async () => {
  await using app = await testApp();
  const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 };
  const json = { 'content-type': 'application/json' };
  const answer = { object: 'chat.completion', model: 'gpt-next', choices: [] };
  const unpriced = await app.person({ keys: { openai: { status: 200, headers: json, body: { ...answer, usage } } } });
  const unmeasured = await app.person({ keys: { openai: { status: 200, headers: json, body: answer } } });
  const damaged = await app.person({
    keys: { openai: { status: 200, headers: { ...json, 'content-encoding': 'zstd' }, body: Buffer.from('?') } },
  });
  for (const who of [unpriced, unmeasured, damaged]) expect((await app.chat(who, 'hello', { model: 'gpt-next' })).status).toBe(200);
  const { value, families } = await scrape(app);
  const of = { provider: 'openai', key_source: 'user' };
  expect(value('byok_requests_total', { ...of, model: 'other', outcome: 'ok' })).toBe(3);
  expect(value('byok_tokens_total', { ...of, model: 'other', kind: 'output' })).toBe(3);
  expect(value('byok_unpriced_requests_total', of)).toBe(3);
  expect(value('byok_unmeasured_requests_total', of)).toBe(2);
  expect(value('byok_undecoded_answers_total', { provider: 'openai' })).toBe(1);
  expect(families.get('byok_cost_usd_total')?.samples).toEqual([]);
});

test('a client that leaves, at whatever moment, has one line in the log and is counted once, as one that left', async () => {
  await using app = await testApp();
  const silent = await app.person({ keys: { openai: 'silent' } });
  const stalled = await app.person({ keys: { openai: { fault: 'stall', afterChunks: 3, tokens: 20 } } });
  const good = await app.person({ keys: { openai: 'good' } });
  const known = app.provider.requests.length;
  await leaving(app, silent, {}, () => app.provider.received(known + 1));
  await leaving(app, stalled, { stream: true }, async (socket) => {
    for (let text = ''; !text.includes('data: '); ) text += String((await once(socket, 'data'))[0]);
  });
  await requestLines(app, 2);
  const bytes = async () => (await scrape(app)).value('byok_request_body_bytes_in_flight');
  const inBody = async () => {
    while ((await bytes()) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await scrape(app)).value('byok_requests_in_flight')).toBe(1);
  };
  await leaving(app, good, {}, inBody, 1);
  expect((await app.chat(good, 'hello')).status).toBe(200);
  const lines = await requestLines(app, 4);
  const left = { route: chat, status: 499, code: 'client_closed' };
  expect(lines).toHaveLength(4);
  expect(lines).toContainEqual(
    expect.objectContaining({ ...left, model: 'gpt-4o-mini', streamed: false, keySource: 'user', estimated: true }),
  );
  expect(lines).toContainEqual(
    expect.objectContaining({ ...left, model: 'gpt-4o-mini', streamed: true, keySource: 'user', estimated: true }),
  );
  expect(lines).toContainEqual(expect.objectContaining({ ...left, streamed: false }));
  const { value, families } = await scrape(app);
  const gone = { provider: 'openai', outcome: 'client_closed' };
  expect(value('byok_requests_total', { ...gone, key_source: 'user', model: 'gpt-4o-mini' })).toBe(2);
  expect(value('byok_requests_total', { ...gone, key_source: 'none', model: 'none' })).toBe(1);
  expect(value('byok_upstream_responses_total', gone)).toBe(1);
  expect(families.get('byok_errors_total')?.samples).toEqual([]);
  expect([await bytes(), value('byok_requests_in_flight'), value('byok_streams_in_flight')]).toEqual([0, 0, 0]);
});

test('ten thousand invented names of models make one series, and so do names that the price list takes for its own', () => {
  const metrics = createMetrics({ version: '1', openSockets: () => 0 });
  const route = openai.routes[0];
  if (!route) throw new Error('no route');
  const ended = (model: string): Ended => ({
    ...{ matched: { provider: openai, route }, model, source: 'user', fallbackReason: null, outcome: 'ok', code: null },
    ...{ durationMs: 5, streamed: false, settled: null },
  });
  const models = async () =>
    parseExposition((await metrics.scrape()).text)
      .get('byok_requests_total')
      ?.samples.map(({ labels, value }) => [labels.model, value]);
  return (async () => {
    for (let i = 0; i < 10_000; i += 1) {
      metrics.began();
      metrics.ended(ended(`invented-${i}`));
    }
    expect(await models()).toEqual([['other', 10_000]]);
    for (let i = 0; i < 1_000; i += 1) {
      metrics.began();
      metrics.ended(ended(`gpt-4o-${i}`));
    }
    expect((await models())?.length).toBeLessThanOrEqual(3);
  })();
});

test('a scrape holds no key, no token, no person and nothing that somebody wrote', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const hostile = 'x"} 1\nbyok_requests_total{provider="evil';
  expect((await app.chat(ada, 'a text of a person')).status).toBe(200);
  await app.chat(ada, 'a text of a person', { model: hostile });
  await app.fetch(ada, `/v1/${encodeURIComponent(hostile)}`, { json: {} });
  const { text } = await scrape(app);
  for (const secret of [ada.secrets.openai, ada.token, app.platformSecrets.openai])
    expect(findPlanted(String(secret), Buffer.from(text))).toEqual([]);
  for (const mine of [ada.id, ada.email, 'evil', 'a text of a person']) expect(text).not.toContain(mine);
  const lines = await requestLines(app, 3);
  expect(lines.map(({ model }) => model)).toEqual(['gpt-4o-mini', expect.stringMatching(/^[\x21-\x7e]{1,100}$/), undefined]);
});

test('what the process uses is there from the first scrape, and is watched once', async () => {
  await using app = await testApp();
  const [first, second] = [await scrape(app), await scrape(app)];
  for (const { value, families } of [first, second]) {
    expect(value('nodejs_heap_size_used_bytes')).toBeGreaterThan(1_000_000);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(value('nodejs_eventloop_lag_p99_seconds')).toBeLessThan(60);
    expect(families.get('nodejs_gc_duration_seconds')?.type).toBe('histogram');
  }
  const both = await Promise.all([scrape(app), scrape(app)]);
  expect(both).toHaveLength(2);
});
