/** How the states of a key look; what is said of them is in i18n, under keys.states and keys.steps. */
import {
  symOutlinedAccountBalanceWallet,
  symOutlinedBlock,
  symOutlinedCheckCircle,
  symOutlinedDoNotDisturbOn,
  symOutlinedError,
  symOutlinedEventBusy,
  symOutlinedInventory2,
  symOutlinedLockReset,
  symOutlinedRadioButtonUnchecked,
  symOutlinedSavings,
  symOutlinedSchedule,
  symOutlinedWarning,
} from '@quasar/extras/material-symbols-outlined';
import type { ProviderId } from '@synthstack/core';
import type { KeyState } from '../key-state.ts';

export const stateLooks: Record<KeyState, { tone: 'good' | 'bad' | 'warn' | 'info' | 'quiet'; icon: string }> = {
  none: { tone: 'quiet', icon: symOutlinedRadioButtonUnchecked },
  valid: { tone: 'good', icon: symOutlinedCheckCircle },
  limited: { tone: 'warn', icon: symOutlinedWarning },
  invalid: { tone: 'bad', icon: symOutlinedError },
  no_credit: { tone: 'warn', icon: symOutlinedAccountBalanceWallet },
  unverified: { tone: 'info', icon: symOutlinedSchedule },
  unreadable: { tone: 'bad', icon: symOutlinedLockReset },
  budget: { tone: 'warn', icon: symOutlinedSavings },
  beyond: { tone: 'quiet', icon: symOutlinedInventory2 },
  inactive: { tone: 'quiet', icon: symOutlinedDoNotDisturbOn },
  expired: { tone: 'warn', icon: symOutlinedEventBusy },
  plan: { tone: 'warn', icon: symOutlinedBlock },
};

/** The button that makes a key, as each provider calls it on its English pages. */
export const makeKeyButton: Partial<Record<ProviderId, string>> = { openai: 'Create new secret key', anthropic: 'Create Key' };

/** Where the focus goes once there is no key to act on any more. */
export const addButtonId = (provider: ProviderId): string => `add-${provider}`;
