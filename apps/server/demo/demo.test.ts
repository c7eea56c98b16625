import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { compileCache } from '../test/compile-cache.ts';

const program = join(import.meta.dirname, 'demo.ts');

/** The demo as a process in an empty folder, with nothing in its environment but what is given. */
async function start(env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const cwd = await mkdtemp(join(tmpdir(), 'byok-demo-test-'));
  const temporary = await mkdtemp(join(tmpdir(), 'byok-demo-test-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(cwd, name), content);
  const child = spawn(process.execPath, [program], { cwd, env: { ...compileCache, PORT: '0', TMPDIR: temporary, ...env } });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += String(chunk);
  });
  const complained = text(child.stderr);
  return {
    ended,
    complained,
    /** What is left of it: in the working directory and in the folder for temporary files. */
    left: async () => ({ cwd: await readdir(cwd), temporary: await readdir(temporary) }),
    /** Its manual, once all of it is there. */
    async printed(): Promise<string> {
      while (!said.includes('Ctrl-C')) {
        if (child.exitCode !== null) throw new Error(`The demo has ended:\n${said}${await complained}`);
        await Promise.race([once(child.stdout, 'data'), ended]);
      }
      return said;
    },
    async stop(): Promise<number | null> {
      child.kill('SIGTERM');
      return ended;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
      await Promise.all([cwd, temporary].map((folder) => rm(folder, { recursive: true, force: true })));
    },
  };
}

interface Totals {
  requests: number;
  totalTokens: number;
  estimatedCostUsd: number;
}

test('what the demo prints works: passwords, tokens, keys to type in, and its sums are those of its rows', {
  timeout: 60_000,
}, async () => {
  await using demo = await start({}, { '.env': 'SIGNUP=open\nHOST=0.0.0.0\nDATABASE_URL=postgres://elsewhere/db\n' });
  const printed = await demo.printed();
  expect(printed).toContain('DEMO');
  const found = (pattern: RegExp) => pattern.exec(printed)?.[1] ?? expect.fail(`It does not print ${pattern}:\n${printed}`);
  const url = found(/Open +(\S+)/);
  const password = found(/Password +(\S+)/);
  const people = [...printed.matchAll(/\w+@demo\.example/g)].map(([email]) => email);
  expect(new Set(people)).toEqual(new Set(['ada@demo.example', 'bob@demo.example', 'carol@demo.example']));

  const call = async (path: string, token: string | null, body?: unknown, method = body === undefined ? 'GET' : 'POST') =>
    fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  // biome-ignore lint/suspicious/noExplicitAny: what a client gets has no type yet
  const json = async (answer: Promise<Response>): Promise<any> => (await answer).json();
  expect(await json(call('/trpc/accounts.instance', null))).toMatchObject({
    result: { data: { demo: true, needsSetUp: false, signUp: false } },
  });

  const range = `from=${new Date(Date.now() - 63 * 86_400_000).toISOString()}&to=${new Date(Date.now() + 3_600_000).toISOString()}`;
  const states: string[] = [];
  let ada = '';
  for (const email of people) {
    const { token } = await json(call('/api/v1/auth/token', null, { email, password }));
    if (email.startsWith('ada')) ada = token;
    const { keys } = await json(call('/api/v1/api-keys', token));
    // Nobody would believe a key in use that nobody has looked at for two months.
    for (const { lastUsedAt, lastTestedAt } of keys)
      expect(Date.parse(lastTestedAt)).toBeGreaterThan(Date.parse(lastUsedAt ?? lastTestedAt) - 86_400_000);
    for (const key of keys) states.push(`${email.split('@')[0]} ${key.provider} ${key.isActive ? key.status : 'inactive'}`);

    const laptop = (await json(call('/api/v1/tokens', token))).tokens.find(({ name }: { name: string }) => name.endsWith('laptop'));
    expect(Date.now() - Date.parse(laptop.lastUsedAt)).toBeLessThan(3 * 86_400_000);

    const { totals, series }: { totals: Totals; series: Totals[] } = await json(call(`/api/v1/api-keys/usage?${range}`, token));
    const rows = rowsOf(await (await call(`/api/v1/api-keys/usage.csv?${range}`, token)).text());
    const answered = rows.filter((row) => row.status?.startsWith('2'));
    expect(totals).toMatchObject({ requests: answered.length, totalTokens: sum(answered, 'total_tokens') });
    expect(totals.estimatedCostUsd).toBeCloseTo(sum(answered, 'estimated_cost_usd'), 6);
    expect(totals.requests).toBeGreaterThan(300);
    expect(series.filter((day) => day.requests > 0).length).toBeGreaterThan(50);
    expect(new Set(rows.map((row) => row.state))).toEqual(new Set(['done', 'failed']));
    for (const key of keys) {
      const own = answered.filter((row) => row.provider === key.provider && row.key_source === 'user');
      expect(key).toMatchObject({ totalRequests: own.length, totalTokens: sum(own, 'total_tokens') });
    }
  }
  expect(states.sort()).toEqual([
    'ada anthropic inactive',
    'ada openai valid',
    'bob anthropic invalid',
    'bob openai no_credit',
    'carol anthropic unreadable',
    'carol openai unverified',
  ]);
  const { key: worksKey, failsKey } = { key: found(/OpenAI +works +(\S+)/), failsKey: found(/OpenAI +works +\S+ +fails +(\S+)/) };
  const check = async (apiKey: string) => json(call('/api/v1/api-keys/check', ada, { provider: 'openai', apiKey }));
  expect([await check(worksKey), await check(failsKey)]).toMatchObject([{ status: 'valid' }, { status: 'invalid' }]);

  expect(printed.match(/gpt-4\.1-mini|claude-haiku-4-5|gpt-4o-mini/g)).toEqual([
    'gpt-4.1-mini',
    'gpt-4.1-mini',
    'gpt-4.1-mini',
    'claude-haiku-4-5',
  ]);
  const tokens = [...printed.matchAll(/Bearer (byok_\S+?)'/g)].map(([, token]) => token ?? '');
  const chat = (token: string) =>
    call('/v1/chat/completions', token, { model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'Hello' }] });
  const [own, platforms] = [await chat(tokens[0] ?? ''), await chat(tokens[1] ?? '')];
  expect([own.status, own.headers.get('x-byok-key-source')]).toEqual([200, 'user']);
  expect([platforms.status, platforms.headers.get('x-byok-key-source')]).toEqual([200, 'platform']);
  expect(await own.json()).toMatchObject({ choices: [{ message: { content: expect.stringMatching(/\w/) } }] });

  // Whoever talks to the agents learns that nobody reads it, and what there is to try.
  const agentSays = async (content: string, agent: string) => (await call(`/api/v1/agents/${agent}/messages`, ada, { content })).text();
  const general = await agentSays('Hello', 'general');
  expect(general).toContain('event: handover');
  expect(await agentSays('Hello', 'developer')).not.toContain('event: handover');
  expect(await agentSays('/say\nWhat I want.', 'developer')).toContain('What');

  expect(await demo.stop()).toBe(0);
  expect(await demo.left()).toEqual({ cwd: ['.env'], temporary: [] });
});

test.each([
  [{ HOST: '0.0.0.0' }, 'HOST'],
  [{ HOST: '::' }, 'HOST'],
  [{ DATABASE_URL: 'postgres://localhost/byok' }, 'DATABASE_URL'],
  [{ DATABASE_URL: 'file:./data/byok.db' }, 'DATABASE_URL'],
  [{ DATABASE_URL_FILE: '/run/secrets/db' }, 'DATABASE_URL'],
  [{ PORT: 'http' }, 'PORT'],
])('it refuses %o with a sentence', async (env, name) => {
  await using demo = await start(env);
  expect(await demo.ended).toBe(2);
  expect(await demo.complained).toMatch(new RegExp(`^The demo.*${name}.*\\n$|^${name}: .*\\n$`));
  expect(await demo.left()).toEqual({ cwd: [], temporary: [] });
});

test('where its port is taken, it takes the next free one', async () => {
  await using other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await using demo = await start({ PORT: String(port) });
  expect(Number(/localhost:(\d+)/.exec(await demo.printed())?.[1])).toBeGreaterThan(port);
});

type Cells = Record<string, string | undefined>;

/** None of our cells holds a comma. */
function rowsOf(csv: string): Cells[] {
  const [head = '', ...lines] = csv.trimEnd().split('\r\n');
  const names = head.split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [names[i], cell])));
}

const sum = (rows: readonly Cells[], name: string): number => rows.reduce((total, row) => total + Number(row[name] || 0), 0);
