/** What the pages say about keys and their states. `{name}` is the provider's name. */
import {
  symOutlinedAccountBalanceWallet,
  symOutlinedBlock,
  symOutlinedCheckCircle,
  symOutlinedDoNotDisturbOn,
  symOutlinedError,
  symOutlinedLockReset,
  symOutlinedRadioButtonUnchecked,
  symOutlinedSchedule,
  symOutlinedWarning,
} from '@quasar/extras/material-symbols-outlined';
import type { ProviderId } from '@synthstack/core';
import type { KeyState } from '../key-state.ts';

interface StateText {
  label: string;
  tone: 'good' | 'bad' | 'warn' | 'info' | 'quiet';
  icon: string;
  /** What it means, where the server has no sentence of its own. */
  means: string;
  /** What else helps, shown at the state that it explains: it follows `means`, or the server's sentence. */
  steps: string[];
  /** In their place while the plan does not include own keys, where “Replace” is switched off. */
  stepsWithoutPlan?: string[];
  /** Why a request fails, where nothing else pays: "fails, because ...". */
  fails: string;
}

export const stateTexts: Record<KeyState, StateText> = {
  none: {
    label: 'No key',
    tone: 'quiet',
    icon: symOutlinedRadioButtonUnchecked,
    means: 'You have not added a key for {name}.',
    steps: [],
    fails: 'there is no key for it',
  },
  valid: {
    label: 'Valid',
    tone: 'good',
    icon: symOutlinedCheckCircle,
    means: '{name} accepts this key.',
    steps: [],
    fails: '',
  },
  limited: {
    label: 'Valid, with limits',
    tone: 'warn',
    icon: symOutlinedWarning,
    means: '{name} accepts this key, but does not allow it everything.',
    steps: ['If requests fail, look at the key’s permissions in your {name} account, or make a key without restrictions.'],
    fails: '',
  },
  invalid: {
    label: 'Invalid',
    tone: 'bad',
    icon: symOutlinedError,
    means: '{name} does not accept this key.',
    steps: [
      'Look in your {name} account whether the key still exists and has not expired.',
      'Make sure that the account is in order and may use the API.',
      'If it should work, press “Test Key”. If not, make a new key and press “Replace”.',
    ],
    stepsWithoutPlan: [
      'Look in your {name} account whether the key still exists and has not expired.',
      'If it should work, press “Test Key”. If not, enter a new key when your plan is renewed.',
    ],
    fails: 'your key is not accepted',
  },
  no_credit: {
    label: 'No credit',
    tone: 'warn',
    icon: symOutlinedAccountBalanceWallet,
    means:
      '{name} knows this key, but its account has no credit left or has reached its spending limit. Add credit or raise the limit there, under Billing.',
    steps: ['When that is done, press “Test Key”. Otherwise we try the key again by ourselves with one of your next requests.'],
    fails: 'your key has no credit',
  },
  unverified: {
    label: 'Not checked yet',
    tone: 'info',
    icon: symOutlinedSchedule,
    means: '{name} could not be asked whether this key works. We ask again by ourselves, first after a minute.',
    steps: ['“Test Key” asks {name} at once.'],
    fails: 'your key has not been checked yet',
  },
  unreadable: {
    label: 'Unreadable',
    tone: 'bad',
    icon: symOutlinedLockReset,
    means: 'This server can no longer open the stored key, because its master key has changed.',
    steps: ['Press “Replace” and enter the key again, or a new one.', 'If this happened to everybody, tell your administrator.'],
    stepsWithoutPlan: ['When your plan is renewed, enter this key again.', 'If this happened to everybody, tell your administrator.'],
    fails: 'your key cannot be opened',
  },
  inactive: {
    label: 'Switched off',
    tone: 'quiet',
    icon: symOutlinedDoNotDisturbOn,
    means: 'The key stays stored, but is not used.',
    steps: ['Switch “Active” on to use it again.'],
    fails: 'your key is switched off',
  },
  plan: {
    label: 'Stored, not used',
    tone: 'warn',
    icon: symOutlinedBlock,
    means: 'Your plan does not include keys of your own. Nothing is lost: the key is used again once your plan does.',
    steps: [],
    fails: 'your plan does not include your key',
  },
};

/** The button that makes a key, as each provider calls it. */
export const makeKeyButton: Partial<Record<ProviderId, string>> = { openai: 'Create new secret key', anthropic: 'Create Key' };

/** Where the focus goes once there is no key to act on any more. */
export const addButtonId = (provider: ProviderId): string => `add-${provider}`;

export function named(text: string, name: string): string {
  return text.replaceAll('{name}', name);
}
