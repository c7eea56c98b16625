/** The HTTP framing of /v1/*: routes, bounded bodies, and errors in the called route's own shape. The work is relay's. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { AppError, type ModelPrice, type ProviderId, toAnthropicError, toOpenAIError } from '@synthstack/core';
import { type Caller, type Callers, credentialHeaders } from './callers.ts';
import { type Asked, createAttendance } from './gateway-attendance.ts';
import { createBodies, parseJson } from './gateway-bodies.ts';
import { createFetch } from './gateway-fetch.ts';
import { HttpOutlet, shapedHeaders } from './gateway-outlet.ts';
import { byAnyMethod, type Matched, matchRoute, meantBy } from './gateway-routes.ts';
import type { Meter, Settled } from './meter.ts';
import type { Metrics } from './metrics.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import { printable } from './printable.ts';
import { allProviders } from './providers/catalog.ts';
import type { Provider } from './providers/provider.ts';
import { formJson, readableForm } from './relay/form.ts';
import type { Outlet, Relay } from './relay/relay.ts';
import type { Target } from './target.ts';
import type { Traces } from './traces.ts';

export interface GatewayParts {
  callers: Pick<Callers, 'identify'>;
  relay: Relay;
  meter: Pick<Meter, 'newId'>;
  metrics: Pick<Metrics, 'began' | 'streaming' | 'ended'>;
  log: Log;
  bodyLimitBytes: number;
  /** What a model costs now; null: unknown. */
  price(provider: ProviderId, model: string): ModelPrice | null;
  /** Where SDKs reach this server, for those that have it wrong. */
  publicUrl: string;
  /** True while the server shuts down. */
  draining(): boolean;
  clock: Clock;
  /** How long a client may take nothing of its answer. */
  stallMs: number;
  /** null: nobody collects any. */
  traces: Traces | null;
}

/** Who asks which route, and with what. */
interface Call {
  matched: Matched;
  caller: Caller;
  body: Buffer | null;
}

export type Gateway = ReturnType<typeof createGateway>;

export function createGateway(parts: GatewayParts) {
  const { callers, relay, meter, metrics, log, bodyLimitBytes, price, publicUrl, draining, clock, stallMs, traces } = parts;
  const bodies = createBodies({ limitBytes: bodyLimitBytes });
  const attendance = createAttendance({ meter, metrics, log, traces, nowMs: clock.now });

  async function answer(req: IncomingMessage, res: ServerResponse, asked: Asked): Promise<void> {
    const { target, matched } = asked;
    const meant = matched ? null : meantBy(target.pathname, req.headers);
    // Nobody's credential can mend a wrong base URL, and an SDK's user sees only this sentence.
    if (meant) throw new AppError('not_found', baseUrlHint(meant, publicUrl));
    const caller = await callers.identify(credentialHeaders(req));
    if (!caller.scopes.includes('gateway'))
      throw new AppError('forbidden', 'This token may not send AI requests. Make one with the scope "gateway".');
    if (!matched) throw new AppError('not_found', noRoute(req, target.pathname));
    if (draining()) throw new AppError('draining', 'This server is restarting. Try again in a moment.', { retryAfterMs: 1_000 });
    const { requestId } = asked;
    const outlet = new HttpOutlet(res, { asked, clock, stallMs, requestId, anthropic: matched.provider.errorShape === 'anthropic' });
    if (matched.route.body === 'none') return relayed(req.headers, outlet, asked, { matched, caller, body: null });
    const body = await bodies.read(req, matched.route.body === 'json', caller.userId);
    try {
      await relayed(req.headers, outlet, asked, { matched, caller, body: body.bytes });
    } finally {
      bodies.free(body);
    }
  }

  async function relayed(headers: IncomingHttpHeaders, outlet: Outlet, asked: Asked, { matched, caller, body }: Call): Promise<void> {
    const { provider, route, path } = matched;
    const form = route.body === 'multipart' && body ? await readableForm(body, headers['content-type']) : null;
    const json = route.body === 'json' && body ? parseJson(body) : form && formJson(form);
    if (json) {
      note(asked, json);
      refuseOthersModel(matched, json.model, price);
    }
    const { id, target } = asked;
    const settled = (row: Settled) => {
      asked.settled = row;
    };
    const asking = { userId: caller.userId, tokenId: caller.tokenId, tier: caller.plan.tier, byok: caller.plan.byok };
    const query = target.search.slice(1);
    await relay.handle(
      { id, provider, route, path, caller: asking, query, headers, body, json, form, settled, trace: asked.trace },
      outlet,
    );
  }

  function note(asked: Asked, json: Record<string, unknown>): void {
    if (typeof json.model === 'string') asked.model = json.model;
    asked.streamed = json.stream === true;
    if (asked.streamed) metrics.streaming();
  }

  return {
    fetchFor: createFetch({ relayed, attendance }),

    /** Bytes of request bodies in memory, and what they weigh once parsed. */
    bodyBytes: (): number => bodies.inFlight,

    handle(req: IncomingMessage, res: ServerResponse, target: Target): Promise<void> {
      const asked = attendance.begin(req.method ?? '', target, req.headers);
      return attendance.attend(asked, res, answer(req, res, asked), sendError);
    },
  };
}

function noRoute(req: IncomingMessage, pathname: string): string {
  const known = byAnyMethod(pathname, req.headers);
  const hint = known ? ` ${known.route.method} is what it takes.` : '';
  return `There is no route ${req.method} ${printable(pathname)} here.${hint}`;
}

function baseUrlHint({ name, sdkBase }: Provider, publicUrl: string): string {
  return sdkBase === ''
    ? `${name}'s base URL does not end in /v1: ${publicUrl} (its SDK adds /v1 by itself).`
    : `${name}'s base URL ends in ${sdkBase}: ${publicUrl}${sdkBase}`;
}

/** A model that only the other provider has: the caller has the wrong base URL or the wrong SDK. */
function refuseOthersModel({ provider }: Matched, model: unknown, price: GatewayParts['price']): void {
  if (typeof model !== 'string' || model.length > 200 || price(provider.id, model)) return;
  const other = allProviders.find((one) => one !== provider && one.models.includes(model));
  if (!other) return;
  throw new AppError(
    'wrong_provider',
    `model: this is a model of ${other.name}. Ask for it with ${other.name}'s SDK: POST ${other.routes[0]?.path}.`,
    {
      errors: { model: [`This is a model of ${other.name}.`] },
    },
  );
}

/** An error of ours, as the caller's SDK expects errors of the route that it called. */
function sendError(res: ServerResponse, error: AppError, asked: Asked): void {
  if (res.headersSent || res.destroyed) return void res.destroy();
  const [{ req }, { requestId }] = [res, asked];
  const anthropic = isAnthropicShaped(req, asked);
  const body = JSON.stringify(anthropic ? toAnthropicError(error, requestId) : toOpenAIError(error));
  res.writeHead(error.form.http, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-byok-request-id': requestId,
    'x-request-id': requestId,
    'request-id': requestId,
    ...(error.shouldRetry ? {} : { 'x-should-retry': 'false' }),
    ...(error.retryAfter && { 'retry-after': error.retryAfter }),
    ...shapedHeaders(error.headers ?? {}, anthropic),
    // Whoever was too slow is let go (http-connections.ts).
    ...(error.code === 'request_timeout' ? { connection: 'close' } : {}),
  });
  res.end(body);
  if (!req.complete && error.code !== 'request_timeout') discardRest(req);
}

/** Many clients read their answer only once all is sent that they have to send: it is taken and forgotten, within bounds. */
function discardRest(req: IncomingMessage): void {
  let left = mostDiscarded;
  const { socket } = req;
  const idle = setTimeout(() => socket.destroy(), idleMs).unref();
  req.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
    else idle.refresh();
  });
  req.once('close', () => clearTimeout(idle));
  req.resume();
}
const mostDiscarded = 128 * 1_048_576;
const idleMs = 1_000;

function isAnthropicShaped({ headers }: IncomingMessage, { matched, target }: Asked): boolean {
  const provider = matched?.provider ?? matchRoute('POST', target.pathname, headers)?.provider ?? meantBy(target.pathname, headers);
  return provider ? provider.errorShape === 'anthropic' : headers['anthropic-version'] !== undefined;
}
