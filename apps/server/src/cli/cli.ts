/**
 * The commands. Data goes to standard output, talk to standard error; exit codes are 0, 1 (failed) and 2 (wrong usage). Commands
 * work on the same database while the server runs, and what they change holds at its next request.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { AppError, toAppError } from '@synthstack/core';
import { describe } from '../ports/log.ts';

export interface Command {
  /** One line for the list. */
  summary: string;
  usage: string;
  options?: NonNullable<ParseArgsConfig['options']>;
  /** How many files it takes, by their paths; none unless told. */
  files?: number;
  /** The one word that it takes instead is one of these. */
  words?: readonly string[];
  run(args: CommandArgs): Promise<number | undefined>;
}

export interface CommandArgs {
  values: Record<string, string | boolean | undefined>;
  files: readonly string[];
  out(line: string): void;
  say(line: string): void;
}

/** Loaded when asked for: `version` need not open what `serve` needs. */
export const commandTable: Record<string, () => Promise<Command>> = {
  serve: async () => (await import('./serve.ts')).serve,
  init: async () => (await import('./init.ts')).init,
  'users add': async () => (await import('./users.ts')).usersAdd,
  'users list': async () => (await import('./users.ts')).usersList,
  'users set-tier': async () => (await import('./users.ts')).usersSetTier,
  'users export': async () => (await import('./users-data.ts')).usersExport,
  'users remove': async () => (await import('./users-data.ts')).usersRemove,
  'users reset-link': async () => (await import('./users.ts')).usersResetLink,
  'users reset-factors': async () => (await import('./users.ts')).usersResetFactors,
  'tokens add': async () => (await import('./tokens.ts')).tokensAdd,
  'keys rotate': async () => (await import('./keys.ts')).keysRotate,
  backup: async () => (await import('./backup.ts')).backup,
  restore: async () => (await import('./restore.ts')).restore,
  'prices import': async () => (await import('./prices.ts')).pricesImport,
  'prices list': async () => (await import('./prices.ts')).pricesList,
  doctor: async () => (await import('./doctor.ts')).doctor,
  migrate: async () => (await import('./migrate.ts')).migrateCommand,
  version: async () => (await import('./version.ts')).versionCommand,
  completion: async () => (await import('./completion.ts')).completion,
};

/** With the words and options that each takes, for those who hold the guides to it. */
export const usages = async (): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries(await Promise.all(Object.entries(commandTable).map(async ([name, load]) => [name, (await load()).usage] as const)));

const out = (line: string) => void process.stdout.write(`${line}\n`);
const say = (line: string) => void process.stderr.write(`${line}\n`);

/** @returns the exit code; undefined while the command goes on working */
export async function runCommand(argv: readonly string[]): Promise<number | undefined> {
  // Work under way is worth more than what is said of it.
  process.stderr.on('error', () => undefined);
  const words = argv.filter((word) => !word.startsWith('-'));
  const name = Object.keys(commandTable).find((one) => one === words.slice(0, one.split(' ').length).join(' '));
  // `byok users list | head` stops reading early, which is no failure. A server goes on without its log: requests depend on it.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => name !== 'serve' && process.exit(error.code === 'EPIPE' ? 0 : 1));
  const load = name === undefined ? undefined : commandTable[name];
  if (!load || name === undefined) {
    const begins = Object.keys(commandTable).some((one) => one.startsWith(`${words.join(' ')} `));
    const asked = argv.length === 0 || argv[0] === 'help' || (argv.includes('--help') && (words.length === 0 || begins));
    (asked ? out : say)(await overview(asked ? null : argv.join(' ')));
    return asked ? 0 : 2;
  }
  const command = await load();
  const given = argv.slice(name.split(' ').length);
  if (given.includes('--help')) {
    out(`${command.summary}\n\nUsage: byok ${command.usage}`);
    return 0;
  }
  let args: Pick<CommandArgs, 'values' | 'files'>;
  try {
    args = argsOf(command, given);
  } catch (error) {
    say(`${error instanceof Error ? error.message.split('. ')[0] : 'Wrong usage'}.\nUsage: byok ${command.usage}`);
    return 2;
  }
  try {
    return await command.run({ ...args, out, say });
  } catch (thrown) {
    return fail(thrown, command);
  }
}

/** @throws Error whose first sentence says what is wrong */
function argsOf(
  { options = {}, words, files: most = words ? 1 : 0 }: Command,
  given: readonly string[],
): Pick<CommandArgs, 'values' | 'files'> {
  const { values, positionals } = parseArgs({ args: [...given], options, strict: true, allowPositionals: most > 0 });
  if (positionals.length > most) throw new Error(`Unexpected argument '${positionals[most]}'`);
  return { values: values as CommandArgs['values'], files: positionals };
}

/** @throws AppError `invalid_input`, which means exit code 2 */
export function wrongUsage(sentence: string): AppError {
  return new AppError('invalid_input', sentence);
}

function fail(thrown: unknown, command: Command): number {
  const error = toAppError(thrown);
  say(error.message);
  if (error.code === 'internal') say(String(describe(error.cause).cause ?? ''));
  if (error.code !== 'invalid_input') return 1;
  say(`Usage: byok ${command.usage}`);
  return 2;
}

async function overview(unknown: string | null): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commandTable).map(async ([name, load]) => `  ${name.padEnd(20)} ${(await load()).summary}`),
  );
  return `${unknown === null ? 'SynthStack BYOK' : `There is no command "${unknown}".`}\n\nCommands:\n${lines.join('\n')}\n\nbyok <command> --help tells more.`;
}
