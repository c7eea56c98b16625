/** Every answer that a provider can give to a key, on the user's and on the platform's: DESIGN.md, "Which key pays". */
import type { ProviderId } from '@synthstack/core';
import { testDialect } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../../test/app.ts';
import { type Asking, ask, askings, codeIn, pathOf } from '../../test/asking.ts';
import { findPlanted } from '../../test/planted.ts';
import { anthropicStates, openaiStates, type Row, sharedStates } from '../../test/provider/states.ts';
import { type StateName, states } from '../../test/provider.ts';

/** What a state says, by hand; what is not named here is about the request, and told by its status alone. */
const badKey = ['invalid_api_key', 'account_deactivated', 'authentication_error', 'revoked'];
const noCredit = [
  ...['insufficient_quota', 'insufficient_quota_by_type', 'credit_balance_exhausted', 'organization_spend_limit_exceeded'],
  ...[
    'project_spend_limit_exceeded',
    'organization_usage_limit_exceeded',
    'billing_not_active',
    'billing_hard_limit_reached',
    'payment_required',
  ],
  ...[
    'credit_balance_too_low',
    'usage_limit_reached',
    'workspace_usage_limit_reached',
    'billing_error',
    'linked_organization_spend_limit_reached',
  ],
  ...['enforced_spend_limit_reached', 'contract_spend_limit_reached', 'no_credit', 'unpaid'],
];

function statusOf(provider: ProviderId, state: StateName): number {
  const shared: Record<string, Row | { openai: string; anthropic: string }> = sharedStates;
  const own: Record<string, Row> = provider === 'openai' ? openaiStates : anthropicStates;
  const row = shared[state] ?? own[state];
  if (row && 'openai' in row) return own[row[provider]]?.status ?? 0;
  return row?.status ?? 0;
}

/** All of them; of a request for a stream, whose refusals are the same plain answers, and on the slower database, one of each kind. */
const statesOf = ({ provider, stream }: Asking): readonly StateName[] =>
  stream || testDialect === 'postgres'
    ? ['revoked', 'no_credit', 'forbidden', 'no_model', 'invalid', 'rate_limited', 'timed_out', 'down', 'overloaded', 'redirect_307']
    : [...states[provider], ...states.shared];
const isRedirect = (status: number) => status >= 300 && status < 400;

/** What the platform's caller hears, by DESIGN.md's second table: status, code, and whether the place in the limits is used. */
function platformOutcome(provider: ProviderId, state: StateName): { status: number; code: string | null; used: number } {
  const status = statusOf(provider, state);
  if (badKey.includes(state) || noCredit.includes(state) || [401, 402, 403].includes(status))
    return { status: 503, code: 'platform_unavailable', used: 0 };
  if (status === 429) return { status: 429, code: 'platform_busy', used: 0 };
  if (status === 408 || status === 504) return { status: 504, code: 'provider_timeout', used: 0 };
  if (status >= 500 || isRedirect(status)) return { status: 502, code: 'provider_unreachable', used: 0 };
  return { status, code: null, used: 1 };
}

const rowsOf = async (app: TestApp, who: Person) => (await app.requests()).filter((row) => row.userId === who.id);
const kindsOf = async (app: TestApp, who: string) => (await app.app.notices.list(who)).map((notice) => notice.kind).sort();
const usedBy = async (app: TestApp, who: Person) => (await app.app.limits.view(who.id, 'premium')).day.used;

async function said(res: Response): Promise<string> {
  return `${res.status} ${JSON.stringify([...res.headers])} ${await res.clone().text()}`;
}

function expectNothingPlanted(app: TestApp, secrets: (string | undefined)[], answers: string[]): void {
  const written = Buffer.concat([app.everythingWritten(), Buffer.from(answers.join('\n'))]);
  for (const secret of secrets) expect(written.includes(secret ?? '?')).toBe(false);
  // Every piece of it in every form takes seconds: of one, and in what the answers and the log say.
  const control = 'sk-control-8f3a9c21';
  const spoken = Buffer.from([...answers, ...app.lines, control].join(' '));
  expect(findPlanted(secrets[0] ?? '', spoken)).toEqual([]);
  expect(findPlanted(control, spoken).length).toBeGreaterThan(0);
}

for (const asking of askings) {
  const { name, provider } = asking;

  test(`${name}: on the user's key, with a platform key behind it, each state has its outcome`, async () => {
    await using app = await testApp({ platform: { [provider]: 'good' } });
    const secrets: (string | undefined)[] = [app.platformSecrets[provider]];
    const answers: string[] = [];
    for (const state of statesOf(asking)) {
      const person = await app.person({ keys: { [provider]: state } });
      const res = await ask(app, person, asking);
      answers.push(await said(res));
      secrets.push(person.secrets[provider], person.token);
      const rows = await rowsOf(app, person);
      const [key] = await app.keysOf(person);
      const outcome = {
        state,
        status: res.status,
        source: res.headers.get('x-byok-key-source'),
        reason: res.headers.get('x-byok-fallback-reason'),
        key: key?.status,
        isValid: key?.isValid,
        totalRequests: key?.totalRequests,
        notices: await kindsOf(app, person.id),
        used: await usedBy(app, person),
        rows: rows.map((row) => [row.state, row.status, row.source, row.fallbackReason, row.firstKeyId === key?.id, row.keyId === key?.id]),
      };
      const falls = badKey.includes(state) ? 'bad_key' : noCredit.includes(state) ? 'out_of_credit' : null;
      if (falls) {
        const status = falls === 'bad_key' ? 'invalid' : 'no_credit';
        expect(outcome).toEqual({
          state,
          status: 200,
          source: 'platform',
          reason: falls,
          key: status,
          isValid: false,
          totalRequests: 0,
          notices: ['fallback_used', falls === 'bad_key' ? 'key_invalid' : 'key_no_credit'],
          used: 1,
          rows: [['done', 200, 'platform', falls, true, false]],
        });
      } else {
        const status = isRedirect(statusOf(provider, state)) ? 502 : statusOf(provider, state);
        expect(outcome).toEqual({
          state,
          status,
          source: 'user',
          reason: null,
          key: 'valid',
          isValid: true,
          totalRequests: 0,
          notices: [],
          used: 0,
          rows: [['failed', status, 'user', null, true, true]],
        });
      }
    }
    expectNothingPlanted(app, secrets, answers);
  });

  test(`${name}: without a platform key, the user gets the provider's own answer, and the key's status is the same`, async () => {
    await using app = await testApp();
    const secrets: (string | undefined)[] = [];
    const answers: string[] = [];
    for (const state of statesOf(asking)) {
      const person = await app.person({ keys: { [provider]: state } });
      const res = await ask(app, person, asking);
      answers.push(await said(res));
      secrets.push(person.secrets[provider], person.token);
      const [key] = await app.keysOf(person);
      const status = statusOf(provider, state);
      expect({ state, status: res.status }).toEqual({ state, status: isRedirect(status) ? 502 : status });
      expect(key?.status).toBe(badKey.includes(state) ? 'invalid' : noCredit.includes(state) ? 'no_credit' : 'valid');
      expect(await rowsOf(app, person)).toMatchObject([
        { state: 'failed', source: 'user', status: res.status, totalTokens: null, costNanoUsd: null },
      ]);
      const upstream = app.provider.requests.at(-1);
      if (isRedirect(status)) expect(res.headers.get('location')).toBeNull();
      else {
        expect(res.headers.get(provider === 'openai' ? 'x-request-id' : 'request-id')).toMatch(/^req_/);
        expect(await res.text()).not.toContain('key_unusable');
        const wanted = Object.entries(statesHeaders(provider, state)).filter(([header]) =>
          /^(retry-after|x-should-retry|x-ratelimit|anthropic-ratelimit)/.test(header),
        );
        for (const [header, value] of wanted) expect({ state, header, value: res.headers.get(header) }).toEqual({ state, header, value });
      }
      expect(upstream?.path).toBe(pathOf(provider));
    }
    expectNothingPlanted(app, secrets, answers);
  });

  test(`${name}: on the platform's key, each state has its outcome, and nothing of the operator's account comes out`, async () => {
    await using app = await testApp({ platform: { [provider]: 'good' } });
    const platformSecret = app.platformSecrets[provider] ?? '';
    const secrets: (string | undefined)[] = [platformSecret];
    const answers: string[] = [];
    for (const state of statesOf(asking)) {
      app.provider.key(platformSecret, state, provider);
      const person = await app.person();
      const res = await ask(app, person, asking);
      const text = await said(res);
      const wanted = platformOutcome(provider, state);
      const rows = await rowsOf(app, person);
      expect({
        state,
        status: res.status,
        code: wanted.code && codeIn(provider, await res.clone().text()),
        used: await usedBy(app, person),
        source: res.headers.get('x-byok-key-source'),
        rows: rows.map((row) => [row.state, row.status, row.source, row.slotAt !== null]),
      }).toEqual({ state, ...wanted, source: 'platform', rows: [['failed', wanted.status, 'platform', wanted.used === 1]] });
      if (wanted.code) expect(text).not.toMatch(/org-byokdemo|proj_Q2hsb3JvZm9ybQ|6f1c4f5e/);
      expect(
        [...res.headers.keys()].filter((header) => /^(openai-|anthropic-organization|x-ratelimit-.*tokens|set-cookie)/.test(header)),
      ).toEqual([]);
      expect(await kindsOf(app, person.id)).toEqual([]);
      const statusGiven = statusOf(provider, state);
      if (wanted.code === 'platform_busy') {
        const given = statesHeaders(provider, state)['retry-after'] ?? '10';
        expect(res.headers.get('retry-after')).toBe(given);
      }
      if (wanted.code === 'platform_unavailable') {
        const reason = badKey.includes(state) ? 'bad_key' : noCredit.includes(state) ? 'no_credit' : 'not_allowed';
        const told = (await app.app.notices.list('administrators')).map((notice) => notice.data.reason);
        expect({ state, statusGiven, told: told.includes(reason) }).toEqual({ state, statusGiven, told: true });
        expect(res.headers.get('x-should-retry')).toBe('false');
      }
      answers.push(text);
    }
    expectNothingPlanted(app, secrets, answers);
  });
}

function statesHeaders(provider: ProviderId, state: StateName): Record<string, string> {
  const shared: Record<string, Row | { openai: string; anthropic: string }> = sharedStates;
  const own: Record<string, Row> = provider === 'openai' ? openaiStates : anthropicStates;
  const row = shared[state] ?? own[state];
  const found = row && 'openai' in row ? own[row[provider]] : row;
  return { ...(found && 'headers' in found ? found.headers : {}) };
}
