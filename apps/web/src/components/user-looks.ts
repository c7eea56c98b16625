/** How the state of an account looks, in a word, a colour and a shape: the first that applies is what matters most. */
import {
  symOutlinedBlock,
  symOutlinedCheckCircle,
  symOutlinedEventBusy,
  symOutlinedPriorityHigh,
} from '@quasar/extras/material-symbols-outlined';
import type { AdminUser } from '@synthstack/core';
import { t } from '../i18n/i18n.ts';

export function stateOfUser({ disabledAt, plan }: AdminUser) {
  if (disabledAt !== null) return { label: t('people.users.disabled'), tone: 'bad', icon: symOutlinedBlock } as const;
  if (plan.lapsed) return { label: t('people.users.lapsed'), tone: 'warn', icon: symOutlinedEventBusy } as const;
  if (plan.state === 'past_due') return { label: t('people.users.overdue'), tone: 'warn', icon: symOutlinedPriorityHigh } as const;
  return { label: t('people.users.active'), tone: 'good', icon: symOutlinedCheckCircle } as const;
}
