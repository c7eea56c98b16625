/** An e-mail as it leaves: a subject on one line, a plain text, and the same as simple HTML. */

import type { MailKind, MailTexts, Say } from './mail-texts.ts';
import { mailTexts as german } from './mail-texts-de.ts';
import { mailTexts as english } from './mail-texts-en.ts';
import { providerOf } from './providers/catalog.ts';

export interface Words {
  kind: MailKind;
  data: Record<string, string>;
  /** What it opens, as a path of this server; none: the text's own. */
  path: string | undefined;
  /** Null: English, and UTC. */
  locale: string | null;
  timezone: string | null;
  publicUrl: string;
}

const languages: Readonly<Record<string, MailTexts>> = { en: english, de: german };

export function compose({ kind, data, path, locale, timezone, publicUrl }: Words): { subject: string; text: string; html: string } {
  const language = locale?.toLowerCase().split('-')[0] ?? 'en';
  const texts = languages[language] ?? english;
  const say = sayer(texts === german ? (locale ?? 'de') : language === 'en' && locale ? locale : 'en', timezone, publicUrl);
  const { subject, paragraphs, action } = texts.of[kind](data, say);
  const link = action && { label: action.label, url: publicUrl + (path ?? action.path) };
  const foot = kind.startsWith('notice.') ? texts.noticeFoot : texts.accountFoot;
  const settings = kind.startsWith('notice.') ? `${publicUrl}/settings/notices` : undefined;
  const text = [
    texts.greeting,
    ...paragraphs,
    ...(link ? [`${link.label}:\n${link.url}`] : []),
    '--',
    foot,
    ...(settings ? [settings] : []),
  ];
  return {
    subject: oneLine(subject),
    text: `${text.join('\n\n').replace('\n\n--\n\n', '\n\n-- \n')}\n`,
    html: page(texts.language, [
      ...[texts.greeting, ...paragraphs].map((one) => `<p>${escaped(one)}</p>`),
      ...(link ? [`<p><a href="${escaped(link.url)}">${escaped(link.label)}</a></p>`] : []),
      `<hr><p><small>${escaped(foot)}${settings ? ` <a href="${escaped(settings)}">${escaped(settings)}</a>` : ''}</small></p>`,
    ]),
  };
}

/** How dates and names are written for this reader. A zone or language that this server does not know is left out, not an error. */
function sayer(locale: string, timezone: string | null, publicUrl: string): Say {
  const dateTime = formatOf(locale, { dateStyle: 'long', timeStyle: 'long' }, timezone);
  return {
    server: new URL(publicUrl).host,
    dateTime: (iso = '') => (Number.isNaN(Date.parse(iso)) ? '?' : dateTime.format(new Date(iso))),
    provider: (id = '') => (id === 'openai' || id === 'anthropic' ? providerOf(id).name : oneLine(id)),
  };
}

function formatOf(locale: string, options: Intl.DateTimeFormatOptions, timezone: string | null): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat(locale, { ...options, timeZone: timezone ?? 'UTC' });
  } catch {
    return new Intl.DateTimeFormat('en', { ...options, timeZone: 'UTC' });
  }
}

const page = (language: string, parts: readonly string[]): string =>
  `<!doctype html><html lang="${language}"><head><meta charset="utf-8"></head><body>${parts.join('\n')}</body></html>`;

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => entities[sign] ?? sign);
/** Whatever would end a header's line, or hide in one. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 200);
