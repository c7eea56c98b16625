/** Users as administrators see and change them. Of a secret there is no more here than that it is there. */
import { z } from 'zod';
import { Email, Password, PersonName } from './accounts.ts';
import { keyStatuses, ProviderId } from './keys.ts';
import { PlanView, planSources, planStates, TierSchema } from './plans.ts';
import { UsageTotals } from './usage.ts';

export const userStates = ['active', 'lapsed', 'disabled'] as const;
export type UserState = (typeof userStates)[number];

export const AdminUserQuery = z.strictObject({
  search: z
    .string()
    .trim()
    .max(254, 'Use at most 254 characters.')
    .regex(/^\P{Cc}*$/u, 'Use letters, digits and signs only: no line ends or control characters.')
    .optional()
    .describe('How an e-mail address or a name begins, `@` and how a domain begins, or a whole id.'),
  tier: TierSchema.optional().describe('Of the plan, lapsed or not.'),
  state: z.enum(userStates, { error: `A state is one of ${userStates.join(', ')}.` }).optional(),
  admins: z.boolean().optional().describe('true: administrators only.'),
  cursor: z
    .string()
    .regex(/^[\w-]{1,1000}$/, "cursor: the last answer's nextCursor, as it was.")
    .optional(),
  limit: z.int().min(1).max(100).default(30),
});
export type AdminUserQuery = z.output<typeof AdminUserQuery>;

export const AdminUser = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string(),
  isAdmin: z.boolean(),
  disabledAt: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
  plan: PlanView,
});
export type AdminUser = z.infer<typeof AdminUser>;

/** `nextCursor` may be there although fewer than asked for were found: so many were looked at, and the rest is still to be. */
export const AdminUserList = z.object({ users: z.array(AdminUser), nextCursor: z.string().nullable() });
export type AdminUserList = z.infer<typeof AdminUserList>;

export const AdminUserRef = z.strictObject({ id: z.uuid('This is not the id of a user.') });
export type AdminUserRef = z.infer<typeof AdminUserRef>;

/** One of the two plans that somebody may have at a time. */
export const PlanPart = z.object({
  tier: TierSchema,
  state: z.enum(planStates),
  until: z.iso.datetime().nullable(),
  renews: z.boolean(),
  source: z.enum(planSources),
});
export type PlanPart = z.infer<typeof PlanPart>;

/** Made by an administrator, it opens the account: shown where it must be handed over, sent where this server sends e-mail. */
export const resetWays = ['show', 'send'] as const;

export const AdminUserDetails = z.object({
  user: AdminUser,
  timezone: z.string().nullable(),
  locale: z.string().nullable(),
  signsIn: z.enum(['password', 'elsewhere', 'password_and_elsewhere', 'not_at_all']),
  unconfirmed: z.boolean().describe('Has signed up, and has not proved the address yet.'),
  self: z.boolean().describe('Whoever asks.'),
  given: PlanPart.nullable(),
  bought: PlanPart.nullable(),
  planVersion: z.string().describe('To be sent along with a change of the plan: another one made meanwhile is not undone by it.'),
  sessions: z.int(),
  factor: z.object({ since: z.iso.datetime(), codesLeft: z.int() }).nullable().describe('Two-factor authentication; null: off.'),
  passkeys: z.int(),
  keys: z.array(z.object({ provider: ProviderId, status: z.enum(keyStatuses), isActive: z.boolean() })),
  tokens: z.array(z.object({ name: z.string(), lastUsedAt: z.iso.datetime().nullable() })),
  usage: UsageTotals.describe('The sums of the last 30 days.'),
  reset: z.enum(resetWays).nullable().describe('How a link to a new password can be made; null: it cannot.'),
});
export type AdminUserDetails = z.infer<typeof AdminUserDetails>;

export const SetUserPlan = z.strictObject({
  id: AdminUserRef.shape.id,
  tier: TierSchema,
  until: z.iso.datetime({ offset: true, error: 'Name an instant such as 2027-01-01T00:00:00Z.' }).nullable(),
  planVersion: z.string().max(64).describe('As it was when you looked.'),
});
export type SetUserPlan = z.infer<typeof SetUserPlan>;

export const SetUserAccess = z
  .strictObject({ id: AdminUserRef.shape.id, disabled: z.boolean().optional(), admin: z.boolean().optional() })
  .refine(
    ({ disabled, admin }) => (disabled === undefined) !== (admin === undefined),
    'Name one thing that should change: disabled or admin.',
  );
export type SetUserAccess = z.infer<typeof SetUserAccess>;

export const NewUser = z.strictObject({
  email: Email,
  name: PersonName.optional().describe('The part of the address before the @ unless given.'),
  tier: TierSchema.default('community'),
  admin: z.boolean().default(false),
  password: Password.optional().describe('One is made, and told this once, unless given.'),
});
export type NewUser = z.output<typeof NewUser>;
export const AddedUser = z.object({ user: AdminUser, password: z.string().nullable().describe('Told this once; null: it was given.') });
export type AddedUser = z.infer<typeof AddedUser>;

/** Who holds the link has the account. */
export const ResetLink = z.object({
  url: z.string().nullable().describe('Told this once; null: it was sent to the owner by e-mail.'),
  expiresAt: z.iso.datetime(),
});
export type ResetLink = z.infer<typeof ResetLink>;
