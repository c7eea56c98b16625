import type { BudgetView, KeyView, PlanView, ProviderView } from '@synthstack/core';
import { expect, test } from 'vitest';
import { keyState, nextSource, recognise } from './key-state.ts';

const key = (fields: Partial<KeyView>): KeyView => ({
  id: '0199b1d4-7a52-7c4e-9d5e-0a1b2c3d4e5f',
  provider: 'openai',
  keyHint: '****...abc1',
  status: 'valid',
  isValid: true,
  isActive: true,
  fallback: true,
  expiresAt: null,
  isExpired: false,
  former: null,
  lastError: null,
  totalRequests: 0,
  totalTokens: 0,
  estimatedCostUsd: 0,
  unpricedRequests: 0,
  lastUsedAt: null,
  lastTestedAt: null,
  createdAt: '2026-11-23T00:00:00Z',
  name: null,
  models: null,
  position: 0,
  isBeyond: false,
  budget: null,
  ...fields,
});
const budget = (more: Partial<BudgetView> = {}): BudgetView => ({
  ...{ limitUsd: 10, spentUsd: 10, reservedUsd: 0, hard: true, thenPlatform: false, resetsAt: '2026-12-01T00:00:00Z' },
  ...more,
});
const plan = (byok: boolean): PlanView => ({
  ...{ tier: byok ? 'premium' : 'community', plan: 'premium', state: byok ? 'active' : 'lapsed', lapsed: !byok, until: null, byok },
  ...{ renews: false, source: 'cli' },
});
const provider = (id: 'openai' | 'anthropic', platform = true): ProviderView => ({
  id,
  name: id,
  keyFormat: id === 'openai' ? 'sk-...' : 'sk-ant-...',
  keysUrl: 'https://example.com/keys',
  platform,
  models: [],
});

test.each([
  ['no key', undefined, true, true, 'none', 'platform'],
  ['no key, no platform key', undefined, true, false, 'none', 'nobody'],
  ['a valid key', key({}), true, true, 'valid', 'own'],
  ['a key past its date', key({ isExpired: true }), true, true, 'expired', 'platform'],
  ['a key past its date that is switched off', key({ isExpired: true, isActive: false }), true, true, 'inactive', 'platform'],
  [
    'a refused key past its date, without fallback',
    key({ isExpired: true, status: 'invalid', fallback: false }),
    true,
    true,
    'expired',
    'nobody',
  ],
  ['a valid key that may not do everything', key({ lastError: 'Missing scopes.' }), true, true, 'limited', 'own'],
  ['a switched-off key', key({ isActive: false }), true, true, 'inactive', 'platform'],
  ['a switched-off key without fallback', key({ isActive: false, fallback: false }), true, true, 'inactive', 'nobody'],
  ['an invalid key', key({ status: 'invalid' }), true, true, 'invalid', 'platform'],
  ['an invalid key, no platform key', key({ status: 'invalid' }), true, false, 'invalid', 'nobody'],
  ['a key without credit and without fallback', key({ status: 'no_credit', fallback: false }), true, true, 'no_credit', 'nobody'],
  ['an unchecked key', key({ status: 'unverified' }), true, true, 'unverified', 'platform'],
  ['an unreadable key', key({ status: 'unreadable' }), true, true, 'unreadable', 'platform'],
  ['a spent key', key({ budget: budget() }), true, true, 'budget', 'nobody'],
  ['a spent key whose owner lets the platform step in', key({ budget: budget({ thenPlatform: true }) }), true, true, 'budget', 'platform'],
  ['the same without fallback', key({ budget: budget({ thenPlatform: true }), fallback: false }), true, true, 'budget', 'nobody'],
  ['a key with some of its budget left', key({ budget: budget({ spentUsd: 9 }) }), true, true, 'valid', 'own'],
  ['a key whose budget only tells', key({ budget: budget({ hard: false }) }), true, true, 'valid', 'own'],
  ['a spent key that is refused anyway', key({ budget: budget(), status: 'invalid' }), true, true, 'invalid', 'platform'],
  ['a key beyond the number that is allowed', key({ isBeyond: true }), true, true, 'beyond', 'platform'],
  ['a good key on a lapsed plan', key({}), false, true, 'plan', 'platform'],
  ['a switched-off, invalid key on a lapsed plan', key({ isActive: false, status: 'invalid' }), false, true, 'plan', 'platform'],
] as const)('%s', (_name, stored, byok, platform, state, source) => {
  expect(keyState(stored, plan(byok))).toBe(state);
  expect(nextSource(stored ? [stored] : [], plan(byok), provider('openai', platform)).source).toBe(source);
});

test('of several, the first that works is next; one that forbids the platform forbids it for all', () => {
  const [dead, good, spent] = [key({ id: 'dead', status: 'invalid' }), key({ id: 'good' }), key({ id: 'spent', budget: budget() })];
  const next = (...keys: KeyView[]) => {
    const { source, key: which } = nextSource(keys, plan(true), provider('openai'));
    return [source, which?.id];
  };
  expect(next(dead, good)).toEqual(['own', 'good']);
  expect(next(spent, good)).toEqual(['own', 'good']);
  expect(next(dead, spent)).toEqual(['nobody', 'spent']);
  expect(next(dead)).toEqual(['platform', 'dead']);
});

test('the longest beginning says whose key it is', () => {
  const both = [provider('openai'), provider('anthropic')];
  expect(recognise(' sk-proj-abc', both)?.id).toBe('openai');
  expect(recognise('sk-ant-abc', both)?.id).toBe('anthropic');
  expect(recognise('byok_abc', both)).toBeUndefined();
  expect(recognise('', both)).toBeUndefined();
});
