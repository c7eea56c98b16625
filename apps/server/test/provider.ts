/**
 * The scripted provider: api.openai.com and api.anthropic.com on one real socket, faithful enough that the official SDKs behave as against
 * the real ones. A key does what a test says (`key`), the next answer is what a test says (`next`), and every answer can be held still
 * (`gate`). What arrives is kept byte for byte in `requests`, with the true usage of each answer.
 *
 * A message that begins with `/say` is answered as it says (provider/spoken.ts).
 *
 * By hand: `node apps/server/test/provider.ts --port 4010` prints its URLs and the useful demo keys (`--all`: one for every state).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { anthropic, refuse } from './provider/anthropic.ts';
import { createGate, type Gate, type GatePlace } from './provider/gate.ts';
import { headersOf } from './provider/headers.ts';
import { fail, type Stored } from './provider/json.ts';
import { openai } from './provider/openai.ts';
import type { Answer, Call, KeyState, Plan, ProviderId, ReceivedRequest, Script, StateName } from './provider/script.ts';
import { resolve, rowOf } from './provider/script.ts';
import { spokenWish } from './provider/spoken.ts';
import { anthropicStates, openaiStates, REQUEST_ID, type Row, sharedStates, transportStates } from './provider/states.ts';
import { greeting } from './provider/text.ts';
import { deliver } from './provider/transport.ts';

export type { Gate, GatePlace } from './provider/gate.ts';
export type { Answer, Fault, Iteration, KeyState, ProviderId, ReceivedRequest, Script, StateName, Truth } from './provider/script.ts';

/** Every state by name: OpenAI's own, Anthropic's own, one name for both, and transport. */
export const states = {
  openai: Object.keys(openaiStates) as (keyof typeof openaiStates)[],
  anthropic: Object.keys(anthropicStates) as (keyof typeof anthropicStates)[],
  shared: Object.keys(sharedStates) as (keyof typeof sharedStates)[],
  transport: Object.keys(transportStates) as (keyof typeof transportStates)[],
};

export interface Side {
  keys?: Record<string, Script>;
  /** What every other key does; without it an unknown key meets the provider's own 401. */
  otherwise?: Script;
}

export interface ProviderOptions {
  openai?: Side;
  anthropic?: Side;
  host?: string;
  port?: number;
  seed?: number;
  /** `false`: `requests` stays empty (benchmarks). */
  record?: boolean;
  /** What a working key is answered where nobody has scripted it, nor the question asks for it. */
  says?(body: Buffer): Partial<Answer>;
  /** Hears of each request as its head arrives: for those who watch so many that they cannot all be kept. */
  onRequest?(seen: ReceivedRequest): void;
}

/** Which request a one-shot script or a gate waits for; an empty one takes the next, whatever it is. */
export interface Match {
  provider?: ProviderId;
  method?: string;
  path?: string | RegExp;
  key?: string;
}

export interface ScriptedProvider extends AsyncDisposable {
  url: string;
  /** For OPENAI_BASE_URL (with `/v1`) and ANTHROPIC_BASE_URL (without). */
  openaiUrl: string;
  anthropicUrl: string;
  /** Everything that arrived, in order of arrival. */
  requests: ReceivedRequest[];
  /** Resolves with the n-th request (1 = first) once it has arrived whole. */
  received(count: number): Promise<ReceivedRequest>;
  openSockets(): number;
  /** What a credential does from now on. Its provider follows from `sk-ant-`, unless named. */
  key(secret: string, script: KeyState | Script, provider?: ProviderId): void;
  /** One-shot scripts for the next matching requests, whatever their key. */
  next(script: Script | Script[], match?: Match): void;
  /** Holds the next matching answer at a place until opened; goes with every key and script. */
  gate(place?: GatePlace, match?: Match): Gate;
  /** Forgets requests, scripts, stored responses and keys set after the start; opens all gates. */
  reset(): void;
  close(): Promise<void>;
}

interface Turns {
  /** What follows is our own doing, not the client's. */
  cut(): void;
  /** To be called when the answer is over, whichever way. */
  over(done: () => void): void;
}

const inferencePost = (path: string) => !path.endsWith('/count_tokens') && !path.endsWith('/cancel');
const epoch = 1_793_491_200;

export async function startProvider(options: ProviderOptions = {}): Promise<ScriptedProvider> {
  const { host = '127.0.0.1', port = 0, seed = 1, record = true } = options;
  const requests: ReceivedRequest[] = [];
  const sockets = new Set<Socket>();
  const keys: Record<ProviderId, Map<string, Script>> = { openai: new Map(), anthropic: new Map() };
  const stored: Stored = new Map();
  let shots: { script: Script; match: Match }[] = [];
  let gates: { gate: Gate; match: Match }[] = [];
  let held = new Set<Gate>();
  let waiting: { count: number; done: (request: ReceivedRequest) => void }[] = [];
  const complete = new WeakSet<ReceivedRequest>();
  let counter = 0;
  const prefix = (seed >>> 0).toString(16).padStart(8, '0');
  const defaultText = greeting(seed);
  const id = (kind: string) => `${kind}${prefix}${(++counter).toString(16).padStart(16, '0')}`;

  function set(secret: string, script: Script, provider: ProviderId): void {
    check(script, provider);
    keys[provider].set(secret, script);
  }

  function reset(): void {
    requests.length = 0;
    shots = [];
    for (const gate of [...held, ...gates.map((entry) => entry.gate)]) gate.open();
    gates = [];
    held = new Set();
    waiting = [];
    stored.clear();
    counter = 0;
    for (const provider of ['openai', 'anthropic'] as const) {
      keys[provider].clear();
      for (const [secret, script] of Object.entries(options[provider]?.keys ?? {})) set(secret, script, provider);
    }
  }

  function saying(scripted: Answer, body: Buffer): Answer {
    const wish = spokenWish(body);
    return Object.keys(wish).length > 0 ? { ...scripted, ...wish } : { ...options.says?.(body), ...scripted };
  }

  function whole(seen: ReceivedRequest): void {
    if (record) complete.add(seen);
    if (waiting.length === 0) return;
    const ready = waiting.filter(({ count }) => requests[count - 1] === seen);
    waiting = waiting.filter((one) => !ready.includes(one));
    for (const { done } of ready) done(seen);
  }

  async function serve(seen: ReceivedRequest, res: ServerResponse, turns: Turns): Promise<void> {
    const shot = take(shots, seen);
    const script = shot?.script ?? keys[seen.provider].get(seen.key ?? '') ?? (seen.key ? options[seen.provider]?.otherwise : undefined);
    const { how: scripted, row } = script === undefined ? { how: {}, row: undefined } : resolve(script, seen.provider);
    const how = row ? scripted : saying(scripted, seen.body);
    const requestId = id(seen.provider === 'openai' ? 'req_' : 'req_011C');
    const call: Call = { ...seen, how, id, created: epoch + counter, defaultText, truth: (truth) => (seen.truth = truth) };
    const drawn = script === undefined ? unknownKey(seen) : choose(call, row, shot !== undefined, seen.provider, stored);
    const plan = named(drawn instanceof Promise ? await drawn : drawn, requestId);
    if (how.fault === 'error_event' && plan.events) plan.errorEvent = errorEvent(call, seen.provider, requestId);
    if (res.destroyed) return;
    seen.status = plan.status;
    const mine = gates.length === 0 && !how.gate ? [] : [take(gates, seen)?.gate, how.gate].filter((gate) => gate !== undefined);
    for (const gate of mine) held.add(gate);
    if (mine.length > 0) {
      turns.over(() => {
        for (const gate of mine) gate.over();
        for (const gate of mine) held.delete(gate);
      });
    }
    const headers = headersOf(seen.provider, plan, how, requestId);
    await deliver(plan, { res, headers, how, gates: mine, seen, gone: seen.settled, cut: turns.cut });
  }

  const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 0, headersTimeout: 0, maxHeaderSize: 65_536 }, (req, res) => {
    const settled = Promise.withResolvers<'ended' | 'aborted' | 'cut'>();
    const seen = receive(req, settled.promise);
    const chunks: Buffer[] = [];
    let cut = false;
    let over: (() => void) | undefined;
    if (record) requests.push(seen);
    options.onRequest?.(seen);
    res.on('close', () => {
      if (!req.complete) seen.body = Buffer.concat(chunks);
      seen.ended = res.writableFinished;
      seen.aborted = !seen.ended && !cut;
      settled.resolve(seen.ended ? 'ended' : cut ? 'cut' : 'aborted');
      over?.();
    });
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('error', () => {});
    req.on('end', () => {
      seen.body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
      whole(seen);
      const turns = {
        cut: () => {
          cut = true;
        },
        over: (done: () => void) => {
          over = done;
        },
      };
      serve(seen, res, turns).catch((error: unknown) => mishap(res, error));
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  reset();
  await new Promise<void>((done, failed) => server.once('error', failed).listen(port, host, done));
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;

  async function close(): Promise<void> {
    for (const gate of held) gate.open();
    const closed = [...sockets].map((socket) => new Promise((done) => socket.once('close', done)));
    const stopped = new Promise((done) => server.close(done));
    for (const socket of sockets) socket.destroy();
    await Promise.all([...closed, stopped]);
  }

  return {
    url,
    openaiUrl: `${url}/v1`,
    anthropicUrl: url,
    requests,
    received(count) {
      const there = requests[count - 1];
      if (there && complete.has(there)) return Promise.resolve(there);
      return new Promise((done) => waiting.push({ count, done }));
    },
    openSockets: () => sockets.size,
    key: (secret, script, provider = secret.startsWith('sk-ant-') ? 'anthropic' : 'openai') => set(secret, script, provider),
    next(script, match = {}) {
      for (const one of Array.isArray(script) ? script : [script]) {
        if (match.provider) check(one, match.provider);
        shots.push({ script: one, match });
      }
    },
    gate(place, match = {}) {
      const gate = createGate(place);
      gates.push({ gate, match });
      return gate;
    },
    reset,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function receive(req: IncomingMessage, settled: ReceivedRequest['settled']): ReceivedRequest {
  const target = req.url ?? '/';
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const { headers } = req;
  const asksAnthropic = path.startsWith('/v1/models') && (headers['anthropic-version'] !== undefined || headers['x-api-key'] !== undefined);
  const provider: ProviderId = asksAnthropic || path.startsWith('/v1/messages') ? 'anthropic' : 'openai';
  const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
  // Where both are there, Anthropic takes x-api-key.
  const own = headers['x-api-key'];
  return {
    provider,
    method: req.method ?? 'GET',
    path,
    query: mark < 0 ? '' : target.slice(mark + 1),
    rawHeaders: req.rawHeaders,
    headers,
    body: Buffer.alloc(0),
    at: Date.now(),
    key: provider === 'anthropic' && typeof own === 'string' ? own : bearer,
    status: undefined,
    truth: undefined,
    chunks: 0,
    aborted: false,
    ended: false,
    settled,
  };
}

function choose(call: Call, row: Row | undefined, asked: boolean, provider: ProviderId, stored: Stored): Plan | Promise<Plan> {
  const { how } = call;
  const meant = row && (row.on === undefined || asked || how.everywhere || (call.method === 'POST' && inferencePost(call.path)));
  if (!meant && how.status === undefined && how.body === undefined) return provider === 'openai' ? openai(call, stored) : anthropic(call);
  const text = meant ? textOf(row, call) : '';
  const body =
    how.body === undefined ? text : typeof how.body === 'string' || Buffer.isBuffer(how.body) ? how.body : JSON.stringify(how.body);
  const status = how.status ?? (meant ? row.status : 200);
  const location: Record<string, string> = status >= 300 && status < 400 ? { location: how.location ?? 'http://127.0.0.1:9/' } : {};
  const headers = { ...(meant ? row.headers : {}), ...location };
  return { status, contentType: row?.contentType ?? 'application/json', headers, body: Buffer.from(body as string) };
}

function textOf(row: Row, call: Call): string {
  if (typeof row.body === 'string') return row.body;
  const model = /"model"\s*:\s*"([^"]*)"/.exec(call.body.toString('utf8'))?.[1] ?? call.path.split('/')[3] ?? '';
  return row.body({ key: call.key ?? '', model, path: call.path });
}

/** Fills the answer's own request id into an error's body, as Anthropic does. */
function named(plan: Plan, requestId: string): Plan {
  if (plan.status < 400 || !plan.body?.includes(REQUEST_ID)) return plan;
  return { ...plan, body: Buffer.from(plan.body.toString('utf8').replaceAll(REQUEST_ID, requestId)) };
}

function errorEvent(call: Call, provider: ProviderId, requestId: string): string {
  const row = rowOf(call.how.error ?? 'overloaded', provider);
  const text = row ? textOf(row, call).replaceAll(REQUEST_ID, requestId).trim() : '{}';
  if (provider === 'anthropic') return `event: error\ndata: ${text}\n\n`;
  const { error } = JSON.parse(text) as { error: { code: string | null; message: string; param: string | null } };
  if (call.path !== '/v1/responses') return `data: ${JSON.stringify({ error })}\n\n`;
  const { code, message, param } = error;
  return `event: error\ndata: ${JSON.stringify({ type: 'error', code, message, param, sequence_number: call.how.afterChunks ?? 0 })}\n\n`;
}

function unknownKey(seen: ReceivedRequest): Plan {
  if (seen.provider === 'anthropic') {
    if (seen.key === undefined) return refuse(401, 'authentication_error', 'x-api-key header is required');
    return refuse(401, 'authentication_error', seen.headers['x-api-key'] ? 'invalid x-api-key' : 'Invalid bearer token');
  }
  if (seen.key === undefined) {
    return fail(
      401,
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.",
    );
  }
  const body = openaiStates.invalid_api_key.body({ key: seen.key, model: '', path: seen.path });
  return { status: 401, contentType: 'application/json', body: Buffer.from(body) };
}

/** Takes the first entry that waits for this request. */
function take<T extends { match: Match }>(list: T[], seen: ReceivedRequest): T | undefined {
  if (list.length === 0) return undefined;
  const at = list.findIndex(({ match }) => matches(match, seen));
  return at < 0 ? undefined : list.splice(at, 1)[0];
}

function matches({ provider, method, path, key }: Match, seen: ReceivedRequest): boolean {
  if (provider !== undefined && provider !== seen.provider) return false;
  if (method !== undefined && method !== seen.method) return false;
  if (key !== undefined && key !== seen.key) return false;
  return path === undefined || (typeof path === 'string' ? path === seen.path : path.test(seen.path));
}

/** A misspelt state fails where it is written, not in the middle of a request. */
function check(script: Script, provider: ProviderId): void {
  const { how } = resolve(script, provider);
  if (how.error) rowOf(how.error, provider);
}

function mishap(res: ServerResponse, error: unknown): void {
  const text = `scripted provider: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  process.stderr.write(`${text}\n`);
  if (res.headersSent) res.destroy();
  else res.writeHead(599, { 'content-type': 'text/plain' }).end(text);
}

/** One key for every state of a provider, long enough for any check of its form. */
export function demoKeys(provider: ProviderId): Record<string, Answer> {
  const head = provider === 'openai' ? 'sk-demo' : 'sk-ant-demo';
  const names = ['good', ...states[provider], ...states.shared, ...states.transport.filter((name) => name !== 'good')] as const;
  return Object.fromEntries(names.map((state) => [`${head}-${state}-0123456789abcdef`, { state }]));
}

/** What people want to see first, in these words. */
const usefulKeys: readonly (readonly [what: string, state: StateName])[] = [
  ['works', 'good'],
  ['refused', 'revoked'],
  ['no credit', 'no_credit'],
  ['provider down', 'down'],
  ['rate limited', 'rate_limited'],
];

/** The keys of one provider, a line each. */
function keyList(provider: ProviderId, all: boolean): string {
  const useful = new Set<string | undefined>(usefulKeys.map(([, state]) => state));
  const keys = Object.entries(demoKeys(provider));
  const line = (what: string, key: string) => `  ${what.padEnd(24)} ${key}`;
  const first = usefulKeys.flatMap(([what, wanted]) => keys.filter(([, { state }]) => state === wanted).map(([key]) => line(what, key)));
  const others = keys
    .filter(([, { state }]) => !useful.has(state))
    .map(([key, { state = 'good' }]) => line(whatItDoes(state, provider), key));
  return [...first, ...(all ? others : [])].join('\n');
}

/** A state's name tells why, not where: most refusals are met by requests, while a check that only lists models is content. */
function whatItDoes(state: StateName, provider: ProviderId): string {
  if (state in transportStates) return 'oddities on the wire';
  const row = rowOf(state, provider);
  return row?.on === 'inference' ? `${row.status} to requests only` : `${row?.status} to everything`;
}

const help = `The scripted provider: OpenAI and Anthropic on one address of this machine, for trying things out without a real key.

Usage: provider [--port 4010] [--host 127.0.0.1] [--seed 1] [--all]

  --all   print a key for every state that it can play, not only the useful ones
`;

function readArguments() {
  try {
    return parseArgs({
      options: {
        port: { type: 'string', default: '4010' },
        host: { type: 'string' },
        seed: { type: 'string' },
        all: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

if (import.meta.main) {
  const values = readArguments();
  if (values.help) {
    process.stdout.write(help);
    process.exit(0);
  }
  const provider = await startProvider({
    openai: { keys: demoKeys('openai') },
    anthropic: { keys: demoKeys('anthropic') },
    ...(values.seed === undefined ? {} : { seed: Number(values.seed) }),
    port: Number(values.port),
    ...(values.host ? { host: values.host } : {}),
    record: false,
  });
  process.stdout.write(`OPENAI_BASE_URL=${provider.openaiUrl}
ANTHROPIC_BASE_URL=${provider.anthropicUrl}

Keys for OpenAI (a check only lists models: no credit and rate limits show at the first request)
${keyList('openai', values.all)}

Keys for Anthropic (a check is a request of one token, and meets all of them)
${keyList('anthropic', values.all)}

${values.all ? '' : 'Many more states: --all. '}Ctrl-C ends it.
`);
}
