/** How the history of keys is written. Reactive, as format.ts is. */
import type { KeyEvent } from '@synthstack/core';
import { formatDate, perLocale } from './format.ts';
import { t } from './i18n/i18n.ts';

const time = perLocale((locale, zone) => new Intl.DateTimeFormat(locale, { timeStyle: 'short', timeZone: zone }));
/** A calendar day is one wherever it is read. */
const day = perLocale(
  (locale) => new Intl.DateTimeFormat(locale, { weekday: 'short', day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }),
);

export const formatTime = (iso: string): string => time().format(new Date(iso));
/** @param text  as `2026-11-30` */
export const formatDay = (text: string): string => day().format(new Date(text));

/** What an entry says beside its title: which key, what a check found, what was switched, and who did it. */
export function detailsOf(event: KeyEvent, nameOfProvider: (id: string) => string): string[] {
  const { provider, keyHint, status, isActive, fallback, expiresAt, by, kind } = event;
  const key = [provider && nameOfProvider(provider), keyHint].filter(Boolean).join(' ');
  const end = expiresAt === 'never' ? t('keyHistory.noEnd') : expiresAt && t('keyHistory.end', { date: formatDate(expiresAt) });
  return [
    key,
    status && t(`keys.states.${status}.label`),
    isActive === null ? '' : t(isActive ? 'keyHistory.on' : 'keyHistory.off'),
    fallback === null ? '' : t(fallback ? 'keyHistory.fallbackOn' : 'keyHistory.fallbackOff'),
    kind === 'expired' ? '' : end,
    t(`keyHistory.by.${by}`),
  ].filter((text): text is string => Boolean(text));
}
