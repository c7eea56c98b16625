/**
 * One AI request, whoever asks: choose -> record -> attempts -> settle. It keeps two promises: no byte of an answer leaves before
 * its request is on disk, and no answer ends before its usage is on disk.
 */
import { AppError, type FallbackReason, type ModelPrice, type ProviderId, type TierName, toAppError } from '@synthstack/core';
import type { Budgets, Hold, OwnKey, Refused } from '../budgets.ts';
import type { FallbackCap } from '../fallback-cap.ts';
import type { Limits } from '../limits.ts';
import type { Meter, OpenRequest } from '../meter.ts';
import type { Metrics, UpstreamOutcome } from '../metrics.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { Exchange } from '../ports/outbound.ts';
import type { Outcome } from '../providers/provider.ts';
import type { Sender, UpstreamRequest } from '../providers/send.ts';
import type { Vault } from '../vault.ts';
import type { UsableKey } from '../vault-rows.ts';
import { type Answer, type Call, call, type Refusal } from './attempt.ts';
import { tooDear, unpriced } from './budget-errors.ts';
import { type Attempt, choose } from './choose.ts';
import { createConcurrency } from './concurrency.ts';
import { deliverBytes } from './deliver-bytes.ts';
import { deliverEvents } from './deliver-events.ts';
import { passDown, upstreamHeaders } from './headers.ts';
import { clientLeft, Journey } from './journey.ts';
import { platformFailure } from './platform-failure.ts';
import { createPlatformModels } from './platform-models.ts';
import { type PlatformRules, platformRequest } from './platform-request.ts';
import { type AiRequest, asksForUsage, modelOf, type Outlet } from './request.ts';
import { askForUsage } from './splice.ts';
import { countedCost, worstCost } from './worst-cost.ts';

export type { AiRequest, Outlet } from './request.ts';

export interface RelayParts {
  sender: Sender;
  vault: Pick<Vault, 'use' | 'isNews' | 'report' | 'takeTrial'>;
  /** The caller's keys and the platform's, still sealed, from a cache that every change drops; what is left of hard budgets is as it is now. */
  keysOf(userId: string): readonly OwnKey[] | Promise<readonly OwnKey[]>;
  platformKey(provider: ProviderId): UsableKey | null | Promise<UsableKey | null>;
  meter: Meter;
  metrics: Pick<Metrics, 'upstream' | 'undecoded'>;
  limits: Limits;
  budgets: Pick<Budgets, 'release'> & { reserve(request: OpenRequest, amountNanoUsd: number): ReturnType<Budgets['reserve']> };
  fallbackCap: FallbackCap;
  price(provider: ProviderId, model: string): ModelPrice | null;
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
/** `spent`: why an own key did not answer, where its budget forbids the platform's in its place. */
type Way = { request: AiRequest; outlet: Outlet; journey: Journey; spent?: AppError };

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
        model: modelOf(request),
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

  async function tryInOrder(way: Way, attempts: Attempt<OwnKey>[]): Promise<void> {
    const { request, journey } = way;
    let left = attempts.length;
    for (const attempt of attempts) {
      left -= 1;
      // Another key of the caller's own may still answer, but not the platform's.
      if (way.spent && attempt.source === 'platform') throw way.spent;
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
        await journey.letGo();
      } else if (!mayFallBack) throw way.spent ?? keyUnusable(request);
    }
  }

  function prepare(way: Way, attempt: Attempt<OwnKey>): Ready | Promise<Ready | null> {
    if (attempt.source === 'platform') return preparePlatform(way.request, way.journey);
    const { key, trial } = attempt;
    // Nearly all keys need neither.
    return trial || key.budget?.hard ? admitOwn(way, key, trial) : prepareOwn(way.request, way.journey, key);
  }

  /** null: the key's budget has no room for this request, or the key may have no credit and another request is finding out. */
  async function admitOwn(way: Way, key: OwnKey, trial: boolean): Promise<Ready | null> {
    const { request, journey } = way;
    if (key.budget?.hard && request.route.usage) {
      journey.onOwnKey(key);
      const refusal = await setAside(request, journey);
      if (refusal) {
        journey.passOver('budget');
        if (!refusal.thenPlatform) way.spent ??= refusal.error;
        return null;
      }
    }
    if (!trial || (await vault.takeTrial(key))) return prepareOwn(request, journey, key);
    journey.passOver('no_credit');
    await journey.letGo();
    return null;
  }

  /** What the request may cost at most, in its key's hard budget. @returns null: it is set aside, or there is no such budget any more */
  async function setAside(request: AiRequest, journey: Journey): Promise<{ error: AppError; thenPlatform: boolean } | null> {
    const { provider } = request;
    const model = modelOf(request);
    const price = model === null ? null : parts.price(provider.id, model);
    // Unknown is not zero: what cannot be priced cannot be held to an amount.
    if (!price) return { error: unpriced(provider, model), thenPlatform: false };
    let amount = worstCost(request, price);
    let answer: Hold | Refused | null = await parts.budgets.reserve(journey.row, amount);
    if (answer && 'leftNanoUsd' in answer && answer.leftNanoUsd > 0) {
      const counted = await countedCost(request, price);
      if (counted < amount && counted <= answer.leftNanoUsd) answer = await parts.budgets.reserve(journey.row, counted);
      amount = counted;
    }
    if (answer === null) return null;
    if ('leftNanoUsd' in answer) return { error: tooDear(request, amount, answer), thenPlatform: answer.thenPlatform };
    journey.hold(answer);
    return null;
  }

  /** The user's own key: the request goes up as it is. */
  function prepareOwn(request: AiRequest, journey: Journey, key: OwnKey): Ready {
    journey.onOwnKey(key);
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
      await journey.letGo();
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
