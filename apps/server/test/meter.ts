/** A meter on a database of its own, with time in the test's hands, and requests to give it. */
import { noTokens } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { createMeter, type Meter, type OpenRequest, type Settlement } from '../src/meter.ts';
import { providerOf } from '../src/providers/catalog.ts';

export function meterOn(db: Db) {
  let nowMs = 0;
  const clock = { now: () => nowMs, after: () => () => undefined };
  const meter = createMeter({ db, clock, boot: { id: 'boot', slot: 0 }, price: (provider, model) => providerOf(provider).price(model) });
  return {
    meter,
    at(ms: number) {
      nowMs = ms;
    },
  };
}

export function opening(meter: Meter, startedAt: number, more: Partial<OpenRequest> = {}): OpenRequest {
  return {
    id: meter.newId(),
    userId: 'ada',
    tier: 'premium',
    tokenId: null,
    provider: 'openai',
    route: '/v1/chat/completions',
    model: 'gpt-4o-mini',
    streamed: false,
    firstKeyId: 'key',
    keyId: 'key',
    keyPosition: 0,
    hold: null,
    source: 'user',
    fallbackReason: null,
    slotAt: null,
    startedAt,
    ...more,
  };
}

export function ending(input: number, output: number, more: Partial<Settlement> = {}): Settlement {
  const usage = { model: null, tokens: { ...noTokens, input, output, cachedInput: Math.floor(input / 2) }, total: input + output };
  return { state: 'done', status: 200, errorCode: null, usage, estimated: false, firstByteAt: 1, ...more };
}
