/**
 * One request on its way: on whose key it is, which place in the limits it holds, and what the disk knows of it. Its row is
 * recorded once, says so before another key is tried, and is settled once, whatever happens.
 */
import { AppError, type FallbackReason, type KeySource } from '@synthstack/core';
import type { Budgets, Hold } from '../budgets.ts';
import type { FallbackCap } from '../fallback-cap.ts';
import type { Limits, Place } from '../limits.ts';
import { type Meter, modelNameOf, type OpenRequest, requestIdOf, type Settlement, startOf } from '../meter.ts';
import type { Recording } from '../meter-openings.ts';
import type { Log } from '../ports/log.ts';
import type { Route, Usage } from '../providers/provider.ts';
import type { StoredKey } from '../vault-rows.ts';
import { estimateUsage } from './estimate.ts';
import type { AiRequest } from './request.ts';

export interface JourneyParts {
  meter: Pick<Meter, 'begin' | 'countUse' | 'reroute' | 'settle'>;
  limits: Pick<Limits, 'take' | 'giveBack'>;
  budgets: Pick<Budgets, 'release'>;
  fallbackCap: FallbackCap;
  log: Log;
}

/** One a request, so a class: functions of its own for each would cost as much as the answer. */
export class Journey {
  readonly row: OpenRequest;
  /** Why the caller's own key does not answer; null: it does, or there is none. */
  reason: FallbackReason | null;
  /** Whose key is being tried; null: none yet. */
  source: KeySource | null = null;
  readonly #request: AiRequest;
  readonly #parts: JourneyParts;
  /** The row is on disk, or on its way there; null: not even asked for, or there is none. */
  #recording: Recording | null = null;
  #place: Place | null = null;
  /** The place among those that the caller allows in place of their own key; null: none is held. */
  #fallbackAt: number | null = null;
  #capped: number | null = null;
  /** Told or worked out already, should the settled row not reach the disk at once. */
  #usage: Usage | null = null;

  /** @param unused  why the user's own key is not the first to be tried */
  constructor(request: AiRequest, parts: JourneyParts, unused: FallbackReason | null) {
    this.row = openRow(request);
    this.reason = unused;
    this.#request = request;
    this.#parts = parts;
  }

  onOwnKey({ id, position }: Pick<StoredKey, 'id' | 'position'>): void {
    const { row } = this;
    this.source = 'user';
    row.source = 'user';
    row.keyId = id;
    row.keyPosition = position;
    row.firstKeyId ??= id;
    row.fallbackReason = null;
    row.slotAt = null;
  }

  onPlatformKey(): void {
    const { row } = this;
    this.source = 'platform';
    row.source = 'platform';
    row.keyId = null;
    row.fallbackReason = this.reason;
  }

  /** Why the user's own key does not answer. The first reason stands. */
  passOver(why: FallbackReason): void {
    this.reason ??= why;
  }

  cappedAt(tokens: number | null): void {
    this.#capped = tokens;
  }

  /** What the present attempt may cost at most is set aside: in the key's budget, until the row is closed or `letGo`. */
  hold(hold: Hold): void {
    this.row.hold = hold;
  }

  /** The attempt cost nothing, and what comes next is not this key's. @throws AppError `storage_unavailable`: it is held until the row is closed */
  async letGo(): Promise<void> {
    if (this.row.hold === null) return;
    await this.#parts.budgets.release(this.row);
    this.row.hold = null;
  }

  /** @throws AppError `limit_reached`; `key_unusable`: the caller allows nothing in place of their own key */
  async takePlace(nowMs: number): Promise<void> {
    const { userId, tier } = this.#request.caller;
    if (this.reason !== null) this.#fallbackAt = await this.#parts.fallbackCap.take(userId, this.#request.provider.name, nowMs);
    try {
      this.#place = await this.#parts.limits.take(userId, tier, nowMs);
    } catch (error) {
      await this.giveBack();
      throw error;
    }
    this.row.slotAt = this.#place.at;
  }

  async giveBack(): Promise<void> {
    const { userId } = this.#request.caller;
    if (this.#place) await this.#parts.limits.giveBack(userId, this.#place);
    if (this.#fallbackAt !== null) await this.#parts.fallbackCap.giveBack(userId, this.#fallbackAt);
    this.#place = null;
    this.#fallbackAt = null;
    this.row.slotAt = null;
  }

  /** The row on disk must say first what is about to be tried. */
  get mustTurn(): boolean {
    return this.#recording !== null || this.source === 'platform';
  }

  /**
   * Before the platform's key or a further key is tried, the row on disk says so: its place in the limits must be known after a kill, also
   * if the provider has been asked and nobody could be told. @throws AppError `storage_unavailable`
   */
  async turn(): Promise<void> {
    const recording = this.#recording;
    if (!recording) this.record();
    await this.onDisk();
    if (recording) await this.#parts.meter.reroute(this.row);
  }

  /** The row begins its way to the disk, while the provider thinks. */
  record(): void {
    if (isMetered(this.#request.route)) this.#recording ??= this.#parts.meter.begin(this.row);
    else if (this.row.keyId !== null) this.#countUse();
  }

  /** Nobody waits for it: what is looked up at the provider keeps no promise but that of its own count. */
  #countUse(): void {
    this.#parts.meter.countUse(this.row).catch((error: unknown) => {
      this.#parts.log.error({ requestId: requestIdOf(this.row.id) }, 'The use of a key could not be counted', error);
    });
  }

  /** Resolves when the row is on disk. @throws AppError `storage_unavailable` */
  async onDisk(): Promise<void> {
    await this.#recording?.onDisk();
  }

  /** Closes the row, whether or not it has reached the disk yet: then both are there at once. @throws AppError `storage_unavailable` */
  async settle(settlement: Settlement): Promise<void> {
    this.#usage = settlement.usage;
    const { route, settled } = this.#request;
    if (!isMetered(route)) return;
    try {
      const row = await this.#parts.meter.settle(this.row, settlement);
      settled?.(row);
    } catch (error) {
      // Where the row was not even opened, that is why.
      await this.#recording?.onDisk();
      throw error;
    }
  }

  settleRefused(status: number, errorCode: string): Promise<void> {
    return this.settle({ state: 'failed', status, errorCode, usage: null, estimated: false, firstByteAt: null });
  }

  /** Ends it with an error of ours: the row, if there is one, says so before the caller hears of it. @returns the error with our headers */
  async fail(error: AppError): Promise<AppError> {
    if (undoes.has(error.code)) await this.giveBack();
    const answer = error.with(this.#headersOfError());
    try {
      // Nothing was sent: there is no row that would say so.
      if (!this.#recording) {
        await this.letGo();
        return answer;
      }
      const left = error.code === clientLeft.code;
      const known = this.#usage ?? (error === clientLeft ? await this.#costOfLeaving() : null);
      const end = left ? { status: null, errorCode: 'client_closed' } : { status: error.form.http, errorCode: error.code };
      await this.settle({ ...end, state: 'failed', usage: known, estimated: left && known !== null, firstByteAt: null });
    } catch (storage) {
      this.#parts.log.error({ requestId: requestIdOf(this.#request.id) }, 'A failed request could not be settled', storage);
    }
    return answer;
  }

  /** On whose key, and why not on the caller's own: on every answer, ours and the provider's. Name, value, name, value. */
  headers(): string[] {
    const headers: string[] = [];
    if (this.source) headers.push('x-byok-key-source', this.source);
    if (this.reason) headers.push('x-byok-fallback-reason', this.reason);
    if (this.#capped !== null) headers.push('x-byok-output-cap', String(this.#capped));
    if (this.#place) headers.push(...Object.entries(this.#place.headers).flat());
    return headers;
  }

  /** The same, as errors carry them. */
  #headersOfError(): Record<string, string> {
    const headers = this.headers();
    return Object.fromEntries(headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1] ?? '']] : [])));
  }

  /** What a client that has left before the first byte may have cost all the same. */
  async #costOfLeaving(): Promise<Usage | null> {
    const { id, provider, route, json } = this.#request;
    if (!route.usage) return null;
    try {
      return await estimateUsage({ provider, model: this.row.model, request: json, told: null, text: '' });
    } catch (error) {
      this.#parts.log.error({ requestId: requestIdOf(id) }, 'The usage of a request whose client left could not be estimated', error);
      return null;
    }
  }
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
    model: typeof json?.model === 'string' ? modelNameOf(json.model) : null,
    streamed: json?.stream === true,
    firstKeyId: null,
    keyId: null,
    keyPosition: 0,
    hold: null,
    source: 'platform',
    fallbackReason: null,
    slotAt: null,
    startedAt: startOf(id),
  };
}
