/**
 * The commands. Data goes to standard output, talk to standard error; exit codes are 0, 1 (failed) and 2 (wrong usage). Commands
 * work on the same database while the server runs, and what they change holds at its next request.
 */
import { parseArgs } from 'node:util';
import { AppError, toAppError } from '@synthstack/core';
import { describe } from '../ports/log.ts';

export interface Command {
  /** One line for the list. */
  summary: string;
  usage: string;
  options?: Readonly<Record<string, Option>>;
  /** How many files it takes, by their paths; none unless told. */
  files?: number;
  /** The one word that it takes instead is one of these. */
  words?: readonly string[];
  run(args: CommandArgs): Promise<number | undefined>;
}

export interface Option {
  type: 'string' | 'boolean';
  /** One sentence for --help. */
  says: string;
}

/** Of commands that print what programs may want to read. */
export const json: Option = { type: 'boolean', says: 'Print JSON, for programs.' };

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
    return overview(
      argv,
      words.filter((word) => word !== 'help'),
    );
  }
  const command = await load();
  const given = argv.slice(name.split(' ').length);
  if (given.includes('--help')) {
    out(helpOf(command));
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

const columns = (rows: readonly (readonly [name: string, says: string])[]): string => {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, says]) => `  ${name.padEnd(width)}  ${says}`).join('\n');
};

function helpOf({ summary, usage, options = {} }: Command): string {
  const rows = Object.entries(options).map(([name, { says }]) => [`--${name}`, says] as const);
  return `${summary}\n\nUsage: byok ${usage}${rows.length > 0 ? `\n\nOptions:\n${columns(rows)}` : ''}`;
}

/** The commands, or those that begin with these words. @returns the exit code: whoever asked for them gets 0 */
async function overview(argv: readonly string[], words: readonly string[]): Promise<number> {
  const all = Object.entries(commandTable);
  const group = all.filter(([name]) => name.startsWith(`${words[0]} `));
  const isGroup = group.length > 0 && words.length === 1;
  const asked = (words.length === 0 || isGroup) && (argv.length === 0 || argv[0] === 'help' || argv.includes('--help'));
  const shown = group.length > 0 ? group : all;
  const head = asked ? 'SynthStack BYOK' : `There is no command "${argv.join(' ')}"${isGroup ? ' alone: say which' : ''}.`;
  const rows = await Promise.all(shown.map(async ([name, load]) => [name, (await load()).summary] as const));
  (asked ? out : say)(`${head}\n\nCommands:\n${columns(rows)}\n\nbyok <command> --help tells more.`);
  return asked ? 0 : 2;
}
