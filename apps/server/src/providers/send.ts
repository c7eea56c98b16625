/**
 * The one sender: checks, agents and traffic all leave through it. Hides where a provider lives (fixed by the operator, never chosen by
 * a request) and how its credential is carried. The key's plaintext is read here, once a request, into the headers of that request.
 */
import { AppError, type ProviderId } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import { baseUrlMistake } from '../base-url.ts';
import type { Clock } from '../ports/clock.ts';
import type { AnswerHandler, Contact, Exchange, Outbound, Timeouts } from '../ports/outbound.ts';
import type { Ask, AskAnswer, AskRequest, CheckResult, Provider } from './provider.ts';
import { parsed } from './reading.ts';
import { verdict } from './verdict.ts';

export interface SenderParts {
  outbound: Outbound;
  /** As the operator writes them, with or without a trailing `/v1`. */
  baseUrls: Readonly<Record<ProviderId, string>>;
  timeouts: Timeouts;
  clock: Clock;
}

export interface UpstreamRequest {
  method: string;
  /** The route's own path, from `/v1`; ids in it are checked and encoded. */
  path: string;
  /** Without the question mark. */
  query?: string;
  /** What the caller allows through. Credentials and framing among them are dropped: those are set here. */
  headers: Record<string, string>;
  body: Buffer | null;
}

export interface Sender {
  /** Sends one request with this key. Answers and failures come to the handler, never during this call. */
  send(provider: Provider, request: UpstreamRequest, secret: Secret, handler: AnswerHandler): Exchange;
  /**
   * One small request of our own: JSON, 20 seconds, an answer of at most 1 MB (beyond it `body` is undefined).
   * @throws AppError `provider_unreachable`, `provider_timeout`; never for a status
   */
  ask(provider: Provider, secret: Secret): Ask;
  /**
   * Knocks without any key: whatever the provider answers, it can be reached.
   * @returns what time it is there, in ms and exact to the second; null: it does not say
   * @throws AppError `provider_unreachable`, `provider_timeout` after 5 seconds
   */
  reach(provider: Provider): Promise<number | null>;
  /** What became of the last requests to it, whoever made them; null: there were none since the start. */
  contact(provider: Provider): Contact | null;
  /** Asks the provider whether a key works. Trouble on the way is a verdict too. */
  check(provider: Provider, secret: Secret): Promise<CheckResult & { latencyMs: number }>;
}

const askMs = 20_000;
const reachMs = 5_000;
const maxAnswerBytes = 1_048_576;

export function createSender({ outbound, baseUrls, timeouts, clock }: SenderParts): Sender {
  const bases = Object.fromEntries(Object.entries(baseUrls).map(([id, url]) => [id, parseBase(url)])) as Record<ProviderId, Base>;
  const [askTimeouts, reachTimeouts] = [atMost(timeouts, askMs), atMost(timeouts, reachMs)];

  function dispatch(
    provider: Provider,
    request: UpstreamRequest,
    credential: Record<string, string>,
    handler: AnswerHandler,
    limits: Timeouts,
  ): Exchange {
    const base = bases[provider.id];
    const path = base.prefix + request.path;
    return outbound.dispatch(
      {
        origin: base.origin,
        path: request.query ? `${path}?${request.query}` : path,
        method: request.method,
        headers: upstreamHeaders(request.headers, credential),
        body: request.body,
        timeouts: limits,
        name: provider.name,
      },
      handler,
    );
  }

  /** One small request of our own, and its answer. */
  function own(provider: Provider, request: AskRequest, credential: Record<string, string>, limits: Timeouts): Promise<AskAnswer> {
    const body = request.body === undefined ? null : Buffer.from(JSON.stringify(request.body));
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': 'synthstack-byok', ...provider.ownHeaders };
    if (body) headers['content-type'] = 'application/json';
    return new Promise((resolve, reject) => {
      const answer = collect(resolve, reject);
      const exchange = dispatch(provider, { ...request, headers, body }, credential, answer.handler, limits);
      answer.onTooLong(() => exchange.abort());
    });
  }

  const ask: Sender['ask'] = (provider, secret) => (request) => own(provider, request, provider.credential(secret), askTimeouts);

  return {
    send: (provider, request, secret, handler) => dispatch(provider, request, provider.credential(secret), handler, timeouts),
    ask,
    contact: ({ name }) => outbound.contact(name),
    async reach(provider) {
      const { headers = {} } = await own(provider, { method: 'GET', path: '/v1/models' }, {}, reachTimeouts);
      const dateMs = Date.parse(String(headers.date));
      return Number.isNaN(dateMs) ? null : dateMs;
    },
    async check(provider, secret) {
      const startedAt = clock.now();
      const result = await provider.check(ask(provider, secret)).catch((error: unknown) => {
        if (!(error instanceof AppError)) throw error;
        if (error.code === 'provider_timeout') return verdict(provider, 'too_slow');
        if (error.code === 'provider_unreachable') return verdict(provider, 'unreachable');
        throw error;
      });
      return { ...result, latencyMs: Math.max(0, Math.round(clock.now() - startedAt)) };
    },
  };
}

function atMost({ connectMs, firstByteMs, idleMs, totalMs }: Timeouts, most: number): Timeouts {
  const least = (ms: number) => Math.min(ms, most);
  return { connectMs: least(connectMs), firstByteMs: least(firstByteMs), idleMs: least(idleMs), totalMs: least(totalMs) };
}

/** What a caller never sets: who asks, and how the request is framed (undici does that, content-length included). */
const ours = new Set([
  ...['authorization', 'x-api-key', 'api-key', 'proxy-authorization', 'cookie', 'host', 'accept-encoding'],
  ...['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'expect'],
]);

function upstreamHeaders(headers: Record<string, string>, credential: Record<string, string>): string[] {
  const sent: string[] = [];
  for (const name in headers) {
    const lower = name.toLowerCase();
    if (!ours.has(lower) && !(lower in credential)) sent.push(name, headers[name] ?? '');
  }
  // What is compressed could not be read for usage without decoding it first.
  sent.push('accept-encoding', 'identity');
  for (const name in credential) sent.push(name, credential[name] ?? '');
  return sent;
}

/** Gathers a small answer. One that is too long is as good as none: its status counts, and the rest is not read. */
function collect(resolve: (answer: AskAnswer) => void, reject: (error: AppError) => void) {
  const chunks: Buffer[] = [];
  let status = 0;
  let headers: AskAnswer['headers'] = {};
  let length = 0;
  let stop = () => {};
  const handler: AnswerHandler = {
    head(code, told) {
      status = code;
      headers = told;
    },
    data(chunk) {
      length += chunk.length;
      if (length <= maxAnswerBytes) {
        chunks.push(chunk);
        return;
      }
      stop();
      resolve({ status, headers, body: undefined });
    },
    end() {
      resolve({ status, headers, body: parsed(Buffer.concat(chunks).toString('utf8')) });
    },
    fail: reject,
  };
  return {
    handler,
    onTooLong(fn: () => void): void {
      stop = fn;
    },
  };
}

// Base URLs

interface Base {
  origin: string;
  /** What stands before `/v1`, for providers behind a path. */
  prefix: string;
}

function parseBase(url: string): Base {
  const wrong = baseUrlMistake(url);
  if (wrong) throw new AppError('invalid_config', wrong);
  const { origin, pathname } = new URL(url);
  return { origin, prefix: pathname.replace(/\/+$/, '').replace(/\/v1$/, '').replace(/\/+$/, '') };
}
