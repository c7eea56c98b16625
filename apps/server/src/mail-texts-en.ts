/** E-mails in English. */
import { keysPath, type MailTexts, noticesPath, planPath, profilePath } from './mail-texts.ts';

const toKeys = { label: 'Look after your keys', path: keysPath };
const toNotices = { label: 'See the notice', path: noticesPath };

const accountEvents: Readonly<Record<string, string>> = {
  password_changed: 'Your password was changed',
  password_reset: 'Your password was replaced with a link',
  factor_enabled: 'Two-factor authentication was switched on',
  factor_disabled: 'Two-factor authentication was switched off',
  factors_reset: 'The operator of the server took away your second factor and your passkeys',
  code_used: 'One of your backup codes was used to sign in',
  passkey_added: 'A passkey was added to your account',
  passkey_removed: 'A passkey was removed from your account',
};

export const mailTexts: MailTexts = {
  language: 'en',
  greeting: 'Hello,',
  noticeFoot: 'You get this e-mail because of your notice settings. Choose what you are told here:',
  accountFoot: 'If you did not ask for this, you need do nothing: without the link nothing changes.',
  of: {
    'notice.key_invalid': ({ provider, keyHint }, say) => ({
      subject: `${say.provider(provider)} no longer accepts your key`,
      paragraphs: [
        `${say.provider(provider)} has refused your key ${keyHint}. It was revoked, or it has expired, so it is not used any more.`,
        'Make a new key at the provider and put it in its place.',
      ],
      action: toKeys,
    }),
    'notice.key_no_credit': ({ provider, keyHint }, say) => ({
      subject: `Your ${say.provider(provider)} account has no credit left`,
      paragraphs: [
        `${say.provider(provider)} answers on your key ${keyHint} that its credit or its spending limit is used up.`,
        'Top up the account, or raise its limit, at the provider. The key is tried again by itself.',
      ],
      action: toKeys,
    }),
    'notice.key_unreadable': ({ provider, keyHint }, say) => ({
      subject: `Your ${say.provider(provider)} key has to be entered again`,
      paragraphs: [
        `The server can no longer open your stored key ${keyHint} for ${say.provider(provider)}, so it is not used.`,
        'Enter the key again. Nobody has seen it.',
      ],
      action: toKeys,
    }),
    'notice.key_expires': ({ provider, keyHint, until, days }, say) => ({
      subject:
        {
          '-1': `Your ${say.provider(provider)} key has expired`,
          '0': `Your ${say.provider(provider)} key expires within a day`,
        }[days ?? ''] ?? `Your ${say.provider(provider)} key expires in ${days} days or sooner`,
      paragraphs: [
        `You have said that your key ${keyHint} is good until ${say.dateTime(until)}. After that it is not used.`,
        'Replace it, or change the date if it still works.',
      ],
      action: { label: 'Replace the key', path: keysPath },
    }),
    'notice.fallback_used': ({ provider }, say) => ({
      subject: "The platform's key answered instead of yours",
      paragraphs: [
        `Your key for ${say.provider(provider)} could not be used for a request, so the platform's key answered it, within the limits of your plan.`,
      ],
      action: toKeys,
    }),
    'notice.budget_80': ({ provider, keyHint, limitUsd }, say) => ({
      subject: `80 % of your monthly ${say.provider(provider)} budget is used`,
      paragraphs: [`Requests on your key ${keyHint} have used 80 % of the $${limitUsd} that you allow for a month.`],
      action: toKeys,
    }),
    'notice.budget_100': ({ provider, keyHint, limitUsd, hard }, say) => ({
      subject: `Your monthly ${say.provider(provider)} budget is used up`,
      paragraphs: [
        `Requests on your key ${keyHint} have used the $${limitUsd} that you allow for a month.`,
        hard === 'true'
          ? 'Until the month ends, or you raise the budget, requests on this key are refused.'
          : 'Requests go on: this budget only tells you.',
      ],
      action: toKeys,
    }),
    'notice.plan_ends': ({ until }, say) => ({
      subject: 'Your plan ends soon',
      paragraphs: [
        `Your plan ends on ${say.dateTime(until)}.`,
        'After that your own keys stay stored but are not used, and the limits of the community tier hold. With a new plan they work again as they are.',
      ],
      action: { label: 'See your plan', path: planPath },
    }),
    'notice.new_sign_in': ({ browser, system, program, address, at }, say) => ({
      subject: 'New sign-in to your account',
      paragraphs: [
        `Somebody signed in to your account at ${say.server} on ${say.dateTime(at)} with ${browser ? `${browser} on ${system}` : (program ?? 'a program without a name')}, from ${address ?? 'an unknown address'}. You had not signed in from there before.`,
        'If that was you, all is well. If not, end the session and change your password at once.',
      ],
      action: { label: 'Look at your sessions', path: profilePath },
    }),
    'notice.account_security': ({ event = '', at }, say) => ({
      subject: accountEvents[event] ?? 'Your account was changed',
      paragraphs: [
        `${accountEvents[event] ?? 'Your account was changed'} at ${say.server} on ${say.dateTime(at)}.`,
        'If that was you, all is well. If not, choose a new password at once, and ask whoever runs the server for help.',
      ],
      action: { label: 'Look at your account', path: profilePath },
    }),
    'notice.platform_key_failed': ({ provider, keyHint }, say) => ({
      subject: `The platform's ${say.provider(provider)} key does not work`,
      paragraphs: [
        `${say.provider(provider)} refuses the platform's key ${keyHint}, or its credit is used up. Whoever has no working key of their own gets no answers.`,
      ],
      action: toNotices,
    }),
    'notice.rotation_due': () => ({
      subject: 'The master key should be replaced',
      paragraphs: ['ENCRYPTION_KEY has sealed very often. Replace it as the operator guide says.'],
      action: toNotices,
    }),
    'notice.mail_failed': () => ({ subject: 'E-mail cannot be sent', paragraphs: ['E-mail cannot be sent.'], action: toNotices }),
    'notice.prices_failed': () => ({
      subject: 'New prices could not be fetched',
      paragraphs: [
        'The prices at PRICES_URL could not be taken over. Those that were known stay. What is wrong stands in the log of the server.',
      ],
      action: toNotices,
    }),
    'notice.backup_failed': () => ({
      subject: 'A backup could not be made',
      paragraphs: [
        'The scheduled backup could not be made. Look at BACKUP_DIR and at the room on its disk. What is wrong stands in the log of the server.',
      ],
      action: toNotices,
    }),
    reset_password: (_data, say) => ({
      subject: 'Choose a new password',
      paragraphs: [`Somebody asked for a new password for your account at ${say.server}. This link works once, and not for long.`],
      action: { label: 'Choose a new password', path: profilePath },
    }),
    verify_email: (_data, say) => ({
      subject: 'Confirm your e-mail address',
      paragraphs: [`Confirm that this address is yours, so that ${say.server} can reach you. This link works once, and not for long.`],
      action: { label: 'Confirm this address', path: profilePath },
    }),
  },
};
