/** What the caller hears when the platform's key does not answer: never the provider's words, which are about the operator's account. */
import { AppError } from '@synthstack/core';
import type { Provider } from '../providers/provider.ts';
import type { Headers, Refusal } from './attempt.ts';

/**
 * @param refusal  null: the key could not even be opened
 * @param byok  the caller's plan includes own keys, as far as is known
 */
export function platformFailure(
  provider: Pick<Provider, 'name'>,
  refusal: Pick<Refusal, 'outcome' | 'status' | 'headers'> | null,
  nowMs: number,
  byok = true,
): AppError {
  const own = byok ? 'add your own key in Settings > API Keys' : 'change to a plan with own keys and add yours';
  switch (refusal?.outcome) {
    case 'rate_limited':
      return new AppError(
        'platform_busy',
        `The platform's ${provider.name} key is at the provider's own limit. Try again shortly, or ${own}.`,
        { retryAfterMs: retryAfterMs(refusal.headers, nowMs) },
      );
    case 'down': {
      const code = refusal.status === 408 || refusal.status === 504 ? 'provider_timeout' : 'provider_unreachable';
      return new AppError(code, `${provider.name} has trouble at the moment (status ${refusal.status}). Try again shortly.`);
    }
    default:
      return new AppError(
        'platform_unavailable',
        `The platform's ${provider.name} key does not work at the moment; the administrators have been told. Try again later, or ${own}.`,
      );
  }
}

/** Long enough for a provider to recover a little, short enough for an SDK that sleeps as long as it is told. */
const unsaidMs = 10_000;

/** Whole seconds or a date, as providers send it. */
function retryAfterMs(headers: Headers, nowMs: number): number {
  const given = String(headers['retry-after'] ?? '');
  const ms = /^\d{1,9}$/.test(given) ? Number(given) * 1_000 : Date.parse(given) - nowMs;
  return Number.isFinite(ms) && ms > 0 ? ms : unsaidMs;
}
