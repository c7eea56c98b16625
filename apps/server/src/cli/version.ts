import manifest from '../../package.json' with { type: 'json' };
import type { Command } from './cli.ts';

export const versionCommand: Command = {
  summary: 'Print the version.',
  usage: 'version',
  async run({ out }) {
    out(manifest.version);
    return 0;
  },
};
