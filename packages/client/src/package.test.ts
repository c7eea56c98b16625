/** The package as others get it: packed, unpacked in a fresh project outside of this repository, type-checked and run there. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testApp } from '../../../apps/server/test/app.ts';
import { buildClient } from '../scripts/build.ts';
import { createByok } from './index.ts';

const source = join(import.meta.dirname, '..');
const { NODE_COMPILE_CACHE = '', PATH = '' } = process.env;

let folder: string;
let tarball: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'byok-client-'));
  const work = join(folder, 'work');
  buildClient(work);
  execFileSync('npm', ['pack', '--offline', '--pack-destination', folder], { cwd: work, stdio: 'pipe' });
  tarball = join(folder, readdirSync(folder).find((file) => file.endsWith('.tgz')) ?? '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A project with the package and these others: the installed ones, so that nothing is fetched. */
function project(name: string, others: readonly string[]) {
  const path = join(folder, name);
  const modules = join(path, 'node_modules');
  const unpacked = join(modules, '@synthstack/client');
  mkdirSync(unpacked, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', unpacked, '--strip-components=1']);
  for (const other of [...others, '@trpc/client', '@trpc/server']) {
    mkdirSync(dirname(join(modules, other)), { recursive: true });
    symlinkSync(realpathSync(join(source, 'node_modules', other)), join(modules, other));
  }
  mkdirSync(join(modules, '@types'), { recursive: true });
  symlinkSync(realpathSync(join(source, '../../node_modules/@types/node')), join(modules, '@types/node'));
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  return {
    write: (file: string, content: string) => writeFileSync(join(path, file), content),
    /** @returns what the compiler says of all files, the package's own declarations included; '' where all is well */
    check(skipLibCheck = false): string {
      const compilerOptions = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, skipLibCheck, types: ['node'] };
      writeFileSync(join(path, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
      const tsc = join(source, 'node_modules/typescript/bin/tsc');
      try {
        execFileSync(process.execPath, [tsc, '-p', path], { encoding: 'utf8', stdio: 'pipe' });
        return '';
      } catch (error) {
        return String((error as { stdout?: string }).stdout);
      }
    },
    async run(file: string, env: Record<string, string>): Promise<{ code: unknown; out: string; err: string }> {
      const child = spawn(process.execPath, [join(path, file)], { cwd: path, env: { PATH, NODE_COMPILE_CACHE, ...env } });
      const [[code], out, err] = await Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]);
      return { code, out, err };
    },
  };
}

const sdks = ['openai', '@anthropic-ai/sdk'];
const examples = [...readFileSync(join(source, 'README.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code);

test('the examples of its README compile and run', async () => {
  await using app = await testApp();
  const ada = await app.person({ tier: 'premium', keys: { openai: 'good', anthropic: 'good' } });
  const there = project('examples', sdks);
  for (const [i, code] of examples.entries()) there.write(`example${i}.ts`, code);
  expect(there.check(true)).toBe('');

  const elsewhere = 'http://127.0.0.1:9/v1';
  const env = {
    ...{ BYOK_URL: app.url, BYOK_TOKEN: ada.token },
    ...{ OPENAI_API_KEY: 'sk-of-the-environment', OPENAI_ORG_ID: 'org-environment', OPENAI_BASE_URL: elsewhere },
    ...{ ANTHROPIC_API_KEY: 'sk-ant-of-the-environment', ANTHROPIC_AUTH_TOKEN: 'of-the-environment', ANTHROPIC_BASE_URL: elsewhere },
  };
  const asked = await there.run('example0.ts', env);
  expect(asked, asked.err).toMatchObject({ code: 0 });
  expect(asked.out.length).toBeGreaterThan(20);
  expect(app.lines.join('')).not.toContain('environment');
  const received = JSON.stringify(app.provider.requests.map(({ headers }) => headers));
  expect(received).toContain(ada.secrets.openai);
  expect(received).not.toContain('environment');

  const called = await there.run('example1.ts', env);
  expect(called, called.err).toMatchObject({ code: 0 });
  expect(called.out).toMatch(/openai \*{4}\.\.\.[\w-]{4} valid/);
  expect(called.out).toContain('2 requests');
  expect(called.out).toContain('not_found');
});

test('its types stand alone, know what procedures take and give, and refuse what they do not', () => {
  const there = project('types', []);
  there.write(
    'right.ts',
    `import { type AppRouter, type ByokError, createByok } from '@synthstack/client';
import { createTRPCClient, httpLink, type TRPCClient } from '@trpc/client';
const byok = createByok({ url: 'https://byok.example.com', token: 'byok_0123456789' });
export const own: TRPCClient<AppRouter> = createTRPCClient<AppRouter>({ links: [httpLink({ url: 'https://byok.example.com/trpc' })] });
const { keys } = await byok.api.keys.list.query();
export const status: 'valid' | 'unverified' | 'no_credit' | 'invalid' | 'unreadable' | undefined = keys[0]?.status;
export const code = (error: ByokError): 'not_found' | 'conflict' | string | undefined => error.data?.code;
await byok.api.keys.save.mutate({ provider: 'openai', apiKey: 'sk-...' });
`,
  );
  const wrong = [
    "await byok.api.keys.save.mutate({ provider: 'nobody', apiKey: 'sk-...' });",
    "await byok.api.keys.save.mutate({ provider: 'openai' });",
    'await byok.api.keys.list.mutate();',
    'await byok.api.nothing.query();',
    'byok.api.usage.live.subscribe();',
    '(await byok.api.keys.list.query()).keys[0]?.secret;',
    "createByok({ url: 'https://byok.example.com' });",
  ];
  const head = [
    "import { createByok } from '@synthstack/client';",
    "const byok = createByok({ url: 'https://a.example', token: 'byok_0123456789' });",
  ];
  there.write('wrong.ts', [...head, ...wrong].join('\n'));
  const complaints = there.check().match(/^\S+\.ts\(\d+,/gm) ?? [];
  const places = complaints.map((complaint) => complaint.replace(/^.*\//, ''));
  expect(new Set(places)).toEqual(new Set(wrong.map((_, i) => `wrong.ts(${i + 1 + head.length},`)));
});

test('without the SDKs, calls work, and what is missing is said; a bad address or token is refused without repeating it', async () => {
  const there = project('bare', []);
  there.write(
    'bare.js',
    `import { createByok } from '@synthstack/client';
const said = async (act) => { try { await act(); return 'nothing'; } catch (error) { return error.message; } };
const token = 'byok_0123456789';
const byok = createByok({ url: 'https://byok.example.com/v1/', token });
console.log(await said(() => byok.openai()), await said(() => byok.anthropic()));
for (const url of ['', 'byok.example.com', 'ftp://byok.example.com', 'https://me:secret@byok.example.com', 'https://byok.example.com/trpc'])
  console.log(await said(() => createByok({ url, token })));
for (const bad of ['', undefined, 'secret with spaces', 'secret\\nline'])
  console.log(await said(() => createByok({ url: 'https://byok.example.com', token: bad })));
`,
  );
  const { code, out, err } = await there.run('bare.js', {});
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain('npm install openai');
  expect(out).toContain('npm install @anthropic-ai/sdk');
  expect(out.match(/^url: where the server is/gm)).toHaveLength(5);
  expect(out.match(/^token: an access token/gm)).toHaveLength(4);
  expect(out).not.toContain('secret');
});

test('whoever leads a call to another address gets nothing, and the token does not go there', async () => {
  const seen: string[] = [];
  const [other, first] = [createServer(), createServer()];
  other.on('request', (req, res) => {
    seen.push(JSON.stringify(req.headers));
    res.end('{}');
  });
  first.on('request', (_req, res) => res.writeHead(307, { location: `http://127.0.0.1:${portOf(other)}/` }).end());
  for (const server of [other, first]) await once(server.listen(0, '127.0.0.1'), 'listening');
  const byok = createByok({ url: `http://127.0.0.1:${portOf(first)}`, token: 'byok_0123456789' });
  const options = { maxRetries: 0 };
  await expect(byok.api.keys.list.query()).rejects.toThrow();
  await expect((await byok.openai(options)).models.list()).rejects.toThrow();
  await expect((await byok.anthropic(options)).models.list()).rejects.toThrow();
  expect(seen).toEqual([]);
  for (const server of [other, first]) server.close().closeAllConnections();
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;

test('it holds the script, its types and its README, and nothing of this machine', () => {
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n').sort();
  const names = ['LICENSE', 'README.md', 'index.d.ts', 'index.js', 'package.json', 'router.d.ts'];
  expect(files).toEqual(names.map((file) => `package/${file}`));
  const all = execFileSync('tar', ['-xzOf', tarball], { encoding: 'utf8' });
  expect(all).not.toContain(process.cwd());
  expect(all).not.toMatch(/@synthstack\/(server|core)|workspace:/);
});
