/** Why an answer broke off, as its reader is told: a code, and what to do. Never a provider's text where it could tell of an account. */
import type { Provider } from './providers/provider.ts';
import { fields } from './providers/reading.ts';
import type { Over } from './relay/fetch.ts';

export interface Failure {
  code: string;
  detail: string;
}

/**
 * @param thrown  what the provider's SDK threw
 * @param over  how the request ended at the gateway; null: it was never sent
 */
export function failureOf(thrown: unknown, over: Over | null, { name }: Pick<Provider, 'name'>): Failure {
  if (!over) return internal;
  if (over.error) return { code: over.error.code, detail: over.error.message };
  const outcome = over.settled?.errorCode ?? '';
  if (outcome === 'refused') {
    const said = messageIn(thrown);
    return { code: 'refused', detail: `${name} refused this request${said ? `: ${said}` : '. Try another model.'}` };
  }
  const sentence = sentences[outcome];
  if (sentence) return { code: sentence[0], detail: sentence[1].replaceAll('{name}', name) };
  return { code: 'provider_error', detail: `${name} broke off its answer. Try again.` };
}

/** By what the row of the request says. */
const sentences: Readonly<Record<string, readonly [code: string, detail: string]>> = {
  bad_key: ['key_unusable', '{name} does not accept your key. Replace it in Settings > API Keys.'],
  no_credit: ['key_unusable', 'Your account at {name} has no credit. Add some there, then test the key in Settings > API Keys.'],
  not_allowed: ['not_allowed', 'Your key may not do this at {name}: look at its permissions there, or choose another model.'],
  rate_limited: ['rate_limited', '{name} takes no more requests on your key at the moment. Wait a little, then try again.'],
  down: ['provider_unreachable', '{name} has trouble at the moment. Try again, or choose a model of another provider.'],
  upstream_reset: ['provider_unreachable', 'The connection to {name} broke off. What was said until then is kept; try again.'],
  provider_timeout: ['provider_timeout', '{name} went silent. What was said until then is kept; try again.'],
  storage_unavailable: ['storage_unavailable', 'The usage of this answer could not be recorded, so it was broken off. Try again.'],
};

export const internal: Failure = { code: 'internal', detail: 'Something went wrong on this server. Please try again; its log says more.' };
export const endless: Failure = { code: 'too_large', detail: 'The answer became too long, so it was broken off here.' };
export const speechless: Failure = { code: 'no_answer', detail: 'The model ended without saying anything. Ask again, or in other words.' };

/** OpenAI's SDK has the error itself, Anthropic's the body around it. */
function messageIn(thrown: unknown): string {
  const body = fields(fields(thrown).error);
  const message = body.message ?? fields(body.error).message;
  return typeof message === 'string' ? message.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 300) : '';
}
