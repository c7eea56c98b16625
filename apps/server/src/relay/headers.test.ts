import fc from 'fast-check';
import { expect, test } from 'vitest';
import { passDown, upstreamHeaders } from './headers.ts';

const fromClient = {
  'content-type': 'application/json',
  accept: 'application/json',
  'user-agent': 'OpenAI/JS 7.57.0',
  'anthropic-version': '2026-10-21',
  'anthropic-beta': 'files-api-2025-04-14',
  'openai-beta': 'assistants=v2',
  'idempotency-key': 'abc',
  'x-client-request-id': 'mine',
  'x-stainless-lang': 'js',
  'x-stainless-retry-count': '0',
  'openai-organization': 'org-mine',
  'openai-project': 'proj_mine',
  'anthropic-workspace-id': 'wrkspc_mine',
};
const neverUp = {
  authorization: 'Bearer byok_secret',
  'x-api-key': 'byok_secret',
  cookie: 'session=1',
  host: 'byok.test',
  connection: 'keep-alive',
  'content-length': '3',
  'transfer-encoding': 'chunked',
  'accept-encoding': 'gzip',
  forwarded: 'for=1.2.3.4',
  'x-forwarded-for': '1.2.3.4',
  'x-real-ip': '1.2.3.4',
  origin: 'https://evil.example',
  referer: 'https://evil.example',
  'x-byok-request-id': 'req_1',
  'x-openai-target': 'evil.example',
};

test('on a key of their own, the client keeps its organisation and its beta features', () => {
  expect(upstreamHeaders({ ...fromClient, ...neverUp }, 'user', [])).toEqual(fromClient);
});

test("on the platform's key, nothing passes through which users could meet", () => {
  const {
    'openai-organization': _a,
    'openai-project': _b,
    'anthropic-workspace-id': _c,
    'anthropic-beta': _d,
    'openai-beta': _e,
    'idempotency-key': _f,
    ...rest
  } = fromClient;
  expect(upstreamHeaders({ ...fromClient, ...neverUp }, 'platform', [])).toEqual(rest);
});

test.each<[given: string, named: string[], passes: string | undefined]>([
  ['context-1m-2025-08-07', [], undefined],
  ['context-1m-2025-08-07', ['context-1m-2025-08-07'], 'context-1m-2025-08-07'],
  ['files-api-2025-04-14', ['context-1m-2025-08-07'], undefined],
  ['files-api-2025-04-14, context-1m-2025-08-07,, x', ['context-1m-2025-08-07', 'x'], 'context-1m-2025-08-07,x'],
  ['context-1m-2025-08-07-more', ['context-1m-2025-08-07'], undefined],
  ['context-1m', ['context-1m-2025-08-07'], undefined],
  ['Context-1m-2025-08-07', ['context-1m-2025-08-07'], undefined],
  ['', ['context-1m-2025-08-07'], undefined],
])('of the beta features "%s", with %j named by the operator, the platform\'s key lets pass %s', (given, named, passes) => {
  for (const header of ['anthropic-beta', 'openai-beta']) {
    expect(upstreamHeaders({ [header]: given }, 'platform', named)[header]).toBe(passes);
    expect(upstreamHeaders({ [header]: given }, 'user', named)[header]).toBe(given);
  }
});

const fromProvider = {
  'content-type': 'text/event-stream',
  'content-encoding': 'br',
  'content-disposition': 'attachment',
  'cache-control': 'no-cache',
  'retry-after': '2',
  'retry-after-ms': '1200',
  'x-should-retry': 'true',
};
const aboutTheAccount = {
  'request-id': 'req_1',
  'x-request-id': 'req_2',
  'x-ratelimit-remaining-tokens': '5',
  'anthropic-ratelimit-tokens-reset': '2026-12-01T00:00:00Z',
  'openai-organization': 'org-x',
  'openai-processing-ms': '12',
  'anthropic-organization-id': 'x',
  'anthropic-workspace-id': 'y',
};
const neverDown = {
  'set-cookie': ['a=1', 'b=2'],
  server: 'cloudflare',
  'cf-ray': 'x',
  location: 'https://evil.example',
  'content-length': '12',
  'transfer-encoding': 'chunked',
  connection: 'close',
  'access-control-allow-origin': '*',
  'strict-transport-security': 'max-age=1',
  'alt-svc': 'h3',
  'x-byok-key-source': 'user',
  'www-authenticate': 'Bearer',
};

const down = (headers: Record<string, string | string[]>, source: 'user' | 'platform') => {
  const sent = passDown([], headers, source);
  return Object.fromEntries(sent.flatMap((name, i) => (i % 2 === 0 ? [[name, sent[i + 1]]] : [])));
};

test('what a provider says about the account comes down on a key of their own only', () => {
  const all = { ...fromProvider, ...aboutTheAccount, ...neverDown };
  expect(down(all, 'user')).toEqual({ ...fromProvider, ...aboutTheAccount });
  expect(down(all, 'platform')).toEqual(fromProvider);
});

test('a value that Node would refuse to send is left out, and does not stop the answer', () => {
  expect(down({ 'cache-control': 'no-\u4e2d', 'retry-after': '2' }, 'user')).toEqual({ 'retry-after': '2' });
});

test('a header that comes twice goes down twice, behind what is there already', () => {
  expect(passDown(['a', '1'], { 'retry-after': ['2', '3'] }, 'user')).toEqual(['a', '1', 'retry-after', '2', 'retry-after', '3']);
});

test('no other header passes, whatever its name', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/), (name) => {
      const isListed = name in fromClient || name.startsWith('x-stainless-');
      expect(Object.keys(upstreamHeaders({ [name]: 'v' }, 'user', []))).toEqual(isListed ? [name] : []);
      const isKnown = name in fromProvider || name in aboutTheAccount || /^(x-ratelimit-|anthropic-ratelimit-|openai-)/.test(name);
      expect(Object.keys(down({ [name]: 'v' }, 'user'))).toEqual(isKnown ? [name] : []);
    }),
  );
});
