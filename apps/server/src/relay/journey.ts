/**
 * One request on its way: on whose key it is, which place in the limits it holds, and what the disk knows of it. Its row is
 * recorded once, says so before another key is tried, and is settled once, whatever happens.
 */
import { AppError, type FallbackReason, type KeySource } from '@synthstack/core';
import type { Limits, Place } from '../limits.ts';
import { type Meter, type OpenRequest, requestIdOf, type Settlement, startOf } from '../meter.ts';
import type { Log } from '../ports/log.ts';
import type { Route, Usage } from '../providers/provider.ts';
import { estimateUsage } from './estimate.ts';
import type { AiRequest } from './request.ts';

export interface JourneyParts {
  meter: Pick<Meter, 'record' | 'reroute' | 'settle'>;
  limits: Pick<Limits, 'take' | 'giveBack'>;
  log: Log;
}

export type Journey = ReturnType<typeof createJourney>;

/** @param unused  why the user's own key is not the first to be tried */
export function createJourney(request: AiRequest, { meter, limits, log }: JourneyParts, unused: FallbackReason | null) {
  const row = openRow(request);
  /** The row is on disk, or on its way there; null: not even asked for. */
  let recorded: Promise<void> | null = null;
  let source: KeySource | null = null;
  let place: Place | null = null;
  let reason = unused;
  let capped: number | null = null;
  /** Told or worked out already, should the settled row not reach the disk at once. */
  let usage: Usage | null = null;

  async function settle(settlement: Settlement): Promise<void> {
    usage = settlement.usage;
    if (isMetered(request.route)) request.settled?.(await meter.settle(row, settlement));
  }

  async function giveBack(): Promise<void> {
    if (place) await limits.giveBack(request.caller.userId, place);
    place = null;
    row.slotAt = null;
  }

  /** What a client that has left before the first byte may have cost all the same. */
  async function costOfLeaving(): Promise<Usage | null> {
    const { provider, route, json } = request;
    if (!route.usage) return null;
    try {
      return await estimateUsage({ provider, model: row.model, request: json, told: null, text: '' });
    } catch (error) {
      log.error({ requestId: requestIdOf(request.id) }, 'The usage of a request whose client left could not be estimated', error);
      return null;
    }
  }

  return {
    row,
    get reason() {
      return reason;
    },
    get source() {
      return source;
    },

    onOwnKey(keyId: string): void {
      source = 'user';
      Object.assign(row, { source, keyId, firstKeyId: row.firstKeyId ?? keyId, fallbackReason: null, slotAt: null });
    },

    onPlatformKey(): void {
      source = 'platform';
      Object.assign(row, { source, keyId: null, fallbackReason: reason });
    },

    /** Why the user's own key does not answer. The first reason stands. */
    passOver(why: FallbackReason): void {
      reason ??= why;
    },

    cappedAt(tokens: number | null): void {
      capped = tokens;
    },

    /** @throws AppError `limit_reached` */
    async takePlace(nowMs: number): Promise<void> {
      place = await limits.take(request.caller.userId, request.caller.tier, nowMs);
      row.slotAt = place.at;
    },
    giveBack,

    /** Before another key is tried, the row on disk says so. @throws AppError `storage_unavailable` */
    async turn(): Promise<void> {
      if (!recorded) return;
      await recorded;
      if (isMetered(request.route)) await meter.reroute(row);
    },

    /** The row begins its way to the disk, while the provider thinks. */
    record(): void {
      recorded ??= isMetered(request.route) ? meter.record(row) : Promise.resolve();
      // Whoever awaits it sees its error; until then it must not count as unhandled.
      recorded.catch(() => undefined);
    },

    /** Resolves when the row is on disk. @throws AppError `storage_unavailable` */
    onDisk: async (): Promise<void> => void (await recorded),

    settle,

    settleRefused: (status: number, errorCode: string): Promise<void> =>
      settle({ state: 'failed', status, errorCode, usage: null, estimated: false, firstByteAt: null }),

    /** Ends it with an error of ours: the row, if there is one, says so before the caller hears of it. @returns the error with our headers */
    async fail(error: AppError): Promise<AppError> {
      if (undoes.has(error.code)) await giveBack();
      const answer = error.with(this.headers());
      if (!recorded) return answer;
      try {
        await recorded;
        const left = error.code === clientLeft.code;
        const known = usage ?? (error === clientLeft ? await costOfLeaving() : null);
        const end = left ? { status: null, errorCode: 'client_closed' } : { status: error.form.http, errorCode: error.code };
        await settle({ ...end, state: 'failed', usage: known, estimated: left && known !== null, firstByteAt: null });
      } catch (storage) {
        log.error({ requestId: requestIdOf(request.id) }, 'A failed request could not be settled', storage);
      }
      return answer;
    },

    /** On whose key, and why not on the caller's own: on every answer, ours and the provider's. */
    headers(): Record<string, string> {
      return {
        ...(source && { 'x-byok-key-source': source }),
        ...(reason && { 'x-byok-fallback-reason': reason }),
        ...(capped !== null && { 'x-byok-output-cap': String(capped) }),
        ...place?.headers,
      };
    },
  };
}

/** Nobody reads this error: the client has left while a provider worked on its answer. */
export const clientLeft = new AppError('request_timeout', 'The client left before it was answered.');

/** Trouble that is not the caller's gives the place in the limits back. */
const undoes: ReadonlySet<string> = new Set([
  'provider_unreachable',
  'provider_timeout',
  'storage_unavailable',
  'platform_unavailable',
  'internal',
]);

/** Looking things up at the provider (models, stored responses) is no AI request and leaves no row. */
const isMetered = (route: Route): boolean => route.method === 'POST' && !route.path.includes('{id}');

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
    startedAt: startOf(id),
  };
}
