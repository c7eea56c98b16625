/** The stage of a browser test: the built program as a process of its own, the scripted provider, and pages that are watched. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createProxy, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TierName } from '@synthstack/core';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { inject } from 'vitest';
import { compileCache } from '../../server/test/compile-cache.ts';
import { type ScriptedProvider, startProvider } from '../../server/test/provider.ts';
import { type Office, openOffice, password } from './office.ts';

/** What is tested: the program that BYOK_PROGRAM names (dist/byok), else the server's sources. */
const [program, ...programArgs]: [string, ...string[]] = process.env.BYOK_PROGRAM
  ? [resolve(import.meta.dirname, '../../..', process.env.BYOK_PROGRAM)]
  : [process.execPath, join(import.meta.dirname, '../../server/src/main.ts')];

export { password };

/** A start takes two seconds of work, which may be long on a machine that has much else to do. */
const startLimitMs = 50_000;

export interface Stage extends AsyncDisposable {
  origin: string;
  /** The one-time link, as the console printed it. */
  setUpLink: string;
  provider: ScriptedProvider;
  /** Where its data is. */
  folder: string;
  /** Everything that the server wrote to its console. */
  console(): string;
  office: Office;
  /** Kills the server, and starts another on the same data and address. `whileDown` is done in between. `changes`: of its environment, from now on. */
  restart(whileDown?: () => Promise<void>, changes?: Record<string, string>): Promise<void>;
  /** A browser of its own, as far as cookies and storage go, with its first page. */
  visitor(options?: BrowserContextOptions): Promise<Visitor>;
  /** The same, signed in as a new user. */
  user(tier: TierName, options?: BrowserContextOptions): Promise<Visitor & { email: string }>;
}

export interface Visitor {
  context: BrowserContext;
  page: Page;
  /** Another page in the same browser, watched as well. */
  newPage(): Promise<Page>;
  /** Calls a procedure as this visitor, past the page. */
  call(procedure: string, input: unknown): Promise<unknown>;
  /** What pages complained about, but for what the test provoked: console errors, script errors, CSP violations, foreign requests. */
  complaints(provoked?: RegExp): string[];
}

/** @param line  of which connection the pages come; none: straight from the server */
export async function openStage(env: Record<string, string> = {}, line?: Line): Promise<Stage> {
  const provider = await startProvider();
  const folder = await mkdtemp(join(tmpdir(), 'byok-e2e-'));
  const port = line?.to ?? (await freePort());
  const origin = line?.origin ?? `http://127.0.0.1:${port}`;
  const environment = {
    ...compileCache,
    PATH: process.env.PATH ?? '',
    DATA_DIR: folder,
    PORT: String(port),
    PUBLIC_URL: origin,
    ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    AUTH_SECRET: randomBytes(32).toString('hex'),
    OPENAI_BASE_URL: provider.openaiUrl,
    ANTHROPIC_BASE_URL: provider.anthropicUrl,
    LOG_FORMAT: 'json',
    // Visitors come from addresses of their own, so that they do not share the limit on sign-ins.
    TRUST_PROXY: '127.0.0.1/32',
    ...env,
  };
  let written = '';
  let server = serve();
  let exited = once(server, 'exit');

  function serve() {
    // In a folder of its own, so that no .env of the developer is read.
    const child = spawn(program, [...programArgs, 'serve'], { cwd: folder, env: environment });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (written += chunk));
    return child;
  }

  const setUpLink = await until(() => {
    if (server.exitCode !== null) throw new Error(`The server ended:\n${written}`);
    return /https?:\/\/\S+\/setup\?token=\S+/.exec(written)?.[0];
  }, startLimitMs).catch(async (error: unknown) => {
    server.kill('SIGKILL');
    await provider.close();
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  const browser = await chromium.connect(inject('chromium'));

  const office = openOffice(environment, (line) => (written += line));
  let visitors = 0;
  const visitor = (options?: BrowserContextOptions) =>
    openVisitor(browser, origin, { ...options, extraHTTPHeaders: { 'x-forwarded-for': `198.51.100.${++visitors}` } });
  let users = 0;
  return {
    origin,
    setUpLink,
    provider,
    folder,
    console: () => written,
    office,
    async restart(whileDown, changes) {
      server.kill('SIGKILL');
      await exited;
      await whileDown?.();
      Object.assign(environment, changes);
      server = serve();
      exited = once(server, 'exit');
      await until(() =>
        fetch(`${origin}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      );
    },
    visitor,
    async user(tier, options) {
      const email = `user${++users}@example.com`;
      await office.addUser(email, tier);
      const guest = await visitor(options);
      const answer = await guest.context.request.post(`${origin}/api/auth/sign-in/email`, {
        data: { email, password },
        headers: { origin },
      });
      if (!answer.ok()) throw new Error(`Could not sign in: ${await answer.text()}`);
      return { ...guest, email };
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await office[Symbol.asyncDispose]();
      server.kill('SIGTERM');
      const stuck = setTimeout(() => server.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(stuck);
      await provider.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** For a server that is not of the stage: `openStage` has it as `visitor`. */
export async function openVisitor(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visitor> {
  const context = await browser.newContext({ baseURL: origin, viewport: { width: 1280, height: 860 }, ...options });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  context.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  context.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (thrown) => void complaints.push(`script: ${thrown.error().message}`));
  context.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) complaints.push(`foreign request: ${request.url()}`);
  });
  // The console tells violations as well, but not in words that are promised to stay.
  await context.exposeFunction('__violated', (what: string) => void complaints.push(`CSP: ${what}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      const report = (globalThis as unknown as { __violated(what: string): void }).__violated;
      report(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
  });
  const page = await context.newPage();
  return {
    context,
    page,
    newPage: () => context.newPage(),
    async call(procedure, input) {
      const answer = await context.request.post(`${origin}/trpc/${procedure}`, { data: input, headers: { origin } });
      if (!answer.ok()) throw new Error(`${procedure}: ${await answer.text()}`);
      const { result } = (await answer.json()) as { result: { data: unknown } };
      return result.data;
    },
    complaints: (provoked) => complaints.filter((complaint) => !provoked?.test(complaint)),
  };
}

export const newKey = (provider: 'openai' | 'anthropic') =>
  `${provider === 'openai' ? 'sk-proj-' : 'sk-ant-'}${randomBytes(24).toString('hex')}`;

export async function until<T>(look: () => T | undefined | false | Promise<T | undefined | false>, timeoutMs = 20_000): Promise<T> {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > endMs) throw new Error(`It did not come about within ${timeoutMs} ms: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A connection to a server that is still to start, which can be cut. */
export interface Line extends AsyncDisposable {
  origin: string;
  /** The port at which the server has to listen. */
  to: number;
  /** All that is connected breaks off; what comes next gets through again. */
  cut(): void;
}

export async function openLine(): Promise<Line> {
  const to = await freePort();
  const ends = new Set<Socket>();
  const proxy = createProxy((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(end);
      end.on('error', () => other.destroy());
      end.on('close', () => {
        ends.delete(end);
        other.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const cut = () => {
    for (const end of ends) end.resetAndDestroy();
  };
  return {
    origin: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    to,
    cut,
    async [Symbol.asyncDispose]() {
      proxy.close();
      cut();
      await once(proxy, 'close');
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
