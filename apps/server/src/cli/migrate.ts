import { readEnvironment } from '../config.ts';
import { backupParts } from './backup.ts';
import type { Command } from './cli.ts';
import { createProgress } from './progress.ts';

export const migrateCommand: Command = {
  summary: 'Bring the database up to this version; serve does it by itself.',
  usage: 'migrate',
  async run({ say }) {
    const { openDb } = await import('@synthstack/core/db');
    const { backUpBeforeMigrating } = await import('../backup.ts');
    const { config } = readEnvironment({ makeSecrets: false });
    const beforeMigrating = async () => say(`Made a backup of what was there: ${await backUpBeforeMigrating(backupParts(config))}`);
    const isFile = config.databaseUrl.startsWith('file:');
    const progress = createProgress('Migrations');
    const db = await openDb({ url: config.databaseUrl, migrating: progress.at, ...(isFile && { beforeMigrating }) });
    await db.close();
    progress.end();
    say('The database is up to date.');
    return 0;
  },
};
