/**
 * The whole program on a fresh database, behind a real socket, before the scripted provider, with time in the test's hands:
 * `await using app = await testApp()`.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import type { KeyView, ProviderId, TierName } from '@synthstack/core';
import { testPlace } from '@synthstack/core/testing';
import OpenAI from 'openai';
import { hashPassword } from '../src/auth.ts';
import { startServer } from '../src/cli/serve.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/ports/log.ts';
import { type ManualClock, manualClock } from './clock.ts';
import { type Script, type ScriptedProvider, startProvider } from './provider.ts';

export const password = 'correct horse battery';
let knownHash: Promise<string> | undefined;

export interface TestAppOptions {
  /** More of the environment. */
  env?: Record<string, string>;
  /** What the platform's keys do; without it there are none. */
  platform?: Partial<Record<ProviderId, Script>>;
  clock?: ManualClock;
  commitDelayMs?: number;
}

export interface NewPerson {
  tier?: TierName;
  until?: Date;
  admin?: boolean;
  /** Keys of their own, saved through the vault while they work. `then`: what they do afterwards. */
  keys?: Partial<Record<ProviderId, Script>>;
}

export interface Person {
  id: string;
  email: string;
  /** A gateway token with both scopes. */
  token: string;
  /** The plaintext of their provider keys. */
  secrets: Partial<Record<ProviderId, string>>;
}

export type TestApp = Awaited<ReturnType<typeof testApp>>;

export async function testApp(options: TestAppOptions = {}) {
  const place = await testPlace();
  const provider = await startProvider();
  const clock = options.clock ?? manualClock();
  const lines: string[] = [];
  const platformSecrets = Object.fromEntries(
    Object.entries(options.platform ?? {}).map(([id, script]) => [id, newSecret(provider, id as ProviderId, script)]),
  ) as Partial<Record<ProviderId, string>>;
  const env = {
    ENCRYPTION_KEY: '7d1f0c93ab5e42866df9b0a1c7e83524f6a90bd2e1583c47690fadb3c5e81726',
    AUTH_SECRET: 'c2f1d6a5e0b94b7f8a3d1e6c5b2a9f80',
    HOST: '127.0.0.1',
    PORT: '0',
    PUBLIC_URL: 'http://byok.test',
    DATA_DIR: place.folder,
    DATABASE_URL: place.options.url,
    OPENAI_BASE_URL: provider.openaiUrl,
    ANTHROPIC_BASE_URL: provider.anthropicUrl,
    LOG_LEVEL: 'trace',
    LOG_FORMAT: 'json',
    ...(platformSecrets.openai && { PLATFORM_OPENAI_API_KEY: platformSecrets.openai }),
    ...(platformSecrets.anthropic && { PLATFORM_ANTHROPIC_API_KEY: platformSecrets.anthropic }),
    ...options.env,
  };
  const start = () =>
    startServer(
      { ...loadConfig(env), signInLimits: false },
      {
        clock,
        log: createLog({ level: 'trace', format: 'json', write: (line) => lines.push(line) }),
        ...(place.options.pg && { pg: place.options.pg }),
        ...(options.commitDelayMs && { commitDelayMs: options.commitDelayMs }),
      },
    );
  let running = await start();
  const url = () => `http://127.0.0.1:${running.port}`;

  async function person({ tier = 'premium', until, admin = false, keys = {} }: NewPerson = {}): Promise<Person> {
    const { accounts, plans, tokens, vault } = running.app;
    knownHash ??= hashPassword(password);
    const email = `${randomBytes(6).toString('hex')}@example.com`;
    const { userId: id } = await accounts.add({ email, password: { hash: await knownHash }, tier, admin });
    if (until) await plans.set(id, { tier, until, source: 'admin' });
    const { secret: token } = await tokens.create(id, { name: 'test', scopes: ['gateway', 'manage'] });
    const secrets: Person['secrets'] = {};
    for (const [name, script] of Object.entries(keys) as [ProviderId, Script][]) {
      const secret = newSecret(provider, name, 'good');
      await vault.save({ userId: id, byok: true }, { provider: name, apiKey: secret });
      provider.key(secret, script, name);
      secrets[name] = secret;
    }
    return { id, email, token, secrets };
  }

  return {
    get url() {
      return url();
    },
    get app() {
      return running.app;
    },
    clock,
    provider,
    folder: place.folder,
    platformSecrets,
    /** Every line that was logged, at the finest level. */
    lines,
    person,
    newSecret: (id: ProviderId, script: Script = 'good') => newSecret(provider, id, script),

    /** A call as that person, with their token; JSON in, whatever comes out. */
    fetch(
      who: Person | null,
      path: string,
      init: Omit<RequestInit, 'body'> & { json?: unknown; body?: string | Buffer | FormData } = {},
    ): Promise<Response> {
      const { json, headers, ...rest } = init;
      return fetch(`${url()}${path}`, {
        redirect: 'manual',
        ...rest,
        headers: {
          ...(who && { authorization: `Bearer ${who.token}` }),
          ...(json !== undefined && { 'content-type': 'application/json' }),
          ...(headers as Record<string, string>),
        },
        ...(json !== undefined && { method: init.method ?? 'POST', body: JSON.stringify(json) }),
      });
    },

    /** A chat completion through the gateway. */
    chat(who: Person, content: string, more: Record<string, unknown> = {}): Promise<Response> {
      return this.fetch(who, '/v1/chat/completions', { json: { model: 'gpt-4o-mini', messages: [{ role: 'user', content }], ...more } });
    },

    /** The official clients, unchanged but for base URL and token. */
    openai: (who: Person, more: Partial<ConstructorParameters<typeof OpenAI>[0]> = {}) =>
      new OpenAI({ baseURL: `${url()}/v1`, apiKey: who.token, maxRetries: 0, ...more }),
    anthropic: (who: Person, more: Partial<ConstructorParameters<typeof Anthropic>[0]> = {}) =>
      new Anthropic({ baseURL: url(), apiKey: who.token, maxRetries: 0, ...more }),

    keysOf: (who: Person): Promise<KeyView[]> => running.app.vault.list(who.id),
    /** All rows of `request`, oldest first. */
    requests: () => running.app.db.orm.select().from(running.app.db.tables.request).orderBy(running.app.db.tables.request.id),

    /** Everything that reached the disk or the log. */
    everythingWritten(): Buffer {
      const files = existsSync(place.folder)
        ? readdirSync(place.folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
        : [];
      return Buffer.concat([...files.map((file) => readFileSync(join(file.parentPath, file.name))), Buffer.from(lines.join(''))]);
    },

    /** Ends the server as SIGTERM does, and starts it anew on the same database. @param changed  what is different in its environment */
    async restart(changed: Record<string, string> = {}): Promise<void> {
      await running.stop();
      Object.assign(env, changed);
      running = await start();
    },

    async [Symbol.asyncDispose]() {
      running.app.agents.interrupt();
      running.server.closeAllConnections();
      await running.stop();
      await provider.close();
      await place[Symbol.asyncDispose]();
    },
  };
}

function newSecret(provider: ScriptedProvider, id: ProviderId, script: Script): string {
  const secret = (id === 'openai' ? 'sk-proj-' : 'sk-ant-api03-') + randomBytes(36).toString('base64url');
  provider.key(secret, script, id);
  return secret;
}
