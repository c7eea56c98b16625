import { AppError } from '@synthstack/core';
import type { BackupParts } from '../backup.ts';
import { type Config, readEnvironment } from '../config.ts';
import { keyringOf } from '../config-keyring.ts';
import { type Command, json, wrongUsage } from './cli.ts';
import { createProgress } from './progress.ts';

export const backup: Command = {
  summary: 'Write all of the database into one file, while the server works.',
  usage: 'backup FILE [--force] [--json]',
  options: { json, force: { type: 'boolean', says: 'Replace FILE if it is there.' } },
  files: 1,
  async run({ values, files: [file], out, say }) {
    if (file === undefined) throw wrongUsage('FILE: it is missing.');
    const parts = backupParts(readEnvironment({ makeSecrets: false }).config);
    const { makeBackup } = await import('../backup.ts');
    const progress = createProgress('Copied pages');
    const manifest = await makeBackup(parts, file, { force: values.force === true, told: progress.at });
    progress.end();
    if (values.json) out(JSON.stringify({ file, ...manifest }, null, 2));
    const rows = Object.values(manifest.rows).reduce((sum, one) => sum + one, 0);
    say(`Wrote ${file}: ${megabytes(manifest.database.bytes)}, ${rows.toLocaleString('en')} rows, and opened it with ENCRYPTION_KEY.`);
    say('It is of no use without ENCRYPTION_KEY: keep that apart from it.');
    return 0;
  },
};

/** @throws AppError `invalid_input`: not a database of SQLite; `invalid_config`: no master key */
export function backupParts(config: Config): BackupParts {
  const { databaseUrl, version, acceptLoss } = config;
  if (!databaseUrl.startsWith('file:')) {
    throw new AppError(
      'forbidden',
      'This database is PostgreSQL, which has tools of its own: pg_dump -Fc "$DATABASE_URL" > byok.dump, and pg_restore.',
    );
  }
  return { database: databaseUrl.slice('file:'.length), keyring: keyringOf(config), version, nowMs: Date.now, acceptLoss };
}

export const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MB`;
