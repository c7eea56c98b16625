import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import type { AccessToken, LimitsView } from '@synthstack/core';
import { expect, test, vi } from 'vitest';
import type { z } from 'zod';
import { findPlanted } from '../../test/planted.ts';
import { type Env, freePort, freshSecrets, type Place, place } from '../../test/process.ts';
import { startProvider } from '../../test/provider.ts';
import { startSmtp } from '../../test/smtp.ts';

vi.setConfig({ testTimeout: 120_000 });

const password = 'correct horse battery';
const platformKey = 'sk-proj-Vb3kQ9xT7mZ2pL5wR8nC4jH6';
const link = /http:\/\/localhost:\d+\/setup\?token=([\w-]+)/;

async function call<T>(url: string, init: { token?: string; json?: unknown } = {}): Promise<{ status: number; body: T }> {
  const res = await fetch(url, {
    ...(init.json !== undefined && { method: 'POST', body: JSON.stringify(init.json) }),
    headers: { 'content-type': 'application/json', ...(init.token && { authorization: `Bearer ${init.token}` }) },
  });
  const text = await res.text();
  return { status: res.status, body: text === '' ? (undefined as T) : (JSON.parse(text) as T) };
}

/** A place with an administrator in it, and nothing running. */
async function settled(env: Env = freshSecrets()): Promise<Place> {
  const here = await place(env);
  const args = ['users', 'add', '--email', 'ada@example.com', '--tier', 'premium', '--admin', '--password-stdin'];
  const { code, err } = await here.run(args, { input: `${password}\n` });
  if (code !== 0) throw new Error(err);
  return here;
}

const databaseOf = ({ folder }: Place) => join(folder, 'data/byok.db');
/** The database's bytes, and that nothing waits beside it to be written into it. */
const bytesOf = (here: Place) => ({
  hash: hash('sha256', readFileSync(databaseOf(here))),
  waiting: existsSync(`${databaseOf(here)}-wal`) ? readFileSync(`${databaseOf(here)}-wal`).length : 0,
});

test('a first start, the link from the console, people and tokens from the shell: each holds at the next request', async () => {
  await using provider = await startProvider({ openai: { keys: { [platformKey]: 'good' } } });
  const port = await freePort();
  await using here = await place({});
  const env = {
    PORT: `${port}`,
    LOG_LEVEL: 'trace',
    PLATFORM_OPENAI_API_KEY: platformKey,
    OPENAI_BASE_URL: provider.openaiUrl,
  };
  const url = `http://localhost:${port}`;
  const server = here.start(['serve'], env);
  const [, token] = await server.says(link);
  expect(server.said()).toContain('Back this file up');
  expect(server.said()).toContain(`is at ${url}`);
  expect((await call(`${url}/healthz`)).status).toBe(200);

  const grace = { email: 'grace@example.com', password };
  expect((await call(`${url}/trpc/accounts.setUp`, { json: { ...grace, token, name: 'Grace' } })).status).toBe(200);
  expect((await call(`${url}/trpc/accounts.setUp`, { json: { ...grace, email: 'eve@example.com', token, name: 'Eve' } })).status).toBe(409);
  const signedIn = await call<z.infer<typeof AccessToken>>(`${url}/api/v1/auth/token`, { json: grace });
  expect((await call(`${url}/api/v1/limits`, { token: signedIn.body.token })).status).toBe(200);

  const added = await here.run(['users', 'add', '--email', 'Ada@Example.com', '--tier', 'community'], { env });
  expect(added).toMatchObject({ code: 0, out: expect.stringMatching(/^[\w-]{24}\n$/) });
  expect((await call(`${url}/api/v1/auth/token`, { json: { email: 'ada@example.com', password: added.out.trim() } })).status).toBe(200);

  const made = await here.run(['tokens', 'add', '--email', 'ada@example.com', '--name', 'ci', '--scope', 'manage'], { env });
  expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^byok_[\w-]{43}\n$/), err: expect.stringContaining('"ci"') });
  const bearer = made.out.trim();
  expect((await call<LimitsView>(`${url}/api/v1/limits`, { token: bearer })).body).toMatchObject({
    tier: 'community',
    day: { limit: 100 },
  });
  const message = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] };
  expect((await call(`${url}/v1/chat/completions`, { token: bearer, json: message })).status).toBe(200);

  const until = ['--until', '2099-01-01T00:00:00Z'];
  const changed = await here.run(['users', 'set-tier', '--email', 'ada@example.com', '--tier', 'premium', ...until], { env });
  expect(changed).toMatchObject({ code: 0, out: '', err: 'ada@example.com is premium now until 2099-01-01T00:00:00.000Z.\n' });
  expect((await call<LimitsView>(`${url}/api/v1/limits`, { token: bearer })).body).toMatchObject({
    tier: 'premium',
    day: { limit: 2_000 },
  });

  const [listed, second] = await Promise.all([here.run(['users', 'list', '--json'], { env }), here.run(['serve'], { env })]);
  expect(JSON.parse(listed.out)).toMatchObject([
    { email: 'grace@example.com', isAdmin: true },
    { email: 'ada@example.com', isAdmin: false, plan: { plan: 'premium', lapsed: false } },
  ]);
  expect(second).toMatchObject({ code: 1, err: expect.stringContaining(`Port ${port} is in use`) });

  await here.run(['users', 'set-tier', '--email', 'ada@example.com', '--tier', 'premium', '--until', '2020-01-01T00:00:00Z'], { env });
  expect((await here.run(['users', 'list'], { env })).out).toMatch(/^ada@example\.com\tpremium \(lapsed\)\t2020-01-01T00:00:00\.000Z$/m);

  const gate = provider.gate(undefined, { path: '/v1/chat/completions' });
  const last = call(`${url}/v1/chat/completions`, { token: bearer, json: message });
  await gate.reached;
  server.child.kill('SIGTERM');
  await server.says(/Stopping: 1 request is still being answered\.\.\./);
  gate.open();
  expect((await last).status).toBe(200);
  expect(await server.ended).toMatchObject({ code: 0, err: expect.stringMatching(/\nStopped\.\n$/) });
  const written = readFileSync(join(here.folder, '.env'), 'utf8').matchAll(/=(.+)/g);
  const secrets = [...written].map(([, value]) => value ?? '');
  expect(secrets).toHaveLength(2);
  const printed = Buffer.from(here.printed());
  for (const secret of [...secrets, platformKey, password]) expect(findPlanted(secret, printed)).toEqual([]);
  const serverSaid = Buffer.from(server.said());
  for (const secret of [bearer, added.out.trim(), signedIn.body.token]) expect(findPlanted(secret, serverSaid)).toEqual([]);
  expect(findPlanted(token ?? '', serverSaid)).not.toEqual([]);
  expect(server.said()).toContain('"route":"/v1/chat/completions"');
});

test('a wrong, missing or malformed master key: a clear sentence, exit code 1, the database unchanged', async () => {
  await using here = await settled();
  const server = here.start(['serve'], { ...here.env, PORT: `${await freePort()}` });
  await server.says(/is at http/);
  const { code, err } = await server.stop('SIGINT');
  expect([code, err]).toEqual([0, expect.stringMatching(/\nStopping\.\.\.\nStopped\.\n$/)]);
  expect(err).not.toMatch(link);
  const before = bytesOf(here);
  expect(before.waiting).toBe(0);
  const { ENCRYPTION_KEY: key = '', ...without } = here.env;
  const other = freshSecrets().ENCRYPTION_KEY ?? '';
  const port = { PORT: `${await freePort()}` };
  const cases: [[Env, RegExp], ...[Env, RegExp][]] = [
    [{ ...here.env, ENCRYPTION_KEY: other }, /ENCRYPTION_KEY.*mk_[0-9a-f]{16}/s],
    [without, /ENCRYPTION_KEY: it is missing, and there is a database already/],
    [{ ...without, ENCRYPTION_KEY: key.slice(1) }, /ENCRYPTION_KEY: It has 63 characters/],
    [{ ...without, ENCRYPTION_KEY: '0'.repeat(64) }, /ENCRYPTION_KEY: It is all zeros/],
  ];
  const runs = [...cases.map((one) => [['serve'], ...one] as const), [['users', 'list'], ...cases[0]] as const];
  await Promise.all(
    runs.map(async ([args, env, sentence]) => {
      const ended = await here.run(args, { env: { ...env, ...port } });
      expect(ended).toMatchObject({ code: 1, out: '', err: expect.stringMatching(sentence) });
      expect(ended.err).not.toMatch(/\n\s+at /);
    }),
  );
  expect(bytesOf(here)).toEqual(before);
  expect(existsSync(join(here.folder, '.env'))).toBe(false);
  for (const secret of [key, other]) expect(findPlanted(secret, Buffer.from(here.printed()))).toEqual([]);
  expect(await here.run(['users', 'list'])).toMatchObject({ code: 0, out: 'ada@example.com\tpremium\t\tadministrator\n' });
});

test('the operator gets one link to a new password, and nothing else, on standard output; both commands are in the audit trail', async () => {
  await using here = await settled();
  const made = await here.run(['users', 'reset-link', '--email', 'ADA@example.com']);
  expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^http:\/\/localhost:\d+\/reset-password\?token=[\w-]{43}\n$/) });
  expect(made.err).toContain('hand it to its owner alone');
  const token = made.out.trim().split('=')[1] ?? '';
  expect(await here.run(['users', 'reset-factors', '--email', 'ada@example.com'])).toMatchObject({ code: 0, out: '' });
  expect(await here.run(['users', 'reset-link', '--email', 'eve@example.com'])).toMatchObject({ code: 1, out: '' });
  const db = new DatabaseSync(databaseOf(here));
  expect(db.prepare('select token_hash from account_link').all()).toEqual([{ token_hash: hash('sha256', token) }]);
  const rows = db.prepare("select actor, action from audit where actor = 'cli' order by seq").all();
  expect(rows.map(({ action }) => action)).toEqual(expect.arrayContaining(['account.reset_link_made', 'factor.reset']));
  db.close();
});

const commands = [
  'serve',
  'init',
  'users add',
  'users list',
  'users set-tier',
  'users reset-link',
  'users reset-factors',
  'tokens add',
  'keys rotate',
  'backup',
  'restore',
  'doctor',
  'migrate',
  'version',
  'completion',
];

test('each command has help, and wrong usage is code 2 with the usage and without side effects', async () => {
  await using here = await place();
  const helps = await Promise.all(commands.map(async (name) => [name, await here.run([...name.split(' '), '--help'])] as const));
  for (const [name, ended] of helps)
    expect(ended, name).toMatchObject({ code: 0, out: expect.stringContaining(`Usage: byok ${name}`), err: '' });
  const lists = (out: string, name: string) => new RegExp(`^ {2}${name} +\\S`, 'm').test(out);
  for (const words of [[], ['--help'], ['help'], ['users', '--help'], ['help', 'users']]) {
    const { code, out } = await here.run(words);
    expect(code).toBe(0);
    // A group's help is about its commands alone.
    const asked = words.includes('users') ? commands.filter((name) => name.startsWith('users ')) : commands;
    expect(commands.filter((name) => lists(out, name))).toEqual(asked);
  }
  for (const option of ['--email', '--tier', '--name', '--admin', '--password-stdin'])
    expect(helps.find(([name]) => name === 'users add')?.[1].out).toMatch(new RegExp(`^ {2}${option} +[A-Z]`, 'm'));
  const wrong: [args: string[], said: RegExp][] = [
    [['nonsense'], /There is no command "nonsense"/],
    [['nonsense', '--help'], /There is no command/],
    [['users'], /There is no command "users" alone: say which\.(?![\s\S]*\n {2}serve)/],
    [['users', 'nonsense'], /There is no command "users nonsense"\.[\s\S]*\n {2}users add/],
    [['--port'], /There is no command "--port"\.[\s\S]*\n {2}serve/],
    [['serve', '--port', '1'], /Unknown option '--port'[\s\S]*Usage: byok serve/],
    [['doctor', 'now'], /Unexpected argument[\s\S]*Usage: byok doctor/],
    [['users', 'add'], /--email: it is missing[\s\S]*Usage: byok users add/],
    [['users', 'add', '--email'], /--email[\s\S]*Usage/],
    [['users', 'add', '--email', 'ada', '--tier', 'premium'], /--email: Enter an e-mail address/],
    [['users', 'add', '--email', 'a@example.com', '--tier', 'gold'], /--tier: Unknown tier/],
    [['users', 'add', '--email', 'a@example.com', '--tier', 'premium', '--password=tr0ub4dor&3'], /Unknown option '--password'/],
    [['users', 'reset-link'], /--email: it is missing/],
    [['users', 'reset-factors', '--email', 'nobody'], /--email/],
    [['users', 'set-tier', '--email', 'a@example.com', '--tier', 'premium', '--until', 'soon'], /--until/],
    [['tokens', 'add', '--email', 'a@example.com', '--name', ' '], /--name: Give the token a name/],
    [['tokens', 'add', '--email', 'a@example.com', '--name', 'x', '--scope', 'all'], /--scope/],
  ];
  await Promise.all(
    wrong.map(async ([args, said]) =>
      expect(await here.run(args), args.join(' ')).toMatchObject({ code: 2, out: '', err: expect.stringMatching(said) }),
    ),
  );
  const short = await here.run(['users', 'add', '--email', 'a@example.com', '--tier', 'premium', '--password-stdin'], { input: 'short\n' });
  expect(short).toMatchObject({ code: 2, err: expect.stringContaining('password: Use at least 12 characters') });
  expect(here.printed()).not.toContain('tr0ub4dor');
  expect(readdirSync(here.folder)).toEqual([]);
  expect(await here.run(['version'])).toEqual({ code: 0, out: '0.1.0\n', err: '' });
});

interface Checks {
  checks: { id: string; state: string; detail: string }[];
}

test('doctor finds what is wrong, says what to do, and makes nothing', async () => {
  await using provider = await startProvider();
  const addresses = { OPENAI_BASE_URL: provider.openaiUrl, ANTHROPIC_BASE_URL: provider.anthropicUrl };
  await using here = await place({ ...addresses, ...freshSecrets() });
  const fresh = await here.run(['doctor', '--json']);
  expect(fresh).toMatchObject({ code: 0, err: '' });
  expect((JSON.parse(fresh.out) as Checks).checks).toContainEqual({ id: 'database', state: 'warning', detail: expect.any(String) });
  expect(readdirSync(here.folder)).toEqual([]);

  expect((await here.run(['users', 'add', '--email', 'ada@example.com', '--tier', 'premium'])).code).toBe(0);
  const [good, wrongKey, noKey] = await Promise.all([
    here.run(['doctor', '--json']),
    here.run(['doctor', '--json'], { env: { ...addresses, ...freshSecrets() } }),
    here.run(['doctor', '--json'], { env: {} }),
  ]);
  expect(good.code).toBe(0);
  const { checks } = JSON.parse(good.out) as Checks;
  expect(checks.map(({ id, state }) => `${id} ${state}`)).toEqual([
    'configuration ok',
    'env-file ok',
    'secret-files ok',
    'data-files ok',
    expect.stringMatching(/^disk (ok|warning)$/),
    'backup warning',
    'platform-models ok',
    'reach-openai ok',
    'reach-anthropic ok',
    'clock ok',
    'mail warning',
    'version ok',
    'database ok',
    'master-key ok',
    'audit-chain ok',
    'platform-openai warning',
    'platform-anthropic warning',
  ]);
  for (const check of checks) expect(Object.keys(check)).toEqual(['id', 'state', 'detail']);
  expect(wrongKey.code).toBe(1);
  expect((JSON.parse(wrongKey.out) as Checks).checks.at(-1)).toMatchObject({ id: 'master-key', state: 'failed' });
  expect(noKey.code).toBe(1);
  expect((JSON.parse(noKey.out) as Checks).checks).toEqual([
    { id: 'configuration', state: 'failed', detail: expect.stringMatching(/ENCRYPTION_KEY/) },
  ]);

  for (const { path, headers } of provider.requests)
    expect([path, headers.authorization, headers['x-api-key']]).toEqual(['/v1/models', undefined, undefined]);
  const away = `http://127.0.0.1:${await freePort()}`;
  const unlucky = await here.run(['doctor', '--json'], {
    env: {
      ...here.env,
      OPENAI_BASE_URL: away,
      PLATFORM_MODELS_COMMUNITY: 'gpt-4o-mini,gpt-nonsense',
      PLATFORM_MODELS_PREMIUM: 'claude-haku',
    },
  });
  expect(unlucky.code).toBe(0);
  const warned = (JSON.parse(unlucky.out) as Checks).checks.filter(
    ({ state, id }) => state === 'warning' && !/^(disk|backup|mail|platform-[oa])/.test(id),
  );
  expect(warned).toEqual([
    {
      id: 'platform-models',
      state: 'warning',
      detail:
        'PLATFORM_MODELS_COMMUNITY: gpt-nonsense has no known price; is it misspelt? PLATFORM_MODELS_PREMIUM: claude-haku has no known price; is it misspelt?',
    },
    { id: 'reach-openai', state: 'warning', detail: expect.stringContaining(away) },
  ]);

  const password = 'hunter2hunter2';
  await using smtp = await startSmtp({ login: `byok:${password}` });
  const mailOf = async (SMTP_URL: string) => {
    const { out } = await here.run(['doctor', '--json'], { env: { ...here.env, SMTP_URL, MAIL_FROM: 'byok@example.com' } });
    expect(out).not.toContain(password);
    return (JSON.parse(out) as Checks).checks.find(({ id }) => id === 'mail');
  };
  expect(await mailOf(smtp.url)).toMatchObject({ state: 'ok' });
  expect(await mailOf(smtp.url.replace('byok:', 'eve:'))).toMatchObject({
    state: 'failed',
    detail: 'The e-mail server at 127.0.0.1 refuses user and password. Look at SMTP_URL.',
  });
  expect(smtp.received).toEqual([]);

  const db = new DatabaseSync(databaseOf(here));
  db.prepare(`update audit set detail = '{"role":"admin"}' where seq = 1`).run();
  db.close();
  const altered = await here.run(['doctor']);
  expect(altered).toMatchObject({ code: 1, err: '' });
  expect(altered.out).toMatch(/^failed +audit-chain +The audit log was altered at entry 1\..*$/m);
  expect(altered.out.trim().split('\n')).toHaveLength(checks.length);
});

test('a place where nothing can be stored, a file that is no database, a certificate that is none: exit code 1 and why', async () => {
  await using here = await place();
  const port = await freePort();
  mkdirSync(join(here.folder, 'data'));
  writeFileSync(databaseOf(here), 'This is a shopping list, not a database.\n'.repeat(200));
  writeFileSync(join(here.folder, 'file'), '');
  const before = bytesOf(here);
  const cases: [env: Env, said: RegExp][] = [
    [{}, /The database cannot be opened: .*not a database/],
    [{ DATA_DIR: './file/inside' }, /The database cannot be opened/],
    [{ DATABASE_URL: 'postgres://byok:hunter22@127.0.0.1:1/byok' }, /The database cannot be opened/],
    [{ DATA_DIR: './tls', TLS_CERT_FILE: './nothing.pem', TLS_KEY_FILE: './file' }, /TLS_CERT_FILE and TLS_KEY_FILE must be/],
    [{ DATA_DIR: './host', HOST: '203.0.113.1' }, /Cannot listen on HOST 203.0.113.1/],
  ];
  await Promise.all(
    cases.map(async ([more, said]) => {
      const ended = await here.run(['serve'], { env: { ...here.env, PORT: `${port}`, ...more } });
      expect(ended, JSON.stringify(more)).toMatchObject({ code: 1, err: expect.stringMatching(said) });
    }),
  );
  expect(here.printed()).not.toContain('hunter22');
  const nowhere = { OPENAI_BASE_URL: 'http://127.0.0.1:1', ANTHROPIC_BASE_URL: 'http://127.0.0.1:1' };
  const doctor = await here.run(['doctor', '--json'], { env: { ...here.env, ...nowhere } });
  expect(doctor.code).toBe(1);
  expect((JSON.parse(doctor.out) as Checks).checks.at(-1)).toMatchObject({ id: 'database', state: 'failed' });
  expect(bytesOf(here)).toEqual(before);
});

test('a reader that stops early, as head does, ends a command quietly', async () => {
  const main = new URL('../main.ts', import.meta.url).pathname;
  for (const words of [['--help'], ['version', '--help']]) {
    const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect([code, said]).toEqual([0, '']);
  }
});

test('a command whose words nobody hears does its work; a server whose log nobody reads goes on', async () => {
  await using here = await place(freshSecrets());
  const port = await freePort();
  const unheard = here.start(['migrate']);
  unheard.child.stderr.destroy();
  expect(await unheard.ended).toMatchObject({ code: 0 });
  const server = here.start(['serve'], { ...here.env, PORT: `${port}` });
  server.child.stdout.destroy();
  server.child.stderr.destroy();
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/healthz`)
      .then(({ ok }) => ok)
      .catch(() => false);
  while (!(await answers())) await wait(50);
  for (let i = 0; i < 5; i += 1) expect(await answers()).toBe(true);
  expect(await server.stop()).toMatchObject({ code: 0 });
});

test('a price list is taken over as a whole or not at all, and says what it changed', async () => {
  await using here = await settled();
  const write = (prices: object[]) => writeFileSync(join(here.folder, 'prices.json'), JSON.stringify({ prices }));
  const nextGpt = { provider: 'openai', model: 'gpt-next', inputUsdPerMillion: 2, outputUsdPerMillion: 8 };
  write([nextGpt, { ...nextGpt, model: 'gpt-4o' }]);
  expect(await here.run(['prices', 'import', 'prices.json'])).toMatchObject({
    code: 0,
    out: 'openai\tgpt-next\tunknown\t2 / 8\nopenai\tgpt-4o\t2.5 / 10\t2 / 8\n',
    err: '2 models have another price now.\n',
  });
  expect(await here.run(['prices', 'import', 'prices.json', '--json'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('"changes": []'),
  });
  write([
    { ...nextGpt, inputUsdPerMillion: 3 },
    { ...nextGpt, model: 'b', outputUsdPerMillion: '8' },
  ]);
  expect(await here.run(['prices', 'import', 'prices.json'])).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('prices.json cannot be used, and nothing was changed: prices.1.outputUsdPerMillion: '),
  });
  const { code, out } = await here.run(['prices', 'list']);
  expect([code, out]).toEqual([0, 'openai\tgpt-4o\t2 / 8\timport\nopenai\tgpt-next\t2 / 8\timport\n']);
  expect(await here.run(['prices', 'import'])).toMatchObject({ code: 2, err: expect.stringContaining('FILE: it is missing.') });
  expect(await here.run(['prices', 'import', 'none.json'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('none.json cannot be read'),
  });
  expect(await here.run(['prices', 'import', 'prices.json', 'more.json'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('more.json'),
  });
});

const databaseRows = (path: string, sql: string) => {
  const db = new DatabaseSync(path, { readOnly: true });
  const rows = db.prepare(sql).all();
  db.close();
  return rows;
};

test('the master key is changed, a backup is made and restored elsewhere, each while the server runs, and what cannot be is refused', async () => {
  await using provider = await startProvider();
  const { OPENAI_BASE_URL, ANTHROPIC_BASE_URL } = { OPENAI_BASE_URL: provider.openaiUrl, ANTHROPIC_BASE_URL: provider.anthropicUrl };
  await using here = await settled({ ...freshSecrets(), OPENAI_BASE_URL, ANTHROPIC_BASE_URL });
  const { ENCRYPTION_KEY: former = '' } = here.env;
  const port = `${await freePort()}`;
  const made = await here.run(['tokens', 'add', '--email', 'ada@example.com', '--name', 'x', '--scope', 'manage']);
  const token = made.out.trim();
  const apiKey = 'sk-proj-Kq83hfPq02LmXz71TtYe9Rb4Vb3kQ9xT7mZ2';
  provider.key(apiKey, 'good');
  const url = `http://127.0.0.1:${port}`;
  const message = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] };
  const chat = () => call(`${url}/v1/chat/completions`, { token, json: message });

  const before = here.start(['serve'], { ...here.env, PORT: port });
  await before.says(/is at http/);
  expect((await call(`${url}/api/v1/api-keys`, { token, json: { provider: 'openai', apiKey } })).status).toBe(201);
  const changed = { ...here.env, ENCRYPTION_KEY: freshSecrets().ENCRYPTION_KEY ?? '', ENCRYPTION_KEY_PREVIOUS: former };
  const early = await here.run(['keys', 'rotate'], { env: changed });
  expect(early).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/Another server still seals with a former master key \(process \d+ on /),
  });
  expect((await chat()).status).toBe(200);
  await before.stop();

  const server = here.start(['serve'], { ...changed, PORT: port });
  await server.says(/is at http/);
  const doctorOf = async (id: string) =>
    (JSON.parse((await here.run(['doctor', '--json'], { env: changed })).out) as Checks).checks.find((check) => check.id === id);
  expect(await doctorOf('master-key')).toMatchObject({ state: 'warning', detail: expect.stringContaining('byok keys rotate') });
  const rotated = await here.run(['keys', 'rotate', '--json'], { env: changed });
  const [id] = databaseRows(databaseOf(here), 'select id from master_key').map((row) => String(row.id));
  expect(rotated).toMatchObject({ code: 0, err: expect.stringMatching(/Sealed anew: [\s\S]*take it out of ENCRYPTION_KEY_PREVIOUS/) });
  expect(JSON.parse(rotated.out)).toMatchObject({ masterKeyId: id, total: 1, done: 1, removable: [expect.stringMatching(/^mk_/)] });
  expect((await chat()).status).toBe(200);
  expect(await doctorOf('master-key')).toMatchObject({ state: 'ok', detail: expect.stringMatching(/Take mk_\w+ out/) });

  const kept = await here.run(['backup', 'kept/one.backup', '--json'], { env: changed });
  expect(kept).toMatchObject({ code: 0, err: expect.stringMatching(/Copied pages[\s\S]*opened it with ENCRYPTION_KEY/) });
  expect(JSON.parse(kept.out)).toMatchObject({ file: 'kept/one.backup', masterKeyIds: [id], rows: { provider_key: 1, user: 1 } });
  expect(await here.run(['backup', 'kept/one.backup'], { env: changed })).toMatchObject({
    code: 1,
    err: expect.stringContaining('--force'),
  });
  expect(await here.run(['restore', 'kept/one.backup'], { env: changed })).toMatchObject({
    code: 1,
    err: expect.stringContaining('--force'),
  });
  const inUse = await here.run(['restore', 'kept/one.backup', '--force'], { env: changed });
  expect(inUse).toMatchObject({ code: 1, err: expect.stringContaining('A server or a command uses') });
  expect((await chat()).status).toBe(200);
  expect((await server.stop()).code).toBe(0);

  const { ENCRYPTION_KEY = '' } = changed;
  const elsewhere = { ...here.env, ENCRYPTION_KEY, DATA_DIR: './elsewhere' };
  const wrong = { ...elsewhere, ENCRYPTION_KEY: former };
  expect(await here.run(['restore', 'kept/one.backup'], { env: wrong })).toMatchObject({
    code: 1,
    err: expect.stringContaining(`that is ${id}`),
  });
  expect(existsSync(join(here.folder, 'elsewhere'))).toBe(false);
  const restored = await here.run(['restore', 'kept/one.backup', '--json'], { env: elsewhere });
  expect(restored).toMatchObject({ code: 0, err: expect.stringMatching(/Restored bytes[\s\S]*byok serve/) });
  expect(JSON.parse(restored.out)).toMatchObject({ former: null, version: '0.1.0' });
  const again = here.start(['serve'], { ...elsewhere, PORT: port });
  await again.says(/is at http/);
  expect((await chat()).status).toBe(200);
  expect((await again.stop()).code).toBe(0);
  expect(provider.requests.at(-1)?.key).toBe(apiKey);

  const postgres = { ...here.env, DATABASE_URL: 'postgres://db.example.com/byok' };
  expect(await here.run(['backup', 'x'], { env: postgres })).toMatchObject({ code: 1, err: expect.stringContaining('pg_dump') });
  const printed = Buffer.from(here.printed() + readFileSync(join(here.folder, 'kept/one.backup'), 'latin1'), 'latin1');
  for (const secret of [apiKey, former, ENCRYPTION_KEY]) expect(findPlanted(secret, printed)).toEqual([]);
  expect(findPlanted(token, printed)).not.toEqual([]);
});

test('shells complete what the program knows', async () => {
  await using here = await place();
  const [bash, zsh, fish, none, other] = await Promise.all(
    [['bash'], ['zsh'], ['fish'], [], ['tcsh']].map((words) => here.run(['completion', ...words])),
  );
  for (const said of [bash, zsh, fish]) {
    expect(said).toMatchObject({ code: 0, err: '' });
    for (const word of ['users', 'set-tier', 'password-stdin', 'rotate', 'restore', 'force']) expect(said?.out).toContain(word);
  }
  for (const said of [none, other]) expect(said).toMatchObject({ code: 2, out: '', err: expect.stringContaining('bash') });
  writeFileSync(join(here.folder, 'byok.bash'), bash?.out ?? '');
  writeFileSync(join(here.folder, 'here.backup'), '');
  const complete = async (line: string): Promise<string[]> => {
    const words = line.split(' ');
    const script = `source byok.bash; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _byok; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const child = spawn('bash', ['--norc', '-c', script], { cwd: here.folder });
    return (await text(child.stdout)).split('\n').filter(Boolean);
  };
  expect(await complete('byok us')).toEqual(['users']);
  expect(await complete('byok users s')).toEqual(['set-tier']);
  expect(await complete('byok users add --p')).toEqual(['--password-stdin']);
  expect(await complete('byok keys rotate --')).toEqual(['--json', '--help']);
  expect(await complete('byok restore he')).toEqual(['here.backup']);
  expect(await complete('byok completion f')).toEqual(['fish']);
});
