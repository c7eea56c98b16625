/** What the server knows of one person, for the operator: all of it as a file, or its end. */
import { once } from 'node:events';
import { Email } from '@synthstack/core';
import { exportAccount } from '../api/account-export.ts';
import { type Command, wrongUsage } from './cli.ts';
import { emailOption, read } from './users.ts';
import { withModules } from './with-modules.ts';

export const usersExport: Command = {
  summary: 'Print all that the server knows of a user, as JSON without any secret.',
  usage: 'users export --email E > FILE',
  options: { email: emailOption },
  async run({ values }) {
    const email = read(Email, values.email, '--email');
    await withModules(async ({ accounts, audit, clock, config, conversations, db }) => {
      const { id: userId } = await accounts.byEmail(email);
      await db.commit([audit.entry({ actor: 'cli', subject: userId, action: 'account.exported' })]);
      const parts = exportAccount({ db, conversations, userId, publicUrl: config.publicUrl, nowMs: clock.now() });
      for await (const part of parts) if (!process.stdout.write(part)) await once(process.stdout, 'drain');
    });
    return 0;
  },
};

export const usersRemove: Command = {
  summary: 'Remove a user with keys, tokens, conversations and requests. It cannot be undone.',
  usage: 'users remove --email E --yes',
  options: { email: emailOption, yes: { type: 'boolean', says: 'Do it; without it, nothing is removed.' } },
  async run({ values, say }) {
    const email = read(Email, values.email, '--email');
    if (values.yes !== true) throw wrongUsage('--yes: this cannot be undone, so say that you mean it. users export keeps a copy.');
    await withModules(async ({ accounts, removal }) => {
      await removal.remove({ actor: 'cli', userId: (await accounts.byEmail(email)).id });
      await removal.idle();
    });
    say(`${email} is removed. What stays: the sums of all users, and the audit log, under an id that is nobody's any more.`);
    return 0;
  },
};
