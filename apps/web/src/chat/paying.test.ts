import type { KeyView, PlanView, ProviderView } from '@synthstack/core';
import { expect, test } from 'vitest';
import { paidBy, usualProvider, wouldPay } from './paying.ts';

const provider = (id: ProviderView['id'], platform: boolean): ProviderView => ({
  id,
  name: id,
  keyFormat: 'sk-...',
  keysUrl: '',
  platform,
  models: [],
});
const key = (fields: Partial<KeyView>) =>
  ({
    provider: 'openai',
    status: 'valid',
    isActive: true,
    fallback: true,
    lastError: null,
    isBeyond: false,
    models: null,
    budget: null,
    ...fields,
  }) as KeyView;
const plan = (byok: boolean) => ({ byok }) as PlanView;
const both = [provider('openai', true), provider('anthropic', true)];

test.each([
  ['an own key that works', key({}), true, 'user', 'user'],
  ['no key', undefined, true, 'platform', 'platform'],
  ['a key that is switched off', key({ isActive: false }), true, 'platform', 'inactive'],
  ['a key past its date', key({ isExpired: true }), true, 'platform', 'expired'],
  ['a key that is refused', key({ status: 'invalid' }), true, 'platform', 'invalid'],
  ['a key without credit', key({ status: 'no_credit' }), true, 'platform', 'no_credit'],
  ['a plan without own keys', key({}), false, 'platform', 'plan'],
  ['a refused key that must not fall back', key({ status: 'invalid', fallback: false }), true, 'nobody', 'nobody'],
])('%s: who will pay, and why', (_name, stored, byok, whose, why) => {
  expect(wouldPay({ keys: stored ? [stored] : [], plan: plan(byok), providers: both }, 'openai')).toEqual({ whose, why });
});

test('where nothing was chosen, the first whose own key works answers, else the first with a platform key, else nobody', () => {
  const anthropic = key({ provider: 'anthropic' });
  expect(usualProvider({ keys: [anthropic], plan: plan(true), providers: both })).toBe('anthropic');
  expect(usualProvider({ keys: [key({}), anthropic], plan: plan(true), providers: both })).toBe('openai');
  expect(usualProvider({ keys: [], plan: plan(true), providers: [provider('openai', false), provider('anthropic', true)] })).toBe(
    'anthropic',
  );
  expect(usualProvider({ keys: [], plan: plan(true), providers: [provider('openai', false)] })).toBeNull();
});

test('an answer says who paid, and of a fallback why', () => {
  expect(paidBy({ keySource: 'user', fallbackReason: null })).toEqual({ whose: 'user', why: 'user' });
  expect(paidBy({ keySource: 'platform', fallbackReason: 'bad_key' })).toEqual({ whose: 'platform', why: 'bad_key' });
  expect(paidBy({ keySource: null, fallbackReason: null })).toBeNull();
});
