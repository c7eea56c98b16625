import { AppError } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type Candidate, choose } from './choose.ts';

const nowMs = Date.UTC(2026, 10, 1);
const statuses = ['valid', 'unverified', 'no_credit', 'invalid', 'unreadable'] as const;
const retries = { none: null, due: nowMs, later: nowMs + 1 };
const yesNo = ['yes', 'no'] as const;

const budgets = {
  none: null,
  soft: { hard: false, thenPlatform: false, isReached: false },
  within: { hard: true, thenPlatform: false, isReached: false },
  spent: { hard: true, thenPlatform: false, isReached: true },
  spent_then: { hard: true, thenPlatform: true, isReached: true },
} satisfies Record<string, Candidate['budget']>;
const filters = { all: null, its: ['gpt-4.1', 'o3*'], its_kind: ['gpt-4*'], others: ['gpt-4', 'o3*'] };
const model = 'gpt-4.1';

interface Case {
  key: 'yes' | 'no';
  plan: 'yes' | 'no';
  active: 'yes' | 'no';
  models: keyof typeof filters;
  status: (typeof statuses)[number];
  retry: keyof typeof retries;
  budget: keyof typeof budgets;
  fallback: 'yes' | 'no';
  platform: 'yes' | 'no';
}
const conditions = 9;

/** DESIGN.md, "Which key pays", written out by hand: the first line that fits tells what happens. `any` fits all. */
const rules = `
  key  plan  active  models  status      retry  budget      fallback  platform | tries         reason      error
  no   yes   any     any     any         any    any         any       yes      | platform      -           -
  no   no    any     any     any         any    any         any       yes      | platform      -           -
  no   yes   any     any     any         any    any         any       no       | -             -           no_key
  no   no    any     any     any         any    any         any       no       | -             -           plan_required
  yes  no    any     any     any         any    any         yes       yes      | platform      plan        -
  yes  no    any     any     any         any    any         any       any      | -             plan        plan_required
  yes  yes   no      others  any         any    any         any       yes      | platform      inactive    -
  yes  yes   no      any     any         any    any         yes       yes      | platform      inactive    -
  yes  yes   no      any     any         any    any         any       any      | -             inactive    key_unusable
  yes  yes   yes     others  any         any    any         any       yes      | platform      model       -
  yes  yes   yes     others  any         any    any         any       no       | -             model       key_unusable
  yes  yes   yes     any     valid       any    spent       any       any      | -             budget      budget_reached
  yes  yes   yes     any     valid       any    spent_then  yes       yes      | platform      budget      -
  yes  yes   yes     any     valid       any    spent_then  any       any      | -             budget      budget_reached
  yes  yes   yes     any     valid       any    any         yes       yes      | own,platform  -           -
  yes  yes   yes     any     valid       any    any         any       any      | own           -           -
  yes  yes   yes     any     no_credit   due    spent       any       any      | -             budget      budget_reached
  yes  yes   yes     any     no_credit   due    spent_then  yes       yes      | platform      budget      -
  yes  yes   yes     any     no_credit   due    spent_then  any       any      | -             budget      budget_reached
  yes  yes   yes     any     no_credit   due    any         yes       yes      | trial,platform -          -
  yes  yes   yes     any     no_credit   due    any         any       any      | trial         -           -
  yes  yes   yes     any     no_credit   any    any         yes       yes      | platform      no_credit   -
  yes  yes   yes     any     no_credit   any    any         any       any      | -             no_credit   key_unusable
  yes  yes   yes     any     unverified  any    any         yes       yes      | platform      unverified  -
  yes  yes   yes     any     unverified  any    any         any       any      | -             unverified  key_unusable
  yes  yes   yes     any     invalid     any    any         yes       yes      | platform      invalid     -
  yes  yes   yes     any     invalid     any    any         any       any      | -             invalid     key_unusable
  yes  yes   yes     any     unreadable  any    any         yes       yes      | platform      unreadable  -
  yes  yes   yes     any     unreadable  any    any         any       any      | -             unreadable  key_unusable`
  .trim()
  .split('\n')
  .map((line) => line.replace('|', ' ').trim().split(/\s+/));

const [names = [], ...lines] = rules;
const fits = (one: Case) => (cells: string[]) =>
  names.slice(0, conditions).every((name, i) => cells[i] === 'any' || cells[i] === one[name as keyof Case]);

function expected(one: Case): Record<string, string> {
  const line = lines.find(fits(one));
  return Object.fromEntries(names.slice(conditions).map((name, i) => [name, line?.[i + conditions] ?? 'no rule']));
}

function chosen(one: Case): Record<string, string> {
  const key: Candidate = {
    status: one.status,
    isActive: one.active === 'yes',
    fallback: one.fallback === 'yes',
    retryAt: retries[one.retry] === null ? null : new Date(retries[one.retry] ?? 0),
    expiresAt: null,
    models: filters[one.models],
    budget: budgets[one.budget],
  };
  const situation = {
    provider: { name: 'OpenAI' },
    keys: one.key === 'yes' ? [key] : [],
    byok: one.plan === 'yes',
    platform: one.platform === 'yes',
    model,
  };
  try {
    const { attempts, reason } = choose({ ...situation, nowMs });
    const tries = attempts.map((attempt) => (attempt.source === 'platform' ? 'platform' : attempt.trial ? 'trial' : 'own'));
    return { tries: tries.join(','), reason: reason ?? '-', error: '-' };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // Some 15,000 situations: an assertion of vitest's for each would take seconds.
    const says = error.message.includes('OpenAI') && error.message.includes('Settings > ') && !error.shouldRetry;
    return { tries: '-', reason: error.headers?.['x-byok-fallback-reason'] ?? '-', error: says ? error.code : error.message };
  }
}

const keysOf = <T extends object>(record: T) => Object.keys(record) as (keyof T)[];
const every = yesNo.flatMap((key) =>
  yesNo.flatMap((plan) =>
    yesNo.flatMap((active) =>
      keysOf(filters).flatMap((models) =>
        statuses.flatMap((status) =>
          keysOf(retries).flatMap((retry) =>
            keysOf(budgets).flatMap((budget) =>
              yesNo.flatMap((fallback) =>
                yesNo.map((platform): Case => ({ key, plan, active, models, status, retry, budget, fallback, platform })),
              ),
            ),
          ),
        ),
      ),
    ),
  ),
);

test(`each of ${every.length} situations is decided as the table says`, () => {
  const wrong = every.flatMap((one) => {
    const [is, should] = [chosen(one), expected(one)];
    return keysOf(should).every((name) => is[name] === should[name]) ? [] : [{ one, is, should }];
  });
  expect(wrong.slice(0, 3)).toEqual([]);
});

test('each line of the table is met, so none is there for show', () => {
  const met = new Set(every.map((one) => lines.findIndex(fits(one))));
  expect([...met].sort((a, b) => a - b)).toEqual(lines.map((_, i) => i));
});

const key = (more: Partial<Candidate>): Candidate => ({
  ...{ status: 'valid', isActive: true, fallback: true, retryAt: null, expiresAt: null, models: null, budget: null },
  ...more,
});
const situation = { provider: { name: 'OpenAI' }, byok: true, platform: true, model, nowMs };
const own = (one: Candidate, trial = false) => ({ source: 'user' as const, key: one, trial });

test('a key past its date is as one that is switched off, to the millisecond, and the error says which it was', () => {
  const [last, over] = [new Date(nowMs + 1), new Date(nowMs)];
  expect(choose({ ...situation, keys: [key({ expiresAt: last })] }).reason).toBeNull();
  expect(choose({ ...situation, keys: [key({ expiresAt: over })] })).toEqual({ attempts: [{ source: 'platform' }], reason: 'inactive' });
  // Nothing is asked of a key that its owner does not want used, whatever else is wrong with it.
  expect(choose({ ...situation, keys: [key({ expiresAt: over, status: 'invalid' })] }).reason).toBe('inactive');
  const sentence = (...keys: Candidate[]): string => {
    try {
      choose({ ...situation, keys, platform: false });
      return 'it was chosen';
    } catch (error) {
      return error instanceof AppError ? `${error.code} ${error.headers?.['x-byok-fallback-reason']} ${error.message}` : String(error);
    }
  };
  expect(sentence(key({ expiresAt: over }))).toMatch(/^key_unusable inactive .*the date that you have set for it has passed/);
  expect(sentence(key({ isActive: false, expiresAt: over }))).toMatch(/it is switched off/);
  // Of several, it is about the first that is for this model.
  expect(sentence(key({ isActive: false }), key({ expiresAt: over }))).toMatch(/it is switched off/);
  expect(sentence(key({ expiresAt: over }), key({ isActive: false }))).toMatch(/the date that you have set for it has passed/);
});

test('several keys are tried in order, the platform last, and one that forbids it forbids it for all', () => {
  const first = key({});
  const dead = key({ status: 'invalid' });
  const third = key({ status: 'no_credit', retryAt: new Date(nowMs - 1) });
  expect(choose({ ...situation, keys: [first, dead, third] })).toEqual({
    attempts: [own(first), own(third, true), { source: 'platform' }],
    reason: null,
  });
  expect(choose({ ...situation, keys: [dead, key({ isActive: false })] }).reason).toBe('invalid');
  expect(choose({ ...situation, keys: [first, key({ fallback: false })] }).attempts.every((one) => one.source === 'user')).toBe(true);
});

test("a spent key leaves the request to the next of one's own, and to the platform only if its owner said so", () => {
  const spent = key({ budget: budgets.spent });
  const next = key({});
  expect(choose({ ...situation, keys: [spent, next] })).toEqual({ attempts: [own(next)], reason: null });
  expect(choose({ ...situation, keys: [key({ budget: budgets.spent_then }), next] }).attempts).toEqual([own(next), { source: 'platform' }]);
  expect(() => choose({ ...situation, keys: [key({ status: 'invalid' }), spent] })).toThrow('monthly budget');
});

test('a key for other models is passed over, and has no say in what becomes of the request', () => {
  const others = key({ models: ['o3*'], fallback: false });
  const its = key({});
  expect(choose({ ...situation, keys: [others, its] })).toEqual({ attempts: [own(its), { source: 'platform' }], reason: null });
  expect(choose({ ...situation, keys: [others] })).toEqual({ attempts: [{ source: 'platform' }], reason: 'model' });
  // What names no model (such as a list of them) may go out on any key.
  expect(choose({ ...situation, model: null, keys: [others] }).attempts).toEqual([own(others)]);
});
