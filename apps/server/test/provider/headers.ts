/** The headers that the real APIs send around every answer, cookies and edge included, so that tests can see what is dropped. */
import type { Answer, Plan, ProviderId } from './script.ts';

const organization = '6f1c4f5e-0000-4000-8000-000000000000';
const cookie = (domain: string) =>
  `__cf_bm=9Zk3.demo-1793491200-1.0.1.1-cookie; path=/; HttpOnly; Secure; SameSite=None; domain=.${domain}`;

const edge = (domain: string) => [
  'strict-transport-security',
  'max-age=31536000; includeSubDomains; preload',
  'x-content-type-options',
  'nosniff',
  'cf-cache-status',
  'DYNAMIC',
  'cf-ray',
  '9a1b2c3d4e5f6789-FRA',
  'alt-svc',
  'h3=":443"; ma=86400',
  'server',
  'cloudflare',
  'set-cookie',
  cookie(domain),
  'set-cookie',
  `_cfuvid=demo.uvid-1793491200-0.0.1.1-604800000; path=/; domain=.${domain}; HttpOnly; Secure; SameSite=None`,
];

/** Sent with everything, and sent only to a credential that was accepted. */
const always: Record<ProviderId, string[]> = {
  openai: [...edge('api.openai.com'), 'access-control-expose-headers', 'X-Request-ID', 'openai-version', '2020-10-01'],
  anthropic: [...edge('api.anthropic.com'), 'via', '1.1 google', 'x-robots-tag', 'none', 'x-envoy-upstream-service-time', '412'],
};
const accepted: Record<ProviderId, string[]> = {
  openai: ['openai-organization', 'org-byokdemo', 'openai-processing-ms', '412', 'openai-project', 'proj_Q2hsb3JvZm9ybQ'],
  anthropic: ['anthropic-organization-id', organization],
};
const limits: Record<ProviderId, string[]> = {
  openai: [
    'x-ratelimit-limit-requests',
    '10000',
    'x-ratelimit-limit-tokens',
    '200000',
    'x-ratelimit-remaining-requests',
    '9999',
    'x-ratelimit-remaining-tokens',
    '199981',
    'x-ratelimit-reset-requests',
    '8.64s',
    'x-ratelimit-reset-tokens',
    '5ms',
  ],
  anthropic: ['requests', 'tokens', 'input-tokens', 'output-tokens'].flatMap((what) => {
    const name = `anthropic-ratelimit-${what}`;
    const limit = what === 'requests' ? '4000' : '400000';
    return [`${name}-limit`, limit, `${name}-remaining`, what === 'requests' ? '3999' : limit, `${name}-reset`, '2026-12-01T00:00:00Z'];
  }),
};

const full = (id: ProviderId) => [...always[id], ...accepted[id], ...limits[id]];
const good: Record<ProviderId, string[]> = { openai: full('openai'), anthropic: full('anthropic') };
const known: Record<ProviderId, string[]> = {
  openai: [...always.openai, ...accepted.openai],
  anthropic: [...always.anthropic, ...accepted.anthropic],
};
const requestIdName: Record<ProviderId, string> = { openai: 'x-request-id', anthropic: 'request-id' };

export function headersOf(provider: ProviderId, plan: Plan, how: Answer, requestId: string): string[] {
  const base = plan.status < 300 || plan.status === 429 ? good[provider] : plan.status === 401 ? always[provider] : known[provider];
  const list = [...base, 'content-type', plan.contentType, requestIdName[provider], requestId];
  if (plan.events) list.push('cache-control', 'no-cache');
  if (!plan.headers && !how.headers) return list;
  const replaced = new Map<string, string>();
  for (const [name, value] of Object.entries({ ...plan.headers, ...how.headers })) replaced.set(name.toLowerCase(), value);
  const merged: string[] = [];
  for (let i = 0; i < list.length; i += 2) if (!replaced.has(list[i] ?? '')) merged.push(list[i] ?? '', list[i + 1] ?? '');
  for (const [name, value] of replaced) merged.push(name, value);
  return merged;
}
