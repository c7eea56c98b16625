import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { testDb } from '@synthstack/core/testing';
import { expect, test, vi } from 'vitest';
import { testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { createAudit } from './audit.ts';
import { administrators, createNotices } from './notices.ts';
import { createLog } from './ports/log.ts';
import { createOutbound } from './ports/outbound.ts';
import { createPriceBook } from './prices.ts';
import { createPriceFeed } from './prices-feed.ts';

const dayMs = 86_400_000;
const nextGpt = { provider: 'openai', model: 'gpt-next', inputUsdPerMillion: 2, outputUsdPerMillion: 8 };

/** A host of price lists on this machine, and how often it was asked for what. */
async function listHost(answer: RequestListener) {
  const asked: string[] = [];
  const server = createServer((req, res) => {
    asked.push(`${req.method} ${req.url} ${req.headers.authorization ?? req.headers.cookie ?? ''}`.trim());
    answer(req, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    asked,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/lists/prices.json?v=2`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The feed over a database, and time that only moves when told. */
async function stage(url: string) {
  const db = await testDb();
  const [clock, outbound] = [manualClock(), createOutbound()];
  const lines: string[] = [];
  const log = createLog({ level: 'trace', format: 'json', write: (line) => lines.push(line) });
  const notices = createNotices({ db, clock });
  const audit = createAudit({ db, clock });
  const book = createPriceBook({ db, clock, audit: audit.entry });
  const feed = createPriceFeed({ url, db, clock, log, outbound, book, notice: notices.entry });
  feed.start();
  await feed.idle();
  return {
    ...{ book, audit, clock },
    async nextDay(): Promise<void> {
      clock.advance(dayMs);
      await feed.idle();
    },
    failures: () => lines.filter((line) => line.includes('PRICES_URL could not be taken over')),
    notices: () => notices.list(administrators),
    inputUsd: () => (book.price('openai', 'gpt-next')?.input ?? Number.NaN) / 1e6,
    async [Symbol.asyncDispose]() {
      await feed.stop();
      await outbound.close();
      await db[Symbol.asyncDispose]();
    },
  };
}

test('the list at PRICES_URL is taken at the start and once a day, and nothing is told to its host', async () => {
  let inputUsdPerMillion = 2;
  await using host = await listHost((_, res) => res.end(JSON.stringify({ prices: [{ ...nextGpt, inputUsdPerMillion }] })));
  await using stand = await stage(host.url);
  expect([stand.inputUsd(), stand.book.find('openai', 'gpt-next', stand.clock.now())?.source]).toEqual([2, 'url']);
  inputUsdPerMillion = 3;
  stand.clock.advance(dayMs - 1);
  expect(host.asked).toHaveLength(1);
  stand.clock.advance(1);
  await vi.waitFor(() => expect(stand.inputUsd()).toBe(3));
  await stand.nextDay();
  expect(host.asked).toEqual(Array.from({ length: 3 }, () => 'GET /lists/prices.json?v=2'));
  expect(await stand.audit.list({ limit: 50 })).toMatchObject([
    { action: 'price.changed', actor: 'system', detail: { source: 'url', models: '1' } },
    { action: 'price.changed', actor: 'system' },
  ]);
  expect([stand.failures(), await stand.notices()]).toEqual([[], []]);
});

test('the whole server uses what its PRICES_URL lists, and without one asks no other host for anything', async () => {
  await using host = await listHost((_, res) => res.end(JSON.stringify({ prices: [nextGpt] })));
  await using app = await testApp({ env: { PRICES_URL: host.url } });
  await vi.waitFor(() => expect(app.app.prices.price('openai', 'gpt-next')?.input).toBe(2_000_000));
  await using other = await testApp();
  expect(other.app.outbound.openSockets()).toBe(0);
});

test.each<[string, RequestListener, string]>([
  ['an error', (_, res) => res.writeHead(500).end('{}'), 'it answers with status 500.'],
  ['a redirect', (_, res) => res.writeHead(302, { location: '/elsewhere' }).end(), 'redirect (302), which is not followed'],
  ['no JSON', (_, res) => res.end('<html>'), 'it is not valid JSON.'],
  [
    'one wrong price among good ones',
    (_, res) =>
      res.end(
        JSON.stringify({
          prices: [
            { ...nextGpt, inputUsdPerMillion: 9 },
            { ...nextGpt, model: 'b', outputUsdPerMillion: null },
          ],
        }),
      ),
    'prices.1.outputUsdPerMillion: US dollars',
  ],
  ['a body without an end', (_, res) => void res.write('x'.repeat(17 * 1_048_576)), 'answered with more than 16 MB.'],
  ['a broken connection', (req) => req.socket.destroy(), 'The connection to The list at PRICES_URL failed.'],
])('%s changes nothing, stands in the log, and is told to administrators once until it has worked again', async (_, bad, sentence) => {
  const good: RequestListener = (_req, res) => res.end(JSON.stringify({ prices: [nextGpt] }));
  let answer = good;
  await using host = await listHost((req, res) => answer(req, res));
  await using stand = await stage(host.url);
  answer = bad;
  await stand.nextDay();
  await stand.nextDay();
  expect([stand.failures().length, stand.inputUsd()]).toEqual([2, 2]);
  expect(stand.failures()[0]).toContain(sentence);
  expect(await stand.notices()).toMatchObject([{ kind: 'prices_failed', data: { reason: expect.stringContaining(sentence) } }]);
  expect(host.asked.some((line) => line.includes('elsewhere'))).toBe(false);

  answer = good;
  await stand.nextDay();
  answer = bad;
  await stand.nextDay();
  expect([stand.failures().length, (await stand.notices()).length, stand.inputUsd()]).toEqual([3, 2, 2]);
});

test('a host that never answers does not keep the server from stopping', async () => {
  await using host = await listHost(() => undefined);
  const app = await testApp({ env: { PRICES_URL: host.url } });
  await vi.waitFor(() => expect(host.asked).toHaveLength(1));
  await app[Symbol.asyncDispose]();
  expect(app.lines.filter((line) => line.includes('PRICES_URL'))).toEqual([]);
});
