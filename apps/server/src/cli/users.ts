import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { Email, Password, type TierName, TierSchema } from '@synthstack/core';
import { z } from 'zod';
import { type Command, type CommandArgs, json, wrongUsage } from './cli.ts';
import { withModules } from './with-modules.ts';

export const emailOption = { type: 'string', says: 'The address that they sign in with.' } as const;
const tierOption = { type: 'string', says: 'Their plan: community, subscriber, premium or lifetime.' } as const;

export const usersAdd: Command = {
  summary: 'Add a user.',
  usage: 'users add --email E --tier community|subscriber|premium|lifetime [--name N] [--admin] [--password-stdin]',
  options: {
    email: emailOption,
    tier: tierOption,
    name: { type: 'string', says: 'What they are called; without it, what stands before the @.' },
    admin: { type: 'boolean', says: 'Make them an administrator.' },
    'password-stdin': { type: 'boolean', says: 'Read the password from standard input; without it, one is made and printed.' },
  },
  async run({ values, out, say }) {
    const email = read(Email, values.email, '--email');
    const tier = read(TierSchema, values.tier, '--tier');
    const typed = values['password-stdin'] === true;
    const password = typed
      ? read(Password, (await text(process.stdin)).replace(/\r?\n$/, ''), 'password')
      : randomBytes(18).toString('base64url');
    await withModules((modules) =>
      modules.accounts.add({
        email,
        password,
        tier,
        admin: values.admin === true,
        ...(typeof values.name === 'string' && { name: values.name }),
      }),
    );
    say(`Added ${email} (${tier}${values.admin ? ', administrator' : ''}).`);
    if (!typed) {
      say('Their password, shown this once:');
      out(password);
    }
    return 0;
  },
};

export const usersList: Command = {
  summary: 'List the users.',
  usage: 'users list [--json]',
  options: { json },
  async run({ values, out }) {
    const users = await withModules((modules) => modules.accounts.list());
    if (values.json) out(JSON.stringify(users, null, 2));
    else
      for (const user of users)
        out(
          [
            user.email,
            `${user.plan?.plan ?? 'community'}${planNotes[user.plan?.state ?? 'active']}`,
            user.plan?.until?.toISOString() ?? '',
            user.isAdmin ? 'administrator' : '',
          ]
            .join('\t')
            .trimEnd(),
        );
    return 0;
  },
};

const planNotes = { active: '', past_due: ' (payment overdue)', lapsed: ' (lapsed)' } as const;

export const usersSetTier: Command = {
  summary: "Change a user's tier, from their next request on.",
  usage: 'users set-tier --email E --tier community|subscriber|premium|lifetime [--until 2027-01-01T00:00:00Z]',
  options: {
    email: emailOption,
    tier: tierOption,
    until: { type: 'string', says: 'When it ends, as a date or an instant of ISO 8601; without it, never.' },
  },
  async run({ values, say }) {
    const email = read(Email, values.email, '--email');
    const tier: TierName = read(TierSchema, values.tier, '--tier');
    const until =
      values.until === undefined ? null : new Date(read(z.iso.datetime({ offset: true }).or(z.iso.date()), values.until, '--until'));
    await withModules(async ({ accounts, plans }) => {
      const user = await accounts.byEmail(email);
      const counts = await plans.set(user.id, { tier, until, source: 'cli' });
      say(`${email} is ${tier} now${until ? ` until ${until.toISOString()}` : ''}.`);
      if (counts.source === 'billing') say(`They have bought ${counts.tier}, which counts while it lasts: to end it, cancel it in Stripe.`);
    });
    return 0;
  },
};

export const usersResetLink: Command = {
  summary: 'Print a one-time link with which a user chooses a new password; it works for an hour.',
  usage: 'users reset-link --email E',
  options: { email: emailOption },
  async run({ values, out, say }) {
    const email = read(Email, values.email, '--email');
    const link = await withModules(async ({ accounts, auth }) => auth.links.makeReset((await accounts.byEmail(email)).id, 'cli'));
    out(link);
    say('Whoever has this link can take the account over: hand it to its owner alone.');
    return 0;
  },
};

export const usersResetFactors: Command = {
  summary: 'Take away the second factor and the passkeys of a user who has lost them.',
  usage: 'users reset-factors --email E',
  options: { email: emailOption },
  async run({ values, say }) {
    const email = read(Email, values.email, '--email');
    await withModules(async ({ accounts, auth }) => auth.resetFactors((await accounts.byEmail(email)).id, 'cli'));
    say(`${email} signs in with the password alone now, and is signed out everywhere. They are told.`);
    return 0;
  },
};

export function read<T>(schema: z.ZodType<T>, value: CommandArgs['values'][string], name: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw wrongUsage(`${name}: ${value === undefined ? 'it is missing.' : (parsed.error.issues[0]?.message ?? 'it is not valid.')}`);
}
