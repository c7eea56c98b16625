import { AppError } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type Candidate, choose } from './choose.ts';

const nowMs = Date.UTC(2026, 10, 1);
const statuses = ['valid', 'unverified', 'no_credit', 'invalid', 'unreadable'] as const;
const retries = { none: null, due: nowMs, later: nowMs + 1 };
const yesNo = ['yes', 'no'] as const;

interface Case {
  key: 'yes' | 'no';
  plan: 'yes' | 'no';
  active: 'yes' | 'no';
  status: (typeof statuses)[number];
  retry: keyof typeof retries;
  fallback: 'yes' | 'no';
  platform: 'yes' | 'no';
}

/** DESIGN.md, "Which key pays", written out by hand: the first line that fits tells what happens. `any` fits all. */
const rules = `
  key  plan  active  status      retry  fallback  platform | tries         reason      error
  no   yes   any     any         any    any       yes      | platform      -           -
  no   no    any     any         any    any       yes      | platform      -           -
  no   yes   any     any         any    any       no       | -             -           no_key
  no   no    any     any         any    any       no       | -             -           plan_required
  yes  no    any     any         any    yes       yes      | platform      plan        -
  yes  no    any     any         any    any       any      | -             plan        plan_required
  yes  yes   no      any         any    yes       yes      | platform      inactive    -
  yes  yes   no      any         any    any       any      | -             inactive    key_unusable
  yes  yes   yes     valid       any    yes       yes      | own,platform  -           -
  yes  yes   yes     valid       any    any       any      | own           -           -
  yes  yes   yes     no_credit   due    yes       yes      | trial,platform -          -
  yes  yes   yes     no_credit   due    any       any      | trial         -           -
  yes  yes   yes     no_credit   any    yes       yes      | platform      no_credit   -
  yes  yes   yes     no_credit   any    any       any      | -             no_credit   key_unusable
  yes  yes   yes     unverified  any    yes       yes      | platform      unverified  -
  yes  yes   yes     unverified  any    any       any      | -             unverified  key_unusable
  yes  yes   yes     invalid     any    yes       yes      | platform      invalid     -
  yes  yes   yes     invalid     any    any       any      | -             invalid     key_unusable
  yes  yes   yes     unreadable  any    yes       yes      | platform      unreadable  -
  yes  yes   yes     unreadable  any    any       any      | -             unreadable  key_unusable`
  .trim()
  .split('\n')
  .map((line) => line.replace('|', ' ').trim().split(/\s+/));

const [names = [], ...lines] = rules;

function expected(one: Case): Record<string, string> {
  const line = lines.find((cells) => names.slice(0, 7).every((name, i) => cells[i] === 'any' || cells[i] === one[name as keyof Case]));
  return Object.fromEntries(names.slice(7).map((name, i) => [name, line?.[i + 7] ?? 'no rule']));
}

function chosen(one: Case): Record<string, string> {
  const key: Candidate = {
    status: one.status,
    isActive: one.active === 'yes',
    fallback: one.fallback === 'yes',
    retryAt: retries[one.retry] === null ? null : new Date(retries[one.retry] ?? 0),
    expiresAt: null,
  };
  const situation = {
    provider: { name: 'OpenAI' },
    keys: one.key === 'yes' ? [key] : [],
    byok: one.plan === 'yes',
    platform: one.platform === 'yes',
  };
  try {
    const { attempts, reason } = choose({ ...situation, nowMs });
    const tries = attempts.map((attempt) => (attempt.source === 'platform' ? 'platform' : attempt.trial ? 'trial' : 'own'));
    return { tries: tries.join(','), reason: reason ?? '-', error: '-' };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect(error.message).toContain('OpenAI');
    expect(error.message).toContain('Settings > ');
    expect(error.shouldRetry).toBe(false);
    return { tries: '-', reason: error.headers?.['x-byok-fallback-reason'] ?? '-', error: error.code };
  }
}

const every = yesNo.flatMap((key) =>
  yesNo.flatMap((plan) =>
    yesNo.flatMap((active) =>
      statuses.flatMap((status) =>
        (Object.keys(retries) as (keyof typeof retries)[]).flatMap((retry) =>
          yesNo.flatMap((fallback) => yesNo.map((platform): Case => ({ key, plan, active, status, retry, fallback, platform }))),
        ),
      ),
    ),
  ),
);

test(`each of ${every.length} situations is decided as the table says`, () => {
  for (const one of every) expect({ ...one, ...chosen(one) }).toEqual({ ...one, ...expected(one) });
});

test('each line of the table is met, so none is there for show', () => {
  const met = new Set(
    every.map((one) =>
      lines.findIndex((cells) => names.slice(0, 7).every((name, i) => cells[i] === 'any' || cells[i] === one[name as keyof Case])),
    ),
  );
  expect([...met].sort((a, b) => a - b)).toEqual(lines.map((_, i) => i));
});

const key = (more: Partial<Candidate>): Candidate => {
  return { status: 'valid', isActive: true, fallback: true, retryAt: null, expiresAt: null, ...more };
};

test('a key past its date is as one that is switched off, to the millisecond, and the error says which it was', () => {
  const situation = { provider: { name: 'OpenAI' }, byok: true, platform: true, nowMs };
  const [last, over] = [new Date(nowMs + 1), new Date(nowMs)];
  expect(choose({ ...situation, keys: [key({ expiresAt: last })] }).reason).toBeNull();
  expect(choose({ ...situation, keys: [key({ expiresAt: over })] })).toEqual({ attempts: [{ source: 'platform' }], reason: 'inactive' });
  // Nothing is asked of a key that its owner does not want used, whatever else is wrong with it.
  expect(choose({ ...situation, keys: [key({ expiresAt: over, status: 'invalid' })] }).reason).toBe('inactive');
  const sentence = (one: Candidate): string => {
    try {
      choose({ ...situation, keys: [one], platform: false });
      return 'it was chosen';
    } catch (error) {
      return error instanceof AppError ? `${error.code} ${error.headers?.['x-byok-fallback-reason']} ${error.message}` : String(error);
    }
  };
  expect(sentence(key({ expiresAt: over }))).toMatch(/^key_unusable inactive .*the date that you have set for it has passed/);
  expect(sentence(key({ isActive: false, expiresAt: over }))).toMatch(/it is switched off/);
});

test('several keys are tried in order, the platform last, and one that forbids it forbids it for all', () => {
  const first = key({});
  const dead = key({ status: 'invalid' });
  const third = key({ status: 'no_credit', retryAt: new Date(nowMs - 1) });
  const situation = { provider: { name: 'OpenAI' }, byok: true, platform: true, nowMs };
  expect(choose({ ...situation, keys: [first, dead, third] })).toEqual({
    attempts: [{ source: 'user', key: first, trial: false }, { source: 'user', key: third, trial: true }, { source: 'platform' }],
    reason: null,
  });
  expect(choose({ ...situation, keys: [dead, key({ isActive: false })] }).reason).toBe('invalid');
  expect(choose({ ...situation, keys: [first, key({ fallback: false })] }).attempts.every((one) => one.source === 'user')).toBe(true);
});
