import { z } from 'zod';
import { keySources, providerIds } from './bounds.ts';

export const ProviderId = z.enum(providerIds, { error: `Unknown provider: use one of ${providerIds.join(', ')}.` });
export type ProviderId = z.infer<typeof ProviderId>;

export const keyStatuses = ['valid', 'unverified', 'no_credit', 'invalid', 'unreadable'] as const;
export const KeyStatus = z.enum(keyStatuses);
export type KeyStatus = z.infer<typeof KeyStatus>;

/**
 * Why a user's key was not the one that paid. `budget`: its hard budget is used up, or what is left of it is too little for this request ·
 * `model`: its owner keeps it for other models. The last two were learnt in flight.
 */
export const fallbackReasons = [
  'inactive',
  'plan',
  'invalid',
  'unverified',
  'no_credit',
  'unreadable',
  'budget',
  'model',
  'bad_key',
  'out_of_credit',
] as const;
export type FallbackReason = (typeof fallbackReasons)[number];

export const KeySource = z.enum(keySources);
export type KeySource = z.infer<typeof KeySource>;

/**
 * The text of a provider key: 16 to 512 visible ASCII characters. White space around it is what a paste brings along and is
 * trimmed; inside it, it is a mistake worth naming. Anything else would only fail later, as a header, with the key in the error.
 */
export const KeyText = z
  .string({ error: 'Paste the key as text.' })
  .max(4_096, 'This is longer than any provider key: paste only the key.')
  .transform((text) => text.trim())
  .pipe(
    z
      .string()
      .min(16, 'This is too short for a key: paste the whole key (at least 16 characters).')
      .max(512, 'This is longer than any provider key (at most 512 characters): paste only the key.')
      .regex(/^[\x21-\x7e]*$/, 'A key has no spaces, line ends or special characters inside: copy it again, in one piece.'),
  );

export const KeyRef = z.strictObject({ id: z.uuid('This is not the id of a key.') });
export const TypedKey = z.strictObject({ provider: ProviderId, apiKey: KeyText });
export type TypedKey = z.infer<typeof TypedKey>;

/** As many keys of a provider as an operator may allow. */
export const mostKeysPerProvider = 10;

const keyName = z
  .string({ error: 'Write the name as text.' })
  .trim()
  .max(60, 'At most 60 characters.')
  .transform((text) => text || null)
  .nullable();

const lastMs = Date.parse('9999-12-31T23:59:59.999Z');
/** From when on a key is not used any more, as its owner wants it; null: for as long as it works. */
const expiresAt = z.iso
  .datetime({ offset: true, error: 'expiresAt: an ISO 8601 instant such as 2027-01-01T00:00:00Z.', abort: true })
  .refine((text) => Date.parse(text) <= lastMs, 'Name an instant up to the year 9999.')
  .nullable()
  .optional();

/** Where one key of a provider is allowed, a new one takes the place of the old; where several are, it comes last unless `keyId` names the one to replace. */
export const NewKey = z.strictObject({
  ...TypedKey.shape,
  keyId: z.uuid('This is not the id of a key.').optional().describe('The key of yours that it replaces.'),
  name: keyName.optional(),
  expiresAt,
});
export type NewKey = z.infer<typeof NewKey>;

/** `gpt-4.1`, or with a * at its end all models that begin so. */
const modelPattern = z
  .string({ error: 'Write models as text.' })
  .trim()
  .regex(/^[\w.:/-]{1,200}\*?$/, 'The name of a model, or the beginning of some with a * at the end, such as gpt-4.1*.');

export const KeySwitches = z.strictObject({
  id: z.uuid('This is not the id of a key.'),
  isActive: z.boolean().optional(),
  fallback: z.boolean().optional(),
  expiresAt,
  name: keyName.optional().describe('What its owner calls it; null: nothing.'),
  models: z
    .array(modelPattern)
    .max(50, 'At most 50 models.')
    .transform((models) => (models.length === 0 ? null : [...new Set(models)]))
    .nullable()
    .optional()
    .describe('The models that it is for, each by its name or its beginning with a * after it; null: all.'),
  position: z
    .int('A whole number.')
    .min(0, 'Counted from 0.')
    .max(mostKeysPerProvider * 10, 'There are not so many keys.')
    .optional()
    .describe('Its place in the order in which your keys of that provider are tried, from 0.'),
});
export type KeySwitches = z.infer<typeof KeySwitches>;

const instant = z.iso.datetime().nullable();

/** A month's budget of a key, months being those of UTC. */
export const BudgetView = z.object({
  limitUsd: z.number(),
  spentUsd: z.number().describe('Since the month began, estimated from public prices.'),
  reservedUsd: z.number().describe('What requests under way may cost at most.'),
  hard: z.boolean().describe('Requests that could cost more than what is left are refused; false: its owner is told, and requests go on.'),
  thenPlatform: z.boolean().describe('At the end of a hard budget, the platform key answers in its place.'),
  resetsAt: z.iso.datetime(),
});
export type BudgetView = z.infer<typeof BudgetView>;

/** A million dollars; sums stay exact far beyond. */
const mostUsd = 1_000_000;
export const SetBudget = z.strictObject({
  id: z.uuid('This is not the id of a key.'),
  limitUsd: z
    .number({ error: 'An amount of US dollars.' })
    .min(0.01, 'At least $0.01.')
    .max(mostUsd, 'At most $1,000,000.')
    .transform((usd) => Math.round(usd * 100) / 100),
  hard: z.boolean({ error: 'true or false.' }),
  thenPlatform: z.boolean().optional(),
});
export type SetBudget = z.infer<typeof SetBudget>;

/** How many requests a day may go to the platform's key because the caller's own did not answer. */
export const FallbackCapView = z.object({
  perDay: z.int().nullable().describe('null: as many as your limits allow.'),
  usedToday: z.int(),
  resetsAt: z.iso.datetime().describe('The next midnight, UTC.'),
});
export type FallbackCapView = z.infer<typeof FallbackCapView>;
export const SetFallbackCap = z.strictObject({
  perDay: z.int('A whole number, or nothing.').min(0, '0 or more.').max(1_000_000, 'At most 1000000.').nullable().describe('null: no cap.'),
});
export type SetFallbackCap = z.infer<typeof SetFallbackCap>;

/** What anyone ever sees of a stored key. */
export const KeyView = z.object({
  id: z.uuid(),
  provider: ProviderId,
  keyHint: z.string().describe('The last four characters, as ****...abc1.'),
  status: KeyStatus,
  isValid: z.boolean(),
  isActive: z.boolean(),
  fallback: z.boolean().describe('Use the platform key when this one does not work.'),
  expiresAt: instant.describe('From then on it is not used, as you said; null: you said nothing.'),
  isExpired: z.boolean(),
  former: z
    .object({ id: z.uuid(), keyHint: z.string(), until: z.iso.datetime() })
    .nullable()
    .describe('The key that it replaced, as long as that can be restored.'),
  lastError: z.string().nullable(),
  totalRequests: z.int(),
  totalTokens: z.int(),
  estimatedCostUsd: z.number().describe('The sum of what is priced, an estimate from public prices.'),
  unpricedRequests: z.int(),
  lastUsedAt: instant,
  lastTestedAt: instant,
  createdAt: z.iso.datetime(),
  name: z.string().nullable(),
  models: z.array(z.string()).nullable().describe('The models that it is for; null: all.'),
  position: z.int().describe('Its place in the order in which your keys of that provider are tried, from 0.'),
  isBeyond: z.boolean().describe('This server allows fewer keys of a provider than stand before it: it is stored and not used.'),
  budget: BudgetView.nullable(),
});
export type KeyView = z.infer<typeof KeyView>;
export const KeyList = z.object({
  keys: z.array(KeyView),
  perProvider: z.int().describe('How many keys of a provider this server allows.'),
});
export type KeyList = z.infer<typeof KeyList>;
export const OneKey = z.object({ key: KeyView });

export const Verdict = z.object({
  valid: z.boolean(),
  status: KeyStatus,
  message: z.string(),
  latencyMs: z.int(),
});
export type Verdict = z.infer<typeof Verdict>;

export const ProviderView = z.object({
  id: ProviderId,
  name: z.string(),
  keyFormat: z.string(),
  keysUrl: z.string(),
  platform: z.boolean().describe('The operator has set a platform key for this provider.'),
  models: z.array(z.object({ id: z.string(), inputUsdPerMillion: z.number().nullable(), outputUsdPerMillion: z.number().nullable() })),
});
export type ProviderView = z.infer<typeof ProviderView>;
export const ProviderList = z.object({ providers: z.array(ProviderView) });
