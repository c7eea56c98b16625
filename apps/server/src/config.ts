/**
 * The environment, read once and wholly: real variables, then `.env` in the working directory, then defaults. Wrong
 * configuration stops the process and lists every mistake by name; values are never repeated, since some are secret.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { AppError, type ProviderId, type TierName, tierNames } from '@synthstack/core';
import { parseMasterKey } from '@synthstack/core/keyring';
import { Secret } from '@synthstack/core/secret';
import { z } from 'zod';
import manifest from '../package.json' with { type: 'json' };
import { baseUrlMistake } from './base-url.ts';

const second = 1_000;
const ms = (name: string, fallback: number) =>
  z.coerce
    .number({ error: `${name}: milliseconds, a whole number.` })
    .int()
    .min(1)
    .max(86_400_000)
    .default(fallback);

const Env = z.object({
  ENCRYPTION_KEY: masterKey().optional().describe('64 hex characters; seals all stored keys.'),
  ENCRYPTION_KEY_PREVIOUS: z
    .string()
    .optional()
    .transform((text) => list(text))
    .pipe(z.array(masterKey()))
    .describe('Former master keys, comma-separated, while rotating.'),
  ENCRYPTION_KEY_RESET: z
    .literal('accept-loss', { error: 'The only value is accept-loss.' })
    .optional()
    .describe('Starts although the key does not open the data.'),
  AUTH_SECRET: z
    .string()
    .min(32, 'Use 32 characters or more.')
    .refine((text) => notAnExample(text), 'This is an example or a repetition: make a random one.')
    .optional()
    .describe('Signs sessions.'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on.'),
  PORT: z.coerce.number({ error: 'A port from 0 to 65535.' }).int().min(0).max(65_535).default(3000).describe('TCP port to listen on.'),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'A URL such as https://byok.example.com.' })
    .optional()
    .describe('Where people reach this server; http://localhost:PORT unless set.'),
  TRUST_PROXY: z
    .string()
    .optional()
    .transform((text) => list(text))
    .pipe(z.array(z.string().refine(isCidr, 'Comma-separated addresses or CIDRs, such as 10.0.0.0/8.')))
    .describe('Proxies whose X-Forwarded-For is believed.'),
  TLS_CERT_FILE: z.string().optional().describe('Certificate chain, PEM.'),
  TLS_KEY_FILE: z.string().optional().describe('Its private key, PEM.'),
  DATA_DIR: z.string().default('./data').describe('Where the database lives.'),
  DATABASE_URL: z
    .string()
    .regex(/^(file:|postgres(ql)?:\/\/)/, 'file:PATH or postgres://...')
    .optional()
    .describe('file:$DATA_DIR/byok.db unless set.'),
  REDIS_URL: z
    .undefined({ error: 'Several nodes with Redis come with a later version: unset it.' })
    .optional()
    .describe('Not in this version.'),
  PLATFORM_OPENAI_API_KEY: z.string().optional().describe("The operator's own OpenAI key."),
  PLATFORM_ANTHROPIC_API_KEY: z.string().optional().describe("The operator's own Anthropic key."),
  OPENAI_BASE_URL: z.string().default('https://api.openai.com/v1').describe("OpenAI's address."),
  ANTHROPIC_BASE_URL: z.string().default('https://api.anthropic.com').describe("Anthropic's address."),
  SIGNUP: z.string().default('closed').describe('closed, open, or a comma-separated list of e-mail domains.'),
  UPSTREAM_CONNECT_TIMEOUT_MS: ms('UPSTREAM_CONNECT_TIMEOUT_MS', 5 * second),
  UPSTREAM_FIRST_BYTE_TIMEOUT_MS: ms('UPSTREAM_FIRST_BYTE_TIMEOUT_MS', 600 * second),
  UPSTREAM_IDLE_TIMEOUT_MS: ms('UPSTREAM_IDLE_TIMEOUT_MS', 600 * second),
  UPSTREAM_TOTAL_TIMEOUT_MS: ms('UPSTREAM_TOTAL_TIMEOUT_MS', 3_600 * second),
  BODY_LIMIT_BYTES: z.coerce
    .number({ error: 'A whole number of bytes.' })
    .int()
    .min(1_024)
    .max(2 ** 30)
    .default(32 * 2 ** 20)
    .describe('The largest request body.'),
  ...perTier(
    'PLATFORM_MODELS',
    z
      .string()
      .optional()
      .transform((text) => (text === undefined ? null : list(text)))
      .describe('Models on the platform keys, comma-separated; all priced ones unless set.'),
  ),
  ...perTier(
    'PLATFORM_MAX_OUTPUT',
    z.coerce
      .number({ error: 'A whole number of tokens.' })
      .int()
      .min(1)
      .default(16_384)
      .describe('Largest output on the platform keys, in tokens.'),
  ),
  METRICS_TOKEN: z.string().min(16, 'Use 16 characters or more.').optional().describe('Bearer for /metrics from elsewhere.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], { error: 'trace, debug, info, warn, error or silent.' })
    .default('info'),
  LOG_FORMAT: z.enum(['pretty', 'json'], { error: 'pretty or json.' }).optional().describe('pretty on a terminal, else json.'),
});

/** All that can be set, with what it means; docs and .env.example are held to it. */
export const environmentNames = Object.keys(Env.shape);
const secretNames = [
  'ENCRYPTION_KEY',
  'ENCRYPTION_KEY_PREVIOUS',
  'AUTH_SECRET',
  'PLATFORM_OPENAI_API_KEY',
  'PLATFORM_ANTHROPIC_API_KEY',
  'METRICS_TOKEN',
  'DATABASE_URL',
] as const;

export type Config = ReturnType<typeof toConfig>;

/** @throws AppError `invalid_config` that lists all mistakes */
export function loadConfig(given: NodeJS.ProcessEnv): Config {
  const env = withSecretFiles(withoutEmpty(given));
  const parsed = Env.safeParse(env);
  if (!parsed.success) throw mistakes(parsed.error.issues.map((issue) => `${issue.path.join('.') || 'environment'}: ${issue.message}`));
  const config = toConfig(parsed.data);
  const wrong = contradictions(config);
  if (wrong.length > 0) throw mistakes(wrong);
  return Object.freeze(config);
}

function toConfig(env: z.infer<typeof Env>) {
  const publicUrl = (env.PUBLIC_URL ?? `http://localhost:${env.PORT}`).replace(/\/+$/, '');
  const dataDir = resolve(env.DATA_DIR);
  const byTier = <T>(pick: (tier: string) => T) =>
    Object.fromEntries(tierNames.map((tier) => [tier, pick(tier.toUpperCase())])) as Record<TierName, T>;
  const perTierEnv = env as unknown as Record<string, unknown>;
  return {
    version: manifest.version,
    demo: false,
    /** Only tests switch these off. */
    signInLimits: true,
    encryptionKey: env.ENCRYPTION_KEY && new Secret(env.ENCRYPTION_KEY),
    previousEncryptionKeys: env.ENCRYPTION_KEY_PREVIOUS.map((key) => new Secret(key)),
    acceptLoss: env.ENCRYPTION_KEY_RESET === 'accept-loss',
    authSecret: env.AUTH_SECRET && new Secret(env.AUTH_SECRET),
    host: env.HOST,
    port: env.PORT,
    publicUrl,
    trustProxy: env.TRUST_PROXY,
    tls: { certFile: env.TLS_CERT_FILE, keyFile: env.TLS_KEY_FILE },
    dataDir,
    databaseUrl: env.DATABASE_URL ?? `file:${join(dataDir, 'byok.db')}`,
    platformKeys: compact<Record<ProviderId, Secret | undefined>>({
      openai: env.PLATFORM_OPENAI_API_KEY ? new Secret(env.PLATFORM_OPENAI_API_KEY.trim()) : undefined,
      anthropic: env.PLATFORM_ANTHROPIC_API_KEY ? new Secret(env.PLATFORM_ANTHROPIC_API_KEY.trim()) : undefined,
    }),
    baseUrls: { openai: env.OPENAI_BASE_URL, anthropic: env.ANTHROPIC_BASE_URL } satisfies Record<ProviderId, string>,
    signUp: signUpRule(env.SIGNUP),
    timeouts: {
      connectMs: env.UPSTREAM_CONNECT_TIMEOUT_MS,
      firstByteMs: env.UPSTREAM_FIRST_BYTE_TIMEOUT_MS,
      idleMs: env.UPSTREAM_IDLE_TIMEOUT_MS,
      totalMs: env.UPSTREAM_TOTAL_TIMEOUT_MS,
    },
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    platformModels: byTier((tier) => perTierEnv[`PLATFORM_MODELS_${tier}`] as string[] | null),
    platformMaxOutput: byTier((tier) => perTierEnv[`PLATFORM_MAX_OUTPUT_${tier}`] as number),
    metricsToken: env.METRICS_TOKEN && new Secret(env.METRICS_TOKEN),
    logLevel: env.LOG_LEVEL,
    logFormat: env.LOG_FORMAT ?? (process.stdout.isTTY ? ('pretty' as const) : ('json' as const)),
  };
}

/**
 * The process's own environment, for main.ts. On a first start (no database yet) missing secrets are made and written to `.env`.
 * @returns the configuration, and what the console should say
 */
export function readEnvironment(options: { makeSecrets: boolean }): { config: Config; notes: string[] } {
  const file = resolve('.env');
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  const env: NodeJS.ProcessEnv = { ...fromFile, ...withoutEmpty(process.env) };
  // The official SDKs read these too; the agents' clients must never see the operator's values.
  for (const name of Object.keys(process.env)) if (/^(OPENAI|ANTHROPIC)_/.test(name)) delete process.env[name];

  const config = loadConfig(env);
  const missing = [!config.encryptionKey && 'ENCRYPTION_KEY', !config.authSecret && 'AUTH_SECRET'].filter((name) => name !== false);
  if (missing.length === 0) return { config, notes: [] };
  if (!options.makeSecrets || databaseExists(config.databaseUrl)) throw mistakes(missing.map(missingSecret));
  const made = Object.fromEntries(missing.map((name) => [name, randomBytes(32).toString('hex')]));
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const lines = Object.entries(made).map(([name, value]) => `${name}=${value}\n`);
  appendFileSync(file, (before && !before.endsWith('\n') ? '\n' : '') + lines.join(''), { mode: 0o600 });
  return {
    config: loadConfig({ ...env, ...made }),
    notes: [
      `Made ${missing.join(' and ')} and wrote them to ${file}. Back this file up: without ENCRYPTION_KEY nobody, you included, can open the stored keys.`,
    ],
  };
}

function contradictions(config: Config): string[] {
  const wrong: string[] = [];
  for (const [name, url] of [
    ['OPENAI_BASE_URL', config.baseUrls.openai],
    ['ANTHROPIC_BASE_URL', config.baseUrls.anthropic],
  ] as const) {
    const mistake = baseUrlMistake(url, config.publicUrl, `http://${config.host}:${config.port}`);
    if (mistake) wrong.push(`${name}: ${mistake}`);
  }
  if (Boolean(config.tls.certFile) !== Boolean(config.tls.keyFile)) wrong.push('TLS_CERT_FILE and TLS_KEY_FILE go together.');
  return wrong;
}

/** A PostgreSQL of ours may hold data: secrets are only made up for a file that is not there yet. */
const databaseExists = (url: string): boolean => !url.startsWith('file:') || existsSync(url.slice('file:'.length));

function missingSecret(name: string): string {
  return name === 'ENCRYPTION_KEY'
    ? 'ENCRYPTION_KEY: it is missing, and there is a database already. Set the key with which it was made (see your backup of .env). A new key would make every stored key unreadable.'
    : 'AUTH_SECRET: it is missing, and there is a database already. Set the one with which it was made, or a new one of 32 random bytes: everyone signs in again then.';
}

function mistakes(lines: string[]): AppError {
  return new AppError('invalid_config', `The configuration is wrong:\n${lines.map((line) => `  - ${line}`).join('\n')}`);
}

/** `NAME_FILE` holds the path of a file with the secret, so that it need not stand in the environment. */
function withSecretFiles(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const read: NodeJS.ProcessEnv = {};
  for (const name of secretNames) {
    const path = env[`${name}_FILE`];
    if (path === undefined) continue;
    if (env[name] !== undefined) throw mistakes([`${name}: set either it or ${name}_FILE, not both.`]);
    try {
      read[name] = readFileSync(path, 'utf8').trim();
    } catch {
      throw mistakes([`${name}_FILE: the file cannot be read.`]);
    }
  }
  return { ...env, ...read };
}

function masterKey() {
  return z.string().superRefine((hex, ctx) => {
    const parsed = parseMasterKey(hex);
    if (!parsed.ok) ctx.addIssue({ code: 'custom', message: parsed.rule });
  });
}

function perTier<T extends z.ZodType>(name: string, type: T): Record<string, T> {
  return Object.fromEntries(tierNames.map((tier) => [`${name}_${tier.toUpperCase()}`, type]));
}

function isCidr(text: string): boolean {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  return family > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)));
}

function signUpRule(text: string): 'closed' | 'open' | string[] {
  return text === 'closed' || text === 'open' ? text : list(text).map((domain) => domain.toLowerCase());
}

const notAnExample = (text: string): boolean => new Set(text).size >= 8 && !/example|change.?me|secret-?key|password/i.test(text);
const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
const withoutEmpty = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
const compact = <T extends object>(record: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: NonNullable<T[K]> };
