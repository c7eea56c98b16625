/** Which headers pass in which direction: lists of what may, never of what may not (INTERFACE.md, "Gateway"). */
import type { KeySource } from '@synthstack/core';

type Headers = Record<string, string | string[] | undefined>;

const up = new Set(['content-type', 'accept', 'user-agent', 'anthropic-version', 'x-client-request-id']);
/**
 * On the platform's key, which all users share, they could meet through these: beta features may keep state, and a provider may give
 * the answer to one idempotency key to whoever sends it again.
 */
const upOnOwnKey = new Set([
  'openai-organization',
  'openai-project',
  'anthropic-workspace-id',
  'anthropic-beta',
  'openai-beta',
  'idempotency-key',
]);
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

/** What of a client's headers goes to the provider. */
export function upstreamHeaders(headers: Headers, source: KeySource): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (typeof value !== 'string') continue;
    if (up.has(name) || name.startsWith('x-stainless-') || (source === 'user' && upOnOwnKey.has(name))) passed[name] = value;
  }
  return passed;
}

/** What of a provider's headers comes to the client. On the platform's key nothing that names the operator's account or its limits. */
export function downstreamHeaders(headers: Headers, source: KeySource): Record<string, string | string[]> {
  const passed: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    const mayPass =
      down.has(name) || (source === 'user' && (downOnOwnKey.has(name) || /^(x-ratelimit-|anthropic-ratelimit-|openai-)/.test(name)));
    if (mayPass && value !== undefined && isSendable(value)) passed[name] = value;
  }
  return passed;
}

/** What Node would refuse to send, after which there would be no answer at all. */
const isSendable = (value: string | string[]): boolean => [value].flat().every((one) => /^[\t\x20-\x7e\x80-\xff]*$/.test(one));
