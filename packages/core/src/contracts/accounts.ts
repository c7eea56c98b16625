import { z } from 'zod';
import { AnnouncementView } from './announcements.ts';
import { Timezone } from './usage.ts';

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

export const PersonName = nameOf('Enter your name.');

/** A language as browsers name it: `de`, `de-AT`. */
export const Locale = z.string().max(35).refine(isLocale, 'Use a language such as en or de-AT.');

/** Of an authenticator app, or one of those on paper; spaces and hyphens as people write them. */
export const FactorCode = z
  .string({ error: 'Enter the code.' })
  .trim()
  .min(1, 'Enter the code.')
  .max(24, 'This is no code: it is too long.');

export const Credentials = z.strictObject({
  email: Email,
  password: z.string({ error: 'Enter the password.' }).min(1, 'Enter the password.').max(128),
  code: FactorCode.optional(),
});
export const AccessToken = z.object({ token: z.string(), expiresAt: z.iso.datetime() });

export const SetUp = z.strictObject({
  token: z.string().min(1, 'The set-up link is incomplete: open the whole link from the console.').max(128),
  name: PersonName,
  email: Email,
  password: Password,
});
export type SetUp = z.infer<typeof SetUp>;

export const Me = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string(),
  isAdmin: z.boolean(),
  timezone: z.string().nullable().describe('An IANA zone; null: as the browser.'),
  locale: z.string().nullable().describe('A language; null: as the browser.'),
  hasPassword: z.boolean().describe('False: signs in elsewhere only.'),
});
export type Me = z.infer<typeof Me>;

/** What a page asks first: whose it is, and what administrators tell that person. */
export const Visitor = z.object({ me: Me.nullable(), announcements: z.array(AnnouncementView) });
export type Visitor = z.infer<typeof Visitor>;

/** What people may change about themselves; what is not named stays. */
export const UpdateMe = z
  .strictObject({
    name: PersonName.optional(),
    timezone: Timezone.nullable().optional(),
    locale: Locale.nullable().optional(),
  })
  .refine((changes) => Object.values(changes).some((value) => value !== undefined), 'Name what should change: name, timezone or locale.');
export type UpdateMe = z.infer<typeof UpdateMe>;

export const SessionRef = z.strictObject({ id: z.uuid('This is not the id of a session.') });

/** One sign-in that still holds. What the browser holds of it is a cookie, which never stands in an answer's body. */
export const SessionView = z.object({
  id: z.uuid(),
  createdAt: z.iso.datetime(),
  lastSeenAt: z.iso.datetime().describe('Written at most once an hour, when a page is opened.'),
  address: z.string().nullable().describe('From where it began.'),
  userAgent: z.string().nullable().describe('As the program that signed in named itself.'),
  current: z.boolean().describe('The one that asks.'),
});
export type SessionView = z.infer<typeof SessionView>;
/** The newest first, behind the current one; `total` counts those as well that are too many to list. */
export const SessionList = z.object({ sessions: z.array(SessionView), total: z.int() });
export type SessionList = z.infer<typeof SessionList>;
export const EndedSessions = z.object({ ended: z.int() });

export const AskReset = z.strictObject({ email: Email });
const LinkToken = z.string().min(1, 'The link is incomplete: open the whole link from the e-mail.').max(128);
export const ResetPassword = z.strictObject({ token: LinkToken, password: Password });
export const ConfirmEmail = z.strictObject({ token: LinkToken });

const OwnPassword = z.string({ error: 'Enter your password.' }).min(1, 'Enter your password.').max(128);
export const WithPassword = z.strictObject({ password: OwnPassword });
export const WithCode = z.strictObject({ code: FactorCode });
/** Who has no password, and whoever has no second factor, leaves them out. */
export const RemoveMe = z.strictObject({ password: OwnPassword.optional(), code: FactorCode.optional() });
export const WithBoth = z.strictObject({ password: OwnPassword, code: FactorCode });

/** Shown once, while two-factor authentication is being set up. */
export const NewFactor = z.object({ secret: z.string(), uri: z.string() });
export type NewFactor = z.infer<typeof NewFactor>;
export const BackupCodes = z.object({ codes: z.array(z.string()) });

export const PasskeyRef = z.strictObject({ id: z.uuid('This is not the id of a passkey.') });
export const PasskeyView = z.object({
  id: z.uuid(),
  name: z.string(),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().nullable().describe('null: never.'),
});
export type PasskeyView = z.infer<typeof PasskeyView>;

/** How somebody signs in, beside the password. */
export const SecurityView = z.object({
  factor: z.object({ since: z.iso.datetime(), codesLeft: z.int() }).nullable().describe('Codes of an app; null: off.'),
  passkeys: z.array(PasskeyView),
  password: z.boolean().describe('There is one; else they sign in elsewhere.'),
});
export type SecurityView = z.infer<typeof SecurityView>;

const Base64url = z.string().regex(/^[\w-]{1,8192}$/, 'This is not what a browser sends.');
const credential = {
  id: Base64url,
  rawId: Base64url,
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).optional().catch(undefined),
  // What extensions say is not read.
  clientExtensionResults: z.unknown().transform(() => ({})),
};
/** As browsers write a signature of a passkey (WebAuthn, AuthenticationResponseJSON): what is not read is left out. */
export const PasskeyAssertion = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: Base64url,
    authenticatorData: Base64url,
    signature: Base64url,
    userHandle: Base64url.optional().catch(undefined),
  }),
});
/** ... and a new one (RegistrationResponseJSON). */
export const PasskeyAttestation = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: Base64url,
    attestationObject: Base64url,
    transports: z
      .array(z.enum(['ble', 'cable', 'hybrid', 'internal', 'nfc', 'smart-card', 'usb']))
      .optional()
      .catch(undefined),
  }),
});
export const AddPasskey = z.strictObject({ name: nameOf('Give the passkey a name.'), response: PasskeyAttestation });
/** What the browser needs to make a passkey, as it takes it. */
export const PasskeyOptions = z.object({ options: z.record(z.string(), z.unknown()) });

/** What a page must know before anyone is signed in. */
export const Instance = z.object({
  version: z.string(),
  needsSetUp: z.boolean(),
  signUp: z.boolean(),
  mail: z.boolean().describe('Whether it sends e-mail, so that a forgotten password can be replaced.'),
  demo: z.boolean(),
  databaseAhead: z.boolean().describe('A newer program has changed the database under this one, which is to be updated.'),
  /** There is a sign-in elsewhere. */
  external: z.boolean(),
  /** Everyone may sign in with a password; else administrators only. */
  passwords: z.boolean(),
});
export type Instance = z.infer<typeof Instance>;

function isLocale(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}
