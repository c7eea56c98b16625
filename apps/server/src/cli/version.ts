import manifest from '../../package.json' with { type: 'json' };
import { type Command, json } from './cli.ts';

/** `unknown`: it cannot be asked, or the configuration does not say which it is. */
export type State = 'none' | 'same' | 'older' | 'newer' | 'unknown';

export const versionCommand: Command = {
  summary: 'Print the version, and say where the database is of another.',
  usage: 'version [--json]',
  options: { json },
  async run({ values, out, say }) {
    const { state, sentence } = await databaseState().catch(() => ({ state: 'unknown' as const, sentence: undefined }));
    out(values.json ? JSON.stringify({ version: manifest.version, database: state }) : manifest.version);
    if (sentence) say(sentence);
    return 0;
  },
};

/** Opens the database and changes nothing; without one, nothing is made. @throws AppError: it cannot be asked */
async function databaseState(): Promise<{ state: State; sentence?: string }> {
  const { databaseExists, readEnvironment } = await import('../config.ts');
  const { openDb } = await import('@synthstack/core/db');
  const { databaseUrl } = readEnvironment({ makeSecrets: false }).config;
  if (!databaseExists(databaseUrl)) return { state: 'none' };
  const db = await openDb({ url: databaseUrl, migrate: false });
  try {
    return sentenceOf(await db.schemaState());
  } finally {
    await db.close();
  }
}

export function sentenceOf({ pending, unknown }: { pending: string[]; unknown: string[] }): { state: State; sentence?: string } {
  if (unknown.length > 0)
    return {
      state: 'newer',
      sentence: `The database is newer than this program (${unknown.join(', ')}), which will not start on it: update the program.`,
    };
  if (pending.length > 0)
    return {
      state: 'older',
      sentence: `The database is older: the next start brings it up to date (${pending.join(', ')}). Make a backup before.`,
    };
  return { state: 'same' };
}
