import { expect, test } from 'vitest';
import { changesOf, draftOf, isOvertaken, mistakesOf, type TierState } from './tier-draft.ts';

const changed = { version: 5, changedAt: '2026-11-23T12:00:00.000Z', changedBy: 'Ada' };
const released = <T>(value: T) => ({ value, source: 'release' as const, default: value, defaultSource: 'release' as const });
const set = <T>(value: T, fallback: T) => ({ ...released(fallback), value, source: 'setting' as const });
const state: TierState = {
  tier: 'community',
  limits: { tier: 'community', ...changed, requestsPerMinute: set(20, 10), requestsPerDay: released(100), byok: released(false) },
  models: {
    tier: 'community',
    ...changed,
    version: 7,
    models: set<'all' | string[]>(['gpt-4o', 'gpt-4.1'], 'all'),
    maxOutputTokens: released(16_384),
  },
};

test('what is set stands in the fields, and what is not is left empty', () => {
  expect(draftOf(state)).toEqual({
    ...{ requestsPerMinute: '20', requestsPerDay: '', byok: 'default', maxOutputTokens: '' },
    ...{ models: 'list', list: 'gpt-4o\ngpt-4.1' },
  });
});

test('only what is another than before is sent, on the versions of both', () => {
  const draft = draftOf(state);
  expect(changesOf(draft, state)).toEqual({ limits: null, models: null });
  expect(changesOf({ ...draft, requestsPerMinute: ' ', requestsPerDay: '7', list: 'gpt-4.1, gpt-4o gpt-4o' }, state)).toEqual({
    limits: { tier: 'community', version: 5, requestsPerMinute: null, requestsPerDay: 7 },
    models: { tier: 'community', version: 7, models: ['gpt-4.1', 'gpt-4o'] },
  });
  expect(changesOf({ ...draft, byok: 'yes', models: 'default', maxOutputTokens: '100' }, state)).toEqual({
    limits: { tier: 'community', version: 5, byok: true },
    models: { tier: 'community', version: 7, models: null, maxOutputTokens: 100 },
  });
});

test('a change that is saved over another one keeps what it does not touch, on the newer version', () => {
  const latest: TierState = { ...state, limits: { ...state.limits, version: 9, requestsPerMinute: set(50, 10) } };
  expect([isOvertaken(state, latest), isOvertaken(state, state)]).toEqual([true, false]);
  const { limits, models } = changesOf({ ...draftOf(state), requestsPerDay: '7' }, latest);
  expect([limits, models]).toEqual([{ tier: 'community', version: 9, requestsPerMinute: 20, requestsPerDay: 7 }, null]);
});

test.each([
  [{ requestsPerMinute: 'ten' }, 'requestsPerMinute'],
  [{ requestsPerMinute: '-1' }, 'requestsPerMinute'],
  [{ requestsPerMinute: '1.5' }, 'requestsPerMinute'],
  [{ requestsPerDay: '10000001' }, 'requestsPerDay'],
  [{ maxOutputTokens: '0' }, 'maxOutputTokens'],
  [{ models: 'list' as const, list: 'gpt-4o\nwhat?' }, 'list'],
  [{ models: 'list' as const, list: Array.from({ length: 201 }, (_, i) => `m${i}`).join('\n') }, 'list'],
])('%o has a mistake in %s', (typed, field) => {
  expect(Object.keys(mistakesOf({ ...draftOf(state), ...typed }))).toEqual([field]);
});

test('what does not count has no mistake', () => {
  expect(mistakesOf({ ...draftOf(state), models: 'all', list: 'what?' })).toEqual({});
  expect(mistakesOf({ ...draftOf(state), requestsPerMinute: '0', models: 'list', list: '' })).toEqual({});
});
