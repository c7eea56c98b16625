/** What became of a person's keys: how often each was opened for a request, and who did what to it. */
import { z } from 'zod';
import { KeyStatus, ProviderId } from './keys.ts';
import { Timezone } from './usage.ts';

const Day = z.iso.date('A day, such as 2026-11-30.');

/** So many calendar days of the time zone, the last of them before `before`; without it, the last is today. */
export const KeyUsesQuery = z.strictObject({
  provider: ProviderId.optional(),
  timezone: Timezone.default('UTC'),
  days: z.int('days: a whole number from 1 to 31.').min(1, 'days: at least 1.').max(31, 'days: at most 31.').default(7),
  before: Day.optional(),
});
export type KeyUsesQuery = z.output<typeof KeyUsesQuery>;

/** One key, one day, one token. */
export const KeyUse = z.object({
  day: z.iso.date(),
  provider: ProviderId,
  keyId: z.uuid(),
  keyHint: z.string().nullable().describe('null: the key is gone.'),
  token: z
    .object({ id: z.uuid(), name: z.string().nullable().describe('null: the token is gone.') })
    .nullable()
    .describe('null: the pages, the AI Cofounders or an access JWT.'),
  uses: z.int().describe('How often the key was opened for a request.'),
  lastAt: z.iso.datetime(),
});
export type KeyUse = z.infer<typeof KeyUse>;
/** The newest day first, and of a day what was used last. `nextBefore`: for the next page; null: there is none. */
export const KeyUses = z.object({ today: z.iso.date(), uses: z.array(KeyUse), nextBefore: z.iso.date().nullable() });
export type KeyUses = z.infer<typeof KeyUses>;

export const KeyHistoryQuery = z.strictObject({
  provider: ProviderId.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "cursor: the last answer's nextCursor, as it was.")
    .optional(),
  limit: z.int('limit: a whole number from 1 to 100.').min(1, 'limit: at least 1.').max(100, 'limit: at most 100.').default(25),
});
export type KeyHistoryQuery = z.output<typeof KeyHistoryQuery>;

/** forgotten: a key that was replaced is deleted for good. */
export const keyEventKinds = ['saved', 'replaced', 'tested', 'switched', 'removed', 'restored', 'forgotten', 'expired'] as const;

/** A part of the audit log. What an entry does not say is null. */
export const KeyEvent = z.object({
  at: z.iso.datetime(),
  kind: z.enum(keyEventKinds),
  by: z.enum(['you', 'server', 'administrator']),
  provider: ProviderId.nullable(),
  keyId: z.uuid().nullable(),
  keyHint: z.string().nullable(),
  status: KeyStatus.nullable().describe('What a check found.'),
  isActive: z.boolean().nullable(),
  fallback: z.boolean().nullable(),
  expiresAt: z.union([z.iso.datetime(), z.literal('never')]).nullable(),
});
export type KeyEvent = z.infer<typeof KeyEvent>;
/** Newest first. */
export const KeyHistory = z.object({ events: z.array(KeyEvent), nextCursor: z.string().nullable() });
export type KeyHistory = z.infer<typeof KeyHistory>;
