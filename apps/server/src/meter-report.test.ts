import type { UsageQuery, UsageTotals } from '@synthstack/core';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { ending, meterOn, opening } from '../test/meter.ts';

const quarterMs = 15 * 60_000;
const dayMs = 96 * quarterMs;
const charts = ['model', 'provider', 'keySource'] as const;
const zones = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'America/Sao_Paulo', 'UTC'];

/** The same numbers each time. */
function createRandom(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
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
        const query: UsageQuery = {
          ...{ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), timezone, groupBy },
          ...{ seriesBy: charts[random(3)], model: [undefined, 'gpt-4o'][random(2)], keySource: ([undefined, 'user'] as const)[random(2)] },
        };
        const report = await meter.report('ada', query);
        const wanted = rows.filter(
          ({ model, source }) => [model, undefined].includes(query.model) && [source, undefined].includes(query.keySource),
        );
        const own = wanted.filter((row) => row.startedAt >= fromMs && row.startedAt < toMs);
        const [previousFromMs, previousToMs] = [Date.parse(report.previousFrom), Date.parse(report.previousTo)];
        expect(report.previous.requests).toBe(
          wanted.filter((row) => row.startedAt >= previousFromMs && row.startedAt < previousToMs).length,
        );
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
          const lines = report.parts ?? [];
          for (const name of ['requests', 'totalTokens'] as const)
            expect(lines.reduce((sum, line) => sum + (line[name][i] ?? 0), 0)).toBe(part[name]);
          expect(lines.reduce((sum, line) => sum + (line.estimatedCostUsd[i] ?? 0), 0)).toBeCloseTo(part.estimatedCostUsd, 9);
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

test('a report is held against the period before, and says which that was', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  const noon = Date.UTC(2026, 5, 10, 12);
  // Yesterday morning, yesterday afternoon, this morning.
  for (const startedAt of [noon - dayMs - 2 * quarterMs, noon - dayMs + 8 * quarterMs, noon - 2 * quarterMs]) {
    at(startedAt);
    const request = opening(meter, startedAt);
    await meter.record(request);
    await meter.settle(request, ending(100, 10));
  }
  at(noon);
  const report = await meter.report('ada', { days: 1, timezone: 'UTC', groupBy: 'hour' });
  expect(report.totals).toMatchObject({ requests: 1, totalTokens: 110 });
  expect(report.previous).toEqual(report.totals);
  expect(report).toMatchObject({ previousFrom: '2026-06-09T00:00:00.000Z', previousTo: '2026-06-09T12:15:00.000Z' });
  const byHours = await meter.report('ada', { hours: 24, timezone: 'UTC', groupBy: 'hour' });
  expect(byHours.totals.requests).toBe(2);
  expect(byHours.series).toHaveLength(25);
  expect(byHours.parts).toBeUndefined();
});

test('of many models, the eight that cost most have parts of their own, and the rest is one; each model has its price', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  const startedAt = Date.UTC(2026, 5, 10, 12);
  at(startedAt);
  for (let i = 0; i < 12; i += 1) {
    const request = opening(meter, startedAt, { model: i < 2 ? (['gpt-4o', 'gpt-4o-mini'][i] ?? null) : i === 2 ? null : `unpriced-${i}` });
    await meter.record(request);
    await meter.settle(request, ending(1_000 * (i + 1), 10));
  }
  const { parts = [], byModel } = await meter.report('ada', { days: 1, timezone: 'UTC', groupBy: 'day', seriesBy: 'model' });
  expect(parts.map(({ model, other }) => (other ? 'other' : model))).toEqual([
    ...['gpt-4o', 'gpt-4o-mini'],
    ...['unpriced-11', 'unpriced-10', 'unpriced-9', 'unpriced-8', 'unpriced-7', 'unpriced-6'],
    'other',
  ]);
  expect(parts.at(-1)).toEqual({ other: true, requests: [4], totalTokens: [3_010 + 4_010 + 5_010 + 6_010], estimatedCostUsd: [0] });
  expect(parts[0]).toMatchObject({ provider: 'openai', model: 'gpt-4o', requests: [1], totalTokens: [1_010] });
  expect(byModel.find(({ model }) => model === 'gpt-4o')).toMatchObject({ inputUsdPerMillion: 2.5, outputUsdPerMillion: 10 });
  expect(byModel.find(({ model }) => model === null)).toMatchObject({ inputUsdPerMillion: null, outputUsdPerMillion: null, requests: 1 });
  const unknown = await meter.report('ada', { days: 1, timezone: 'UTC', groupBy: 'day', model: '' });
  expect(unknown.byModel).toMatchObject([{ model: null, requests: 1, totalTokens: 3_010 }]);
  const by = async (seriesBy: 'provider' | 'keySource') =>
    (await meter.report('ada', { days: 1, timezone: 'UTC', groupBy: 'day', seriesBy })).parts;
  expect(await by('provider')).toMatchObject([{ provider: 'openai', requests: [12] }]);
  expect(await by('keySource')).toMatchObject([{ keySource: 'user', requests: [12] }]);
});
