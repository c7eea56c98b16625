import { hash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { AppError } from '@synthstack/core';
import { expect, test, vi } from 'vitest';
import { place } from '../test/process.ts';
import { environmentNames, loadConfig } from './config.ts';

vi.setConfig({ testTimeout: 120_000 });

const key = '7d1f0c93ab5e42866df9b0a1c7e83524f6a90bd2e1583c47690fadb3c5e81726';
const secret = 'c2f1d6a5e0b94b7f8a3d1e6c5b2a9f80';
const openaiKey = 'sk-proj-Vb3kQ9xT7mZ2pL5wR8nC4jH6';

/** What loadConfig complains about. */
function mistakesOf(env: Record<string, string>): string {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_config') return error.message;
    throw error;
  }
  return '';
}

const milliseconds = { good: ['1', '5000', '86400000'], bad: ['0', '-1', '86400001', '1.5', '5s', '0x10', '1e3', ' '] };
const tokens = { good: ['1', '16384', '10000000'], bad: ['0', '-1', '1.5', 'many', '10000001'] };
const text = { good: ['anything at all'], bad: [] };
const table: Record<string, { good: string[]; bad: string[] }> = {
  ENCRYPTION_KEY: {
    good: [key, key.toUpperCase()],
    bad: [
      key.slice(1),
      `${key}0`,
      `${key} `,
      `"${key}"`,
      `0x${key.slice(2)}`,
      `${key.slice(1)}g`,
      `${key.slice(1)}ü`,
      Buffer.from(key, 'hex').toString('base64'),
      '0'.repeat(64),
      'ab'.repeat(32),
      '0123456789abcdef'.repeat(4),
      '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
      '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
      '12345678901234567890123456789012345678901234567890123456789012345'.slice(1),
      Buffer.from('this is my very secret key, ok?!').toString('hex'),
      hash('sha256', 'secret'),
    ],
  },
  ENCRYPTION_KEY_PREVIOUS: { good: [key, `${key}, ${key.toUpperCase()}`, `${key},`], bad: ['x', `${key},abc`, '0'.repeat(64)] },
  ENCRYPTION_KEY_RESET: { good: ['accept-loss'], bad: ['true', 'yes', 'Accept-Loss'] },
  AUTH_SECRET: {
    good: [secret, randomBytes(32).toString('base64')],
    bad: [
      secret.slice(1),
      'a'.repeat(40),
      'abababab'.repeat(8),
      'change-me-please-change-me-please-1',
      'example-secret-example-secret-123456',
    ],
  },
  HOST: { good: ['127.0.0.1', '0.0.0.0', '::1', 'localhost'], bad: [] },
  PORT: { good: ['0', '80', '65535'], bad: ['65536', '-1', '80.5', 'http', '0x50', '1e3', ' ', '١٢'] },
  PUBLIC_URL: {
    good: ['https://byok.example.com', 'http://localhost:8080/', 'https://[::1]:8443'],
    bad: [
      'byok.invalid',
      'ftp://x.org',
      'https://x.org/path',
      'https://u:p@x.org',
      'https://x.org?a=1',
      'https://x.org/#a',
      'javascript:alert(1)',
    ],
  },
  TRUST_PROXY: {
    good: ['10.0.0.0/8', '::1, 192.168.0.1', 'fd00::/8'],
    bad: ['10.0.0.0/33', 'proxy', '192.168.7', '::1/129', 'true', '10.0.0.0/-1'],
  },
  DATA_DIR: text,
  DATABASE_URL: { good: ['file:./x.db', 'postgres://u:p@h/d', 'postgresql://h/d'], bad: ['mysql://h/d', './x.db', 'sqlite:x'] },
  REDIS_URL: { good: [], bad: ['redis://localhost'] },
  PLATFORM_OPENAI_API_KEY: {
    good: [openaiKey, ` ${openaiKey}\n`],
    bad: ['sk-short', `${openaiKey}\n${openaiKey}`, `${openaiKey} x`, 'sk-ümlaut-ümlaut-ümlaut', 'x'.repeat(600)],
  },
  PLATFORM_ANTHROPIC_API_KEY: { good: ['sk-ant-api03-Vb3kQ9xT7mZ2pL5wR8'], bad: ['sk-ant\0-api03-Vb3kQ9xT7mZ2pL5wR8'] },
  OPENAI_BASE_URL: {
    good: ['https://api.openai.com/v1', 'http://127.0.0.1:9999/v1', 'http://localhost:9999', 'http://[::1]:9999'],
    bad: [
      'http://api.openai.com/v1',
      'http://10.0.0.5/v1',
      'http://127.0.0.1.example.com',
      'http://localhost.example.com',
      'https://user:pass@api.openai.com',
      'https://api.openai.com/v1?x=1',
      'https://api.openai.com/v1#x',
      'file:///etc/passwd',
      'api.openai.com',
      'http://localhost:3000',
      'http://127.0.0.1:3000/v1',
      'http://[::1]:3000/v1',
    ],
  },
  ANTHROPIC_BASE_URL: { good: ['https://api.anthropic.com'], bad: ['http://example.com', 'http://127.0.0.1:3000', 'nonsense'] },
  SIGNUP: {
    good: ['closed', 'open', 'example.com', 'Example.com, example.org'],
    bad: ['Open', 'true', ',', 'ada@example.com', '*.example.com', 'intranet'],
  },
  UPSTREAM_CONNECT_TIMEOUT_MS: milliseconds,
  UPSTREAM_FIRST_BYTE_TIMEOUT_MS: milliseconds,
  UPSTREAM_IDLE_TIMEOUT_MS: milliseconds,
  UPSTREAM_TOTAL_TIMEOUT_MS: milliseconds,
  BODY_LIMIT_BYTES: { good: ['1024', '33554432'], bad: ['1023', '2000000000', '32MB', '-5'] },
  BACKUP_EVERY_HOURS: { good: ['1', '24', '8760'], bad: ['0', '-1', '0.5', '8761', 'daily'] },
  BACKUP_KEEP: { good: ['1', '14'], bad: ['0', '-1', 'all'] },
  BACKUP_DIR: { good: ['./backups', '/mnt/backups'], bad: [] },
  PLATFORM_BETA_HEADERS: {
    good: ['context-1m-2025-08-07', 'assistants=v2, context-1m-2025-08-07'],
    bad: ['two words', 'line\nbreak', 'quo"te', 'x'.repeat(101)],
  },
  IDENTITY_TIER_WINS: { good: ['on', 'off'], bad: ['true', 'ON'] },
  STRIPE_API_URL: {
    good: ['https://api.stripe.com', 'http://127.0.0.1:9999', 'http://localhost:9999/'],
    bad: ['http://api.stripe.com', 'https://api.stripe.com/v1', 'https://u:p@api.stripe.com', 'api.stripe.com', 'http://localhost:3000'],
  },
  OWN_KEYS_PER_PROVIDER: { good: ['1', '10'], bad: ['0', '11', '-1', '1.5', 'many'] },
  MAX_CONCURRENT_REQUESTS: { good: ['1', '200', '100000'], bad: ['0', '-1', '1.5', '100001', 'many'] },
  PLATFORM_MODELS_COMMUNITY: text,
  PLATFORM_MODELS_SUBSCRIBER: text,
  PLATFORM_MODELS_PREMIUM: text,
  PLATFORM_MODELS_LIFETIME: text,
  PLATFORM_MAX_OUTPUT_COMMUNITY: tokens,
  PLATFORM_MAX_OUTPUT_SUBSCRIBER: tokens,
  PLATFORM_MAX_OUTPUT_PREMIUM: tokens,
  PLATFORM_MAX_OUTPUT_LIFETIME: tokens,
  PRICES_URL: {
    good: ['https://example.com/prices.json?v=2', 'http://127.0.0.1:8080/prices.json', 'http://localhost/prices.json'],
    bad: [
      'my-list.json',
      'http://example.com/my-list.json',
      'https://ada:secret@example.com/prices.json',
      'file:///etc/passwd',
      'https://a.example/#b',
    ],
  },
  METRICS_TOKEN: { good: ['0123456789abcdef'], bad: ['short', 'no bearer has a space', 'keiner hat ein ä, oder'] },
  USAGE_RETENTION_DAYS: { good: ['2', '30', '36500'], bad: ['0', '1', '-30', '30d', '36501'] },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    good: ['http://127.0.0.1:4318', 'https://collector.example.com/otlp/', 'http://collector:4318'],
    bad: [
      'collector:4318',
      'grpc://collector:4317',
      'https://me:hunter22@collector.example.com',
      'https://collector.example.com/?key=hunter22',
    ],
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    good: ['authorization=Bearer%20abcdef', 'x-key=a%3Db, x-tenant=1'],
    bad: ['authorization', 'authorization=Bearer secret-of-mine', 'x key=hunter22', 'x-key=hunter%0d%0a22', 'x-key=hunter%zz22'],
  },
  OTEL_SERVICE_NAME: { good: ['byok', 'team/byok-1'], bad: ['my byok', 'ä'] },
  OTEL_TRACES_SAMPLER_ARG: { good: ['0', '1', '0.1', '1.0'], bad: ['1.1', '-1', '50%', '.5'] },
  TRACES_TO_PROVIDERS: { good: ['on', 'off'], bad: ['yes'] },
  LOG_LEVEL: { good: ['trace', 'silent'], bad: ['verbose', 'INFO'] },
  LOG_FORMAT: { good: ['pretty', 'json'], bad: ['xml'] },
};

const stripe = {
  STRIPE_SECRET_KEY: 'sk_test_Vb3kQ9xT7mZ2pL5wR8nC4jH6',
  STRIPE_WEBHOOK_SECRET: 'whsec_Kd83hfPq02LmXz71TtYe9Rb4',
  STRIPE_PRICES: 'price_a=subscriber, price_b=premium,price_c=lifetime,',
};

const identity = {
  IDENTITY_ISSUER: 'https://login.example.com/realms/main',
  IDENTITY_AUDIENCE: 'https://byok.example.com',
  IDENTITY_JWKS_URL: 'https://login.example.com/keys',
  IDENTITY_TIER_CLAIM: 'realm_access.roles',
  IDENTITY_TIERS: 'gold=premium, silver member=subscriber',
};
const oidc = { OIDC_CLIENT_ID: 'byok-pages', OIDC_CLIENT_SECRET: 'Kd83hfPq02LmXz71TtYe9Rb4' };

/** These go together with others, and have tests of their own. */
const together = [
  ...['TLS_CERT_FILE', 'TLS_KEY_FILE', 'SMTP_URL', 'MAIL_FROM', 'AUTH_LOCAL'],
  ...Object.keys({ ...stripe, ...identity, ...oidc }),
];

test('each setting takes what is right, and what is wrong is named without its value', () => {
  expect([...Object.keys(table), ...together].sort()).toEqual([...environmentNames].sort());
  for (const [name, { good, bad }] of Object.entries(table)) {
    for (const value of good) expect(mistakesOf({ [name]: value }), `${name}=${value}`).toBe('');
    for (const value of bad) {
      const said = mistakesOf({ [name]: value });
      expect(said, `${name}=${value}`).toContain(`- ${name}`);
      expect(said.split('\n'), `${name}=${value}`).toHaveLength(2);
      if (value.length > 5) expect(said, `${name}=${value}`).not.toContain(value.trim());
    }
  }
});

test('the issuer of identities is set as a whole or not at all, and is never this server itself', () => {
  expect(mistakesOf(identity)).toBe('');
  const { IDENTITY_ISSUER, IDENTITY_AUDIENCE, ...rest } = identity;
  expect(mistakesOf({ IDENTITY_ISSUER, IDENTITY_AUDIENCE })).toBe('');
  expect([...loadConfig(identity).identity.tiers]).toEqual([
    ['gold', 'premium'],
    ['silver member', 'subscriber'],
  ]);
  expect(mistakesOf({ ...identity, ...oidc, AUTH_LOCAL: 'off' })).toBe('');
  const wrong: [Record<string, string>, string][] = [
    [oidc, 'OIDC_CLIENT_ID needs IDENTITY_ISSUER.'],
    [{ ...identity, OIDC_CLIENT_ID: 'x' }, 'OIDC_CLIENT_ID and OIDC_CLIENT_SECRET go together.'],
    [{ ...identity, ...oidc, OIDC_CLIENT_SECRET: 'short' }, '- OIDC_CLIENT_SECRET: '],
    [{ ...identity, AUTH_LOCAL: 'off' }, 'AUTH_LOCAL: off needs OIDC_CLIENT_ID'],
    [{ ...identity, ...oidc, AUTH_LOCAL: 'off', SIGNUP: 'open' }, 'AUTH_LOCAL: off goes with SIGNUP=closed only.'],
    [{ AUTH_LOCAL: 'no' }, '- AUTH_LOCAL: on or off.'],
    [{ IDENTITY_ISSUER }, 'IDENTITY_ISSUER and IDENTITY_AUDIENCE go together.'],
    [{ IDENTITY_AUDIENCE }, 'IDENTITY_ISSUER and IDENTITY_AUDIENCE go together.'],
    [rest, 'IDENTITY_JWKS_URL and IDENTITY_TIER_CLAIM need IDENTITY_ISSUER.'],
    [{ ...identity, IDENTITY_TIERS: '' }, 'IDENTITY_TIER_CLAIM and IDENTITY_TIERS go together.'],
    [{ ...identity, IDENTITY_TIERS: 'gold=emperor' }, '- IDENTITY_TIERS: '],
    [{ ...identity, IDENTITY_TIERS: '=premium' }, '- IDENTITY_TIERS: '],
    [{ ...identity, IDENTITY_TIER_CLAIM: 'two words' }, '- IDENTITY_TIER_CLAIM: '],
    [{ ...identity, IDENTITY_ISSUER: 'http://login.example.com' }, '- IDENTITY_ISSUER: http://'],
    [{ ...identity, IDENTITY_ISSUER: 'login.example.com' }, '- IDENTITY_ISSUER: '],
    [{ ...identity, IDENTITY_ISSUER: 'http://localhost:3000' }, 'this very server'],
    [{ ...identity, IDENTITY_JWKS_URL: 'http://10.0.0.5/keys' }, '- IDENTITY_JWKS_URL: http://'],
  ];
  for (const [env, said] of wrong) expect(mistakesOf(env), said).toContain(said);
});

test('billing is set as a whole or not at all, and what is wrong in it is named without its value', () => {
  expect(mistakesOf(stripe)).toBe('');
  const { stripe: read } = loadConfig(stripe);
  expect([...read.tiers]).toEqual([
    ['price_a', 'subscriber'],
    ['price_b', 'premium'],
    ['price_c', 'lifetime'],
  ]);
  expect(read.secretKey?.expose()).toBe(stripe.STRIPE_SECRET_KEY);
  expect(mistakesOf({ ...stripe, STRIPE_SECRET_KEY: 'rk_live_Vb3kQ9xT7mZ2pL5wR8nC4jH6' })).toBe('');
  for (const name of Object.keys(stripe)) {
    const { [name]: _, ...rest } = stripe as Record<string, string>;
    expect(mistakesOf(rest), name).toContain('STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET and STRIPE_PRICES go together.');
  }
  const bad: Record<keyof typeof stripe, string[]> = {
    STRIPE_SECRET_KEY: ['pk_test_Vb3kQ9xT7mZ2pL5wR8nC4jH6', 'sk_short', 'sk_test_Vb3k Q9xT7mZ2'],
    STRIPE_WEBHOOK_SECRET: ['sk_test_Vb3kQ9xT7mZ2pL5wR8nC4jH6', 'whsec_'],
    STRIPE_PRICES: [
      'price_a',
      'price_a=gold',
      'price_a=community',
      'price_a=premium,price_a=lifetime',
      '=premium',
      'a b c=premium',
      'price_a=premium=x',
    ],
  };
  for (const [name, values] of Object.entries(bad))
    for (const value of values) {
      const said = mistakesOf({ ...stripe, [name]: value });
      expect(said, value).toContain(`- ${name}: `);
      if (value.length > 8) expect(said, value).not.toContain(value);
    }
});

test('traces go to no address of this server, and what the collector wants to see travels encrypted', () => {
  const headers = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20aHVudGVyMjI' };
  expect(mistakesOf({ PORT: '3000', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:3000' })).toContain('this very server');
  expect(mistakesOf({ ...headers, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' })).toContain('OTEL_EXPORTER_OTLP_HEADERS: http://');
  expect(mistakesOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' })).toBe('');
  for (const url of ['http://127.0.0.1:4318', 'https://collector:4318'])
    expect(mistakesOf({ ...headers, OTEL_EXPORTER_OTLP_ENDPOINT: url })).toBe('');
  expect(loadConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/' }).traces.url).toBe('https://collector/otlp/v1/traces');
});

test('an empty setting is one that is not set', () => {
  const empty = Object.fromEntries(environmentNames.map((name) => [name, '']));
  expect(loadConfig(empty)).toEqual(loadConfig({}));
});

test('one start shows every mistake, those between settings too, and no value', () => {
  const wrong = Object.fromEntries(Object.entries(table).flatMap(([name, { bad }]) => (bad[0] ? [[name, bad[0]]] : [])));
  const said = mistakesOf({ ...wrong, TLS_CERT_FILE: '/x/cert.pem', METRICS_TOKEN_FILE: '/not/there' });
  for (const name of Object.keys(wrong)) expect(said).toContain(`- ${name}`);
  expect(said).toContain('TLS_CERT_FILE and TLS_KEY_FILE go together');
  expect(said).toContain('METRICS_TOKEN: set either it or METRICS_TOKEN_FILE');
  expect(said).toContain('OPENAI_BASE_URL: http:// would send keys unencrypted');
  for (const value of Object.values(wrong)) if (value.length > 5) expect(said).not.toContain(value);
});

test('an e-mail server is reached under TLS, but for this machine itself or on demand, and its password is in no complaint', () => {
  const from = { MAIL_FROM: 'SynthStack <byok@example.com>' };
  const serverOf = (SMTP_URL: string) => {
    const { server } = loadConfig({ ...from, SMTP_URL }).mail;
    return server && { ...server, login: server.login && `${server.login.user} ${server.login.password.expose()}` };
  };
  const there = { host: 'mail.example.com', login: undefined };
  expect(serverOf('smtps://mail.example.com')).toEqual({ ...there, port: 465, tls: 'implicit' });
  expect(serverOf('smtp://mail.example.com')).toEqual({ ...there, port: 587, tls: 'starttls' });
  expect(serverOf('smtp://mail.example.com:25?tls=none')).toEqual({ ...there, port: 25, tls: 'none' });
  expect(serverOf('smtp://127.0.0.1:1025')).toMatchObject({ port: 1025, tls: 'none' });
  expect(serverOf('smtp://[::1]:1025')).toMatchObject({ host: '::1', tls: 'none' });
  expect(serverOf('smtps://ada%40x.org:p%40ss%2Fw%3Aord%25@mail.example.com')).toMatchObject({ login: 'ada@x.org p@ss/w:ord%' });
  for (const bad of [
    'mail.example.com',
    'https://mail.example.com',
    'smtp://',
    'smtp://ada:hunter2secret@mail.example.com/inbox',
    'smtp://ada:hunter2secret@mail.example.com?tls.rejectUnauthorized=false',
    'smtps://ada:hunter2secret@mail.example.com?tls=none',
    'smtp://ada:hunter2secret%@mail.example.com',
    'smtp://hunter2secret@mail.example.com',
    'smtp://ada:hunter2secret@mail.example.com\r\nX',
    'smtp://ada:hunter2secret@mail example.com',
  ]) {
    const said = mistakesOf({ ...from, SMTP_URL: bad });
    expect(said, bad).toContain('- SMTP_URL: ');
    expect(said, bad).not.toContain('hunter2');
  }
  for (const good of ['byok@example.com', 'SynthStack <byok@example.com>', 'Günther & Söhne <a.b+c@mail.example.org>'])
    expect(mistakesOf({ SMTP_URL: 'smtp://localhost', MAIL_FROM: good }), good).toBe('');
  for (const bad of ['byok', 'a@b.c <x>', '<a@example.com> b', 'A\r\nBcc: eve@example.com <a@example.com>', 'a@example.com, b@example.com'])
    expect(mistakesOf({ SMTP_URL: 'smtp://localhost', MAIL_FROM: bad }), bad).toContain('- MAIL_FROM: ');
  for (const half of [from, { SMTP_URL: 'smtp://localhost' }]) expect(mistakesOf(half)).toContain('SMTP_URL and MAIL_FROM go together.');
});

test("a provider is never this server's own address, however that is written", () => {
  const own = { PUBLIC_URL: 'https://byok.example.com', HOST: '0.0.0.0', PORT: '8080' };
  for (const url of [
    'https://byok.example.com/v1',
    'https://BYOK.example.com',
    'http://127.0.0.1:8080',
    'http://localhost:8080/v1',
    'http://127.9.9.9:8080',
  ])
    expect(mistakesOf({ ...own, OPENAI_BASE_URL: url }), url).toContain('this very server');
  for (const url of ['https://byok.example.com:8443', 'http://127.0.0.1:8081', 'https://other.example.com'])
    expect(mistakesOf({ ...own, OPENAI_BASE_URL: url }), url).toBe('');
});

test('what is read is what was meant, frozen, and prints no secret', () => {
  const config = loadConfig({
    ENCRYPTION_KEY: key,
    AUTH_SECRET: secret,
    PORT: '8080',
    PUBLIC_URL: 'https://byok.example.com/',
    PLATFORM_OPENAI_API_KEY: ` ${openaiKey}\n`,
    SIGNUP: 'Example.com, example.org',
    PLATFORM_MODELS_COMMUNITY: 'gpt-4o-mini, claude-haiku-4-5',
    PLATFORM_MAX_OUTPUT_PREMIUM: '100',
    UPSTREAM_IDLE_TIMEOUT_MS: '7',
    DATA_DIR: '/srv/byok',
  });
  expect(config).toMatchObject({
    port: 8080,
    host: '127.0.0.1',
    publicUrl: 'https://byok.example.com',
    databaseUrl: 'file:/srv/byok/byok.db',
    signUp: ['example.com', 'example.org'],
    platformModels: { community: ['gpt-4o-mini', 'claude-haiku-4-5'], premium: null },
    platformMaxOutput: { community: 16_384, premium: 100 },
    timeouts: { connectMs: 5_000, firstByteMs: 600_000, idleMs: 7, totalMs: 3_600_000 },
    bodyLimitBytes: 32 * 2 ** 20,
    baseUrls: { openai: 'https://api.openai.com/v1', anthropic: 'https://api.anthropic.com' },
    logLevel: 'info',
  });
  expect(config.platformKeys.openai?.expose()).toBe(openaiKey);
  expect(Object.isFrozen(config)).toBe(true);
  expect(loadConfig({ PORT: '8080' }).publicUrl).toBe('http://localhost:8080');
  for (const hidden of [key, secret, openaiKey]) expect(JSON.stringify(config)).not.toContain(hidden);
});

test('every secret can stand in a file, and mistakes about that are listed with the others', async () => {
  await using here = await place({});
  const file = (name: string, content: string) => {
    const path = join(here.folder, name);
    writeFileSync(path, content);
    return path;
  };
  const config = loadConfig({
    ENCRYPTION_KEY_FILE: file('key', `${key}\n`),
    ENCRYPTION_KEY_PREVIOUS_FILE: file('previous', `${key}\n`),
    AUTH_SECRET_FILE: file('secret', secret),
    PLATFORM_OPENAI_API_KEY_FILE: file('openai', `${openaiKey}\r\n`),
    PLATFORM_ANTHROPIC_API_KEY_FILE: file('anthropic', 'sk-ant-api03-Vb3kQ9xT7mZ2pL5wR8'),
    METRICS_TOKEN_FILE: file('metrics', '0123456789abcdef'),
    DATABASE_URL_FILE: file('database', 'postgres://u:p@h/d'),
  });
  expect(config.encryptionKey?.expose()).toBe(key);
  expect(config.previousEncryptionKeys).toHaveLength(1);
  expect(config.authSecret?.expose()).toBe(secret);
  expect(config.platformKeys.openai?.expose()).toBe(openaiKey);
  expect(config.metricsToken?.expose()).toBe('0123456789abcdef');
  expect(config.databaseUrl).toBe('postgres://u:p@h/d');
  const said = mistakesOf({
    ENCRYPTION_KEY: key,
    ENCRYPTION_KEY_FILE: join(here.folder, 'key'),
    AUTH_SECRET_FILE: join(here.folder, 'not-there'),
    PLATFORM_OPENAI_API_KEY_FILE: file('empty', '\n'),
    METRICS_TOKEN_FILE: here.folder,
    PORT: 'x',
  });
  expect(said.split('\n').slice(1)).toEqual([
    expect.stringContaining('ENCRYPTION_KEY: set either it or ENCRYPTION_KEY_FILE, not both'),
    expect.stringContaining('AUTH_SECRET_FILE: the file cannot be read'),
    expect.stringContaining('PLATFORM_OPENAI_API_KEY_FILE: the file is empty'),
    expect.stringContaining('METRICS_TOKEN_FILE: the file cannot be read'),
    expect.stringContaining('PORT:'),
  ]);
});

test('a first start makes the secrets once, for nobody else to read', async () => {
  await using here = await place({});
  const file = join(here.folder, '.env');
  const first = await here.run(['init']);
  expect(first).toMatchObject({ code: 0, out: '' });
  expect(first.err).toContain('Back this file up');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const made = parseEnv(readFileSync(file, 'utf8'));
  expect(Object.keys(made).sort()).toEqual(['AUTH_SECRET', 'ENCRYPTION_KEY']);
  expect(mistakesOf(made as Record<string, string>)).toBe('');
  expect(await here.run(['init'])).toMatchObject({ code: 0, err: expect.stringContaining('nothing was changed') });
  expect(parseEnv(readFileSync(file, 'utf8'))).toEqual(made);
  for (const value of Object.values(made)) expect(here.printed()).not.toContain(value);
});

test('an .env that is there is only appended to, real variables win, and what others can read is said', async () => {
  await using here = await place({});
  const file = join(here.folder, '.env');
  const example = readFileSync(join(import.meta.dirname, '../../../.env.example'), 'utf8');
  writeFileSync(file, `${example}AUTH_SECRET=${secret}\nLOG_LEVEL=nonsense`);
  chmodSync(file, 0o644);
  expect(await here.run(['init'])).toMatchObject({ code: 1, err: expect.stringContaining('LOG_LEVEL: trace, debug') });
  expect(readFileSync(file, 'utf8')).toBe(`${example}AUTH_SECRET=${secret}\nLOG_LEVEL=nonsense`);
  const started = await here.run(['init'], { env: { LOG_LEVEL: 'info' } });
  expect(started).toMatchObject({ code: 0, err: expect.stringContaining('Made ENCRYPTION_KEY and wrote') });
  expect(started.err).toContain('chmod 600');
  const [before, after] = readFileSync(file, 'utf8').split('LOG_LEVEL=nonsense');
  expect(before).toBe(`${example}AUTH_SECRET=${secret}\n`);
  expect(after).toMatch(/^\nENCRYPTION_KEY=[0-9a-f]{64}\n$/);
  expect(await here.run(['init'], { env: { LOG_LEVEL: 'info' } })).toMatchObject({ err: expect.stringContaining('nothing was changed') });
});

test('a database without its secrets is never given new ones', async () => {
  await using here = await place({});
  mkdirSync(join(here.folder, 'data'));
  writeFileSync(join(here.folder, 'data/byok.db'), '');
  for (const env of [{} as Record<string, string>, { DATABASE_URL: 'postgres://u:hunter22@h/d' }]) {
    const ended = await here.run(['init'], { env });
    expect(ended).toMatchObject({ code: 1, out: '' });
    expect(ended.err).toMatch(/ENCRYPTION_KEY: it is missing, and there is a database already.*backup/);
    expect(ended.err).toContain('AUTH_SECRET: it is missing');
    expect(ended.err).not.toContain('hunter22');
  }
  expect(existsSync(join(here.folder, '.env'))).toBe(false);
  expect(await here.run(['init'], { env: { DATA_DIR: './other' } })).toMatchObject({ code: 0 });
});

test('an .env that cannot be read is said', async () => {
  await using here = await place({});
  mkdirSync(join(here.folder, '.env'));
  expect(await here.run(['init'])).toMatchObject({ code: 1, err: expect.stringContaining('.env: it is there, but cannot be read.') });
});

test('.env.example names everything once, says what it means, and holds the defaults', () => {
  const example = readFileSync(join(import.meta.dirname, '../../../.env.example'), 'utf8');
  const names = [...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name ?? '');
  expect(names.toSorted()).toEqual([...environmentNames].sort());
  for (const block of example.trim().split(/\n(?=#)/)) expect(block).toMatch(/^# /);
  expect(loadConfig(parseEnv(example))).toEqual(loadConfig({}));
  const marked = [...example.matchAll(/^# \* .*\n(?:#.*\n)*((?:[A-Z_]+=.*\n)+)/gm)].flatMap(
    ([, lines = '']) => lines.match(/^[A-Z_]+/gm) ?? [],
  );
  for (const name of environmentNames) {
    const takesFile = mistakesOf({ [`${name}_FILE`]: '/not/there' }) !== '' && !/^TLS_/.test(name);
    expect(marked.includes(name), `${name} is${takesFile ? '' : ' not'} marked with *`).toBe(takesFile);
  }
});
