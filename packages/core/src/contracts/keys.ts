import { z } from 'zod';
import { keySources, providerIds } from './bounds.ts';

export const ProviderId = z.enum(providerIds, { error: `Unknown provider: use one of ${providerIds.join(', ')}.` });
export type ProviderId = z.infer<typeof ProviderId>;

export const keyStatuses = ['valid', 'unverified', 'no_credit', 'invalid', 'unreadable'] as const;
export const KeyStatus = z.enum(keyStatuses);
export type KeyStatus = z.infer<typeof KeyStatus>;

/** Why a user's key was not the one that paid. The last two were learnt in flight. */
export const fallbackReasons = [
  'inactive',
  'plan',
  'invalid',
  'unverified',
  'no_credit',
  'unreadable',
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

const lastMs = Date.parse('9999-12-31T23:59:59.999Z');
/** From when on a key is not used any more, as its owner wants it; null: for as long as it works. */
const expiresAt = z.iso
  .datetime({ offset: true, error: 'expiresAt: an ISO 8601 instant such as 2027-01-01T00:00:00Z.', abort: true })
  .refine((text) => Date.parse(text) <= lastMs, 'Name an instant up to the year 9999.')
  .nullable()
  .optional();

export const SaveKey = TypedKey.extend({ expiresAt });
export type SaveKey = z.infer<typeof SaveKey>;
export const KeySwitches = z.strictObject({
  id: z.uuid('This is not the id of a key.'),
  isActive: z.boolean().optional(),
  fallback: z.boolean().optional(),
  expiresAt,
});
export type KeySwitches = z.infer<typeof KeySwitches>;

const instant = z.iso.datetime().nullable();

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
});
export type KeyView = z.infer<typeof KeyView>;
export const KeyList = z.object({ keys: z.array(KeyView) });
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
