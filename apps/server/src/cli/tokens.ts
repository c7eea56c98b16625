import { Email, NewToken, TokenScope } from '@synthstack/core';
import type { Command } from './cli.ts';
import { emailOption, read } from './users.ts';
import { withModules } from './with-modules.ts';

export const tokensAdd: Command = {
  summary: 'Make a gateway token for a user; standard output gets only the token.',
  usage: 'tokens add --email E --name N [--scope gateway|manage]',
  options: {
    email: emailOption,
    name: { type: 'string', says: 'What it is for, as in "laptop".' },
    scope: { type: 'string', says: 'gateway: ask models, as without it; manage: also change keys and settings by REST.' },
  },
  async run({ values, out, say }) {
    const email = read(Email, values.email, '--email');
    const name = read(NewToken.shape.name, values.name, '--name');
    const scope = values.scope === undefined ? 'gateway' : read(TokenScope, values.scope, '--scope');
    const { secret } = await withModules(async ({ accounts, tokens }) => {
      const user = await accounts.byEmail(email);
      return tokens.create(user.id, { name, scopes: scope === 'manage' ? ['gateway', 'manage'] : ['gateway'] });
    });
    say(`Token "${name}" for ${email}, shown this once:`);
    out(secret);
    return 0;
  },
};
