import { z } from 'zod';

export const Email = z
  .email('Enter an e-mail address such as ada@example.com.')
  .max(254)
  .transform((email) => email.toLowerCase());
export const Password = z
  .string({ error: 'Enter a password.' })
  .min(12, 'Use at least 12 characters.')
  .max(128, 'Use at most 128 characters.');

/** A name that people give, on one line: PostgreSQL takes no NUL, and nobody wants the others. */
export const nameOf = (missing: string) =>
  z
    .string({ error: missing })
    .trim()
    .min(1, missing)
    .max(100, 'Use at most 100 characters.')
    .regex(/^\P{Cc}*$/u, 'Use letters, digits and signs only: no line ends or control characters.');

export const Credentials = z.strictObject({
  email: Email,
  password: z.string({ error: 'Enter the password.' }).min(1, 'Enter the password.').max(128),
  code: z.string().max(16).optional(),
});
export const AccessToken = z.object({ token: z.string(), expiresAt: z.iso.datetime() });

export const SetUp = z.strictObject({
  token: z.string().min(1, 'The set-up link is incomplete: open the whole link from the console.').max(128),
  name: nameOf('Enter your name.'),
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
