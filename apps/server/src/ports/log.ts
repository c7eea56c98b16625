/** The log. What could hold a secret or a person's text is never handed to it; what it is handed, it prints. */
import { pino } from 'pino';

export type Fields = Record<string, string | number | boolean | null | undefined>;

export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  /** `cause`: printed as its kind, message and stack, never with its further properties (drivers put SQL parameters there). */
  error(fields: Fields, message: string, cause?: unknown): void;
}

export interface LogOptions {
  level: string;
  format: 'pretty' | 'json';
  /** Where lines go; standard output unless told. */
  write?: (line: string) => void;
}

export function createLog({ level, format, write = (line) => process.stdout.write(line) }: LogOptions): Log {
  const logger = pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"`, formatters: { level: (label) => ({ level: label }) } },
    { write: (line: string) => write(format === 'pretty' ? pretty(line) : line) },
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message, cause) => logger.error({ ...fields, ...describe(cause) }, message),
  };
}

/** An error and what caused it, each as one line of kind and message, and the first one's stack. */
export function describe(cause: unknown): Fields {
  if (cause === undefined || cause === null) return {};
  const chain: string[] = [];
  for (let error: unknown = cause; error !== undefined && chain.length < 5; error = error instanceof Error ? error.cause : undefined) {
    // Drizzle puts the statement's parameters into the message of this error; the driver's own, its cause, tells enough.
    if (error instanceof Error && error.constructor.name === 'DrizzleQueryError') continue;
    chain.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }
  const frames = cause instanceof Error ? cause.stack?.split('\n').filter((line) => /^\s+at /.test(line)) : undefined;
  return { cause: chain.join(' <- '), stack: frames?.slice(0, 8).join('\n') };
}

function pretty(line: string): string {
  const { level, time, msg, stack, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const tail = typeof stack === 'string' ? `\n${stack}` : '';
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${msg}${fields.join('')}${tail}\n`;
}
