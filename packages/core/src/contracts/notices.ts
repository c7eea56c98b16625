/** What people are told without having asked: the kinds of news, and who wants which of them where. */
import { z } from 'zod';

/**
 * What each says of itself (`data`), without any secret:
 * key_invalid, key_no_credit, key_unreadable `{keyId, provider, keyHint}` · key_expires the same and `{until, days}`, days: 14, 3, 0 (its last day), -1 (it is over) ·
 * fallback_used `{provider, reason}` · budget_80, budget_100 `{keyId, provider, keyHint, limitUsd, hard: "true"|"false"}` ·
 * plan_ends `{tier, until, days}` · new_sign_in `{browser?, system?, program?, address?, at}` ·
 * account_security `{event, at}`, the events of `accountEvents` ·
 * platform_key_failed `{provider, reason, keyHint}` · rotation_due `{masterKeyId}` · mail_failed, prices_failed (PRICES_URL), backup_failed `{reason}`.
 */
export const userNoticeKinds = [
  'key_invalid',
  'key_no_credit',
  'key_unreadable',
  'key_expires',
  'fallback_used',
  'budget_80',
  'budget_100',
  'plan_ends',
  'new_sign_in',
  'account_security',
] as const;
export const accountEvents = [
  ...(['password_changed', 'password_reset', 'factor_enabled', 'factor_disabled', 'factors_reset', 'code_used'] as const),
  ...(['passkey_added', 'passkey_removed'] as const),
] as const;
/** For administrators, all together. */
export const adminNoticeKinds = ['platform_key_failed', 'rotation_due', 'mail_failed', 'prices_failed', 'backup_failed'] as const;
export const noticeKinds = [...userNoticeKinds, ...adminNoticeKinds] as const;
export type NoticeKind = (typeof noticeKinds)[number];

/** Where a kind is told unless somebody says otherwise; `email` null: never by e-mail, since that is what it is about. */
export const noticeDefaults = {
  key_invalid: { page: true, email: true },
  key_no_credit: { page: true, email: true },
  key_unreadable: { page: true, email: true },
  key_expires: { page: true, email: true },
  fallback_used: { page: true, email: false },
  budget_80: { page: true, email: false },
  budget_100: { page: true, email: true },
  plan_ends: { page: true, email: true },
  new_sign_in: { page: true, email: true },
  account_security: { page: true, email: true },
  platform_key_failed: { page: true, email: true },
  rotation_due: { page: true, email: true },
  mail_failed: { page: true, email: null },
  prices_failed: { page: true, email: true },
  backup_failed: { page: true, email: true },
} as const satisfies Record<NoticeKind, { page: boolean; email: boolean | null }>;

/** Of what comes to an end, people are reminded so many days before: the longest first. */
export const reminderDays = [14, 3] as const;

export const NoticeRef = z.strictObject({ id: z.uuid('This is not the id of a notice.') });

export const NoticeQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^\d{1,15}_[0-9a-f-]{36}$/, "cursor: the last answer's nextCursor, as it was.")
    .optional(),
});
export type NoticeQuery = z.infer<typeof NoticeQuery>;

export const NoticeView = z.object({
  id: z.uuid(),
  kind: z.enum(noticeKinds),
  data: z.record(z.string(), z.string()).describe('What it is about; which fields, the kind says.'),
  createdAt: z.iso.datetime(),
  readAt: z.iso.datetime().nullable().describe('null: not read.'),
});
export type NoticeView = z.infer<typeof NoticeView>;
/** Newest first. `nextCursor`: null where there are no more. */
export const NoticePage = z.object({ notices: z.array(NoticeView), nextCursor: z.string().nullable() });
export type NoticePage = z.infer<typeof NoticePage>;

export const UnreadNotices = z.object({
  unread: z.int(),
  administrators: z.int().nullable().describe("Of the administrators' notices; null: the caller is none."),
});
export type UnreadNotices = z.infer<typeof UnreadNotices>;

export const NoticePreference = z.object({
  kind: z.enum(noticeKinds),
  page: z.boolean(),
  email: z.boolean().nullable().describe('null: never by e-mail.'),
});
export type NoticePreference = z.infer<typeof NoticePreference>;
export const NoticePreferences = z.object({
  mail: z.boolean().describe('Whether this server sends e-mail.'),
  kinds: z.array(NoticePreference),
});
export type NoticePreferences = z.infer<typeof NoticePreferences>;

/** What is not named stays. */
export const SetNoticePreference = z
  .strictObject({
    kind: z.enum(noticeKinds, { error: 'There is no such kind of notice.' }),
    page: z.boolean().optional(),
    email: z.boolean().optional(),
  })
  .refine(({ page, email }) => page !== undefined || email !== undefined, 'Name what should change: page or email.');
export type SetNoticePreference = z.infer<typeof SetNoticePreference>;

/** The caller's notices, or what of them is read, are others than before. */
export const NoticeChange = z.object({ changedAt: z.iso.datetime() });
export type NoticeChange = z.infer<typeof NoticeChange>;
