import { type UsageExport, UsageRequests, UsageRequestsQuery } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { ending, meterOn, opening } from '../test/meter.ts';
import { type Meter, requestIdOf } from './meter.ts';
import { createRequestLists } from './meter-requests.ts';

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

async function csvOf(meter: Meter, userId: string, range: UsageExport): Promise<string> {
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

const startMs = Date.UTC(2026, 5, 1);
const all = { from: new Date(startMs).toISOString(), to: new Date(startMs + 86_400_000).toISOString() };

/** Requests of ada in every state, some milliseconds apart, with bob's between them. */
async function writeAll(db: Db, count: number) {
  const { meter, at } = meterOn(db);
  const states = [
    { state: 'done', status: 200 },
    { state: 'done', status: 200, estimated: true },
    { state: 'done', status: 429 },
    { state: 'failed', status: 502, errorCode: 'provider_unreachable' },
    { state: 'failed', status: null, errorCode: 'client_closed' },
    { state: 'open', status: null },
  ] as const;
  const models = ['gpt-4o', 'gpt-4o-mini', null, ''];
  const rows = Array.from({ length: count }, (_, i) => {
    const startedAt = startMs + i * 3;
    at(startedAt);
    const provider = i % 5 === 0 ? ('anthropic' as const) : ('openai' as const);
    const source = i % 3 === 0 ? ('platform' as const) : ('user' as const);
    const fallbackReason = i % 9 === 0 ? ('no_credit' as const) : null;
    const userId = i % 4 === 1 ? 'bob' : 'ada';
    const more = { userId, provider, source, fallbackReason, model: models[i % 7] ?? null };
    return { ...opening(meter, startedAt, more), bootId: 'boot', estimated: false, ...(states[i % 11] ?? states[0]) };
  });
  for (let i = 0; i < rows.length; i += 500) await db.orm.insert(db.tables.request).values(rows.slice(i, i + 500));
  return rows;
}

const isOk = ({ state, status }: { state: string; status: number | null }) => state === 'done' && status === 200;

const sizes = [
  [7, 10, 2],
  [50, 1_000, 20],
  [3, 3, 1],
  [100, 2, 5],
] as const;
type Written = Awaited<ReturnType<typeof writeAll>>[number];
const narrowings: readonly [what: string, filter: Partial<UsageExport>, fits: (row: Written) => boolean][] = [
  ['nothing', {}, () => true],
  ['a provider', { provider: 'anthropic' }, (row) => row.provider === 'anthropic'],
  ['a model', { model: 'gpt-4o' }, (row) => row.model === 'gpt-4o'],
  ['no known model', { model: '' }, (row) => !row.model],
  ['a key source', { keySource: 'platform' }, (row) => row.source === 'platform'],
  ['success', { outcome: 'ok' }, isOk],
  ['failure', { outcome: 'failed' }, (row) => row.state !== 'open' && !isOk(row)],
  ['fallback', { outcome: 'fallback' }, (row) => row.fallbackReason !== null],
  ['estimates', { outcome: 'estimated' }, (row) => row.estimated],
  ['what is under way', { outcome: 'open' }, (row) => row.state === 'open'],
  [
    'all at once',
    { provider: 'openai', model: 'gpt-4o', keySource: 'user', outcome: 'ok' },
    (row) => row.provider === 'openai' && row.model === 'gpt-4o' && row.source === 'user' && isOk(row),
  ],
  ['a model of nobody', { model: 'x' }, () => false],
];

test('however narrowed, list and export have each request that fits once and in order, over pages and windows of every size', async () => {
  await using db = await testDb();
  const rows = (await writeAll(db, 200)).filter(({ userId }) => userId === 'ada');
  for (const [what, filter, fits] of narrowings) {
    const ids = rows.filter(fits).map((row) => requestIdOf(row.id));
    for (const [limit, windowRows, mostWindows] of sizes) {
      const lists = createRequestLists({ db, windowRows, mostWindows });
      const found: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = UsageRequests.parse(await lists.requests('ada', UsageRequestsQuery.parse({ ...all, ...filter, limit, cursor })));
        expect(page.requests.length, what).toBeLessThanOrEqual(limit);
        for (const { startedAt } of page.requests) expect(startedAt >= page.searchedTo, what).toBe(true);
        found.push(...page.requests.map(({ id }) => id));
        cursor = page.nextCursor;
      }
      expect(found, what).toEqual(ids.toReversed());
      let text = '';
      for await (const part of lists.exportCsv('ada', { ...all, ...filter })) text += part;
      expect(
        readCsv(text)
          .slice(1)
          .map(([id]) => id),
        what,
      ).toEqual(ids);
    }
  }
});

test('a rare filter looks at a bounded number of rows at a time, and says how far it has come', async () => {
  await using db = await testDb();
  const rows = (await writeAll(db, 200)).filter(({ userId }) => userId === 'ada');
  const lists = createRequestLists({ db, windowRows: 10, mostWindows: 3 });
  const rare = UsageRequestsQuery.parse({ ...all, model: 'x' });
  const first = await lists.requests('ada', rare);
  expect(first).toMatchObject({ requests: [], searchedTo: new Date(rows.at(-30)?.startedAt ?? 0).toISOString() });
  const second = await lists.requests('ada', { ...rare, cursor: first.nextCursor ?? '' });
  expect(second.searchedTo).toBe(new Date(rows.at(-60)?.startedAt ?? 0).toISOString());
  // Each answer has a page that is not empty after it, or none.
  const whole = await lists.requests('ada', UsageRequestsQuery.parse({ ...all, limit: 100 }));
  const rest = await lists.requests('ada', UsageRequestsQuery.parse({ ...all, limit: rows.length - 100, cursor: whole.nextCursor }));
  expect([whole.requests.length, rest.requests.length, rest.nextCursor]).toEqual([100, rows.length - 100, null]);
});

test('a request in the list has the id that its answer had, its key, its token while there is one, and what it used', async () => {
  await using app = await testApp({ platform: { anthropic: 'good' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const answers = [await app.chat(ada, 'hello'), await app.chat(ada, 'hello', { model: 'nonsense', messages: 5 })];
  await Promise.all(answers.map((answer) => answer.text()));
  const platform = await app.fetch(ada, '/v1/messages', {
    json: { model: 'claude-haiku-4-5', max_tokens: 5, messages: [{ role: 'user', content: 'hello' }] },
    headers: { 'anthropic-version': '2023-06-01' },
  });
  await platform.text();
  const range = `from=${new Date(app.clock.now() - 60_000).toISOString()}&to=${new Date(app.clock.now() + 60_000).toISOString()}`;
  const list = async (more = '') =>
    UsageRequests.parse(await (await app.fetch(ada, `/api/v1/api-keys/usage/requests?${range}${more}`)).json()).requests;
  const [key] = await app.keysOf(ada);
  const [newest, , oldest] = await list();
  expect(newest).toMatchObject({
    ...{ id: platform.headers.get('x-byok-request-id'), provider: 'anthropic', keySource: 'platform', keyHint: null },
    ...{ route: '/v1/messages', model: 'claude-haiku-4-5', state: 'done', status: 200, durationMs: expect.any(Number) },
  });
  expect(oldest).toMatchObject({
    ...{ id: answers[0]?.headers.get('x-byok-request-id'), keySource: 'user', keyHint: key?.keyHint, token: { name: 'test' } },
    ...{ fallbackReason: null, streamed: false, errorCode: null, estimated: false },
    ...{ totalTokens: (oldest?.inputTokens ?? 0) + (oldest?.outputTokens ?? 0), estimatedCostUsd: expect.any(Number) },
  });
  expect((await list('&outcome=ok&limit=1')).map(({ id }) => id)).toEqual([newest?.id]);
  const csv = await (await app.fetch(ada, `/api/v1/api-keys/usage.csv?${range}&provider=anthropic`)).text();
  expect(
    readCsv(csv)
      .slice(1)
      .map(([id]) => id),
  ).toEqual([newest?.id]);

  const { tokens, vault } = app.app;
  const [token] = await tokens.list(ada.id);
  const manage = (await tokens.create(ada.id, { name: 'another', scopes: ['manage'] })).secret;
  await tokens.revoke(ada.id, token?.id ?? '');
  await vault.remove({ userId: ada.id, byok: true, actor: ada.id }, key?.id ?? '');
  ada.token = manage;
  expect((await list()).at(-1)).toMatchObject({ token: null, keyHint: null });
});

test('a model may be called anything: what is kept of it can be looked for, and is no formula of a spreadsheet', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const long = 'x'.repeat(5_000);
  for (const model of ['gpt\0nul', long, '=HYPERLINK("http://evil.example")']) {
    const res = await app.fetch(ada, '/v1/chat/completions', { json: { model, messages: [{ role: 'user', content: 'hi' }] } });
    // The provider's own word, which it has not for us to lose.
    expect(res.status).toBe(404);
    await res.text();
  }
  const list = async (query: string) => {
    const res = await app.fetch(ada, `/api/v1/api-keys/usage/requests?from=2026-01-01T00:00:00Z&to=2030-01-01T00:00:00Z${query}`);
    return ((await res.json()) as UsageRequests).requests.map(({ model }) => model ?? '');
  };
  const models = await list('');
  expect(models).toEqual(['=HYPERLINK("http://evil.example")', 'x'.repeat(200), 'gpt\ufffdnul']);
  for (const model of models) expect(await list(`&model=${encodeURIComponent(model)}`)).toEqual([model]);
  const range = 'from=2026-01-01T00:00:00Z&to=2030-01-01T00:00:00Z';
  const csv = await app.fetch(ada, `/api/v1/api-keys/usage.csv?${range}&model=${encodeURIComponent(models[0] ?? '')}`);
  expect(await csv.text()).toContain(`,"'=HYPERLINK(""http://evil.example"")",`);
});

test('neither does a provider call a model what the database cannot hold', async () => {
  await using db = await testDb();
  const { meter, at } = meterOn(db);
  at(startMs);
  const request = opening(meter, startMs, { model: null });
  await meter.record(request);
  const told = ending(3, 4).usage;
  await meter.settle(request, ending(3, 4, { usage: told && { ...told, model: `\0${'y'.repeat(1_000_000)}` } }));
  const range = { from: new Date(startMs).toISOString(), to: new Date(startMs + 60_000).toISOString() };
  const { requests } = await meter.requests('ada', { ...range, limit: 1 });
  expect(requests[0]).toMatchObject({ state: 'done', model: `\ufffd${'y'.repeat(199)}` });
});
