/** How the kinds of notice look, where each leads, and how what it says of itself is put into words. */
import {
  symOutlinedAccountBalanceWallet,
  symOutlinedBackup,
  symOutlinedBadge,
  symOutlinedError,
  symOutlinedKeyOff,
  symOutlinedLockReset,
  symOutlinedLogin,
  symOutlinedMail,
  symOutlinedPayments,
  symOutlinedSavings,
  symOutlinedSchedule,
  symOutlinedShieldPerson,
  symOutlinedSwapHoriz,
} from '@quasar/extras/material-symbols-outlined';
import { accountEvents, type NoticeKind, type NoticeView } from '@synthstack/core';
import { formatDate, formatUsd } from '../format.ts';
import { type TextKey, t } from '../i18n/i18n.ts';
import { home } from '../routes.ts';
import type { Tone } from './NoticeBox.vue';

interface Look {
  tone: Tone;
  icon: string;
  /** None: what is to be done is done elsewhere. */
  link?: { to: string; label: TextKey };
}

const toKeys = { to: home, label: 'notices.links.keys' } as const;

export const noticeLooks: Record<NoticeKind, Look> = {
  key_invalid: { tone: 'bad', icon: symOutlinedKeyOff, link: toKeys },
  key_no_credit: { tone: 'warn', icon: symOutlinedAccountBalanceWallet, link: toKeys },
  key_unreadable: { tone: 'bad', icon: symOutlinedLockReset, link: toKeys },
  key_expires: { tone: 'warn', icon: symOutlinedSchedule, link: toKeys },
  fallback_used: {
    tone: 'info',
    icon: symOutlinedSwapHoriz,
    link: { to: '/settings/api-keys/usage', label: 'notices.links.usage' },
  },
  budget_80: { tone: 'info', icon: symOutlinedSavings, link: toKeys },
  budget_100: { tone: 'warn', icon: symOutlinedSavings, link: toKeys },
  plan_ends: { tone: 'warn', icon: symOutlinedBadge, link: { to: '/settings/plan', label: 'notices.links.plan' } },
  new_sign_in: { tone: 'info', icon: symOutlinedLogin, link: { to: '/settings/profile', label: 'notices.links.sessions' } },
  account_security: { tone: 'info', icon: symOutlinedShieldPerson, link: { to: '/settings/profile', label: 'notices.links.account' } },
  platform_key_failed: { tone: 'bad', icon: symOutlinedError },
  rotation_due: { tone: 'warn', icon: symOutlinedLockReset },
  mail_failed: { tone: 'bad', icon: symOutlinedMail },
  prices_failed: { tone: 'warn', icon: symOutlinedPayments },
  backup_failed: { tone: 'bad', icon: symOutlinedBackup },
};

/** A reason that this page does not know yet is left out, not an error. */
const knownReasons = new Set([
  ...['bad_key', 'no_credit', 'not_allowed', 'unreadable', 'unreachable', 'timeout', 'tls', 'sign_in', 'sender'],
  ...['recipient', 'message', 'interrupted', 'other', 'full', 'unwritable', 'wrong_key', 'damaged'],
]);

const knownEvents: ReadonlySet<string> = new Set(accountEvents);

/** What a notice's sentences are filled with. */
export function wordsOf({ data }: NoticeView, nameOfProvider: (id: string) => string): Record<string, string> {
  const { provider = '', until, reason = '', event = '', browser, system, program, address, limitUsd } = data;
  return {
    keyHint: '',
    masterKeyId: '',
    ...data,
    limit: limitUsd === undefined ? t('common.unknown') : formatUsd(Number(limitUsd)),
    provider: nameOfProvider(provider),
    date: until ? formatDate(until) : t('common.unknown'),
    what: browser && system ? t('notices.device', { browser, system }) : (program ?? t('notices.unnamed')),
    address: address ?? t('notices.noAddress'),
    event: knownEvents.has(event) ? t(`notices.events.${event}` as TextKey) : t('notices.of.account_security.name'),
    reason: knownReasons.has(reason) ? t(`notices.reasons.${reason}` as TextKey) : t('common.unknown'),
  };
}
