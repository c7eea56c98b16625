import { readEnvironment } from '../config.ts';
import { backupParts } from './backup.ts';
import type { Command } from './cli.ts';

export const migrateCommand: Command = {
  summary: 'Bring the database up to this version; serve does it by itself.',
  usage: 'migrate',
  async run({ say }) {
    const { openDb } = await import('@synthstack/core/db');
    const { backUpBeforeMigrating } = await import('../backup.ts');
    const { config } = readEnvironment({ makeSecrets: false });
    const beforeMigrating = async () => say(`Made a backup of what was there: ${await backUpBeforeMigrating(backupParts(config))}`);
    const isFile = config.databaseUrl.startsWith('file:');
    const db = await openDb({ url: config.databaseUrl, ...(isFile && { beforeMigrating }) });
    await db.close();
    say('The database is up to date.');
    return 0;
  },
};
