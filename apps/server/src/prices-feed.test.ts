import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, vi } from 'vitest';
import { type TestApp, testApp } from '../test/app.ts';
import { administrators } from './notices.ts';

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

const failures = (app: TestApp) => app.lines.filter((line) => line.includes('PRICES_URL could not be taken over'));
const notices = async (app: TestApp) => (await app.app.notices.list(administrators)).filter(({ kind }) => kind === 'prices_failed');
const inputOf = (app: TestApp) => app.app.prices.price('openai', 'gpt-next')?.input;

test('the list at PRICES_URL is taken at the start and every day, and nothing is told to its host', async () => {
  let inputUsdPerMillion = 2;
  await using host = await listHost((_, res) => res.end(JSON.stringify({ prices: [{ ...nextGpt, inputUsdPerMillion }] })));
  await using app = await testApp({ env: { PRICES_URL: host.url } });
  await vi.waitFor(() => expect(inputOf(app)).toBe(2_000_000));
  expect(app.app.prices.find('openai', 'gpt-next', app.clock.now())?.source).toBe('url');
  inputUsdPerMillion = 3;
  await vi.waitFor(() => {
    app.clock.advance(dayMs);
    expect(inputOf(app)).toBe(3_000_000);
  });
  expect(new Set(host.asked)).toEqual(new Set(['GET /lists/prices.json?v=2']));
  const audit = await app.app.audit.list({ limit: 50 });
  expect(audit.filter(({ action }) => action === 'price.changed')).toMatchObject([
    { actor: 'system', detail: { source: 'url', models: '1' } },
    { actor: 'system' },
  ]);
  expect([failures(app), await notices(app)]).toEqual([[], []]);
});

test('without PRICES_URL no other host is asked for anything', async () => {
  await using app = await testApp();
  app.clock.advance(2 * dayMs);
  expect(app.app.config.pricesUrl).toBeUndefined();
  expect(app.app.outbound.openSockets()).toBe(0);
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
  ['a body without an end', (_, res) => void res.write('x'.repeat(17 * 1_048_576)), 'it is larger than 16 MB.'],
  ['a broken connection', (req) => req.socket.destroy(), 'The connection to The list at PRICES_URL failed.'],
])('%s changes nothing, stands in the log, and is told to administrators once until it has worked again', async (_, bad, sentence) => {
  let answer: RequestListener = (_req, res) => res.end(JSON.stringify({ prices: [nextGpt] }));
  await using host = await listHost((req, res) => answer(req, res));
  await using app = await testApp({ env: { PRICES_URL: host.url } });
  await vi.waitFor(() => expect(inputOf(app)).toBe(2_000_000));
  const good = answer;
  answer = bad;
  const askUntil = async (done: () => boolean) => {
    await vi.waitFor(
      () => {
        if (!done()) app.clock.advance(dayMs);
        expect(done()).toBe(true);
      },
      { timeout: 10_000, interval: 20 },
    );
  };
  await askUntil(() => failures(app).length >= 2);
  expect(failures(app)[0]).toContain(sentence);
  await vi.waitFor(async () => expect(await notices(app)).toHaveLength(1));
  expect(inputOf(app)).toBe(2_000_000);
  expect(host.asked.some((line) => line.includes('elsewhere'))).toBe(false);

  answer = good;
  const soFar = failures(app).length;
  const askedSoFar = host.asked.length;
  await askUntil(() => host.asked.length > askedSoFar + 2);
  answer = bad;
  await askUntil(() => failures(app).length > soFar + 1);
  await vi.waitFor(async () => expect(await notices(app)).toHaveLength(2));
});

test('a host that never answers does not keep the server from stopping', async () => {
  await using host = await listHost(() => undefined);
  const app = await testApp({ env: { PRICES_URL: host.url } });
  await vi.waitFor(() => expect(host.asked).toHaveLength(1));
  await app[Symbol.asyncDispose]();
  expect(failures(app)).toEqual([]);
});
