import { readEnvironment } from '../config.ts';
import type { Command } from './cli.ts';

export const init: Command = {
  summary: 'Make the secrets in .env, if this is a first start, and check the configuration.',
  usage: 'init',
  async run({ say }) {
    const { notes } = readEnvironment({ makeSecrets: true });
    for (const note of notes) say(note);
    say(notes.length === 0 ? 'The configuration is complete; nothing was changed.' : 'Ready. Start the server with: byok serve');
    return 0;
  },
};
