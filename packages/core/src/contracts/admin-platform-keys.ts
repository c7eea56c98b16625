/** The operator's own keys: set in the environment, or stored by an administrator, which comes first as long as it works. */
import { z } from 'zod';
import { KeyRef, KeyView, ProviderId } from './keys.ts';

export const PlatformKeyView = KeyView.pick({
  id: true,
  provider: true,
  keyHint: true,
  status: true,
  isValid: true,
  isActive: true,
  lastError: true,
  lastTestedAt: true,
  createdAt: true,
});
export type PlatformKeyView = z.infer<typeof PlatformKeyView>;

export const platformKeyOrigins = ['stored', 'environment'] as const;
export const PlatformKeys = z.object({
  provider: ProviderId,
  name: z.string().describe("The provider's."),
  stored: PlatformKeyView.nullable(),
  environment: z.object({ keyHint: z.string(), variable: z.string() }).nullable(),
  used: z
    .enum(platformKeyOrigins)
    .nullable()
    .describe("Which one the next request uses: the stored one if it works, else the environment's; null: neither."),
});
export type PlatformKeys = z.infer<typeof PlatformKeys>;

export const PlatformKeyList = z.object({ platformKeys: z.array(PlatformKeys).describe('One a provider.') });
export const OnePlatformKey = z.object({ key: PlatformKeyView });
export const PlatformKeySwitch = KeyRef.extend({ isActive: z.boolean('true or false.') });
export const EnvironmentKeyRef = z.strictObject({ provider: ProviderId });
