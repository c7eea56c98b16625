import { readEnvironment } from '../config.ts';
import { backupParts, megabytes } from './backup.ts';
import { type Command, json, wrongUsage } from './cli.ts';
import { createProgress } from './progress.ts';

export const restore: Command = {
  summary: 'Put a backup in the place of the database, once it is found to be whole and of this ENCRYPTION_KEY.',
  usage: 'restore FILE [--force] [--json]',
  options: { json, force: { type: 'boolean', says: 'Replace the database that is there; it is kept beside, under another name.' } },
  files: 1,
  async run({ values, files: [file], out, say }) {
    if (file === undefined) throw wrongUsage('FILE: it is missing.');
    const parts = backupParts(readEnvironment({ makeSecrets: false }).config);
    const { restoreBackup } = await import('../backup.ts');
    const progress = createProgress('Restored bytes');
    const { manifest, former } = await restoreBackup(parts, file, { force: values.force === true, told: progress.at });
    progress.end();
    if (values.json) out(JSON.stringify({ file, restored: parts.database, former, ...manifest }, null, 2));
    say(`${parts.database} is as it was at ${manifest.madeAt} (version ${manifest.version}, ${megabytes(manifest.database.bytes)}).`);
    if (former) say(`The database that was there is ${former}. Delete it once all is well.`);
    say('What was removed or revoked since then is back: look at tokens, keys and accounts. Start the server with: byok serve');
    return 0;
  },
};
