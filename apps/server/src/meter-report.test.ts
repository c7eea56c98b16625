import { noTokens, type UsageQuery, type UsageTotals } from '@synthstack/core';
import { type TestDb, testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { createMeter, type Meter, type OpenRequest, type Settlement } from './meter.ts';
import { providerOf } from './providers/catalog.ts';

const quarterMs = 15 * 60_000;
const dayMs = 96 * quarterMs;
const zones = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'America/Sao_Paulo', 'UTC'];

function meterOn(db: TestDb) {
  let nowMs = 0;
  const clock = { now: () => nowMs, after: () => () => undefined };
  const meter = createMeter({ db, clock, boot: { id: 'boot', slot: 0 }, price: (provider, model) => providerOf(provider).price(model) });
  return {
    meter,
    at(ms: number) {
      nowMs = ms;
    },
  };
}

/** The same numbers each time. */
function createRandom(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function opening(meter: Meter, startedAt: number, more: Partial<OpenRequest> = {}): OpenRequest {
  return {
    id: meter.newId(),
    userId: 'ada',
    tier: 'premium',
    tokenId: null,
    provider: 'openai',
    route: '/v1/chat/completions',
    model: 'gpt-4o-mini',
    streamed: false,
    firstKeyId: 'key',
    keyId: 'key',
    source: 'user',
    fallbackReason: null,
    slotAt: null,
    startedAt,
    ...more,
  };
}

function ending(input: number, output: number, more: Partial<Settlement> = {}): Settlement {
  const usage = { model: null, tokens: { ...noTokens, input, output, cachedInput: Math.floor(input / 2) }, total: input + output };
  return { state: 'done', status: 200, errorCode: null, usage, estimated: false, firstByteAt: 1, ...more };
}

const counts = [
  'requests',
  'inputTokens',
  'cachedInputTokens',
  'outputTokens',
  'totalTokens',
  'unpricedRequests',
  'unmeasuredRequests',
] as const;
const sumOf = (parts: readonly UsageTotals[]) =>
  Object.fromEntries(counts.map((name) => [name, parts.reduce((sum, part) => sum + part[name], 0)]));
const countsOf = (totals: UsageTotals) => Object.fromEntries(counts.map((name) => [name, totals[name]]));

test('in every time zone, over every change of the clocks, the report is the sum of its rows, whole and in its parts', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  const random = createRandom(7);
  const models = ['gpt-4o-mini', 'gpt-4o', 'a-model-of-nobody'];
  /** The weeks in which the clocks of 2026 change somewhere. */
  const weeks = [
    Date.UTC(2026, 2, 5),
    Date.UTC(2026, 2, 26),
    Date.UTC(2026, 3, 2),
    Date.UTC(2026, 9, 1),
    Date.UTC(2026, 9, 22),
    Date.UTC(2026, 9, 29),
  ];
  const written: Promise<unknown>[] = [];
  for (const startedAt of weeks.flatMap((week) => Array.from({ length: 70 }, () => week + random(7 * dayMs))).sort((a, b) => a - b)) {
    at(startedAt);
    const source = random(3) === 0 ? 'platform' : 'user';
    const request = opening(meter, startedAt, { model: models[random(3)] ?? null, source, keyId: source === 'user' ? 'key' : null });
    const kind = random(8);
    const unmeasured = { usage: null };
    const refused = { state: 'failed', status: 429, errorCode: 'rate_limited', usage: null, firstByteAt: null } as const;
    written.push(
      meter.record(request),
      meter.settle(request, ending(random(5_000), random(900), kind === 0 ? unmeasured : kind === 1 ? refused : {})),
    );
  }
  await Promise.all(written);
  const rows = (await db.orm.select().from(db.tables.request)).filter((row) => row.status === 200);

  for (const timezone of zones) {
    for (const week of weeks) {
      for (const groupBy of ['hour', 'day'] as const) {
        const fromMs = week + random(5 * 96) * quarterMs;
        const toMs = fromMs + (1 + random(2 * 96)) * quarterMs;
        const query: UsageQuery = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), timezone, groupBy };
        const report = await meter.report('ada', query);
        const own = rows.filter((row) => row.startedAt >= fromMs && row.startedAt < toMs);
        const add = (value: (row: (typeof rows)[number]) => number | null) => own.reduce((sum, row) => sum + (value(row) ?? 0), 0);
        expect(countsOf(report.totals)).toEqual({
          requests: own.length,
          inputTokens: add((row) => row.inputTokens),
          cachedInputTokens: add((row) => row.cachedInputTokens),
          outputTokens: add((row) => row.outputTokens),
          totalTokens: add((row) => row.totalTokens),
          unpricedRequests: add((row) => (row.costNanoUsd === null ? 1 : 0)),
          unmeasuredRequests: add((row) => (row.totalTokens === null ? 1 : 0)),
        });
        expect(report.totals.estimatedCostUsd).toBeCloseTo(add((row) => row.costNanoUsd) / 1e9, 9);
        for (const parts of [report.series, report.byModel, report.byProvider, report.byKeySource])
          expect(sumOf(parts)).toEqual(countsOf(report.totals));
        expect(Date.parse(report.series[0]?.start ?? '')).toBeLessThanOrEqual(fromMs);
        for (const [i, part] of report.series.entries()) {
          const start = Date.parse(part.start);
          const end = Date.parse(report.series[i + 1]?.start ?? query.to ?? '');
          expect(part.requests).toBe(own.filter((row) => row.startedAt >= start && row.startedAt < end).length);
        }
      }
    }
  }
});

test('so many days back means whole days of the zone, today included, also for somebody without any usage', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  at(Date.UTC(2026, 9, 26, 12));
  const report = await meter.report('nobody', { days: 3, timezone: 'Europe/Berlin', groupBy: 'day' });
  expect(report.series.map((part) => part.start)).toEqual([
    '2026-10-23T22:00:00.000Z',
    '2026-10-24T22:00:00.000Z',
    '2026-10-25T23:00:00.000Z',
  ]);
  expect(report.totals).toMatchObject({ requests: 0, estimatedCostUsd: 0 });
});

test("a request is settled once, whatever happens: a second word on it after a failure is the last, and nobody's usage is added twice", async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  at(Date.UTC(2026, 5, 1));
  const request = opening(meter, Date.UTC(2026, 5, 1));
  await meter.record(request);
  await db.commit([{ sql: 'alter table key_totals rename to away', params: [] }]);
  await expect(meter.settle(request, ending(10, 5))).rejects.toMatchObject({ code: 'storage_unavailable' });
  await expect(meter.settle(request, ending(10, 5, { state: 'failed', errorCode: 'storage_unavailable' }))).rejects.toMatchObject({
    code: 'storage_unavailable',
  });
  await db.commit([{ sql: 'alter table away rename to key_totals', params: [] }]);
  const next = opening(meter, Date.UTC(2026, 5, 1));
  await meter.record(next);
  await expect
    .poll(() => db.orm.select().from(db.tables.request).orderBy(db.tables.request.id))
    .toMatchObject([{ state: 'failed', errorCode: 'storage_unavailable', totalTokens: 15 }, { state: 'open' }]);
  await meter.settle(next, ending(1, 1));
  const report = await meter.report('ada', { days: 1, timezone: 'UTC', groupBy: 'day' });
  expect(report.totals).toMatchObject({ requests: 2, totalTokens: 17 });
});

test('what a caller who left early has used counts as tokens, not as an answer', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  at(Date.UTC(2026, 5, 1));
  const request = opening(meter, Date.UTC(2026, 5, 1));
  await meter.record(request);
  await meter.settle(
    request,
    ending(100, 0, { state: 'failed', status: null, errorCode: 'client_closed', estimated: true, firstByteAt: null }),
  );
  expect((await meter.report('ada', { days: 1, timezone: 'UTC', groupBy: 'day' })).totals).toMatchObject({
    requests: 0,
    totalTokens: 100,
    unpricedRequests: 0,
  });
});

/** RFC 4180, by hand. */
function readCsv(text: string): string[][] {
  const lines: string[][] = [];
  let cells: string[] = [];
  for (let i = 0; i < text.length; ) {
    let cell = '';
    if (text[i] === '"') {
      for (i += 1; text[i] !== '"' || text[i + 1] === '"'; i += 1) {
        if (text[i] === '"') i += 1;
        cell += text[i];
      }
      i += 1;
    } else while (i < text.length && text[i] !== ',' && text[i] !== '\r') cell += text[i++];
    cells.push(cell);
    if (text[i] === ',') i += 1;
    else {
      expect(text.slice(i, i + 2)).toBe('\r\n');
      i += 2;
      lines.push(cells);
      cells = [];
    }
  }
  return lines;
}

async function csvOf(meter: Meter, userId: string, range: { from: string; to: string }): Promise<string> {
  let text = '';
  for await (const part of meter.exportCsv(userId, range)) text += part;
  return text;
}

test('the export has every request of the range, once and in order, over several pages, and nobody else’s', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  const startMs = Date.UTC(2026, 5, 1);
  const rows = Array.from({ length: 2_500 }, (_, i) => {
    // A hundred of them in the same millisecond.
    const startedAt = startMs + Math.floor(i / 100) * 7;
    at(startedAt);
    const closed = { bootId: 'boot', state: 'done' as const, inputTokens: i };
    const mine = { ...opening(meter, startedAt), ...closed };
    return i % 10 === 0 ? [mine, { ...opening(meter, startedAt, { userId: 'bob' }), ...closed }] : [mine];
  }).flat();
  for (let i = 0; i < rows.length; i += 500) await db.orm.insert(db.tables.request).values(rows.slice(i, i + 500));
  const range = { from: new Date(startMs).toISOString(), to: new Date(startMs + 25 * 7).toISOString() };
  const [head, ...lines] = readCsv(await csvOf(meter, 'ada', range));
  expect(head?.slice(0, 3)).toEqual(['request_id', 'started_at', 'ended_at']);
  expect(lines.map((line) => Number(line[head?.indexOf('input_tokens') ?? -1]))).toEqual(Array.from({ length: 2_500 }, (_, i) => i));
  expect(new Set(lines.map(([id]) => id)).size).toBe(2_500);
  const part = { from: new Date(startMs + 7).toISOString(), to: new Date(startMs + 14).toISOString() };
  expect(readCsv(await csvOf(meter, 'ada', part))).toHaveLength(1 + 100);
  expect(readCsv(await csvOf(meter, 'nobody', range))).toHaveLength(1);
});

test('in the export no cell is a formula, and every text comes back as it was', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  const startMs = Date.UTC(2026, 5, 1);
  at(startMs);
  const models = [
    '=HYPERLINK("http://x")',
    '+1',
    '-1',
    '@SUM(A1)',
    '\ttab',
    '\rreturn',
    'a"b',
    'a,b',
    'a\nb',
    'a\r\nb',
    "'quoted",
    'plain',
    'ünïcödé 中',
  ];
  for (const model of models) await meter.record(opening(meter, startMs, { model }));
  const text = await csvOf(meter, 'ada', { from: new Date(startMs).toISOString(), to: new Date(startMs + 1).toISOString() });
  const [head, ...lines] = readCsv(text);
  const cells = lines.map((line) => line[head?.indexOf('model') ?? -1] ?? '');
  expect(cells).toEqual(models.map((model) => (/^[=+\-@\t\r]/.test(model) ? `'${model}` : model)));
  for (const line of lines) for (const cell of line) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
  expect(lines.every((line) => line.length === head?.length)).toBe(true);
});
