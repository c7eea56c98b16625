/** The kinds of e-mail, and what each language has to say about every one of them. */
import type { NoticeKind } from '@synthstack/core';

/** These open something: they come with a link that only their reader may have. */
export const secretKinds = ['reset_password', 'verify_email'] as const;
export type SecretKind = (typeof secretKinds)[number];
export type MailKind = `notice.${NoticeKind}` | SecretKind;

export interface MailText {
  /** Fixed words, and names of providers at most: never what somebody typed. */
  subject: string;
  paragraphs: string[];
  /** Where to go on, as a path of this server. */
  action?: { label: string; path: string };
}

export interface Say {
  /** The host at which this server is reached. */
  server: string;
  dateTime(iso: string | undefined): string;
  provider(id: string | undefined): string;
}

export interface MailTexts {
  language: string;
  greeting: string;
  noticeFoot: string;
  accountFoot: string;
  of: Readonly<Record<MailKind, (data: Record<string, string>, say: Say) => MailText>>;
}

export const keysPath = '/settings/api-keys';
export const noticesPath = '/settings/notices';
export const planPath = '/settings/plan';
export const profilePath = '/settings/profile';
