import { expect, test } from 'vitest';
import { z } from 'zod';
import { Credentials, Email, Me, Password, SetUp, UpdateMe } from './accounts.ts';
import { outcomes } from './bounds.ts';
import { KeyRef, KeySwitches, KeyText, KeyView, keyStatuses, ProviderId, SetBudget, TypedKey, Verdict } from './keys.ts';
import { LimitsView, PlanView, TierSchema } from './plans.ts';
import { NewToken, TokenRef, TokenView } from './tokens.ts';
import { Timezone, UsageChange, UsageExport, UsageQuery, UsageReport, UsageRequests, UsageRequestsQuery } from './usage.ts';

const id = '9d0c2c5e-8f7b-4a39-9a67-5f3b2f1d9c22';
const key = 'sk-proj-Zq81vNf4Rm0Tt7wYabc1';
const at = '2026-11-23T06:00:00.000Z';

/** The messages with which a schema refuses, by field; undefined where it accepts. */
function refusals(schema: z.ZodType, value: unknown): Record<string, string[]> | undefined {
  const parsed = schema.safeParse(value);
  if (parsed.success) return undefined;
  const byField: Record<string, string[]> = {};
  for (const issue of parsed.error.issues) {
    const field = issue.path.join('.');
    byField[field] = [...(byField[field] ?? []), issue.message];
  }
  return byField;
}

test.each([
  ['bare', key],
  ['with a line end, as from a file', `${key}\n`],
  ['with Windows line ends and tabs', `\t ${key}\r\n`],
  ['with the no-break spaces of a web page', `\u00a0${key}\u00a0\ufeff`],
])('a pasted key %s is the key', (_how, pasted) => {
  expect(KeyText.parse(pasted)).toBe(key);
});

test.each([
  ['a space', `sk-proj-Zq81 vNf4Rm0Tt7wYabc1`],
  ['a newline', `sk-proj-Zq81\nvNf4Rm0Tt7wYabc1`],
  ['a carriage return', `sk-proj-Zq81\rvNf4Rm0Tt7wYabc1`],
  ['a tab', `sk-proj-Zq81\tvNf4Rm0Tt7wYabc1`],
  ['NUL', `sk-proj-Zq81\0vNf4Rm0Tt7wYabc1`],
  ['NUL at the end', `${key}\0`],
  ['DEL', `sk-proj-Zq81\x7fvNf4Rm0Tt7wYabc1`],
  ['an umlaut', `sk-proj-Zq81ävNf4Rm0Tt7wYabc1`],
  ['a zero-width space', `sk-proj-Zq81\u200bvNf4Rm0Tt7wYabc1`],
  ['a typographic dash', `sk–proj-Zq81vNf4Rm0Tt7wYabc1`],
])('a key with %s inside is refused, with a sentence that says so', (_what, text) => {
  expect(refusals(KeyText, text)).toEqual({
    '': ['A key has no spaces, line ends or special characters inside: copy it again, in one piece.'],
  });
});

test.each([
  ['empty', '', 'too short'],
  ['only white space', ' \n\t ', 'too short'],
  ['15 characters', 'x'.repeat(15), 'too short'],
  ['15 characters and a space', `${'x'.repeat(15)} `, 'too short'],
  ['513 characters', 'x'.repeat(513), 'longer than any provider key'],
  ['10 kB', 'x'.repeat(10_240), 'longer than any provider key'],
  ['10 kB of white space', ' '.repeat(10_240), 'longer than any provider key'],
  ['a number', 5, 'as text'],
  ['null', null, 'as text'],
  ['missing', undefined, 'as text'],
  ['a list', [key], 'as text'],
])('a key that is %s is refused: %3$s', (_what, text, sentence) => {
  expect(Object.values(refusals(KeyText, text) ?? {}).flat()).toEqual([expect.stringContaining(sentence)]);
});

test('a key of 16 and one of 512 visible characters is accepted', () => {
  const visible = Array.from({ length: 0x7e - 0x21 + 1 }, (_, i) => String.fromCharCode(0x21 + i)).join('');
  for (const text of ['x'.repeat(16), 'x'.repeat(512), visible]) expect(KeyText.parse(text)).toBe(text);
});

test('a refusal never repeats the key', () => {
  const parsed = TypedKey.safeParse({ provider: 'openai', apiKey: 'sk-planted Zq81vNf4Rm0Tt7wY' });
  expect(parsed.success).toBe(false);
  const said = JSON.stringify(parsed.error?.issues) + parsed.error?.message + (parsed.error && z.prettifyError(parsed.error));
  expect(said).toContain('no spaces');
  expect(said).not.toMatch(/planted|Zq81/);
});

test.each(['gemini', 'OpenAI', ' openai', '', '__proto__', 0, null, undefined, ['openai']])('the provider %j is unknown', (provider) => {
  expect(refusals(TypedKey, { provider, apiKey: key })).toEqual({ provider: ['Unknown provider: use one of openai, anthropic.'] });
});

test.each([
  ['a key to save', TypedKey, { provider: 'openai', apiKey: key }],
  ['a key', KeyRef, { id }],
  ['the switches of a key', KeySwitches, { id, isActive: false }],
  ['credentials', Credentials, { email: 'ada@example.com', password: 'x' }],
  ['the set-up', SetUp, { token: 't', name: 'Ada', email: 'ada@example.com', password: 'correct horse battery' }],
  ['a new token', NewToken, { name: 'laptop' }],
  ['a token', TokenRef, { id }],
  ['a usage query', UsageQuery, {}],
  ['an export', UsageExport, { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' }],
  ['a page of requests', UsageRequestsQuery, { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' }],
])('%s is refused with any field that is not its own', (_what, schema, valid) => {
  expect(refusals(schema, valid)).toBeUndefined();
  for (const extra of ['userId', 'owner', 'tier', 'role', 'base_url', 'apiBase', 'constructor']) {
    expect(refusals(schema, { ...valid, [extra]: 'x' })).toEqual({ '': [expect.stringContaining(extra)] });
  }
  // A computed name makes a property of its own, as JSON.parse does.
  expect(refusals(schema, { ...valid, ['__proto__']: { isAdmin: true } })).toEqual({ '': [expect.stringContaining('__proto__')] });
});

test.each(['1', '', `${id}x`, '../../etc/passwd', 1, null])('%j is not the id of a key or a token', (wrong) => {
  expect(refusals(KeyRef, { id: wrong })).toHaveProperty('id');
  expect(refusals(TokenRef, { id: wrong })).toHaveProperty('id');
});

test.each(['false', 0, null, 'no'])('a switch takes true and false, not %j', (wrong) => {
  expect(refusals(KeySwitches, { id, isActive: wrong })).toHaveProperty('isActive');
  expect(refusals(KeySwitches, { id, fallback: wrong })).toHaveProperty('fallback');
});

const storedKey = {
  id,
  provider: 'openai',
  keyHint: '****...abc1',
  status: 'valid',
  isValid: true,
  isActive: true,
  fallback: true,
  expiresAt: at,
  isExpired: false,
  former: { id, keyHint: '****...old1', until: at },
  lastError: null,
  totalRequests: 3,
  totalTokens: 1_200,
  estimatedCostUsd: 0.0042,
  unpricedRequests: 0,
  lastUsedAt: null,
  lastTestedAt: at,
  createdAt: at,
  name: null,
  models: null,
  position: 0,
  isBeyond: false,
  budget: { limitUsd: 20, spentUsd: 0.5, reservedUsd: 0, hard: true, thenPlatform: false, resetsAt: at },
};

test('a name is trimmed, models are each named once, and nothing stands for none', () => {
  expect(KeySwitches.parse({ id, name: '  work ', models: ['gpt-4.1*', ' gpt-4.1* ', 'o3'] })).toEqual({
    id,
    name: 'work',
    models: ['gpt-4.1*', 'o3'],
  });
  expect(KeySwitches.parse({ id, name: ' ', models: [] })).toEqual({ id, name: null, models: null });
  for (const models of [['*'], ['a b'], ['gpt-4*mini'], ['']]) expect(refusals(KeySwitches, { id, models })).toHaveProperty('models.0');
});

test.each([
  [0.01, 0.01],
  [19.999, 20],
  [1_000_000, 1_000_000],
])('a budget of %d dollars is one of %d, in whole cents', (limitUsd, stored) => {
  expect(SetBudget.parse({ id, limitUsd, hard: true }).limitUsd).toBe(stored);
});

test.each([0, -1, 0.001, 1_000_001, Number.NaN, Number.POSITIVE_INFINITY, '5', null])('%s is no budget', (limitUsd) => {
  expect(refusals(SetBudget, { id, limitUsd, hard: true })).toHaveProperty('limitUsd');
});

test('what is not in the view of a key cannot leave with it', () => {
  const row = { ...storedKey, apiKey: key, encryptedBlob: 'AAAA', nonce: 'BBBB', masterKeyId: 'mk_1', owner: 'ada' };
  expect(KeyView.parse(row)).toEqual(storedKey);
});

test.each(keyStatuses)('a key and a verdict can be %s', (status) => {
  expect(KeyView.parse({ ...storedKey, status }).status).toBe(status);
  expect(Verdict.parse({ valid: false, status, message: 'A sentence.', latencyMs: 120 }).status).toBe(status);
});

test.each([
  ['nothing: the page then shows the last 30 days', {}],
  ['days', { days: 7 }],
  ['days, the least', { days: 1 }],
  ['days, the most', { days: 366 }],
  ['a range', { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' }],
  ['a range in local time', { from: '2026-11-01T00:00:00+01:00', to: '2026-11-02T00:00:00+01:00' }],
  ['a range of one millisecond', { from: '2026-11-01T00:00:00.000Z', to: '2026-11-01T00:00:00.001Z' }],
  ['366 days', { from: '2024-01-01T00:00:00Z', to: '2025-01-01T00:00:00Z' }],
  ['31 days by hour', { from: '2026-10-01T00:00:00Z', to: '2026-11-01T00:00:00Z', groupBy: 'hour' }],
  [
    "Berlin's October by hour, with its extra hour",
    { from: '2026-10-01T00:00:00+02:00', to: '2026-11-01T00:00:00+01:00', groupBy: 'hour', timezone: 'Europe/Berlin' },
  ],
  ['the last 31 days by hour', { days: 31, groupBy: 'hour' }],
  ['a zone that is a quarter off', { timezone: 'Asia/Kathmandu' }],
  ['hours, which are shown by hour', { hours: 24, groupBy: 'hour' }],
  ['hours, the most, by day', { hours: 168, groupBy: 'day' }],
  ['parts of one kind of requests', { seriesBy: 'keySource', provider: 'openai', model: 'gpt-4o', keySource: 'user' }],
  ['requests of which nobody knows the model', { model: '' }],
])('usage can be asked for by %s', (_what, query) => {
  expect(UsageQuery.parse(query)).toEqual({ timezone: 'UTC', groupBy: 'day', ...query });
});

test('hours are shown by hour, all else by day, unless one says otherwise', () => {
  expect(UsageQuery.parse({ hours: 24 }).groupBy).toBe('hour');
  expect(UsageQuery.parse({ days: 1 }).groupBy).toBe('day');
});

const from = '2026-11-01T00:00:00Z';
const to = '2026-11-08T00:00:00Z';
test.each([
  ['days and a range', { days: 7, from, to }, { days: ['Give either days, or from and to.'] }],
  ['days and from', { days: 7, from }, { days: ['Give either days, or from and to.'] }],
  ['from alone', { from }, { to: ['from and to go together.'] }],
  ['to alone', { to }, { from: ['from and to go together.'] }],
  ['a range that runs back', { from: to, to: from }, { to: ['It must be after from.'] }],
  ['an empty range', { from, to: from }, { to: ['It must be after from.'] }],
  ['a range empty but for its zones', { from: '2026-11-01T01:00:00+01:00', to: from }, { to: ['It must be after from.'] }],
  ['more than 366 days', { from, to: '2027-11-02T00:00:01Z' }, { to: ['The range is at most 366 days.'] }],
  ['32 days by hour', { from, to: '2026-12-03T00:00:00Z', groupBy: 'hour' }, { groupBy: ['By hour, the range is at most 31 days.'] }],
  ['the last 32 days by hour', { days: 32, groupBy: 'hour' }, { groupBy: ['By hour, the range is at most 31 days.'] }],
  ['0 days', { days: 0 }, { days: ['days: at least 1.'] }],
  ['367 days', { days: 367 }, { days: ['days: at most 366.'] }],
  ['half a day', { days: 0.5 }, { days: expect.anything() }],
  ['days as text', { days: '7' }, { days: ['days: a whole number from 1 to 366.'] }],
  ['a date without a time', { from: '2026-11-01', to }, { from: [expect.stringContaining('ISO 8601')] }],
  ['a time without a zone', { from: '2026-11-01T00:00:00', to }, { from: [expect.stringContaining('ISO 8601')] }],
  ['a day that does not exist', { from: '2026-02-30T00:00:00Z', to }, { from: [expect.stringContaining('ISO 8601')] }],
  ['seconds since 1970', { from: 1_793_000_000, to }, { from: [expect.stringContaining('ISO 8601')] }],
  ['an unknown zone', { timezone: 'Europe/Atlantis' }, { timezone: ['Name an IANA time zone, such as Europe/Berlin.'] }],
  ['an empty zone', { timezone: '' }, { timezone: ['Name an IANA time zone, such as Europe/Berlin.'] }],
  ['hours and days', { hours: 24, days: 1 }, { hours: ['Give either hours, or days, or from and to.'] }],
  ['hours and a range', { hours: 24, from, to }, { hours: ['Give either hours, or days, or from and to.'] }],
  ['0 hours', { hours: 0 }, { hours: ['hours: at least 1.'] }],
  ['169 hours', { hours: 169 }, { hours: ['hours: at most 168.'] }],
  ['parts by token', { seriesBy: 'token' }, { seriesBy: ['seriesBy: model, provider or keySource.'] }],
  ['an unknown provider', { provider: 'gemini' }, { provider: [expect.stringContaining('Unknown provider')] }],
  ["somebody else's key", { keySource: 'friend' }, { keySource: ['keySource: user or platform.'] }],
  ['a model as long as a book', { model: 'x'.repeat(513) }, { model: ['model: at most 512 characters.'] }],
  ['weeks', { groupBy: 'week' }, { groupBy: ['groupBy: hour or day.'] }],
])('usage cannot be asked for by %s', (_what, query, expected) => {
  expect(refusals(UsageQuery, query)).toEqual(expected);
});

test('a time zone has a name: bare offsets would put midnight between the 15-minute buckets', () => {
  for (const name of ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Pacific/Chatham']) {
    expect(Timezone.parse(name)).toBe(name);
  }
  for (const name of ['+05:17', '-03:00', '+0000', '+05', 'x'.repeat(65)]) expect(refusals(Timezone, name)).toBeDefined();
});

test('the range of an export has both ends, in order', () => {
  expect(refusals(UsageExport, { from, to })).toBeUndefined();
  expect(refusals(UsageExport, { from: to, to: from })).toEqual({ to: ['It must be after from.'] });
  expect(refusals(UsageExport, { from })).toHaveProperty('to');
  expect(refusals(UsageExport, {})).toMatchObject({ from: expect.anything(), to: expect.anything() });
});

test('a page of requests has 50 of them unless one says otherwise, and goes on only where the last one ended', () => {
  expect(UsageRequestsQuery.parse({ from, to })).toEqual({ from, to, limit: 50 });
  for (const outcome of outcomes) expect(refusals(UsageRequestsQuery, { from, to, outcome, cursor: '1a2b3c', limit: 100 })).toBeUndefined();
  for (const limit of [0, 101, 1.5, '50']) expect(refusals(UsageRequestsQuery, { from, to, limit })).toHaveProperty('limit');
  for (const cursor of ['', '-1', "1' or '1'='1", 'A', 'x'.repeat(12)])
    expect(refusals(UsageRequestsQuery, { from, to, cursor })).toEqual({ cursor: ["cursor: the last answer's nextCursor, as it was."] });
  expect(refusals(UsageRequestsQuery, { from, to, outcome: 'lost' })).toEqual({
    outcome: ['outcome: ok, failed, fallback, estimated, open.'],
  });
  expect(refusals(UsageRequestsQuery, { from: to, to: from })).toEqual({ to: ['It must be after from.'] });
});

test('e-mail addresses are compared in lower case', () => {
  expect(Email.parse('Ada@Example.COM')).toBe('ada@example.com');
  for (const wrong of ['ada', 'ada@', '@example.com', 'ada@example.com\nbcc: eve@example.com', `${'a'.repeat(250)}@example.com`]) {
    expect(refusals(Email, wrong)).toBeDefined();
  }
});

test('a new password has 12 to 128 characters, and is never repeated in a refusal', () => {
  expect(refusals(Password, 'x'.repeat(12))).toBeUndefined();
  expect(refusals(Password, 'x'.repeat(128))).toBeUndefined();
  expect(refusals(Password, 'planted-one')).toEqual({ '': ['Use at least 12 characters.'] });
  expect(refusals(Password, 'x'.repeat(129))).toEqual({ '': ['Use at most 128 characters.'] });
});

test('signing in takes any password that there may be, so an old short one still works', () => {
  expect(refusals(Credentials, { email: 'ada@example.com', password: 'short' })).toBeUndefined();
  expect(refusals(Credentials, { email: 'ada@example.com', password: '' })).toEqual({ password: ['Enter the password.'] });
  expect(refusals(Credentials, { email: 'ada@example.com', password: 'x'.repeat(129) })).toHaveProperty('password');
});

test('who one is does not tell more than the page needs', () => {
  const user = { id: 'u1', email: 'ada@example.com', name: 'Ada', isAdmin: false, timezone: null, locale: 'de', hasPassword: true };
  expect(Me.parse({ ...user, passwordHash: 'x', twoFactorSecret: 'y' })).toEqual(user);
});

test.each([
  ['nothing', {}, { '': ['Name what should change: name, timezone or locale.'] }],
  ['a blank name', { name: ' ' }, { name: ['Enter your name.'] }],
  ['a name of two lines', { name: 'a\nb' }, { name: [expect.stringContaining('no line ends')] }],
  ['a name with NUL', { name: 'a\0b' }, { name: [expect.stringContaining('no line ends')] }],
  ['a zone that is nowhere', { timezone: 'Mars/Olympus' }, { timezone: [expect.stringContaining('Europe/Berlin')] }],
  ['an odd language', { locale: '../x' }, { locale: ['Use a language such as en or de-AT.'] }],
  ['a role', { name: 'Eve', role: 'admin' }, { '': [expect.stringContaining('role')] }],
  ['an address', { name: 'Eve', email: 'root@example.com' }, { '': [expect.stringContaining('email')] }],
])('a change of oneself is refused: %s', (_what, changes, expected) => {
  expect(refusals(UpdateMe, changes)).toEqual(expected);
});

test('a change of oneself is tidied up, and null means as the browser', () => {
  expect(UpdateMe.parse({ name: ' Ada ', timezone: 'Europe/Berlin', locale: 'de-AT' })).toEqual({
    ...{ name: 'Ada', timezone: 'Europe/Berlin', locale: 'de-AT' },
  });
  expect(UpdateMe.parse({ timezone: null, locale: null })).toEqual({ timezone: null, locale: null });
});

test('a token is for the gateway unless it says otherwise', () => {
  expect(NewToken.parse({ name: '  laptop ' })).toEqual({ name: 'laptop', scopes: ['gateway'] });
  expect(NewToken.parse({ name: 'ci', scopes: ['manage'], expiresAt: '2027-01-01T00:00:00Z' }).scopes).toEqual(['manage']);
  expect(NewToken.parse({ name: 'ci', expiresAt: null }).expiresAt).toBeNull();
});

test.each([
  ['no name', {}, { name: ['Give the token a name.'] }],
  ['a blank name', { name: '  ' }, { name: ['Give the token a name.'] }],
  ['a long name', { name: 'x'.repeat(101) }, { name: ['Use at most 100 characters.'] }],
  ['no scope', { name: 'ci', scopes: [] }, { scopes: ['Name at least one scope.'] }],
  ['an unknown scope', { name: 'ci', scopes: ['admin'] }, { 'scopes.0': ['scopes: gateway, manage.'] }],
  ['a date for an end', { name: 'ci', expiresAt: 'tomorrow' }, { expiresAt: [expect.stringContaining('ISO 8601')] }],
])('a token with %s is refused', (_what, input, expected) => {
  expect(refusals(NewToken, input)).toEqual(expected);
});

test('a listed token shows neither its secret nor its hash', () => {
  const view = { id, name: 'ci', prefix: 'byok_ab12', scopes: ['gateway'], expiresAt: null, lastUsedAt: null, createdAt: at };
  expect(TokenView.parse({ ...view, secret: 'byok_planted', hash: 'planted' })).toEqual(view);
});

test('a tier is one of the four', () => {
  for (const tier of ['community', 'subscriber', 'premium', 'lifetime']) expect(TierSchema.parse(tier)).toBe(tier);
  expect(refusals(TierSchema, 'gold')).toEqual({ '': ['Unknown tier: use one of community, subscriber, premium, lifetime.'] });
});

test('every input and view can be described for OpenAPI', () => {
  for (const input of [
    TypedKey,
    KeyRef,
    KeySwitches,
    Credentials,
    SetUp,
    NewToken,
    TokenRef,
    UsageQuery,
    UsageExport,
    UsageRequestsQuery,
  ]) {
    expect(z.toJSONSchema(input, { io: 'input' })).toMatchObject({ type: 'object', additionalProperties: false });
  }
  for (const view of [KeyView, Verdict, TokenView, Me, LimitsView, PlanView, UsageReport, UsageRequests, UsageChange]) {
    expect(z.toJSONSchema(view, { io: 'output' })).toMatchObject({ type: 'object' });
  }
  expect(z.toJSONSchema(ProviderId)).toMatchObject({ enum: ['openai', 'anthropic'] });
});

test.each(['a\0', '\0'])('a model %j is refused, which not every database could look for', (model) => {
  const range = { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' };
  for (const schema of [UsageQuery, UsageExport, UsageRequestsQuery])
    expect(refusals(schema, { ...range, model })).toEqual({ model: ['model: no NUL inside.'] });
});

test.each([
  ['from', '0000-12-31T23:59:59Z', '0001-01-31T00:00:00Z'],
  ['from', '0001-01-01T00:00:00+14:00', '0001-01-31T00:00:00Z'],
  ['to', '9999-12-01T00:00:00Z', '9999-12-31T23:59:59-14:00'],
])('%s outside the years 1 to 9999 is refused: answers could not write it', (field, from, to) => {
  for (const schema of [UsageQuery, UsageExport, UsageRequestsQuery])
    expect(refusals(schema, { from, to })).toEqual({ [field]: ['Name an instant of the years 1 to 9999.'] });
});

test('the first and the last instant that others write are a range of the list and of the export', () => {
  const range = { from: '0001-01-01T00:00:00Z', to: '9999-12-31T23:59:59.999Z' };
  for (const schema of [UsageExport, UsageRequestsQuery]) expect(refusals(schema, range)).toBeUndefined();
});
