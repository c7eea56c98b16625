import { expect, test } from 'vitest';
import { type TestApp, testApp } from '../test/app.ts';
import { named, type Span, startCollector } from '../test/collector.ts';
import { findPlanted } from '../test/planted.ts';
import { parentOf } from './traces-otlp.ts';

const callersTrace = '0af7651916cd43dd8448eb211c80319c';
const callersSpan = 'b7ad6b7169203331';
const traceparent = `00-${callersTrace}-${callersSpan}-01`;

/** The next round, and what it sends. */
async function round({ app, clock }: TestApp): Promise<void> {
  clock.advance(2_000);
  await app.traces?.idle();
}

const byName = (spans: readonly Span[], name: string) => spans.filter((span) => span.name === name);
const lengthMs = ({ startTimeUnixNano, endTimeUnixNano }: Span) => Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6;

test('a request that falls back is one span, with one below it for each call of a provider', async () => {
  await using collector = await startCollector();
  await using app = await testApp({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=ada%20and%20bob, authorization=Basic%20Zm9v',
    },
    platform: { openai: 'good' },
  });
  const ada = await app.person({ keys: { openai: 'revoked' } });
  const answer = await app.chat(ada, 'the question about heliotrope', { stream: true });
  expect(answer.headers.get('x-byok-fallback-reason')).toBe('bad_key');
  await answer.text();
  await round(app);

  const [root, ...more] = collector.spans();
  if (!root) throw new Error('Nothing was sent.');
  expect(root).toMatchObject({ name: 'POST /v1/chat/completions', kind: 2, status: {} });
  expect(root.parentSpanId).toBeUndefined();
  expect(named(root)).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/v1/chat/completions',
    'http.response.status_code': 200,
    'byok.request_id': answer.headers.get('x-byok-request-id'),
    'byok.key_source': 'platform',
    'byok.fallback_reason': 'bad_key',
    'byok.attempts': 2,
  });
  expect(more.map(({ name, kind, parentSpanId, traceId }) => ({ name, kind, parentSpanId, traceId }))).toEqual(
    Array(2).fill({ name: 'chat gpt-4o-mini', kind: 3, parentSpanId: root.spanId, traceId: root.traceId }),
  );
  const [refused, answered] = more.map(named);
  expect(refused).toEqual({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-4o-mini',
    'gen_ai.request.stream': true,
    'http.response.status_code': 401,
    'error.type': 'bad_key',
    'byok.key_source': 'user',
  });
  expect(more[0]?.status).toEqual({ code: 2, message: 'bad_key' });
  const [row] = await app.requests();
  expect(answered).toMatchObject({
    'http.response.status_code': 200,
    'byok.key_source': 'platform',
    'byok.fallback_reason': 'bad_key',
    'gen_ai.usage.input_tokens': row?.inputTokens,
    'gen_ai.usage.output_tokens': row?.outputTokens,
    'byok.cost_usd': Number(row?.costNanoUsd) / 1e9,
    'gen_ai.response.time_to_first_chunk': expect.any(Number),
  });
  expect(answered).not.toHaveProperty('error.type');
  for (const span of [root, ...more]) {
    expect(span.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(span.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(lengthMs(span)).toBeGreaterThanOrEqual(0);
    expect(lengthMs(span)).toBeLessThanOrEqual(lengthMs(root));
  }
  expect(new Set([root, ...more].map(({ spanId }) => spanId)).size).toBe(3);
  expect(collector.headers[0]).toMatchObject({ path: '/v1/traces', 'x-tenant': 'ada and bob', authorization: 'Basic Zm9v' });

  const sent = Buffer.from(collector.bodies.join(''));
  for (const secret of [ada.token, ada.secrets.openai ?? '', app.platformSecrets.openai ?? ''])
    expect(findPlanted(secret, sent)).toEqual([]);
  for (const text of ['heliotrope', ada.id, ada.email]) expect(sent.toString()).not.toContain(text);
  expect(findPlanted(ada.token, Buffer.concat([sent, Buffer.from(ada.token)]))).not.toEqual([]);
  const metrics = await (await app.fetch(null, '/metrics')).text();
  expect(metrics).toContain('byok_trace_spans_total{outcome="exported"} 3');
  expect(metrics).toContain('byok_trace_spans_total{outcome="dropped"} 0');
});

test("a caller's trace goes on in ours, and to providers only if that is asked for", async () => {
  await using collector = await startCollector();
  for (const told of ['off', 'on']) {
    await using app = await testApp({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, TRACES_TO_PROVIDERS: told } });
    const ada = await app.person({ keys: { openai: 'good' } });
    const headers = { traceparent, tracestate: 'vendor=1', baggage: 'who=ada' };
    const json = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] };
    await (await app.fetch(ada, '/v1/chat/completions', { headers, json })).text();
    await round(app);
    const [root, attempt] = collector.spans().slice(-2);
    expect(root).toMatchObject({ traceId: callersTrace, parentSpanId: callersSpan });
    expect(attempt).toMatchObject({ traceId: callersTrace, parentSpanId: root?.spanId });
    const received = app.provider.requests.at(-1)?.headers;
    expect(received?.traceparent).toBe(told === 'on' ? `00-${callersTrace}-${attempt?.spanId}-01` : undefined);
    expect(received).not.toHaveProperty('tracestate');
    expect(received).not.toHaveProperty('baggage');
  }
});

test('without a collector nothing is noted, and no provider hears of a trace', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await (await app.fetch(ada, '/v1/models', { headers: { traceparent } })).text();
  expect(app.app.traces).toBeNull();
  expect(app.provider.requests.at(-1)?.headers).not.toHaveProperty('traceparent');
  expect(await (await app.fetch(null, '/metrics')).text()).not.toContain('byok_trace');
});

test('what the caller does not want traced, and what the ratio leaves out, is not', async () => {
  await using collector = await startCollector();
  await using app = await testApp({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER_ARG: '0' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const ask = (sent?: string) => app.fetch(ada, '/v1/models', { headers: { ...(sent && { traceparent: sent }) } });
  await ask();
  await ask(traceparent.replace(/01$/, '00'));
  await ask('nonsense');
  await ask(traceparent);
  await round(app);
  expect(byName(collector.spans(), 'GET /v1/models').map(({ traceId }) => traceId)).toEqual([callersTrace]);
});

test('refusals of ours are traced too: of what nobody asked a provider there is one span', async () => {
  await using collector = await startCollector();
  await using app = await testApp({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  const bob = await app.person({ tier: 'community' });
  await app.fetch(null, '/v1/chat/completions', { json: {} });
  await app.chat(bob, 'hello');
  await app.fetch(bob, '/v1/nothing/sk-proj-somebodys-key', { json: {} });
  await round(app);
  const spans = collector.spans();
  expect(spans.map((span) => [span.name, named(span)['error.type'], span.status.code])).toEqual([
    ['POST /v1/chat/completions', 'unauthenticated', undefined],
    ['POST /v1/chat/completions', 'plan_required', undefined],
    ['POST', 'not_found', undefined],
  ]);
  expect(collector.bodies.join('')).not.toContain('somebodys');
});

test('a stream that breaks is an error of its call', async () => {
  await using collector = await startCollector();
  await using app = await testApp({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  const ada = await app.person({ keys: { openai: 'reset_mid_stream' } });
  await (await app.chat(ada, 'hello', { stream: true })).text().catch(() => undefined);
  await round(app);
  const attempt = byName(collector.spans(), 'chat gpt-4o-mini')[0];
  expect(attempt?.status.code).toBe(2);
  expect(attempt && named(attempt)).toMatchObject({ 'error.type': 'upstream_reset', 'http.response.status_code': 200 });
});

test('while the collector is away requests go on, and what waited is handed over when it is back', async () => {
  await using collector = await startCollector();
  await using app = await testApp({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  const ada = await app.person({ keys: { openai: 'good' } });
  collector.answers(503);
  expect((await app.chat(ada, 'hello')).status).toBe(200);
  await round(app);
  expect(collector.asked()).toBe(1);
  const warned = () => app.lines.filter((line) => line.includes('Traces cannot be handed')).length;
  expect(warned()).toBe(1);
  await round(app);
  await round(app);
  expect(warned()).toBe(1);
  const before = collector.asked();
  collector.answers(200);
  app.clock.advance(60_000);
  await round(app);
  expect(collector.asked()).toBeGreaterThan(before);
  expect(collector.spans().map(({ name }) => name)).toEqual(['POST /v1/chat/completions', 'chat gpt-4o-mini']);
  expect(app.app.traces?.spans()).toEqual({ exported: 2, dropped: 0 });
});

test('what the collector refuses for good, and what does not fit, is dropped and counted', async () => {
  await using collector = await startCollector();
  await using app = await testApp({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  const ada = await app.person({ keys: { openai: 'good' } });
  collector.answers(400);
  await app.chat(ada, 'hello');
  await round(app);
  expect(app.app.traces?.spans()).toEqual({ exported: 0, dropped: 2 });
  collector.answers(200, '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}');
  await app.chat(ada, 'hello');
  await round(app);
  expect(app.app.traces?.spans()).toEqual({ exported: 1, dropped: 3 });

  // A queue that fills up: the facts of one request, very often, while the collector is away.
  collector.answers(503);
  const { traces } = app.app;
  const trace = traces?.begin(undefined);
  if (!traces || !trace) throw new Error('Nothing is traced.');
  const facts = {
    trace,
    requestId: 'req_1',
    method: 'GET',
    matched: null,
    model: null,
    streamed: false,
    source: null,
    fallbackReason: null,
  };
  const end = { status: 200, outcome: 'ok', settled: null, endedAtMs: app.clock.now(), endedAt: performance.now(), durationMs: 1 };
  for (let i = 0; i < 5_000; i += 1) traces.ended({ ...facts, ...end });
  await traces.idle();
  expect(traces.spans().dropped).toBe(3 + 5_000 - 4_096);
  const metrics = await (await app.fetch(null, '/metrics')).text();
  expect(metrics).toContain(`byok_trace_spans_total{outcome="dropped"} ${3 + 5_000 - 4_096}`);
  // At the end what waits is handed over, batch by batch.
  collector.answers(200);
  app.clock.advance(60_000);
  await traces.idle();
  await app.restart();
  expect(traces.spans().exported).toBe(1 + 4_096);
});

test('traceparent is read to the letter', () => {
  const id = 'a'.repeat(32);
  const span = 'b'.repeat(16);
  expect(parentOf(`00-${id}-${span}-01`)).toEqual({ traceId: id, spanId: span, sampled: true });
  expect(parentOf(`00-${id}-${span}-02`)?.sampled).toBe(false);
  expect(parentOf(`cc-${id}-${span}-01-what-comes-later`)).toMatchObject({ traceId: id });
  for (const bad of [
    '',
    `00-${id}-${span}`,
    `00-${id}-${span}-01-more`,
    `ff-${id}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `00-${id.toUpperCase()}-${span}-01`,
    `00-${id}-${span}-01\r\n`,
    `0-${id}-${span}-01`,
  ])
    expect(parentOf(bad), bad).toBeNull();
});
