/**
 * The environment, read once and wholly: real variables, then `.env` in the working directory, then defaults. Wrong
 * configuration stops the process and lists every mistake by name; values are never repeated, since some are secret.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { AppError, KeyText, mostKeysPerProvider, type ProviderId, type TierName, tierNames } from '@synthstack/core';
import { parseMasterKey } from '@synthstack/core/keyring';
import { Secret } from '@synthstack/core/secret';
import { z } from 'zod';
import manifest from '../package.json' with { type: 'json' };
import { baseUrlMistake, isLoopback, isSamePlace } from './base-url.ts';
import { mailFrom, smtpServer } from './config-mail.ts';

const second = 1_000;
const releasedMaxOutput = 16_384;
/** Digits only: Number() would also take '', ' ', '0x10' and '1e3'. */
const whole = (least: number, most: number, sentence: string) =>
  z
    .string()
    .regex(/^\d{1,15}$/, sentence)
    .transform(Number)
    .refine((value) => value >= least && value <= most, sentence);
const ms = (fallback: number) => whole(1, 86_400_000, 'Milliseconds, a whole number from 1 to 86400000.').default(fallback);
const platformKey = (owner: string) =>
  KeyText.optional().describe(`The operator's own key for ${owner}; without it there is no platform path there.`);

const Env = z.object({
  ENCRYPTION_KEY: masterKey()
    .optional()
    .describe('The master key, which seals all that is stored sealed: 64 hex characters. Made at the first start.'),
  ENCRYPTION_KEY_PREVIOUS: z
    .string()
    .optional()
    .transform((text) => list(text))
    .pipe(z.array(masterKey()))
    .describe('Former master keys, comma-separated, while rotating.'),
  ENCRYPTION_KEY_RESET: z
    .literal('accept-loss', { error: 'The only value is accept-loss.' })
    .optional()
    .describe('accept-loss: start although the master key does not open the data; nothing is deleted.'),
  AUTH_SECRET: z
    .string()
    .min(32, 'Use 32 characters or more.')
    .refine((text) => notAnExample(text), 'This is an example or a repetition: make a random one.')
    .optional()
    .describe('Signs sessions: 32 characters or more. Made at the first start.'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on; 0.0.0.0 is every address of the machine.'),
  PORT: whole(0, 65_535, 'A port from 0 to 65535.').default(3000).describe('TCP port to listen on.'),
  PUBLIC_URL: z
    .string()
    .refine(isOrigin, 'Scheme, host and port only, such as https://byok.example.com.')
    .optional()
    .describe(
      'Where people reach this server: scheme, host and port; http://localhost:PORT unless set. Links and JWTs name it, and sign-in works at this address only.',
    ),
  TRUST_PROXY: z
    .string()
    .optional()
    .transform((text) => list(text))
    .pipe(z.array(z.string().refine(isCidr, 'Comma-separated addresses or CIDRs, such as 10.0.0.0/8.')))
    .describe('Proxies whose X-Forwarded-For is believed: addresses or CIDRs, comma-separated.'),
  TLS_CERT_FILE: z.string().optional().describe('Certificate chain as a PEM file, to speak https without a proxy.'),
  TLS_KEY_FILE: z.string().optional().describe('Its private key, PEM; both or none.'),
  DATA_DIR: z.string().default('./data').describe('Where the database lives.'),
  DATABASE_URL: z
    .string()
    .regex(/^(file:|postgres(ql)?:\/\/)/, 'file:PATH or postgres://...')
    .optional()
    .describe('file:PATH for SQLite, postgres://... for PostgreSQL; file:DATA_DIR/byok.db unless set.'),
  REDIS_URL: z
    .undefined({ error: 'Several nodes with Redis come with a later version: unset it.' })
    .optional()
    .describe('Not in this version.'),
  PLATFORM_OPENAI_API_KEY: platformKey('OpenAI'),
  PLATFORM_ANTHROPIC_API_KEY: platformKey('Anthropic'),
  OPENAI_BASE_URL: z
    .string()
    .default('https://api.openai.com/v1')
    .describe("OpenAI's address; http:// only to this machine itself, never this server's own."),
  ANTHROPIC_BASE_URL: z.string().default('https://api.anthropic.com').describe("Anthropic's address; the same rules."),
  SIGNUP: z
    .string()
    .transform(signUpRule)
    .refine(
      (rule) => typeof rule === 'string' || (rule.length > 0 && rule.every(isDomain)),
      'closed, open, or e-mail domains such as example.com,example.org.',
    )
    .default('closed')
    .describe('Who may make an account: closed, open, or e-mail domains, comma-separated.'),
  UPSTREAM_CONNECT_TIMEOUT_MS: ms(5 * second).describe('How long to wait for a connection to a provider.'),
  UPSTREAM_FIRST_BYTE_TIMEOUT_MS: ms(600 * second).describe('... for the first byte of an answer.'),
  UPSTREAM_IDLE_TIMEOUT_MS: ms(600 * second).describe('... between two bytes.'),
  UPSTREAM_TOTAL_TIMEOUT_MS: ms(3_600 * second).describe('... in all.'),
  BODY_LIMIT_BYTES: whole(1_024, 2 ** 30, 'Bytes, a whole number from 1024 to 1073741824.')
    .default(32 * 2 ** 20)
    .describe('The largest AI request, in bytes; beyond it 413.'),
  ...perTier(
    'PLATFORM_MODELS',
    z
      .string()
      .optional()
      .transform((text) => (text === undefined ? null : list(text)))
      .describe('The models of that tier on the platform keys, comma-separated; every one with a known price unless set.'),
  ),
  ...perTier(
    'PLATFORM_MAX_OUTPUT',
    whole(1, 10_000_000, 'Tokens, a whole number from 1 to 10000000.')
      .default(releasedMaxOutput)
      .describe('The longest answer of that tier on the platform keys, in tokens.'),
  ),
  PLATFORM_BETA_HEADERS: z
    .string()
    .optional()
    .transform((text) => list(text))
    .pipe(z.array(z.string().regex(/^[\w.=-]{1,100}$/, 'Comma-separated names of beta features, such as context-1m-2025-08-07.')))
    .describe('Beta features that may be used on the platform keys, comma-separated.'),
  IDENTITY_ISSUER: z
    .string()
    .optional()
    .describe('The issuer whose JWTs are taken, as their `iss` says, such as https://login.example.com.'),
  IDENTITY_AUDIENCE: z.string().min(1).max(255).optional().describe('What their `aud` must be.'),
  IDENTITY_JWKS_URL: z.string().optional().describe("Where the issuer's keys are; its own metadata says unless set."),
  IDENTITY_TIER_CLAIM: z
    .string()
    .regex(/^\S{1,200}$/, 'The name of a claim, such as tier, or a path to it, such as realm_access.roles.')
    .optional()
    .describe("The claim that says somebody's tier."),
  IDENTITY_TIERS: z
    .string()
    .optional()
    .transform((text) => list(text).map((pair) => pair.split('=').map((part) => part.trim())))
    .refine((pairs) => pairs.every(isMeant), { error: 'What each value of the claim means, such as gold=premium,basic=subscriber.' })
    .describe('Which tier each value of it means.'),
  IDENTITY_TIER_WINS: z
    .enum(['on', 'off'], { error: 'on or off.' })
    .default('off')
    .describe('on: the claim counts even over what an administrator has given.'),
  OIDC_CLIENT_ID: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe("This server's name at IDENTITY_ISSUER: turns the sign-in to the pages on."),
  OIDC_CLIENT_SECRET: z
    .string()
    .regex(/^[\x21-\x7e]{8,512}$/, 'Use 8 characters or more, without spaces.')
    .optional()
    .describe('Its secret there.'),
  AUTH_LOCAL: z
    .enum(['on', 'off'], { error: 'on or off.' })
    .default('on')
    .describe('off: only administrators sign in with a password; everyone else at IDENTITY_ISSUER.'),
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^(sk|rk)_\w{8,250}$/, "Stripe's secret or restricted key: sk_... or rk_...")
    .optional()
    .describe('Turns billing on, together with the two below.'),
  STRIPE_WEBHOOK_SECRET: z
    .string()
    .regex(/^whsec_\S{8,250}$/, 'The signing secret of the webhook endpoint: whsec_...')
    .optional()
    .describe("Signs Stripe's events."),
  STRIPE_PRICES: z
    .string()
    .optional()
    .transform((text) => list(text).map((pair) => pair.split('=').map((part) => part.trim())))
    .refine((pairs) => pairs.every(isSold) && new Set(pairs.map(([id]) => id)).size === pairs.length, {
      error: 'What each price buys, such as price_a=subscriber,price_b=premium,price_c=lifetime.',
    })
    .describe('Which tier each of your prices buys.'),
  STRIPE_API_URL: z
    .string()
    .refine(isOrigin, 'Scheme, host and port only.')
    .default('https://api.stripe.com')
    .describe("Stripe's address."),
  MAX_CONCURRENT_REQUESTS: whole(1, 100_000, 'A whole number from 1 to 100000.')
    .default(200)
    .describe('How many AI requests one person may have under way at a time, on whichever key; beyond it 429.'),
  OWN_KEYS_PER_PROVIDER: whole(1, mostKeysPerProvider, `A whole number from 1 to ${mostKeysPerProvider}.`)
    .default(1)
    .describe(
      'How many keys of a provider somebody may have, tried in the order that they choose; lowered, the keys beyond stay stored and are not used.',
    ),
  SMTP_URL: z
    .string()
    .transform((text, ctx) => smtpServer(text, (message) => ctx.addIssue({ code: 'custom', message })) ?? z.NEVER)
    .optional()
    .describe('The server through which e-mail is sent; none: no e-mail.'),
  MAIL_FROM: z
    .string()
    .transform((text, ctx) => mailFrom(text, (message) => ctx.addIssue({ code: 'custom', message })) ?? z.NEVER)
    .optional()
    .describe('Who e-mail comes from.'),
  PRICES_URL: z
    .string()
    .max(2_000)
    .refine(isListAddress, 'An address such as https://example.com/prices.json, without a user name; http:// only to this machine.')
    .optional()
    .describe('A price list, fetched at the start and once a day: https, or http to this machine. Off unless set.'),
  BACKUP_DIR: z.string().optional().describe('A folder into which the server makes backups by itself; none unless set. SQLite only.'),
  BACKUP_EVERY_HOURS: whole(1, 8_760, 'Hours, a whole number from 1 to 8760.').default(24).describe('How often, in hours.'),
  BACKUP_KEEP: whole(1, 10_000, 'A whole number from 1 to 10000.').default(14).describe('How many of them are kept.'),
  USAGE_RETENTION_DAYS: whole(2, 36_500, 'Days, a whole number from 2 to 36500.')
    .optional()
    .describe('Single requests older than that are deleted; their sums stay. Off unless set.'),
  METRICS_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{16,}$/, 'Use 16 characters or more, without spaces.')
    .optional()
    .describe('Who sends it as a bearer may read /metrics, from anywhere; without it only this machine may.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .max(2_000)
    .refine(isCollectorAddress, 'An address such as http://127.0.0.1:4318, without a user name, question mark or number sign.')
    .optional()
    .describe('Turns traces on: the collector that takes them as OTLP/HTTP, at /v1/traces below this address.'),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .refine(areHeaders, 'name=value pairs, comma-separated; values percent-encoded.')
    .optional()
    .describe('What the collector wants to see, as name=value pairs, comma-separated; values percent-encoded.'),
  OTEL_SERVICE_NAME: z
    .string()
    .regex(/^[\x21-\x7e]{1,100}$/, 'Up to 100 characters, without spaces.')
    .default('synthstack-byok')
    .describe('What traces call this server.'),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(0(\.\d{1,6})?|1(\.0{1,6})?)$/, 'A part of all, from 0 to 1, such as 0.1.')
    .default('1')
    .transform(Number)
    .describe("The part of the requests that are traced, 0 to 1; where a caller sends a traceparent, the caller's choice counts."),
  TRACES_TO_PROVIDERS: z
    .enum(['on', 'off'], { error: 'on or off.' })
    .default('off')
    .describe('on: providers are sent the traceparent of each call.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], { error: 'trace, debug, info, warn, error or silent.' })
    .default('info')
    .describe('trace, debug, info, warn, error or silent.'),
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
  'SMTP_URL',
  'OIDC_CLIENT_SECRET',
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'DATABASE_URL',
] as const;

export interface Setting {
  name: string;
  /** As it is typed; null: none. */
  fallback: string | null;
  means: string;
  /** It may stand in a file: `NAME_FILE`. */
  secret: boolean;
}

/** For the reference that is made of it (docs/configuration.md), in the order above. */
export const settings = (): Setting[] =>
  Object.entries(Env.shape).map(([name, schema]) => {
    const fallback: unknown = schema.safeParse(undefined).data ?? null;
    const isNone = fallback === null || (Array.isArray(fallback) && fallback.length === 0);
    return {
      name,
      fallback: isNone ? null : String(fallback),
      means: schema.description ?? '',
      secret: (secretNames as readonly string[]).includes(name),
    };
  });

export type Config = ReturnType<typeof toConfig>;

/** @throws AppError `invalid_config` that lists all mistakes */
export function loadConfig(given: NodeJS.ProcessEnv): Config {
  const { env, wrong, files } = withSecretFiles(withoutEmpty(given));
  const parsed = Env.safeParse(env);
  const issues = parsed.error?.issues ?? [];
  wrong.push(...issues.map(({ path, message }) => `${path.join('.')}: ${message}`));
  // What is right in itself is still held against the rest, so that one start shows every mistake.
  const bad = new Set(issues.map(({ path }) => path[0]));
  const good = parsed.data ?? Env.parse(Object.fromEntries(Object.entries(env).filter(([name]) => !bad.has(name))));
  const config = toConfig(good, files);
  wrong.push(...contradictions(config));
  if (wrong.length > 0) throw mistakes(wrong);
  return Object.freeze(config);
}

/** @param files  that secrets were read from */
function toConfig(env: z.infer<typeof Env>, files: readonly string[]) {
  const publicUrl = new URL(env.PUBLIC_URL ?? `http://localhost:${env.PORT}`).origin;
  const dataDir = resolve(env.DATA_DIR);
  const byTier = <T>(pick: (tier: string) => T) =>
    Object.fromEntries(tierNames.map((tier) => [tier, pick(tier.toUpperCase())])) as Record<TierName, T>;
  const perTierEnv = env as unknown as Record<string, unknown>;
  return {
    version: manifest.version,
    demo: false,
    /** Only tests switch these off. */
    signInLimits: true,
    encryptionKey: secretOf(env.ENCRYPTION_KEY),
    previousEncryptionKeys: env.ENCRYPTION_KEY_PREVIOUS.map((key) => new Secret(key)),
    acceptLoss: env.ENCRYPTION_KEY_RESET === 'accept-loss',
    authSecret: secretOf(env.AUTH_SECRET),
    host: env.HOST,
    port: env.PORT,
    publicUrl,
    trustProxy: env.TRUST_PROXY,
    tls: { certFile: env.TLS_CERT_FILE, keyFile: env.TLS_KEY_FILE },
    /** For `doctor`, which looks who can read them. */
    secretFiles: [...files, ...(env.TLS_KEY_FILE === undefined ? [] : [env.TLS_KEY_FILE])],
    dataDir,
    databaseUrl: env.DATABASE_URL ?? `file:${join(dataDir, 'byok.db')}`,
    platformKeys: compact<Record<ProviderId, Secret | undefined>>({
      openai: secretOf(env.PLATFORM_OPENAI_API_KEY),
      anthropic: secretOf(env.PLATFORM_ANTHROPIC_API_KEY),
    }),
    baseUrls: { openai: env.OPENAI_BASE_URL, anthropic: env.ANTHROPIC_BASE_URL } satisfies Record<ProviderId, string>,
    signUp: env.SIGNUP,
    timeouts: {
      connectMs: env.UPSTREAM_CONNECT_TIMEOUT_MS,
      firstByteMs: env.UPSTREAM_FIRST_BYTE_TIMEOUT_MS,
      idleMs: env.UPSTREAM_IDLE_TIMEOUT_MS,
      totalMs: env.UPSTREAM_TOTAL_TIMEOUT_MS,
    },
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    platformModels: byTier((tier) => perTierEnv[`PLATFORM_MODELS_${tier}`] as string[] | null),
    /** Where the environment names no other. */
    releasedMaxOutput,
    platformMaxOutput: byTier((tier) => perTierEnv[`PLATFORM_MAX_OUTPUT_${tier}`] as number),
    platformBetas: env.PLATFORM_BETA_HEADERS,
    /** The operator's own sign-in is taken where both issuer and audience are there. */
    identity: {
      issuer: env.IDENTITY_ISSUER,
      audience: env.IDENTITY_AUDIENCE,
      jwksUrl: env.IDENTITY_JWKS_URL,
      tierClaim: env.IDENTITY_TIER_CLAIM ?? null,
      tiers: new Map(env.IDENTITY_TIERS as [string, TierName][]),
      claimWins: env.IDENTITY_TIER_WINS === 'on',
    },
    oidc: { clientId: env.OIDC_CLIENT_ID, clientSecret: secretOf(env.OIDC_CLIENT_SECRET) },
    localAccounts: env.AUTH_LOCAL === 'on',
    /** Billing is on where both secrets are there. */
    stripe: {
      secretKey: secretOf(env.STRIPE_SECRET_KEY),
      webhookSecret: secretOf(env.STRIPE_WEBHOOK_SECRET),
      tiers: new Map(env.STRIPE_PRICES as [string, TierName][]),
      apiUrl: new URL(env.STRIPE_API_URL).origin,
    },
    maxConcurrentRequests: env.MAX_CONCURRENT_REQUESTS,
    ownKeysPerProvider: env.OWN_KEYS_PER_PROVIDER,
    /** Both or none: then this server sends no e-mail. */
    mail: { server: env.SMTP_URL, from: env.MAIL_FROM },
    pricesUrl: env.PRICES_URL,
    /** Backups that the server makes by itself; `dir` undefined: none. */
    backups: {
      dir: env.BACKUP_DIR === undefined ? undefined : resolve(env.BACKUP_DIR),
      everyHours: env.BACKUP_EVERY_HOURS,
      keep: env.BACKUP_KEEP,
    },
    usageRetentionDays: env.USAGE_RETENTION_DAYS ?? null,
    metricsToken: secretOf(env.METRICS_TOKEN),
    /** Off where there is no collector. */
    traces: {
      url: env.OTEL_EXPORTER_OTLP_ENDPOINT === undefined ? null : `${env.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/+$/, '')}/v1/traces`,
      headers: secretOf(env.OTEL_EXPORTER_OTLP_HEADERS),
      serviceName: env.OTEL_SERVICE_NAME,
      ratio: env.OTEL_TRACES_SAMPLER_ARG,
      tellProviders: env.TRACES_TO_PROVIDERS === 'on',
    },
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
  const before = readText(file, '.env');
  const fromFile = parseEnv(before);
  const env: NodeJS.ProcessEnv = { ...fromFile, ...withoutEmpty(process.env) };
  // The official SDKs and better-auth may read these by themselves; they get what we hand them, and nothing behind our back.
  for (const name of Object.keys(process.env)) if (/^(OPENAI|ANTHROPIC|BETTER_AUTH|STRIPE|OIDC|OTEL)_/.test(name)) delete process.env[name];

  const config = loadConfig(env);
  const missing = [!config.encryptionKey && 'ENCRYPTION_KEY', !config.authSecret && 'AUTH_SECRET'].filter((name) => name !== false);
  if (missing.length === 0) return { config, notes: [] };
  if (databaseExists(config.databaseUrl)) throw mistakes(missing.map(missingSecret));
  if (!options.makeSecrets) throw mistakes([`${missing.join(' and ')}: not set yet. \`byok init\` makes them and writes them to .env.`]);
  const made = Object.fromEntries(missing.map((name) => [name, randomBytes(32).toString('hex')]));
  const lines = Object.entries(made).map(([name, value]) => `${name}=${value}\n`);
  try {
    appendFileSync(file, (before && !before.endsWith('\n') ? '\n' : '') + lines.join(''), { mode: 0o600 });
  } catch {
    throw mistakes([`${missing.join(' and ')}: not set, and ${file} cannot be written. Set them, or make this folder writable.`]);
  }
  const wrote = `Made ${missing.join(' and ')} and wrote them to ${file}. Back this file up: without ENCRYPTION_KEY nobody, you included, can open the stored keys.`;
  const open = (statSync(file).mode & 0o077) !== 0 ? [`Others on this machine can read it: chmod 600 ${file}`] : [];
  return { config: loadConfig({ ...env, ...made }), notes: [wrote, ...open] };
}

function contradictions(config: Config): string[] {
  const wrong: string[] = [];
  for (const [name, url] of [
    ['OPENAI_BASE_URL', config.baseUrls.openai],
    ['ANTHROPIC_BASE_URL', config.baseUrls.anthropic],
    ['STRIPE_API_URL', config.stripe.apiUrl],
    ['IDENTITY_ISSUER', config.identity.issuer],
    ['IDENTITY_JWKS_URL', config.identity.jwksUrl],
  ] as const) {
    const mistake = url === undefined ? null : baseUrlMistake(url, config.publicUrl, `http://${config.host}:${config.port}`);
    if (mistake) wrong.push(`${name}: ${mistake}`);
  }
  if (Boolean(config.mail.server) !== Boolean(config.mail.from)) wrong.push('SMTP_URL and MAIL_FROM go together.');
  const { issuer, audience, jwksUrl, tierClaim, tiers: meant } = config.identity;
  if (Boolean(issuer) !== Boolean(audience)) wrong.push('IDENTITY_ISSUER and IDENTITY_AUDIENCE go together.');
  if (!issuer && (jwksUrl || tierClaim)) wrong.push('IDENTITY_JWKS_URL and IDENTITY_TIER_CLAIM need IDENTITY_ISSUER.');
  if (Boolean(tierClaim) !== meant.size > 0) wrong.push('IDENTITY_TIER_CLAIM and IDENTITY_TIERS go together.');
  const { clientId, clientSecret } = config.oidc;
  if (Boolean(clientId) !== Boolean(clientSecret)) wrong.push('OIDC_CLIENT_ID and OIDC_CLIENT_SECRET go together.');
  if (clientId && !issuer) wrong.push('OIDC_CLIENT_ID needs IDENTITY_ISSUER.');
  if (!config.localAccounts && !clientId) wrong.push('AUTH_LOCAL: off needs OIDC_CLIENT_ID, or nobody could sign in.');
  if (!config.localAccounts && config.signUp !== 'closed') wrong.push('AUTH_LOCAL: off goes with SIGNUP=closed only.');
  const { secretKey, webhookSecret, tiers } = config.stripe;
  const set = [secretKey, webhookSecret, tiers.size > 0 || undefined].filter((one) => one !== undefined);
  if (set.length === 1 || set.length === 2) wrong.push('STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET and STRIPE_PRICES go together.');
  if (config.backups.dir !== undefined && !config.databaseUrl.startsWith('file:'))
    wrong.push('BACKUP_DIR: backups are of SQLite only; PostgreSQL has pg_dump.');
  const collector = config.traces.url === null ? null : new URL(config.traces.url);
  if (collector && isSamePlace(collector, config.publicUrl, `http://${config.host}:${config.port}`))
    wrong.push('OTEL_EXPORTER_OTLP_ENDPOINT: this is the address of this very server, which would trace its own traces.');
  if (collector?.protocol === 'http:' && !isLoopback(collector.hostname) && config.traces.headers)
    wrong.push('OTEL_EXPORTER_OTLP_HEADERS: http:// would send them unencrypted: use https:// (http:// only to this machine itself).');
  if (Boolean(config.tls.certFile) !== Boolean(config.tls.keyFile)) wrong.push('TLS_CERT_FILE and TLS_KEY_FILE go together.');
  return wrong;
}

/** A PostgreSQL of ours may hold data: secrets are only made up for a file that is not there yet. */
export const databaseExists = (url: string): boolean => !url.startsWith('file:') || existsSync(url.slice('file:'.length));

function missingSecret(name: string): string {
  return name === 'ENCRYPTION_KEY'
    ? 'ENCRYPTION_KEY: it is missing, and there is a database already. Set the key with which it was made (see your backup of .env). A new key would make every stored key unreadable.'
    : 'AUTH_SECRET: it is missing, and there is a database already. Set the one with which it was made, or a new one of 32 random bytes: everyone signs in again then.';
}

function mistakes(lines: string[]): AppError {
  return new AppError('invalid_config', `The configuration is wrong:\n${lines.map((line) => `  - ${line}`).join('\n')}`);
}

/** `NAME_FILE` holds the path of a file with the secret, so that it need not stand in the environment. */
function withSecretFiles(given: NodeJS.ProcessEnv): { env: NodeJS.ProcessEnv; wrong: string[]; files: string[] } {
  const env = { ...given };
  const wrong: string[] = [];
  const files: string[] = [];
  for (const name of secretNames) {
    const path = given[`${name}_FILE`];
    if (path === undefined) continue;
    if (given[name] !== undefined) {
      wrong.push(`${name}: set either it or ${name}_FILE, not both.`);
      continue;
    }
    files.push(path);
    try {
      env[name] = readFileSync(path, 'utf8').trim();
      if (env[name] === '') wrong.push(`${name}_FILE: the file is empty.`);
    } catch {
      wrong.push(`${name}_FILE: the file cannot be read.`);
    }
  }
  return { env: withoutEmpty(env), wrong, files };
}

/** '' where there is none. @throws AppError `invalid_config`: it is there and cannot be read */
function readText(path: string, name: string): string {
  try {
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  } catch {
    throw mistakes([`${name}: it is there, but cannot be read.`]);
  }
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

const isMeant = ([value = '', tier = '', ...more]: string[]): boolean =>
  more.length === 0 && value !== '' && (tierNames as readonly string[]).includes(tier);

/** `community` is what everyone has: nobody buys it. */
const isSold = ([id = '', tier = '', ...more]: string[]): boolean =>
  more.length === 0 && /^[\w-]{3,255}$/.test(id) && tier !== 'community' && (tierNames as readonly string[]).includes(tier);

function isCidr(text: string): boolean {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  return family > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)));
}

/** Where browsers and SDKs reach the server: it answers at the root, and a name or password in it would end up in links. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href;
}

/** A list of prices is no secret, but whoever stands between could make it a lie. */
function isListAddress(text: string): boolean {
  const url = URL.parse(text);
  if (!url || url.username || url.password || url.hash) return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

/** Traces hold no secret, so a collector beside the server may be spoken to without encryption. */
function isCollectorAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
}

function areHeaders(text: string): boolean {
  return list(text).every((pair) => {
    const [, value] = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=\s*([\x21-\x7e]+)$/.exec(pair) ?? [];
    try {
      return value !== undefined && /^[\x20-\x7e]+$/.test(decodeURIComponent(value));
    } catch {
      return false;
    }
  });
}

const isDomain = (text: string): boolean => /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}$/.test(text);

function signUpRule(text: string): 'closed' | 'open' | string[] {
  return text === 'closed' || text === 'open' ? text : list(text).map((domain) => domain.toLowerCase());
}

const secretOf = (text: string | undefined): Secret | undefined => (text === undefined ? undefined : new Secret(text));
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
