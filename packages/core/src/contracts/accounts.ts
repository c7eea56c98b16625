import { z } from 'zod';

export const Email = z
  .email('Enter an e-mail address such as ada@example.com.')
  .max(254)
  .transform((email) => email.toLowerCase());
export const Password = z
  .string({ error: 'Enter a password.' })
  .min(12, 'Use at least 12 characters.')
  .max(128, 'Use at most 128 characters.');

export const Credentials = z.strictObject({
  email: Email,
  password: z.string({ error: 'Enter the password.' }).min(1, 'Enter the password.').max(128),
  code: z.string().max(16).optional(),
});
export const AccessToken = z.object({ token: z.string(), expiresAt: z.iso.datetime() });

export const SetUp = z.strictObject({
  token: z.string().min(1, 'The set-up link is incomplete: open the whole link from the console.').max(128),
  name: z.string().trim().min(1, 'Enter your name.').max(100),
  email: Email,
  password: Password,
});
export type SetUp = z.infer<typeof SetUp>;

export const Me = z.object({ id: z.string(), email: z.string(), name: z.string(), isAdmin: z.boolean() });
export type Me = z.infer<typeof Me>;

/** What a page must know before anyone is signed in. */
export const Instance = z.object({
  version: z.string(),
  needsSetUp: z.boolean(),
  signUp: z.boolean(),
  demo: z.boolean(),
});
export type Instance = z.infer<typeof Instance>;
