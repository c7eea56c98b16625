/**
 * Who may call what: one line for every route that the process answers, written by hand. A route without its line fails, and
 * so does a line without a route.
 */
import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../test/app.ts';
import { ask } from '../test/chat.ts';
import { doors } from './api/rest.ts';
import { procedures } from './api/router.ts';
import { authRoutes } from './auth.ts';
import { gatewayRoutes } from './gateway-routes.ts';
import { ownRoutes } from './http.ts';

/** `community` to `administrator` come with a token of both scopes; what follows is the premium user again, otherwise. */
const roles = [
  'anonymous',
  'community',
  'premium',
  'lapsed',
  'administrator',
  'gateway token',
  'manage token',
  'JWT',
  'cookie',
  'disabled',
  'revoked token',
  'forged JWT',
] as const;
/** An administrator with a JWT: for what a token does not open. Nowhere else are they more than the administrator above. */
const inPerson = 'administrator in person' as const;
type Role = (typeof roles)[number] | typeof inPerson;
type Refusal = readonly [status: number, code: string];
type Rule = Partial<Record<Role, Refusal>>;

const nobody: Refusal = [401, 'unauthenticated'];
const forbidden: Refusal = [403, 'forbidden'];
const bad: Rule = { disabled: nobody, 'revoked token': nobody, 'forged JWT': nobody };

/** Who is refused, and how; everyone else may. */
const rules = {
  anyone: {},
  user: { ...bad, anonymous: nobody, 'gateway token': forbidden },
  person: {
    ...bad,
    ...{ anonymous: nobody, 'gateway token': forbidden, 'manage token': forbidden },
    ...{ premium: forbidden, community: forbidden, lapsed: forbidden, administrator: forbidden },
  },
  byok: { ...bad, anonymous: nobody, 'gateway token': forbidden, community: [403, 'plan_required'], lapsed: [403, 'plan_required'] },
  gateway: { ...bad, anonymous: nobody, cookie: nobody, 'manage token': forbidden },
  /** A session in a browser, and nothing else. */
  browser: Object.fromEntries(roles.filter((role) => role !== 'cookie').map((role) => [role, nobody])),
  /** The same of ours: who is somebody, but comes otherwise, is told so. */
  page: {
    ...Object.fromEntries(roles.filter((role) => role !== 'cookie').map((role) => [role, forbidden])),
    ...{ ...bad, anonymous: nobody },
  },
  admin: {
    ...Object.fromEntries(roles.filter((role) => role !== 'administrator').map((role) => [role, forbidden])),
    ...{ ...bad, anonymous: nobody },
  },
  adminInPerson: {
    ...Object.fromEntries(roles.map((role) => [role, forbidden])),
    ...{ ...bad, anonymous: nobody },
  },
  /** It is not there, whoever asks. */
  none: Object.fromEntries(roles.map((role) => [role, [404, 'not_found']])),
} satisfies Record<string, Rule>;

/** What belongs to nobody who asks: whoever may, may with each of them. */
const everybodys = ['a user', 'announcement'] as const;
type Everybodys = (typeof everybodys)[number];
const isEverybodys = (id: Line['id']): id is Everybodys => everybodys.some((one) => one === id);

interface Line {
  who: keyof typeof rules;
  /** What those who may get. */
  ok: number;
  json?: unknown;
  query?: string;
  headers?: Record<string, string>;
  /** What its id is of: tried with one's own, another user's and a random one. */
  id?:
    | 'key'
    | 'former key'
    | 'platform key'
    | 'token'
    | 'session'
    | 'conversation'
    | 'answer'
    | 'notice'
    | 'passkey'
    | "administrators' notice"
    | Everybodys;
  /** Asks a provider about a key, which is limited by the minute. */
  checks?: true;
}

const ownOrigin = 'http://byok.test';
const credentials = { email: 'nobody@example.com', password: 'not the password' };
const range = 'from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z';
const typed = { provider: 'openai', apiKey: 'sk-proj-Vb3kQ9xT7mZ2pL5wR8nC4jH6' };
const chat = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] };
const message = { model: 'claude-haiku-4-5', max_tokens: 5, messages: chat.messages };

const question = { content: 'hello' };
const asking = { agent: 'general', ...question };
const agent = {
  ...{ name: 'Lawyer', description: 'Reads contracts.', prompt: 'You read contracts.', starters: [], temperature: null, inAllPlans: true },
  models: { openai: 'gpt-4o-mini', anthropic: 'claude-haiku-4-5' },
};

const told = { kind: 'info', english: 'We move house on Sunday.' };
const newUser = (name: string) => ({ email: `${name}@example.com`, password: 'correct horse battery' });
const newPlan = { tier: 'premium', until: null, planVersion: 'none' };
const price = { provider: 'openai', model: 'gpt-next', inputUsdPerMillion: 1, outputUsdPerMillion: 2 };

/** Where a password would be looked at, nothing is sent: a 400 shows as well that the door is open, and costs no hash. */
const table: Readonly<Record<string, Line>> = {
  'POST /api/v1/auth/token': { who: 'anyone', ok: 400, json: {} },
  'GET /api/v1/api-keys': { who: 'user', ok: 200 },
  'POST /api/v1/api-keys': { who: 'byok', ok: 201, json: typed, checks: true },
  'POST /api/v1/api-keys/check': { who: 'byok', ok: 200, json: typed, checks: true },
  'PATCH /api/v1/api-keys/{id}': { who: 'user', ok: 200, json: { fallback: false }, id: 'key' },
  'POST /api/v1/api-keys/{id}/test': { who: 'user', ok: 200, id: 'key', checks: true },
  'DELETE /api/v1/api-keys/{id}': { who: 'user', ok: 204, id: 'key' },
  'POST /api/v1/api-keys/former/{id}/restore': { who: 'byok', ok: 200, id: 'former key', checks: true },
  'DELETE /api/v1/api-keys/former/{id}': { who: 'user', ok: 204, id: 'former key' },
  'GET /api/v1/api-keys/uses': { who: 'user', ok: 200 },
  'GET /api/v1/api-keys/history': { who: 'user', ok: 200 },
  'GET /api/v1/api-keys/providers': { who: 'user', ok: 200 },
  'PATCH /api/v1/api-keys/{id}/budget': { who: 'user', ok: 200, json: { limitUsd: 5, hard: true }, id: 'key' },
  'DELETE /api/v1/api-keys/{id}/budget': { who: 'user', ok: 204, id: 'key' },
  'GET /api/v1/api-keys/fallback-cap': { who: 'user', ok: 200 },
  'PATCH /api/v1/api-keys/fallback-cap': { who: 'user', ok: 200, json: { perDay: 5 } },
  'GET /api/v1/api-keys/usage': { who: 'user', ok: 200 },
  'GET /api/v1/api-keys/usage/requests': { who: 'user', ok: 200, query: range },
  'GET /api/v1/limits': { who: 'user', ok: 200 },
  'GET /api/v1/tokens': { who: 'user', ok: 200 },
  'POST /api/v1/tokens': { who: 'person', ok: 201, json: { name: 'new' } },
  'DELETE /api/v1/tokens/{id}': { who: 'user', ok: 204, id: 'token' },
  'GET /api/v1/agents': { who: 'user', ok: 200 },
  'POST /api/v1/agents/{slug}/messages': { who: 'user', ok: 200, json: question },
  'GET /api/v1/conversations': { who: 'user', ok: 200 },
  'GET /api/v1/conversations/{id}': { who: 'user', ok: 200, id: 'conversation' },
  'GET /api/v1/conversations/{id}/export': { who: 'user', ok: 200, id: 'conversation' },
  'PATCH /api/v1/conversations/{id}': { who: 'user', ok: 200, json: { title: 'new' }, id: 'conversation' },
  'DELETE /api/v1/conversations/{id}': { who: 'user', ok: 204, id: 'conversation' },
  'DELETE /api/v1/conversations': { who: 'user', ok: 204 },
  'GET /api/v1/notices': { who: 'user', ok: 200 },
  'GET /api/v1/notices/unread': { who: 'user', ok: 200 },
  'POST /api/v1/notices/{id}/read': { who: 'user', ok: 204, id: 'notice' },
  'POST /api/v1/notices/read': { who: 'user', ok: 204 },
  'DELETE /api/v1/notices/{id}': { who: 'user', ok: 204, id: 'notice' },
  'GET /api/v1/notices/preferences': { who: 'user', ok: 200 },
  'PATCH /api/v1/notices/preferences/{kind}': { who: 'person', ok: 200, json: { page: true } },
  'GET /api/v1/admin/notices': { who: 'admin', ok: 200 },
  'POST /api/v1/admin/notices/{id}/read': { who: 'admin', ok: 204, id: "administrators' notice" },
  'POST /api/v1/admin/notices/read': { who: 'admin', ok: 204 },
  'DELETE /api/v1/admin/notices/{id}': { who: 'admin', ok: 204, id: "administrators' notice" },
  'GET /api/v1/admin/agents': { who: 'admin', ok: 200 },
  'POST /api/v1/admin/agents': { who: 'admin', ok: 201, json: { slug: 'lawyer', ...agent } },
  'PATCH /api/v1/admin/agents/{slug}': { who: 'admin', ok: 200, json: { version: 0, ...agent } },
  'POST /api/v1/admin/agents/{slug}/reset': { who: 'admin', ok: 204 },
  'GET /api/v1/admin/agents/{slug}/versions': { who: 'admin', ok: 200 },
  'GET /api/v1/announcements': { who: 'user', ok: 200 },
  'POST /api/v1/announcements/{id}/close': { who: 'user', ok: 204, id: 'announcement' },
  'GET /api/v1/admin/announcements': { who: 'admin', ok: 200 },
  'POST /api/v1/admin/announcements': { who: 'admin', ok: 201, json: told },
  'POST /api/v1/admin/announcements/{id}/withdraw': { who: 'admin', ok: 200, id: 'announcement' },
  'GET /api/v1/admin/users': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/users/{id}': { who: 'admin', ok: 200, id: 'a user' },
  'POST /api/v1/admin/users': { who: 'adminInPerson', ok: 201, json: newUser('rest') },
  'POST /api/v1/admin/users/{id}/plan': { who: 'admin', ok: 200, id: 'a user', json: newPlan },
  'PATCH /api/v1/admin/users/{id}': { who: 'adminInPerson', ok: 200, id: 'a user', json: { disabled: true } },
  'DELETE /api/v1/admin/users/{id}': { who: 'adminInPerson', ok: 204, id: 'a user' },
  'POST /api/v1/admin/users/{id}/reset-link': { who: 'adminInPerson', ok: 200, id: 'a user' },
  'POST /api/v1/admin/users/{id}/reset-factors': { who: 'adminInPerson', ok: 200, id: 'a user' },
  'POST /api/v1/admin/users/{id}/sign-out': { who: 'adminInPerson', ok: 200, id: 'a user' },
  'GET /api/v1/admin/audit': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/audit/verify': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/audit/export': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/health': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/prices': { who: 'admin', ok: 200 },
  'POST /api/v1/admin/prices': { who: 'admin', ok: 200, json: price },
  'DELETE /api/v1/admin/prices/{provider}/{model}': { who: 'admin', ok: 204 },
  'GET /api/v1/admin/rotation': { who: 'admin', ok: 200 },
  'POST /api/v1/admin/rotation': { who: 'admin', ok: 200 },
  'GET /api/v1/tiers': { who: 'user', ok: 200 },
  'GET /api/v1/admin/limits': { who: 'admin', ok: 200 },
  'PATCH /api/v1/admin/limits/{tier}': { who: 'admin', ok: 200, json: { version: 0 } },
  'GET /api/v1/admin/models': { who: 'admin', ok: 200 },
  'PATCH /api/v1/admin/models/{tier}': { who: 'admin', ok: 200, json: { version: 0 } },
  'GET /api/v1/admin/usage': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/usage/users': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/usage.csv': { who: 'admin', ok: 200 },
  'GET /api/v1/admin/platform-keys': { who: 'admin', ok: 200 },
  'POST /api/v1/admin/platform-keys': { who: 'admin', ok: 201, json: typed, checks: true },
  'POST /api/v1/admin/platform-keys/check': { who: 'admin', ok: 200, json: typed, checks: true },
  'PATCH /api/v1/admin/platform-keys/{id}': { who: 'admin', ok: 200, json: { isActive: true }, id: 'platform key' },
  'POST /api/v1/admin/platform-keys/{id}/test': { who: 'admin', ok: 200, id: 'platform key', checks: true },
  'POST /api/v1/admin/platform-keys/environment/{provider}/test': { who: 'admin', ok: 200, checks: true },
  'DELETE /api/v1/admin/platform-keys/{id}': { who: 'admin', ok: 204, id: 'platform key' },

  'trpc accounts.instance': { who: 'anyone', ok: 200 },
  'trpc accounts.who': { who: 'anyone', ok: 200 },
  'trpc accounts.setUp': { who: 'anyone', ok: 409, json: { ...credentials, token: 'x', name: 'Eve' } },
  'trpc accounts.token': { who: 'anyone', ok: 400, json: {} },
  'trpc accounts.askReset': { who: 'anyone', ok: 400, json: {} },
  'trpc accounts.resetPassword': { who: 'anyone', ok: 400, json: {} },
  'trpc accounts.confirmEmail': { who: 'anyone', ok: 400, json: {} },
  'trpc accounts.security': { who: 'person', ok: 200 },
  'trpc accounts.beginFactor': { who: 'person', ok: 400, json: {} },
  'trpc accounts.confirmFactor': { who: 'person', ok: 409, json: { code: '123456' } },
  'trpc accounts.renewBackupCodes': { who: 'person', ok: 400, json: {} },
  'trpc accounts.disableFactor': { who: 'person', ok: 400, json: {} },
  'trpc accounts.passkeyOptions': { who: 'person', ok: 400, json: {} },
  'trpc accounts.addPasskey': { who: 'person', ok: 400, json: {} },
  'trpc accounts.removePasskey': { who: 'person', ok: 200, json: {}, id: 'passkey' },
  'trpc accounts.me': { who: 'user', ok: 200 },
  'trpc accounts.remove': { who: 'person', ok: 400, json: { password: 1 } },
  'trpc accounts.update': { who: 'person', ok: 200, json: { name: 'Ada' } },
  'trpc accounts.sessions': { who: 'person', ok: 200 },
  'trpc accounts.revokeSession': { who: 'person', ok: 200, json: {}, id: 'session' },
  'trpc accounts.revokeOtherSessions': { who: 'person', ok: 200, json: {} },
  'trpc accounts.plan': { who: 'user', ok: 200 },
  'trpc keys.list': { who: 'user', ok: 200 },
  'trpc keys.save': { who: 'byok', ok: 200, json: typed, checks: true },
  'trpc keys.check': { who: 'byok', ok: 200, json: typed, checks: true },
  'trpc keys.set': { who: 'user', ok: 200, json: { isActive: true }, id: 'key' },
  'trpc keys.test': { who: 'user', ok: 200, json: {}, id: 'key', checks: true },
  'trpc keys.remove': { who: 'user', ok: 200, json: {}, id: 'key' },
  'trpc keys.restore': { who: 'byok', ok: 200, json: {}, id: 'former key', checks: true },
  'trpc keys.forget': { who: 'user', ok: 200, json: {}, id: 'former key' },
  'trpc keys.uses': { who: 'user', ok: 200, json: {} },
  'trpc keys.history': { who: 'user', ok: 200, json: {} },
  'trpc keys.setBudget': { who: 'user', ok: 200, json: { limitUsd: 5, hard: true }, id: 'key' },
  'trpc keys.removeBudget': { who: 'user', ok: 200, json: {}, id: 'key' },
  'trpc keys.fallbackCap': { who: 'user', ok: 200 },
  'trpc keys.setFallbackCap': { who: 'user', ok: 200, json: { perDay: null } },
  'trpc keys.providers': { who: 'user', ok: 200 },
  'trpc usage.report': { who: 'user', ok: 200, json: { days: 1 } },
  'trpc usage.requests': { who: 'user', ok: 200, json: { from: '2026-01-01T00:00:00Z', to: '2026-12-31T00:00:00Z' } },
  'trpc usage.live': { who: 'page', ok: 200 },
  'trpc usage.limits': { who: 'user', ok: 200 },
  'trpc usage.tiers': { who: 'user', ok: 200 },
  'trpc tokens.list': { who: 'user', ok: 200 },
  'trpc tokens.create': { who: 'person', ok: 200, json: { name: 'new' } },
  'trpc tokens.revoke': { who: 'user', ok: 200, json: {}, id: 'token' },
  'trpc agents.list': { who: 'user', ok: 200 },
  'trpc agents.ask': { who: 'user', ok: 200, json: asking },
  'trpc agents.answer': { who: 'user', ok: 200, json: {}, id: 'answer' },
  'trpc agents.stop': { who: 'user', ok: 200, json: {}, id: 'answer' },
  'trpc conversations.list': { who: 'user', ok: 200, json: {} },
  'trpc conversations.get': { who: 'user', ok: 200, json: {}, id: 'conversation' },
  'trpc conversations.rename': { who: 'user', ok: 200, json: { title: 'new' }, id: 'conversation' },
  'trpc conversations.remove': { who: 'user', ok: 200, json: {}, id: 'conversation' },
  'trpc conversations.removeAll': { who: 'user', ok: 200, json: {} },
  'trpc conversations.keeping': { who: 'user', ok: 200 },
  'trpc conversations.setKeeping': { who: 'user', ok: 200, json: { keep: true } },
  'trpc notices.list': { who: 'user', ok: 200, json: {} },
  'trpc notices.unread': { who: 'user', ok: 200 },
  'trpc notices.markRead': { who: 'user', ok: 200, json: {}, id: 'notice' },
  'trpc notices.markAllRead': { who: 'user', ok: 200, json: {} },
  'trpc notices.remove': { who: 'user', ok: 200, json: {}, id: 'notice' },
  'trpc notices.preferences': { who: 'user', ok: 200 },
  'trpc notices.setPreference': { who: 'person', ok: 200, json: { kind: 'key_invalid', page: true } },
  'trpc notices.live': { who: 'page', ok: 200 },
  'trpc admin.notices.list': { who: 'admin', ok: 200, json: {} },
  'trpc admin.notices.markRead': { who: 'admin', ok: 200, json: {}, id: "administrators' notice" },
  'trpc admin.notices.markAllRead': { who: 'admin', ok: 200, json: {} },
  'trpc admin.notices.remove': { who: 'admin', ok: 200, json: {}, id: "administrators' notice" },
  'trpc announcements.current': { who: 'user', ok: 200 },
  'trpc announcements.close': { who: 'user', ok: 200, json: {}, id: 'announcement' },
  'trpc admin.announcements.list': { who: 'admin', ok: 200, json: {} },
  'trpc admin.announcements.add': { who: 'admin', ok: 200, json: told },
  'trpc admin.announcements.withdraw': { who: 'admin', ok: 200, json: {}, id: 'announcement' },
  'trpc admin.users.list': { who: 'admin', ok: 200, json: {} },
  'trpc admin.users.get': { who: 'admin', ok: 200, json: {}, id: 'a user' },
  'trpc admin.users.add': { who: 'adminInPerson', ok: 200, json: newUser('trpc') },
  'trpc admin.users.setPlan': { who: 'admin', ok: 200, json: newPlan, id: 'a user' },
  'trpc admin.users.setAccess': { who: 'adminInPerson', ok: 200, json: { admin: true }, id: 'a user' },
  'trpc admin.users.remove': { who: 'adminInPerson', ok: 200, json: {}, id: 'a user' },
  'trpc admin.users.makeResetLink': { who: 'adminInPerson', ok: 200, json: {}, id: 'a user' },
  'trpc admin.users.resetFactors': { who: 'adminInPerson', ok: 200, json: {}, id: 'a user' },
  'trpc admin.users.signOut': { who: 'adminInPerson', ok: 200, json: {}, id: 'a user' },
  'trpc admin.audit.list': { who: 'admin', ok: 200, json: {} },
  'trpc admin.audit.verify': { who: 'admin', ok: 200, json: {} },
  'trpc admin.health': { who: 'admin', ok: 200 },
  'trpc admin.agents.list': { who: 'admin', ok: 200 },
  'trpc admin.agents.add': { who: 'admin', ok: 200, json: { slug: 'lawyer_two', ...agent } },
  'trpc admin.agents.save': { who: 'admin', ok: 200, json: { slug: 'marketer', version: 0, ...agent } },
  'trpc admin.agents.reset': { who: 'admin', ok: 200, json: { slug: 'marketer' } },
  'trpc admin.agents.versions': { who: 'admin', ok: 200, json: { slug: 'marketer' } },
  'trpc admin.limits.list': { who: 'admin', ok: 200 },
  'trpc admin.limits.save': { who: 'admin', ok: 200, json: { tier: 'premium', version: 0 } },
  'trpc admin.models.list': { who: 'admin', ok: 200 },
  'trpc admin.models.save': { who: 'admin', ok: 200, json: { tier: 'premium', version: 0 } },
  'trpc admin.usage.report': { who: 'admin', ok: 200, json: { days: 1 } },
  'trpc admin.usage.users': { who: 'admin', ok: 200, json: {} },
  'trpc admin.platformKeys.list': { who: 'admin', ok: 200 },
  'trpc admin.platformKeys.save': { who: 'admin', ok: 200, json: typed, checks: true },
  'trpc admin.platformKeys.check': { who: 'admin', ok: 200, json: typed, checks: true },
  'trpc admin.platformKeys.set': { who: 'admin', ok: 200, json: { isActive: true }, id: 'platform key' },
  'trpc admin.platformKeys.test': { who: 'admin', ok: 200, json: {}, id: 'platform key', checks: true },
  'trpc admin.platformKeys.testEnvironment': { who: 'admin', ok: 200, json: { provider: 'openai' }, checks: true },
  'trpc admin.platformKeys.remove': { who: 'admin', ok: 200, json: {}, id: 'platform key' },
  'trpc admin.prices.list': { who: 'admin', ok: 200, json: {} },
  'trpc admin.prices.set': { who: 'admin', ok: 200, json: price },
  'trpc admin.prices.remove': { who: 'admin', ok: 200, json: { provider: price.provider, model: price.model } },
  'trpc admin.rotation.state': { who: 'admin', ok: 200 },
  'trpc admin.rotation.start': { who: 'admin', ok: 200, json: {} },

  'trpc billing.view': { who: 'user', ok: 200 },
  'trpc billing.prices': { who: 'user', ok: 200 },
  // Where nothing is sold; where something is: billing-http.test.ts.
  'trpc billing.checkout': { who: 'person', ok: 404, json: { price: 'price_x' } },
  'trpc billing.portal': { who: 'person', ok: 404, json: {} },
  'POST /api/billing/webhook': { who: 'none', ok: 404, json: {} },

  // Where there is no such sign-in; where there is: identity-oidc.test.ts.
  'GET /api/oidc/start': { who: 'none', ok: 404 },
  'GET /api/oidc/callback': { who: 'none', ok: 404 },
  'GET /healthz': { who: 'anyone', ok: 200 },
  'GET /readyz': { who: 'anyone', ok: 200 },
  // To this machine itself, as in a test; from elsewhere, or with a token: metrics-access.test.ts.
  'GET /metrics': { who: 'anyone', ok: 200 },
  'GET /api/openapi.json': { who: 'anyone', ok: 200 },
  'GET /api/docs': { who: 'anyone', ok: 200 },
  'GET /api/docs.css': { who: 'anyone', ok: 200 },
  'GET /api/v1/api-keys/usage.csv': { who: 'user', ok: 200, query: range },
  'GET /api/v1/account/export': { who: 'person', ok: 200 },

  'POST /api/auth/sign-in/email': { who: 'anyone', ok: 400, json: {} },
  'POST /api/auth/passkey/options': { who: 'anyone', ok: 200, json: {} },
  'POST /api/auth/passkey/sign-in': { who: 'anyone', ok: 400, json: {} },
  'POST /api/auth/sign-up/email': { who: 'none', ok: 404, json: { ...credentials, name: 'Eve' } },
  'POST /api/auth/sign-out': { who: 'anyone', ok: 200, json: {} },
  'GET /api/auth/get-session': { who: 'anyone', ok: 200 },
  'POST /api/auth/revoke-sessions': { who: 'browser', ok: 200, json: {} },
  'POST /api/auth/change-password': { who: 'browser', ok: 200, json: { currentPassword: password, newPassword: password } },
  'GET /api/auth/jwks': { who: 'anyone', ok: 200 },
  'GET /api/auth/ok': { who: 'anyone', ok: 200 },
};

/** The stateful routes are refused to whoever has no key of their own for them; that is the relay's to say. */
const gatewayTable: Readonly<Record<string, unknown>> = {
  'openai POST /v1/chat/completions': chat,
  'openai POST /v1/responses': { model: 'gpt-4o-mini', input: 'hello' },
  'openai GET /v1/responses/{id}': undefined,
  'openai DELETE /v1/responses/{id}': undefined,
  'openai POST /v1/responses/{id}/cancel': undefined,
  'openai GET /v1/responses/{id}/input_items': undefined,
  'openai POST /v1/embeddings': { model: 'text-embedding-3-small', input: 'hello' },
  'openai POST /v1/completions': { model: 'gpt-3.5-turbo-instruct', prompt: 'hello' },
  'openai POST /v1/moderations': { model: 'omni-moderation-latest', input: 'hello' },
  'openai POST /v1/images/generations': { model: 'gpt-image-1', prompt: 'a cat' },
  'openai POST /v1/audio/speech': { model: 'gpt-4o-mini-tts', input: 'hello', voice: 'alloy' },
  'openai POST /v1/audio/transcriptions': undefined,
  'openai GET /v1/models': undefined,
  'openai GET /v1/models/{id}': undefined,
  'anthropic POST /v1/messages': message,
  'anthropic POST /v1/messages/count_tokens': { model: message.model, messages: message.messages },
  'anthropic GET /v1/models': undefined,
  'anthropic GET /v1/models/{id}': undefined,
};

test('every route has its line, and every line its route', () => {
  const answered = [
    ...doors.map(({ method, path }) => `${method} ${path}`),
    ...[...procedures.keys()].map((name) => `trpc ${name}`),
    ...[...ownRoutes, ...authRoutes].map(({ method, path }) => `${method} ${path}`),
  ];
  expect(answered.sort()).toEqual(Object.keys(table).sort());
  expect(gatewayRoutes.map(({ provider, route }) => `${provider.id} ${route.method} ${route.path}`).sort()).toEqual(
    Object.keys(gatewayTable).sort(),
  );
});

interface Answer {
  status: number;
  body: string;
  headers: string;
}
type Send = (line: string, how: { role: Role; id?: string; more?: Line }) => Promise<Answer>;

/** What may differ between two answers that say the same. */
const noise = /^(date|x-byok-request-id|x-request-id|request-id|keep-alive|connection|ratelimit.*|x-ratelimit-.*|anthropic-ratelimit-.*)$/;

async function cookieOf(app: TestApp, who: Person): Promise<string> {
  const headers = { origin: ownOrigin };
  const res = await app.fetch(null, '/api/auth/sign-in/email', { json: { email: who.email, password }, headers });
  const cookie = res.headers.getSetCookie().map((line) => line.split(';')[0]);
  if (res.status !== 200 || cookie.length === 0) throw new Error(`Cannot sign in: ${await res.text()}`);
  return cookie.join('; ');
}

/** Whoever may listen is listening once the head is there; whoever may not has the refusal as an event. */
async function answerOf(res: Response, isListening: boolean): Promise<Answer> {
  if (isListening) await res.body?.cancel();
  const body = isListening ? '' : await res.text();
  const refusal = /event: serialized-error\ndata: (.*)/.exec(body)?.[1];
  return { status: refusal ? JSON.parse(refusal).data.httpStatus : res.status, body: refusal ?? body, headers: '' };
}

async function stage() {
  const app = await testApp({ platform: { openai: 'good', anthropic: 'good' } });
  app.provider.key(typed.apiKey, 'good', 'openai');
  const keys = { openai: 'good' } as const;
  const nameOfId: Partial<Record<string, string>> = { answer: 'answerId' };
  const people = {
    premium: await app.person({ keys }),
    other: await app.person({ keys }),
    community: await app.person({ tier: 'community' }),
    lapsed: await app.person({ keys, until: new Date(app.clock.now() - 1) }),
    administrator: await app.person({ admin: true, keys }),
    disabled: await app.person({ keys }),
  };
  const { auth, tokens, db } = app.app;
  const tokenOf = async (scopes: ('gateway' | 'manage')[]) => (await tokens.create(people.premium.id, { name: 'one', scopes })).secret;
  const [gatewayToken, manageToken] = [await tokenOf(['gateway']), await tokenOf(['manage'])];
  const revoked = await tokens.create(people.premium.id, { name: 'revoked', scopes: ['gateway', 'manage'] });
  await tokens.revoke(people.premium.id, revoked.token.id);
  /** Without a password, whose hash would cost most of the time that all of this takes. */
  async function newSession(userId: string) {
    const [sessionId, at] = [randomUUID(), new Date(app.clock.now())];
    const times = { createdAt: at, updatedAt: at, expiresAt: new Date(app.clock.now() + 86_400_000) };
    await db.orm.insert(db.tables.session).values({ id: sessionId, userId, token: randomUUID(), ...times });
    return { userId, sessionId };
  }
  let session = await newSession(people.premium.id);
  await db.orm
    .update(db.tables.user)
    .set({ disabledAt: new Date(app.clock.now()) })
    .where(eq(db.tables.user.id, people.disabled.id));
  await app.app.plans.set(people.disabled.id, { tier: 'premium', source: 'admin' });
  let cookie = await cookieOf(app, people.premium);

  const personOf = (role: Role): Person =>
    role === inPerson ? people.administrator : role in people ? people[role as keyof typeof people] : people.premium;

  async function credential(role: Role): Promise<Record<string, string>> {
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    const jwt = async () => {
      if (!(await auth.liveSession(session.sessionId))) session = await newSession(people.premium.id);
      return (await auth.issueJwt(session)).token;
    };
    if (role === 'anonymous') return {};
    if (role === 'gateway token') return bearer(gatewayToken);
    if (role === 'manage token') return bearer(manageToken);
    if (role === 'revoked token') return bearer(revoked.secret);
    if (role === inPerson) return bearer((await auth.issueJwt(await newSession(people.administrator.id))).token);
    if (role === 'JWT') return bearer(await jwt());
    if (role === 'forged JWT') return bearer((await jwt()).replace(/\.[^.]+$/, `.${Buffer.alloc(64, 1).toString('base64url')}`));
    if (role !== 'cookie') return bearer(personOf(role).token);
    if (!(await auth.sessionOf({ cookie }))) cookie = await cookieOf(app, people.premium);
    return { cookie };
  }

  const send: Send = async (line, { role, id, more }) => {
    const [first = '', rest = ''] = line.split(' ');
    const isTrpc = first === 'trpc';
    const type = procedures.get(rest)?._def.type;
    const method = isTrpc ? (type === 'mutation' ? 'POST' : 'GET') : first;
    const inBody = id !== undefined && !rest.includes('{');
    const json = inBody ? { ...(more?.json as object), [nameOfId[more?.id ?? ''] ?? 'id']: id } : more?.json;
    const query = isTrpc && type !== 'mutation' ? (json ? `input=${encodeURIComponent(JSON.stringify(json))}` : '') : (more?.query ?? '');
    const path =
      (isTrpc
        ? `/trpc/${rest}`
        : rest
            .replace('{slug}', 'general')
            .replace('{kind}', 'key_invalid')
            .replace('{id}', id ?? '')
            .replace('{provider}/{model}', 'openai/gpt-next')
            .replace('{provider}', 'openai')
            .replace('{tier}', 'premium')) + (query && `?${query}`);
    const headers = { origin: ownOrigin, ...(await credential(role)), ...more?.headers };
    const res = await app.fetch(null, path, { method, headers, ...(method !== 'GET' && json !== undefined && { json }) });
    if (type === 'subscription') return answerOf(res, app.app.live.streams() + app.app.noticesLive.streams() > 0);
    const body = await res.text();
    // No more than five of a person may be under way.
    await app.app.agents.idle();
    return {
      status: res.status,
      body: body.replaceAll(id ?? '\0', '<id>'),
      headers: [...res.headers]
        .filter(([name]) => !noise.test(name))
        .map(([name, value]) => `${name}: ${value}`)
        .join('\n'),
    };
  };

  /** An id of that person's own, made if it is not there (any more). */
  async function idOf(kind: NonNullable<Line['id']>, who: Person): Promise<string> {
    if (kind === 'platform key' && who === people.administrator) {
      const caller = { userId: 'platform', byok: true, actor: randomUUID() };
      const [stored] = await app.app.vault.list('platform');
      return (stored ?? (await app.app.vault.save(caller, { provider: 'openai', apiKey: app.newSecret('openai') }))).id;
    }
    if (kind === 'key' || kind === 'platform key') {
      const [key] = await app.keysOf(who);
      return (
        key?.id ??
        (
          await app.app.vault.save(
            { userId: who.id, byok: true, actor: randomUUID() },
            { provider: 'openai', apiKey: app.newSecret('openai') },
          )
        ).id
      );
    }
    if (kind === 'former key') {
      const put = () =>
        app.app.vault.save({ userId: who.id, byok: true, actor: randomUUID() }, { provider: 'openai', apiKey: app.newSecret('openai') });
      return (await put()).former?.id ?? (await put()).former?.id ?? '';
    }
    if (kind === 'conversation' || kind === 'answer') {
      const asked = await ask(app, who, question);
      await app.app.agents.idle();
      return (kind === 'answer' ? asked.answerId : asked.conversationId) ?? '';
    }
    if (kind === 'notice' || kind === "administrators' notice") {
      // Of whoever is no administrator, their own: it must not be had by the administrators' door.
      const owner = kind !== 'notice' && who === people.administrator ? 'administrators' : who.id;
      await db.commit([app.app.notices.entry({ userId: owner, kind: 'key_invalid', dedupe: randomUUID(), data: {} })]);
      return (await app.app.notices.list(owner))[0]?.id ?? '';
    }
    if (kind === 'passkey') {
      const [id, at] = [randomUUID(), new Date(app.clock.now())];
      const row = {
        id,
        userId: who.id,
        name: 'phone',
        credentialId: id,
        publicKey: Buffer.alloc(1),
        counter: 0,
        transports: [],
        createdAt: at,
      };
      await db.orm.insert(db.tables.passkey).values(row);
      return id;
    }
    if (kind === 'a user') return (await app.person({ tier: 'community' })).id;
    if (kind === 'announcement') return (await app.app.announcements.add(people.administrator.id, { ...told, kind: 'info' })).id;
    if (kind === 'token') return (await tokens.create(who.id, { name: 'one more', scopes: ['gateway'] })).token.id;
    return (await newSession(who.id)).sessionId;
  }

  return { app, people, send, idOf, personOf, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

const codeIn = (body: string): string | undefined => /"(?:code|error_code)":"([a-z_]+)"/.exec(body)?.[1];

test('each route lets in whom its line says, and refuses the others before it looks at what they send', async () => {
  await using stand = await stage();
  for (const [line, more] of Object.entries(table)) {
    const rule: Rule = rules[more.who];
    if (more.checks) stand.app.clock.advance(61_000);
    for (const role of more.who === 'adminInPerson' ? [...roles, inPerson] : roles) {
      const refused = rule[role];
      const who = stand.personOf(role);
      const id = more.id && !refused ? await stand.idOf(more.id, who) : more.id && randomUUID();
      const answer = await stand.send(line, { role, more, ...(id && { id }) });
      const name = `${line} as ${role}: ${answer.body.slice(0, 300)}`;
      expect(answer.status, name).toBe(refused ? refused[0] : more.ok);
      if (refused) expect(codeIn(answer.body), name).toBe(refused[1]);
      if (!refused || refused[1] === 'plan_required') continue;
      // Nonsense changes nothing: who asks is decided first.
      const nonsense = await stand.send(line, { role, more: { ...more, json: { nonsense: 1 }, query: 'nonsense=1' }, id: 'nonsense' });
      expect([nonsense.status, codeIn(nonsense.body)], `${name} with nonsense`).toEqual([...refused]);
    }
  }
  // Hundreds of requests, one after the other.
}, 240_000);

test("someone else's id answers exactly as a random one, and nothing happens to it", async () => {
  await using stand = await stage();
  const { app, people } = stand;
  const others = async () => ({
    keys: await app.keysOf(people.other),
    tokens: (await app.app.tokens.list(people.other.id)).map(({ id }) => id),
    conversations: (await app.app.conversations.list(people.other.id, {})).conversations.map(({ id }) => id),
    notices: await app.app.notices.list(people.other.id),
    passkeys: await app.app.auth.passkeys.list(people.other.id),
    sessions: (
      await app.app.db.orm
        .select({ id: app.app.db.tables.session.id })
        .from(app.app.db.tables.session)
        .where(eq(app.app.db.tables.session.userId, people.other.id))
    ).length,
  });
  const withIds = Object.entries(table).filter(([, line]) => line.id && !isEverybodys(line.id));
  expect(withIds.length).toBeGreaterThan(8);
  for (const [line, more] of withIds) {
    const foreign = await stand.idOf(more.id ?? 'key', people.other);
    const random = randomUUID();
    const before = await others();
    for (const role of ['premium', 'manage token', 'JWT', 'cookie', 'administrator', 'community', 'lapsed'] as const) {
      if ((rules[more.who] as Rule)[role]) continue;
      const [theirs, nobodys] = [await stand.send(line, { role, more, id: foreign }), await stand.send(line, { role, more, id: random })];
      expect(theirs, `${line} as ${role}`).toEqual(nobodys);
      expect(theirs.status, `${line} as ${role}`).toBe(404);
    }
    expect(await others(), line).toEqual(before);
  }
});

test("lists show what is one's own, and nobody else's usage", async () => {
  await using stand = await stage();
  const { app, people } = stand;
  const { id } = people.other;
  expect((await app.chat(people.other, 'hello')).status).toBe(200);
  const [key] = await app.keysOf(people.other);
  for (const [line, more] of Object.entries(table).filter(
    ([line, { who, id }]) => who === 'user' && !id && /GET|list|report|limits|me$|plan|history|uses/.test(line),
  )) {
    for (const role of ['premium', 'administrator', 'community'] as const) {
      const { status, body } = await stand.send(line, { role, more });
      expect(status, line).toBe(200);
      for (const theirs of [id, people.other.email, key?.id ?? '']) expect(body, `${line} as ${role}`).not.toContain(theirs);
      if (/usage|report/.test(line)) expect(body, line).not.toMatch(/"requests":[1-9]|\r\nreq_|"id":"req_/);
    }
  }
});

test('each route of the gateway takes the tokens and JWTs that may send AI requests, and no cookie', async () => {
  await using stand = await stage();
  for (const [name, json] of Object.entries(gatewayTable)) {
    const [, method, path] = name.split(' ');
    for (const role of roles) {
      const refused = (rules.gateway as Rule)[role];
      const answer = await stand.send(`${method} ${path}`, {
        role,
        more: { who: 'gateway', ok: 200, json, ...(name.startsWith('anthropic') && { headers: { 'anthropic-version': '2023-06-01' } }) },
        ...(path?.includes('{') && { id: 'gpt-4o-mini' }),
      });
      const said = `${name} as ${role}: ${answer.status} ${answer.body.slice(0, 300)}`;
      if (refused) expect([answer.status, codeIn(answer.body)], said).toEqual([...refused]);
      else expect(['unauthenticated', 'forbidden', 'internal'], said).not.toContain(codeIn(answer.body));
      if (!refused && /chat\/completions|messages$|\/v1\/models$/.test(name)) expect(answer.status, said).toBe(200);
    }
  }
  const unknown = await Promise.all(
    roles.map((role) => stand.send('POST /v1/nothing', { role, more: { who: 'gateway', ok: 404, json: {} } })),
  );
  for (const [i, role] of roles.entries()) expect(unknown[i]?.status, role).toBe((rules.gateway as Rule)[role]?.[0] ?? 404);
});
