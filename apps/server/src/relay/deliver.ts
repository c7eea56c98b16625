/**
 * What passing an answer on needs, be it an event stream or plain bytes: it resolves when the row is settled and the answer has
 * ended; before the first byte it may reject, afterwards never, since there is no other key to try.
 */
import { type AppError, noTokens, type ProviderId } from '@synthstack/core';
import type { Settlement } from '../meter.ts';
import type { Log } from '../ports/log.ts';
import type { Exchange } from '../ports/outbound.ts';
import type { Provider, Route, Usage } from '../providers/provider.ts';
import type { Answer } from './attempt.ts';
import { estimateUsage } from './estimate.ts';
import type { Outlet } from './request.ts';

export type Delivered = Pick<Settlement, 'state' | 'errorCode' | 'usage' | 'estimated'>;

export interface Delivery {
  provider: Provider;
  route: Route;
  json: Record<string, unknown> | null;
  model: string | null;
  dropUsageEvent: boolean;
  /** An error that tells of the key's account is not the caller's to read. */
  isPlatforms: boolean;
  answer: Answer;
  exchange: Exchange;
  outlet: Outlet;
  /** Name, value, name, value. */
  headers: string[];
  /** Resolves when the request is on disk: no byte may leave before. @throws AppError `storage_unavailable` */
  onDisk(): Promise<void>;
  settle(delivered: Delivered): Promise<void>;
  /** Told where a compressed answer could not be opened to be read. */
  undecoded(provider: ProviderId): void;
  log: Log;
}

/** Moderations and token counts are free: that is known, not unknown. */
export const nothingUsed: Usage = { model: null, tokens: noTokens, total: 0 };

/** An answer that was cut, by whomever: what it told of its usage, and an estimate of the rest. */
export async function cut(delivery: Delivery, errorCode: string, told: Usage | null, text: string): Promise<Delivered> {
  const { provider, route, model, json, log } = delivery;
  if (!route.usage) return { state: 'failed', errorCode, usage: nothingUsed, estimated: false };
  try {
    const usage = await estimateUsage({ provider, model, request: json, told, text });
    return { state: 'failed', errorCode, usage, estimated: true };
  } catch (error) {
    // An estimate that fails leaves the usage unknown, never the row unsettled.
    log.error({ provider: provider.id, route: route.path }, 'The usage of a cut answer could not be estimated', error);
    return { state: 'failed', errorCode, usage: null, estimated: false };
  }
}

/** How an answer ended that its provider or a timeout broke off, for its row. */
export const brokenBy = (error: AppError): string => (error.code === 'provider_timeout' ? 'provider_timeout' : 'upstream_reset');

/** The row could not be settled, so the answer must not look complete; nor may its row, once it can be. */
export async function breakOff(delivery: Delivery, delivered: Delivered | null, error: unknown): Promise<void> {
  const { provider, route, exchange, outlet, log } = delivery;
  log.error({ provider: provider.id, route: route.path }, 'Usage could not be recorded, so the answer was broken off', error);
  exchange.abort();
  outlet.breakOff();
  if (delivered) await delivery.settle({ ...delivered, state: 'failed', errorCode: 'storage_unavailable' }).catch(() => undefined);
}
