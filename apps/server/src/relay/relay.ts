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
import { passDown, upstreamHeaders } from './headers.ts';
import { clientLeft, Journey } from './journey.ts';
import { platformFailure } from './platform-failure.ts';
import { createPlatformModels } from './platform-models.ts';
import { type PlatformRules, platformRequest } from './platform-request.ts';
import { type AiRequest, asksForUsage, type Outlet } from './request.ts';
import { askForUsage } from './splice.ts';

export type { AiRequest, Outlet } from './request.ts';

export interface RelayParts {
  sender: Sender;
  vault: Pick<Vault, 'use' | 'isNews' | 'report' | 'takeTrial'>;
  /** The caller's keys and the platform's, still sealed, from a cache that every change drops. */
  keysOf(userId: string): readonly StoredKey[] | Promise<readonly StoredKey[]>;
  platformKey(provider: ProviderId): UsableKey | null | Promise<UsableKey | null>;
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
    const { provider, route, caller } = request;
    const leave = concurrency.enter(caller.userId);
    try {
      const keys = (await parts.keysOf(caller.userId)).filter((key) => key.provider === provider.id);
      // These are never lent, so nobody else would notice and tell their owner.
      for (const key of keys) if (key.status === 'unreadable' && caller.byok) await vault.report(key, 'unreadable');
      const platformKey = route.stateless ? await parts.platformKey(provider.id) : null;
      const situation = {
        provider,
        keys,
        byok: caller.byok,
        platform: platformKey !== null,
        ownOnly: !route.stateless,
        nowMs: clock.now(),
      };
      const choice = choose(situation);
      const journey = new Journey(request, parts, choice.reason);
      try {
        await tryInOrder({ request, outlet, journey }, choice.attempts);
      } catch (thrown) {
        throw await journey.fail(toAppError(thrown));
      }
    } finally {
      leave();
    }
  }

  async function tryInOrder(way: Way, attempts: Attempt<StoredKey>[]): Promise<void> {
    const { request, journey } = way;
    let left = attempts.length;
    for (const attempt of attempts) {
      left -= 1;
      const mayFallBack = left > 0;
      if (attempt.source === 'platform' && request.route.tellsModels) return tellModels(way);
      const ready = await prepare(way, attempt);
      const started = ready && (await dispatch(way, ready));
      if (ready && started) {
        const refusal = await answerUnlessRefused(way, ready.key, started);
        if (!refusal) return;
        if (attempt.source === 'platform') return refusePlatform(way, refusal);
        const reason = reasonOf(refusal);
        if (!reason || !mayFallBack) return returnRefusal(way, refusal);
        journey.passOver(reason);
      } else if (!mayFallBack) throw keyUnusable(request);
    }
  }

  function prepare({ request, journey }: Way, attempt: Attempt<StoredKey>): Ready | Promise<Ready | null> {
    if (attempt.source === 'platform') return preparePlatform(request, journey);
    return attempt.trial ? tryOwn(request, journey, attempt.key) : prepareOwn(request, journey, attempt.key);
  }

  /** A key that may have no credit. null: another request has its trial already. */
  async function tryOwn(request: AiRequest, journey: Journey, key: StoredKey): Promise<Ready | null> {
    if (await vault.takeTrial(key)) return prepareOwn(request, journey, key);
    journey.passOver('no_credit');
    return null;
  }

  /** The user's own key: the request goes up as it is. */
  function prepareOwn(request: AiRequest, journey: Journey, key: StoredKey): Ready {
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
   * Sends. On the user's own key the row travels to the disk while the provider thinks; on the platform's, and on a further attempt, the
   * row says so first.
   * null: the sealed key cannot be opened.
   */
  async function dispatch({ request, outlet, journey }: Way, { key, request: upstreamRequest }: Ready): Promise<Call | null> {
    if (journey.mustTurn) await journey.turn();
    if (outlet.gone) {
      await journey.giveBack();
      throw new AppError(clientLeft.code, 'The client left before anything was sent.');
    }
    const refused = journey.source === 'platform' ? refusedOnPlatform : refusedOnOwn;
    const traceparent = request.trace?.attempting(journey.row.source);
    if (traceparent) upstreamRequest.headers.traceparent = traceparent;
    let started: Call;
    try {
      started = vault.use(key, (secret) => call({ sender, clock, provider: request.provider, request: upstreamRequest, secret, refused }));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'key_unusable') throw error;
      request.trace?.came('unreadable', null);
      await vault.report(key, 'unreadable');
      if (journey.source === 'platform') throw platformFailure(request.provider, null, clock.now(), request.caller.byok);
      journey.passOver('unreadable');
      return null;
    }
    journey.record();
    outlet.onGone(() => {
      started.exchange.abort();
      started.giveUp(clientLeft);
    });
    return started;
  }

  /** Nobody reads an answer that could not be passed on, so whatever goes wrong here closes it. null: it has been answered. */
  async function answerUnlessRefused(way: Way, key: UsableKey, { begun, exchange }: Call): Promise<Refusal | null> {
    const count = (outcome: UpstreamOutcome, status: number | null) => {
      parts.metrics.upstream(way.request.provider.id, way.journey.row.source, outcome);
      way.request.trace?.came(outcome, status);
    };
    let result: Answer | Refusal;
    try {
      result = await begun;
    } catch (error) {
      exchange.abort();
      count(outcomeOf(error), null);
      throw error;
    }
    const outcome = result.kind === 'answer' ? 'ok' : result.outcome;
    count(outcome, result.status);
    try {
      // Nearly always there is no news, and nothing to wait for.
      if (vault.isNews(key, outcome)) await vault.report(key, outcome);
      if (result.kind === 'refusal') return result;
      await deliverAnswer(way, result, exchange);
      return null;
    } catch (error) {
      exchange.abort();
      throw error;
    }
  }

  async function deliverAnswer({ request, outlet, journey }: Way, answer: Answer, exchange: Exchange): Promise<void> {
    const { provider, route, json, caller } = request;
    const firstByteAt = clock.now();
    const { reason, source, row } = journey;
    // Plain bytes are kept back until then by their delivery: often they are all there before the row is, and both go to the disk at once.
    if (answer.events) await journey.onDisk();
    if (reason && source === 'platform') await parts.fellBack(caller.userId, provider.id, reason);
    const deliver = answer.events ? deliverEvents : deliverBytes;
    await deliver({
      provider,
      route,
      json,
      model: row.model,
      dropUsageEvent: !asksForUsage(json),
      isPlatforms: row.source === 'platform',
      answer,
      exchange,
      outlet,
      headers: passDown(journey.headers(), answer.headers, row.source),
      onDisk: () => journey.onDisk(),
      settle: (delivered) => journey.settle({ ...delivered, status: answer.status, firstByteAt }),
      undecoded: parts.metrics.undecoded,
      log: parts.log,
    });
  }

  /** The provider's own answer, unchanged. */
  async function returnRefusal({ request, outlet, journey }: Way, refusal: Refusal): Promise<void> {
    if (refusal.status >= 300 && refusal.status < 400)
      throw new AppError('provider_unreachable', `${request.provider.name} answered with a redirect, which is never followed.`);
    await journey.settleRefused(refusal.status, refusal.outcome);
    outlet.head(refusal.status, passDown(journey.headers(), refusal.headers, journey.row.source));
    outlet.end(refusal.body);
  }

  /** Asking which models there are is no AI request: it takes no place in the limits and leaves no row. */
  async function tellModels({ request, outlet, journey }: Way): Promise<void> {
    const { provider, caller } = request;
    journey.onPlatformKey();
    const body = await platformModels.answer(request, parts.rules(caller.tier));
    if (outlet.gone) return;
    if (journey.reason) await parts.fellBack(caller.userId, provider.id, journey.reason);
    outlet.head(200, ['content-type', 'application/json', ...journey.headers()]);
    outlet.end(body);
  }

  async function refusePlatform(way: Way, refusal: Refusal): Promise<void> {
    if (refusal.outcome === 'refused') return returnRefusal(way, refusal);
    await way.journey.giveBack();
    throw platformFailure(way.request.provider, refusal, clock.now(), way.request.caller.byok);
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

function outcomeOf(error: unknown): UpstreamOutcome {
  if (error === clientLeft) return 'client_closed';
  return toAppError(error).code === 'provider_timeout' ? 'timeout' : 'unreachable';
}

function reasonOf(refusal: Refusal): FallbackReason | null {
  if (refusal.outcome === 'bad_key') return 'bad_key';
  return refusal.outcome === 'no_credit' ? 'out_of_credit' : null;
}

const keyUnusable = ({ provider }: AiRequest) =>
  new AppError('key_unusable', `Your ${provider.name} key cannot be used at the moment. Settings > API Keys says what to do.`);
