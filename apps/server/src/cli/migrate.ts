import { readEnvironment } from '../config.ts';
import type { Command } from './cli.ts';

export const migrateCommand: Command = {
  summary: 'Bring the database up to this version; serve does it by itself.',
  usage: 'migrate',
  async run({ say }) {
    const { openDb } = await import('@synthstack/core/db');
    const { config } = readEnvironment({ makeSecrets: false });
    const db = await openDb({ url: config.databaseUrl });
    await db.close();
    say('The database is up to date.');
    return 0;
  },
};
