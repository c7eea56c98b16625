/** Which headers pass in which direction: lists of what may, never of what may not (INTERFACE.md, "Gateway"). */
import type { KeySource } from '@synthstack/core';

type Headers = Record<string, string | string[] | undefined>;

const up = new Set(['content-type', 'accept', 'user-agent', 'anthropic-version', 'x-client-request-id']);
/** Comma-separated. On the platform's key only those pass that the operator has named. */
const betas = ['anthropic-beta', 'openai-beta'];
/**
 * On the platform's key, which all users share, they could meet through these: beta features may keep state, and a provider may give
 * the answer to one idempotency key to whoever sends it again.
 */
const upOnOwnKey = new Set(['openai-organization', 'openai-project', 'anthropic-workspace-id', 'idempotency-key', ...betas]);
const down = new Set([
  'content-type',
  'content-encoding',
  'content-disposition',
  'cache-control',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
]);
const downOnOwnKey = new Set(['request-id', 'x-request-id', 'anthropic-organization-id', 'anthropic-workspace-id']);

/**
 * What of a client's headers goes to the provider.
 * @param platformBetas  the beta features that may be used on the platform's key
 */
export function upstreamHeaders(headers: Headers, source: KeySource, platformBetas: readonly string[]): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (typeof value !== 'string') continue;
    if (up.has(name) || name.startsWith('x-stainless-') || (source === 'user' && upOnOwnKey.has(name))) passed[name] = value;
    if (source === 'platform' && betas.includes(name)) {
      const named = namedOf(value, platformBetas);
      if (named !== '') passed[name] = named;
    }
  }
  return passed;
}

function namedOf(value: string, platformBetas: readonly string[]): string {
  if (platformBetas.length === 0) return '';
  const given = value.split(',').map((one) => one.trim());
  return given.filter((one) => platformBetas.includes(one)).join(',');
}

/**
 * Adds to `sent` (name, value, name, value) what of a provider's headers comes to the client. On the platform's key nothing that names
 * the operator's account or its limits.
 */
export function passDown(sent: string[], headers: Headers, source: KeySource): string[] {
  const passing = source === 'user' ? 'own' : 'any';
  for (const name in headers) {
    const passes = known.get(name) ?? learn(name);
    if (passes !== 'any' && passes !== passing) continue;
    const value = headers[name];
    if (typeof value === 'string') {
      if (isSendable(value)) sent.push(name, value);
    } else if (value?.every(isSendable)) for (const one of value) sent.push(name, one);
  }
  return sent;
}

/** On which key a provider's header comes down. */
type Passes = 'any' | 'own' | 'none';
/** A provider sends the same few names all the time; one that makes up new ones shall not fill the memory. */
const known = new Map<string, Passes>();
const maxKnown = 1_000;

function learn(name: string): Passes {
  if (known.size >= maxKnown) known.clear();
  const passes = down.has(name) ? 'any' : downOnOwnKey.has(name) || prefixes.test(name) ? 'own' : 'none';
  known.set(name, passes);
  return passes;
}
const prefixes = /^(x-ratelimit-|anthropic-ratelimit-|openai-)/;

/** What Node would refuse to send, after which there would be no answer at all. */
const isSendable = (value: string): boolean => !unsendable.test(value);
const unsendable = /[^\t\x20-\x7e\x80-\xff]/;
