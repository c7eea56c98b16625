/** The auditors are audited: what they are there to find, they find. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDb } from '@synthstack/core/db';
import { expect, test } from 'vitest';
import { openBooks } from './books.ts';
import { ask, isComplete } from './client.ts';
import { mostInAMinute } from './kill.ts';

const startedAt = Date.UTC(2026, 10, 1, 12, 7);
const counts = { inputTokens: 5, outputTokens: 7, totalTokens: 12, costNanoUsd: 900 };
const who = { userId: 'ada', provider: 'openai', model: 'gpt-4o-mini', source: 'user', keyId: 'k' } as const;

test('sums that are not what the rows add up to are found, each in its table', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'byok-books-'));
  const path = join(folder, 'byok.db');
  const db = await openDb({ url: `file:${path}` });
  const { request, usageUser, usageTotal, usageUserDay, keyTotals } = db.tables;
  const row = { bootId: 'b', tier: 'premium', route: '/v1/chat/completions', streamed: true, startedAt, ...who } as const;
  await db.orm.insert(request).values({ ...row, ...counts, id: 1, state: 'done', status: 200, firstByteAt: startedAt + 5 });
  // What was never answered adds nothing.
  await db.orm.insert(request).values({ ...row, id: 2, state: 'failed', errorCode: 'server_stopped' });
  using books = openBooks(path);
  expect(books.wrongSums()).toHaveLength(4);

  const bucket = Date.UTC(2026, 10, 1, 12);
  const { userId, provider, model, source } = who;
  await db.orm.insert(usageUser).values({ ...who, ...counts, bucket, requests: 1 });
  await db.orm.insert(usageTotal).values({ bucket, provider, model, source, tier: 'premium', ...counts, requests: 1 });
  await db.orm.insert(usageUserDay).values({ day: Date.UTC(2026, 10, 1), userId, source, ...counts, requests: 1 });
  await db.orm.insert(keyTotals).values({ owner: userId, provider, requests: 1, totalTokens: 12, costNanoUsd: 900 });
  expect(books.wrongSums()).toEqual([]);

  await db.orm.update(usageTotal).set({ outputTokens: 8 });
  await db.orm.update(keyTotals).set({ requests: 2 });
  expect(books.wrongSums().map((line) => line.split(' ')[0])).toEqual(['usage_total', 'usage_total', 'key_totals', 'key_totals']);
  await db.close();
  await rm(folder, { recursive: true });
});

test('a minute holds what lies within any 60 seconds of it', () => {
  const ten = Array.from({ length: 10 }, () => 1_000);
  expect(mostInAMinute([])).toBe(0);
  expect(mostInAMinute([...ten, 60_999])).toBe(11);
  expect(mostInAMinute([...ten, 61_000])).toBe(10);
  expect(mostInAMinute([61_000, ...ten, 61_000])).toBe(10);
});

test('an answer is complete with the blank line after its terminal event, and not before', () => {
  const ends = ['data: [DONE]\n\n', 'event: message_stop\r\ndata: {"type":"message_stop"}\r\n\r\n', 'event: response.failed\ndata: {}\n\n'];
  for (const end of ends) {
    expect(isComplete(Buffer.from(`data: {}\n\n${end}`))).toBe(true);
    expect(isComplete(Buffer.from(`data: {}\n\n${end.slice(0, -1)}`))).toBe(false);
  }
  expect(isComplete(Buffer.from('data: {"content":"data: [DONE]"}\n\n'))).toBe(false);
});

test('a client whom nobody answers is over, and has had nothing', async () => {
  const had = await ask({ port: 1, path: '/', headers: {}, body: '' }).over;
  expect(had).toMatchObject({ status: null, complete: false, ended: false });
});
