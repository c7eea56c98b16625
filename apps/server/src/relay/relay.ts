/**
 * One AI request, whoever asks: choose -> record -> attempts -> settle. It keeps two promises: no byte of an answer leaves before
 * its request is on disk, and no answer ends before its usage is on disk.
 */
import { AppError, type FallbackReason, type ProviderId, type TierName, toAppError } from '@synthstack/core';
import type { Limits } from '../limits.ts';
import type { Meter } from '../meter.ts';
import type { Metrics, UpstreamOutcome } from '../metrics.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { Exchange } from '../ports/outbound.ts';
import type { Outcome } from '../providers/provider.ts';
import type { Sender, UpstreamRequest } from '../providers/send.ts';
import type { Vault } from '../vault.ts';
import type { StoredKey, UsableKey } from '../vault-rows.ts';
import { type Answer, type Call, call, type Refusal } from './attempt.ts';
import { type Attempt, choose } from './choose.ts';
import { createConcurrency } from './concurrency.ts';
import { deliverBytes } from './deliver-bytes.ts';
import { deliverEvents } from './deliver-events.ts';
import { downstreamHeaders, upstreamHeaders } from './headers.ts';
import { clientLeft, createJourney, type Journey } from './journey.ts';
import { platformFailure } from './platform-failure.ts';
import { createPlatformModels } from './platform-models.ts';
import { type PlatformRules, platformRequest } from './platform-request.ts';
import { type AiRequest, asksForUsage, type Outlet } from './request.ts';
import { askForUsage } from './splice.ts';

export type { AiRequest, Outlet } from './request.ts';

export interface RelayParts {
  sender: Sender;
  vault: Pick<Vault, 'use' | 'report' | 'takeTrial'>;
  /** The caller's keys and the platform's, still sealed, from a cache that every change drops. */
  keysOf(userId: string): Promise<readonly StoredKey[]>;
  platformKey(provider: ProviderId): Promise<UsableKey | null>;
  meter: Meter;
  metrics: Pick<Metrics, 'upstream' | 'undecoded'>;
  limits: Limits;
  clock: Clock;
  log: Log;
  rules(tier: TierName): PlatformRules;
  /** How many requests one person may have under way. */
  maxConcurrent: number;
  /** Tells the owner that the platform's key was used in place of their own. */
  fellBack(userId: string, provider: ProviderId, reason: FallbackReason): Promise<void>;
}

/** A key, and the request as it will go out on it. */
interface Ready {
  key: UsableKey;
  request: UpstreamRequest;
}
interface Started extends Call {
  key: UsableKey;
}
type Way = { request: AiRequest; outlet: Outlet; journey: Journey };

export type Relay = ReturnType<typeof createRelay>;

export function createRelay(parts: RelayParts) {
  const { vault, clock, sender } = parts;
  const concurrency = createConcurrency(parts.maxConcurrent);
  const platformModels = createPlatformModels(parts);

  /**
   * Answers through `outlet`, once all of it is settled.
   * @throws AppError for all that goes wrong before the answer's first byte; its headers say which key was tried
   */
  async function handle(request: AiRequest, outlet: Outlet): Promise<void> {
    const leave = concurrency.enter(request.caller.userId);
    try {
      await admitted(request, outlet);
    } finally {
      leave();
    }
  }

  async function admitted(request: AiRequest, outlet: Outlet): Promise<void> {
    const { provider, route, caller } = request;
    const keys = (await parts.keysOf(caller.userId)).filter((key) => key.provider === provider.id);
    // These are never lent, so nobody else would notice and tell their owner.
    for (const key of keys) if (key.status === 'unreadable' && caller.byok) await vault.report(key, 'unreadable');
    const platformKey = route.stateless ? await parts.platformKey(provider.id) : null;
    const choice = choose({ provider, keys, byok: caller.byok, platform: platformKey !== null, nowMs: clock.now() });
    const journey = createJourney(request, parts, choice.reason);
    try {
      await tryInOrder({ request, outlet, journey }, choice.attempts);
    } catch (thrown) {
      throw await journey.fail(toAppError(thrown));
    }
  }

  async function tryInOrder(way: Way, attempts: Attempt<StoredKey>[]): Promise<void> {
    const { request, journey } = way;
    for (const [i, attempt] of attempts.entries()) {
      const mayFallBack = i + 1 < attempts.length;
      if (attempt.source === 'platform' && request.route.tellsModels) return tellModels(way);
      const ready = attempt.source === 'user' ? await prepareOwn(request, journey, attempt) : await preparePlatform(request, journey);
      const started = ready && (await dispatch(way, ready));
      if (started) {
        const refusal = await answerUnlessRefused(way, started);
        if (!refusal) return;
        if (attempt.source === 'platform') return refusePlatform(way, refusal);
        const reason = reasonOf(refusal);
        if (!reason || !mayFallBack) return returnRefusal(way, refusal);
        journey.passOver(reason);
      } else if (!mayFallBack) throw keyUnusable(request);
    }
  }

  /** The user's own key: the request goes up as it is. null: another request has its trial already. */
  async function prepareOwn(
    request: AiRequest,
    journey: Journey,
    { key, trial }: Attempt<StoredKey> & { source: 'user' },
  ): Promise<Ready | null> {
    if (trial && !(await vault.takeTrial(key))) {
      journey.passOver('no_credit');
      return null;
    }
    journey.onOwnKey(key.id);
    const { body, json } = request;
    const ask = request.route.asksForUsage && json?.stream === true && !asksForUsage(json);
    return { key, request: upstream(request, body && json && ask ? askForUsage(body, json) : body) };
  }

  /** The platform's key: through the gate, with a place in the limits. @throws AppError */
  async function preparePlatform(request: AiRequest, journey: Journey): Promise<Ready> {
    journey.onPlatformKey();
    const key = await parts.platformKey(request.provider.id);
    if (!key) throw new AppError('platform_unavailable', `This server has no ${request.provider.name} key at the moment.`);
    const gated = platformRequest(request, parts.rules(request.caller.tier));
    journey.cappedAt(gated.capped);
    await journey.takePlace(clock.now());
    return { key, request: gated.request };
  }

  /**
   * Sends. The first attempt's row travels to the disk while the provider thinks; a further attempt waits until the row says so.
   * null: the sealed key cannot be opened.
   */
  async function dispatch({ request, outlet, journey }: Way, { key, request: upstreamRequest }: Ready): Promise<Started | null> {
    await journey.turn();
    if (outlet.gone) throw new AppError(clientLeft.code, 'The client left before anything was sent.');
    const refused = journey.source === 'platform' ? refusedOnPlatform : refusedOnOwn;
    let started: Started;
    try {
      started = vault.use(key, (secret) => ({
        key,
        ...call({ sender, clock, provider: request.provider, request: upstreamRequest, secret, refused }),
      }));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'key_unusable') throw error;
      await vault.report(key, 'unreadable');
      if (journey.source === 'platform') throw platformFailure(request.provider, null, clock.now());
      journey.passOver('unreadable');
      return null;
    }
    journey.record();
    const left = Promise.withResolvers<never>();
    outlet.onGone(() => {
      started.exchange.abort();
      left.reject(clientLeft);
    });
    return { ...started, begun: Promise.race([started.begun, left.promise]) };
  }

  /** Nobody reads an answer that could not be passed on, so whatever goes wrong here closes it. null: it has been answered. */
  async function answerUnlessRefused(way: Way, { key, begun, exchange }: Started): Promise<Refusal | null> {
    try {
      const result = await counted(way, begun);
      await vault.report(key, result.kind === 'answer' ? 'ok' : result.outcome);
      if (result.kind === 'refusal') return result;
      await deliverAnswer(way, result, exchange);
      return null;
    } catch (error) {
      exchange.abort();
      throw error;
    }
  }

  async function counted({ request, journey }: Way, begun: Call['begun']): Promise<Answer | Refusal> {
    let outcome: UpstreamOutcome = 'unreachable';
    try {
      const result = await begun;
      outcome = result.kind === 'answer' ? 'ok' : result.outcome;
      return result;
    } catch (error) {
      if (error === clientLeft) outcome = 'client_closed';
      else if (toAppError(error).code === 'provider_timeout') outcome = 'timeout';
      throw error;
    } finally {
      parts.metrics.upstream(request.provider.id, journey.row.source, outcome);
    }
  }

  async function deliverAnswer({ request, outlet, journey }: Way, answer: Answer, exchange: Exchange): Promise<void> {
    const { provider, route, json, caller } = request;
    const firstByteAt = clock.now();
    const { reason, source, row } = journey;
    await journey.onDisk();
    if (reason && source === 'platform') await parts.fellBack(caller.userId, provider.id, reason);
    const deliver = answer.events ? deliverEvents : deliverBytes;
    await deliver({
      provider,
      route,
      json,
      model: row.model,
      dropUsageEvent: !asksForUsage(json),
      answer,
      exchange,
      outlet,
      headers: { ...downstreamHeaders(answer.headers, row.source), ...journey.headers() },
      settle: (delivered) => journey.settle({ ...delivered, status: answer.status, firstByteAt }),
      undecoded: parts.metrics.undecoded,
      log: parts.log,
    });
  }

  /** The provider's own answer, unchanged. */
  async function returnRefusal({ request, outlet, journey }: Way, refusal: Refusal): Promise<void> {
    if (refusal.status >= 300 && refusal.status < 400)
      throw new AppError('provider_unreachable', `${request.provider.name} answered with a redirect, which is never followed.`);
    await journey.onDisk();
    await journey.settleRefused(refusal.status, refusal.outcome);
    outlet.head(refusal.status, { ...downstreamHeaders(refusal.headers, journey.row.source), ...journey.headers() });
    outlet.end(refusal.body);
  }

  /** Asking which models there are is no AI request: it takes no place in the limits and leaves no row. */
  async function tellModels({ request, outlet, journey }: Way): Promise<void> {
    const { provider, caller } = request;
    journey.onPlatformKey();
    const body = await platformModels.answer(request, parts.rules(caller.tier));
    if (outlet.gone) return;
    if (journey.reason) await parts.fellBack(caller.userId, provider.id, journey.reason);
    outlet.head(200, { 'content-type': 'application/json', ...journey.headers() });
    outlet.end(body);
  }

  async function refusePlatform(way: Way, refusal: Refusal): Promise<void> {
    if (refusal.outcome === 'refused') return returnRefusal(way, refusal);
    await way.journey.giveBack();
    throw platformFailure(way.request.provider, refusal, clock.now());
  }

  return { handle };
}

/** What a stream's first event may say that is held back like a status: another key may answer, or words of ours are better. */
const refusedOnOwn: ReadonlySet<Outcome> = new Set(['bad_key', 'no_credit']);
const refusedOnPlatform: ReadonlySet<Outcome> = new Set(['bad_key', 'no_credit', 'not_allowed', 'rate_limited', 'down']);

/** On the user's own key. */
function upstream({ route, path, query, headers }: AiRequest, body: Buffer | null): UpstreamRequest {
  return { method: route.method, path, ...(query && { query }), headers: upstreamHeaders(headers, 'user', []), body };
}

function reasonOf(refusal: Refusal): FallbackReason | null {
  if (refusal.outcome === 'bad_key') return 'bad_key';
  return refusal.outcome === 'no_credit' ? 'out_of_credit' : null;
}

const keyUnusable = ({ provider }: AiRequest) =>
  new AppError('key_unusable', `Your ${provider.name} key cannot be used at the moment. Settings > API Keys says what to do.`);
