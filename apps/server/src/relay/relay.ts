/**
 * One AI request, whoever asks: choose -> record -> attempts -> settle. It keeps two promises: no byte of an answer leaves before
 * its request is on disk, and no answer ends before its usage is on disk.
 */
import { AppError, type FallbackReason, type KeySource, type ProviderId, type TierName, toAppError } from '@synthstack/core';
import type { Limits, Place } from '../limits.ts';
import type { Meter, OpenRequest, Settlement } from '../meter.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { Exchange } from '../ports/outbound.ts';
import type { Provider, Route } from '../providers/provider.ts';
import type { Sender, UpstreamRequest } from '../providers/send.ts';
import type { Vault } from '../vault.ts';
import type { StoredKey, UsableKey } from '../vault-rows.ts';
import { type Answer, type Call, call, type Headers, type Refusal } from './attempt.ts';
import { type Attempt, choose } from './choose.ts';
import { type Delivered, deliver } from './deliver.ts';
import { type GateRules, gate } from './gate.ts';
import { downstreamHeaders, upstreamHeaders } from './headers.ts';
import { askForUsage } from './splice.ts';

export interface AiRequest {
  id: number;
  caller: { userId: string; tokenId: string | null; tier: TierName; byok: boolean };
  provider: Provider;
  route: Route;
  /** The route's path with its ids filled in. */
  path: string;
  query: string;
  /** The client's, in lower case. */
  headers: Record<string, string | string[] | undefined>;
  body: Buffer | null;
  /** The body, where it is JSON. */
  json: Record<string, unknown> | null;
}

/** Where the answer goes: an HTTP response, or an agent in process. */
export interface Outlet {
  /** `now`: the headers leave at once, not with the first byte. */
  head(status: number, headers: Headers, now?: boolean): void;
  /** @returns false: it is full, wait for `drained` */
  write(chunk: Buffer): boolean;
  end(chunk?: Buffer): void;
  /** Ends it in a way that nobody takes for the end. */
  breakOff(): void;
  /** At most one listener each. */
  onDrain(fn: () => void): void;
  onGone(fn: () => void): void;
  readonly gone: boolean;
}

export interface RelayParts {
  sender: Sender;
  vault: Pick<Vault, 'use' | 'report' | 'takeTrial'>;
  /** The caller's keys and the platform's, still sealed, from a cache that every change drops. */
  keysOf(userId: string): Promise<readonly StoredKey[]>;
  platformKey(provider: ProviderId): Promise<UsableKey | null>;
  meter: Meter;
  limits: Limits;
  clock: Clock;
  log: Log;
  rules(tier: TierName): GateRules;
  /** Tells the owner that the platform's key was used in place of their own. */
  fellBack(userId: string, provider: ProviderId, reason: FallbackReason): Promise<void>;
}

/** What has happened to a request so far. */
interface Journey {
  row: OpenRequest;
  /** The row is on disk, or on its way there; null: not even asked for. */
  recorded: Promise<void> | null;
  place: Place | null;
  reason: FallbackReason | null;
  capped: number | null;
}

/** A key, and the request as it will go out on it. */
interface Ready {
  key: UsableKey;
  request: UpstreamRequest;
}
interface Started extends Call {
  key: UsableKey;
}

export type Relay = ReturnType<typeof createRelay>;

export function createRelay(parts: RelayParts) {
  const { vault, meter, limits, clock, sender } = parts;

  /**
   * Answers through `outlet`, once all of it is settled.
   * @throws AppError for all that goes wrong before the answer's first byte; its headers say which key was tried
   */
  async function handle(request: AiRequest, outlet: Outlet): Promise<void> {
    const { provider, route, caller } = request;
    const keys = (await parts.keysOf(caller.userId)).filter((key) => key.provider === provider.id);
    const platformKey = route.stateless && route.body === 'json' ? await parts.platformKey(provider.id) : null;
    const choice = choose({ provider, keys, byok: caller.byok, platform: platformKey !== null, nowMs: clock.now() });
    const journey: Journey = { row: openRow(request), recorded: null, place: null, reason: choice.reason, capped: null };
    try {
      await tryInOrder(request, outlet, journey, choice.attempts);
    } catch (thrown) {
      const error = toAppError(thrown);
      await closeFailed(request, journey, error);
      throw error.with(journeyHeaders(journey));
    }
  }

  async function tryInOrder(request: AiRequest, outlet: Outlet, journey: Journey, attempts: Attempt<StoredKey>[]): Promise<void> {
    for (const [i, attempt] of attempts.entries()) {
      const mayFallBack = i + 1 < attempts.length;
      const ready = attempt.source === 'user' ? await prepareOwn(request, journey, attempt) : await preparePlatform(request, journey);
      const started = ready && (await dispatch(request, outlet, journey, ready));
      if (!started) {
        if (mayFallBack) continue;
        throw new AppError(
          'key_unusable',
          `Your ${request.provider.name} key cannot be used at the moment. Settings > API Keys says what to do.`,
        );
      }
      const result = await started.begun;
      await vault.report(started.key, result.kind === 'answer' ? 'ok' : result.outcome);
      if (result.kind === 'answer') return deliverAnswer(request, outlet, journey, result, started.exchange);
      const reason = attempt.source === 'user' ? reasonOf(result) : null;
      if (!reason || !mayFallBack) {
        return attempt.source === 'user'
          ? returnRefusal(request, outlet, journey, result)
          : refusePlatform(request, outlet, journey, result);
      }
      journey.reason = reason;
    }
  }

  /** The user's own key: the request goes up as it is. null: another request has its trial already. */
  async function prepareOwn(
    request: AiRequest,
    journey: Journey,
    { key, trial }: Attempt<StoredKey> & { source: 'user' },
  ): Promise<Ready | null> {
    if (trial && !(await vault.takeTrial(key))) {
      journey.reason ??= 'no_credit';
      return null;
    }
    const { row } = journey;
    Object.assign(row, { source: 'user', keyId: key.id, firstKeyId: row.firstKeyId ?? key.id, fallbackReason: null, slotAt: null });
    const { body, json } = request;
    const ask = request.route.asksForUsage && json?.stream === true && !asksForUsage(json);
    return { key, request: upstream(request, 'user', body && json && ask ? askForUsage(body, json) : body) };
  }

  /** The platform's key: through the gate, with a place in the limits. @throws AppError */
  async function preparePlatform(request: AiRequest, journey: Journey): Promise<Ready> {
    const { provider, route, json, caller } = request;
    const key = await parts.platformKey(provider.id);
    if (!key) throw new AppError('platform_unavailable', `This server has no ${provider.name} key at the moment.`);
    const gated = json ? gate(provider, route, json, parts.rules(caller.tier)) : null;
    journey.capped = gated?.capped ?? null;
    journey.place = await limits.take(caller.userId, caller.tier, clock.now());
    Object.assign(journey.row, { source: 'platform', keyId: null, fallbackReason: journey.reason, slotAt: journey.place.at });
    return { key, request: upstream(request, 'platform', gated?.body ?? null) };
  }

  /**
   * Sends. The first attempt's row travels to the disk while the provider thinks; a further attempt waits until the row says so.
   * null: the sealed key cannot be opened.
   */
  async function dispatch(
    request: AiRequest,
    outlet: Outlet,
    journey: Journey,
    { key, request: upstreamRequest }: Ready,
  ): Promise<Started | null> {
    if (outlet.gone) throw clientGone();
    if (journey.recorded) {
      await journey.recorded;
      await meter.reroute(journey.row);
    }
    let started: Started;
    try {
      started = vault.use(key, (secret) => ({
        key,
        ...call({ sender, clock, provider: request.provider, request: upstreamRequest, secret }),
      }));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'key_unusable') throw error;
      journey.reason ??= 'unreadable';
      await vault.report(key, 'unreadable');
      return null;
    }
    journey.recorded ??= isMetered(request.route) ? meter.record(journey.row) : Promise.resolve();
    // Whoever awaits them sees their errors; until then they must not count as unhandled.
    journey.recorded.catch(() => undefined);
    const left = Promise.withResolvers<never>();
    outlet.onGone(() => {
      started.exchange.abort();
      left.reject(clientGone());
    });
    const begun = Promise.race([started.begun, left.promise]);
    begun.catch(() => undefined);
    return { ...started, begun };
  }

  async function deliverAnswer(request: AiRequest, outlet: Outlet, journey: Journey, answer: Answer, exchange: Exchange): Promise<void> {
    const firstByteAt = clock.now();
    try {
      await journey.recorded;
    } catch (error) {
      exchange.abort();
      throw error;
    }
    if (journey.reason && journey.row.source === 'platform') {
      await parts.fellBack(request.caller.userId, request.provider.id, journey.reason);
    }
    await deliver({
      provider: request.provider,
      route: request.route,
      json: request.json,
      model: journey.row.model,
      dropUsageEvent: !asksForUsage(request.json),
      answer,
      exchange,
      outlet,
      headers: { ...downstreamHeaders(answer.headers, journey.row.source), ...journeyHeaders(journey) },
      settle: (delivered: Delivered) => settle(request, journey, { ...delivered, status: answer.status, firstByteAt }),
      log: parts.log,
    });
  }

  /** The provider's own answer to the user's own key, unchanged. */
  async function returnRefusal(request: AiRequest, outlet: Outlet, journey: Journey, refusal: Refusal): Promise<void> {
    if (refusal.status < 400)
      throw new AppError('provider_unreachable', `${request.provider.name} answered with a redirect, which is never followed.`);
    await journey.recorded;
    await settleFailed(request, journey, refusal.status, refusal.outcome);
    outlet.head(refusal.status, { ...downstreamHeaders(refusal.headers, journey.row.source), ...journeyHeaders(journey) });
    outlet.end(refusal.body);
  }

  async function refusePlatform(request: AiRequest, outlet: Outlet, journey: Journey, refusal: Refusal): Promise<void> {
    const { provider, caller } = request;
    if (refusal.outcome === 'refused') return returnRefusal(request, outlet, journey, refusal);
    if (journey.place) await limits.giveBack(caller.userId, journey.place);
    journey.place = null;
    journey.row.slotAt = null;
    switch (refusal.outcome) {
      case 'rate_limited':
        throw new AppError(
          'platform_busy',
          `The platform's ${provider.name} key is at the provider's own limit. Try again shortly, or add your own key in Settings > API Keys.`,
          {
            retryAfterMs: retryAfterMs(refusal.headers, clock.now()),
          },
        );
      case 'down': {
        const code = refusal.status === 408 || refusal.status === 504 ? 'provider_timeout' : 'provider_unreachable';
        throw new AppError(code, `${provider.name} has trouble at the moment (status ${refusal.status}). Try again shortly.`);
      }
      default:
        throw new AppError(
          'platform_unavailable',
          `The platform's ${provider.name} key does not work at the moment; the administrators have been told. You can add your own key in Settings > API Keys.`,
        );
    }
  }

  /** An error of ours: the row, if there is one, says so before the caller hears of it. */
  async function closeFailed(request: AiRequest, journey: Journey, error: AppError): Promise<void> {
    const networkFailed =
      error.code === 'provider_unreachable' || error.code === 'provider_timeout' || error.code === 'storage_unavailable';
    if (journey.place && networkFailed) {
      await limits.giveBack(request.caller.userId, journey.place);
      journey.row.slotAt = null;
    }
    if (!journey.recorded) return;
    try {
      await journey.recorded;
      await settleFailed(request, journey, error.code === 'request_timeout' ? null : error.form.http, error.code);
    } catch (storage) {
      parts.log.error({ requestId: request.id }, 'A failed request could not be settled', storage);
    }
  }

  async function settle(request: AiRequest, journey: Journey, settlement: Settlement): Promise<void> {
    if (isMetered(request.route)) await meter.settle(journey.row, settlement);
  }

  function settleFailed(request: AiRequest, journey: Journey, status: number | null, errorCode: string): Promise<void> {
    return settle(request, journey, { state: 'failed', status, errorCode, usage: null, estimated: false, firstByteAt: null });
  }

  function openRow({ id, caller, provider, route, json }: AiRequest): OpenRequest {
    return {
      id,
      userId: caller.userId,
      tier: caller.tier,
      tokenId: caller.tokenId,
      provider: provider.id,
      route: route.path,
      model: typeof json?.model === 'string' ? json.model.slice(0, 200) : null,
      streamed: json?.stream === true,
      firstKeyId: null,
      keyId: null,
      source: 'platform',
      fallbackReason: null,
      slotAt: null,
      startedAt: clock.now(),
    };
  }

  return { handle };
}

/** Looking things up at the provider (models, stored responses) is no AI request and leaves no row. */
const isMetered = (route: Route): boolean => route.method === 'POST' && !route.path.includes('{id}');

/** On whose key, and why not on the caller's own: on every answer, ours and the provider's. */
function journeyHeaders({ row, recorded, place, reason, capped }: Journey): Record<string, string> {
  return {
    ...(recorded || place ? { 'x-byok-key-source': row.source } : {}),
    ...(reason ? { 'x-byok-fallback-reason': reason } : {}),
    ...(capped === null ? {} : { 'x-byok-output-cap': String(capped) }),
    ...place?.headers,
  };
}

function upstream(request: AiRequest, source: KeySource, body: Buffer | null): UpstreamRequest {
  return {
    method: request.route.method,
    path: request.path,
    ...(source === 'user' && request.query && { query: request.query }),
    headers: upstreamHeaders(request.headers, source),
    body,
  };
}

function asksForUsage(json: Record<string, unknown> | null): boolean {
  const options = json?.stream_options;
  return typeof options === 'object' && options !== null && 'include_usage' in options && options.include_usage === true;
}

function reasonOf(refusal: Refusal): FallbackReason | null {
  if (refusal.outcome === 'bad_key') return 'bad_key';
  return refusal.outcome === 'no_credit' ? 'out_of_credit' : null;
}

/** Whole seconds or a date, as providers send it; a minute where they say nothing. */
function retryAfterMs(headers: Headers, nowMs: number): number {
  const given = String(headers['retry-after'] ?? '');
  const ms = /^\d+$/.test(given) ? Number(given) * 1_000 : Date.parse(given) - nowMs;
  return Number.isFinite(ms) && ms > 0 ? ms : 60_000;
}

/** Nobody reads this error: the client has left. */
const clientGone = () => new AppError('request_timeout', 'The client left before it was answered.');
