/** What the demo consists of, from its temporary folder to the text that says where to click. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from '../src/cli/serve.ts';
import { loadConfig } from '../src/config.ts';
import { demoKeys, type ScriptedProvider, startProvider } from '../test/provider.ts';
import { agentsAnswer } from './answers.ts';
import { password, type Seeded, seed, usageDays } from './seed.ts';

const host = '127.0.0.1';
const say = (text: string) => void process.stdout.write(`${text}\n`);

/** Runs until a signal ends the process. @throws Error */
export async function playDemo(wantedPort: number): Promise<void> {
  let stop = async () => {};
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // Whoever asks a second time does not want to wait for answers under way.
      if (stopping) process.exit(1);
      stopping = true;
      void stop().then(() => process.exit(0));
    });
  }
  const folder = mkdtempSync(join(tmpdir(), 'byok-demo-'));
  // Whatever ends the process: all that it wrote goes with it.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const provider = await startProvider({
    openai: { keys: demoKeys('openai') },
    anthropic: { keys: demoKeys('anthropic') },
    record: false,
    says: agentsAnswer,
  });
  const config = { ...loadConfig(environment(folder, provider, await freePort(wantedPort))), demo: true };
  say(`Starting the demo: ${usageDays} days of made-up usage are being written...`);
  const seeded = await seed(config, provider);
  const running = await startServer(config);
  stop = async () => {
    await running.stop();
    await provider.close();
  };
  say(manual(config.publicUrl, seeded));
}

/** All of the configuration: nothing comes from a file or from the process's own environment. */
function environment(folder: string, provider: ScriptedProvider, port: number): Record<string, string> {
  const platformKeys = { openai: `sk-platform-${random(16)}`, anthropic: `sk-ant-platform-${random(16)}` };
  provider.key(platformKeys.openai, 'good', 'openai');
  provider.key(platformKeys.anthropic, 'good', 'anthropic');
  return {
    ENCRYPTION_KEY: random(32),
    AUTH_SECRET: random(32),
    HOST: host,
    PORT: String(port),
    DATA_DIR: folder,
    OPENAI_BASE_URL: provider.openaiUrl,
    ANTHROPIC_BASE_URL: provider.anthropicUrl,
    PLATFORM_OPENAI_API_KEY: platformKeys.openai,
    PLATFORM_ANTHROPIC_API_KEY: platformKeys.anthropic,
    LOG_FORMAT: 'pretty',
  };
}

/** The wanted port, or the next one on which nobody listens; 0: any. */
async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port <= 65_535; port += 1) {
    // Browsers take `localhost` for ::1 first: it must not lead to another program.
    const found = await tryPort(port, host);
    if (found !== null && (await tryPort(found, '::1')) !== null) return found;
  }
  throw new Error(`There is no free port from ${wanted} on.`);
}

/** @returns the port, or null: somebody has it */
async function tryPort(port: number, address: string): Promise<number | null> {
  const server = createServer();
  try {
    server.listen(port, address);
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EADDRINUSE' || code === 'EACCES') return null;
    // A machine without IPv6 has no such address, and so nobody on it.
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return port;
    throw error;
  }
  const bound = server.address();
  server.close();
  await once(server, 'close');
  return bound !== null && typeof bound === 'object' ? bound.port : port;
}

function manual(url: string, { tokens, requests }: Seeded): string {
  const [openai, anthropic] = [keysOf('openai'), keysOf('anthropic')];
  return `
  SynthStack BYOK, a DEMO: people, keys and usage are made up, and no real provider is asked.

  Open       ${url}
  Password   ${password}   (for all three)

  ada@demo.example     lifetime, administrator   OpenAI key valid, Anthropic key switched off
  bob@demo.example     premium                   OpenAI key out of credit, Anthropic key refused
  carol@demo.example   community                 her premium plan has lapsed; one key unverified, one unreadable

  See        ${url}/settings/api-keys            their keys
             ${url}/settings/api-keys/usage      ${usageDays} days of usage, ${requests.toLocaleString('en')} requests
             ${url}/settings/tokens              tokens for SDKs
             ${url}/agents                       the six agents: all of them as Ada and Bob, one as Carol
             ${url}/admin                        people, limits, prices, agents, usage, audit, health (as Ada)
             ${url}/api/docs                     the REST API

  Keys to type in, which only this demo knows
             OpenAI      works  ${openai.good}    fails  ${openai.revoked}
             Anthropic   works  ${anthropic.good}    fails  ${anthropic.revoked}
             More of them: write no_credit, down, overloaded, forbidden or rate_limited in place of good.

  Ask as Ada: her own OpenAI key answers
    curl ${url}/v1/chat/completions -H 'authorization: Bearer ${tokens.ada}' \\
      -H 'content-type: application/json' -d '{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"Hello"}]}'

  Ask as Bob: the platform's key answers in place of his
    curl -i ${url}/v1/chat/completions -H 'authorization: Bearer ${tokens.bob}' \\
      -H 'content-type: application/json' -d '{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"Hello"}]}'

  The official SDKs, unchanged but for base URL and key
    new OpenAI({ baseURL: '${url}/v1', apiKey: '${tokens.ada}' })
      .chat.completions.create({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'Hello' }] })
    new Anthropic({ baseURL: '${url}', apiKey: '${tokens.ada}' })
      .messages.create({ model: 'claude-haiku-4-5', max_tokens: 100, messages: [{ role: 'user', content: 'Hello' }] })

  Ctrl-C ends the demo, and all of this is gone.
`;
}

function keysOf(provider: 'openai' | 'anthropic'): { good: string; revoked: string } {
  const keys = Object.keys(demoKeys(provider));
  const named = (state: string) => keys.find((key) => key.includes(`-${state}-`)) ?? '';
  return { good: named('good'), revoked: named('revoked') };
}

function random(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}
