/** One AI request as the relay takes it, and where its answer goes. */
import type { TierName } from '@synthstack/core';
import type { Settled } from '../meter.ts';
import type { Provider, Route } from '../providers/provider.ts';
import type { Trace } from '../traces.ts';
import type { Form } from './form.ts';

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
  /** The body, where it is JSON; of a form, its text fields. */
  json: Record<string, unknown> | null;
  /** The body, where it is a form that can be read. */
  form?: Form | null;
  /** Told what its row says once that is closed. */
  settled?(row: Settled): void;
  /** Told of each call of a provider. */
  trace?: Trace | null;
}

/** Where the answer goes: an HTTP response, or an agent in process. */
export interface Outlet {
  /** Leaves with the first byte, or with `flush`. @param headers  name, value, name, value */
  head(status: number, headers: string[]): void;
  /** The head leaves now, if it has not yet. */
  flush(): void;
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

/** The client has asked for the usage event of a stream itself. */
export function asksForUsage(json: Record<string, unknown> | null): boolean {
  const options = json?.stream_options;
  return typeof options === 'object' && options !== null && 'include_usage' in options && options.include_usage === true;
}

/** The model that is asked for; null: none, as far as anybody can tell. */
export const modelOf = ({ json, route }: Pick<AiRequest, 'json' | 'route'>): string | null =>
  typeof json?.model === 'string' ? json.model : (route.defaultModel ?? null);
