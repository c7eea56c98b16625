/** The binary as it is run in earnest: by nobody in particular, in a folder that is not its own, with hardly an environment. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { until } from '../stage.ts';

const dist = join(import.meta.dirname, '../../../../dist');
const program = join(dist, 'byok');
const most = 130 * 1_048_576;
/** `nobody`; who is not root is nobody in particular already. */
const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** An empty folder. @param owned  it belongs to who runs the program; else nobody may write there */
function folder(owned: boolean) {
  const path = mkdtempSync(join(tmpdir(), 'byok-alone-'));
  const { uid, gid } = unprivileged;
  if (owned && uid !== undefined) chownSync(path, uid, gid);
  chmodSync(path, owned ? 0o700 : 0o555);
  return {
    path,
    [Symbol.dispose]() {
      chmodSync(path, 0o700);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function start(args: string[], cwd: string, env: NodeJS.ProcessEnv) {
  const child = spawn(program, args, { cwd, env, ...unprivileged });
  const exited = once(child, 'exit');
  const written = Promise.all([text(child.stdout), text(child.stderr)]);
  return {
    child,
    async end(): Promise<{ code: unknown; out: string; err: string }> {
      const [[code], [out, err]] = await Promise.all([exited, written]);
      return { code, out, err };
    },
  };
}

const secrets = () => ({ ENCRYPTION_KEY: randomBytes(32).toString('hex'), AUTH_SECRET: randomBytes(32).toString('hex') });

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

const isReady = (origin: string) =>
  fetch(`${origin}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );

test('it has the size, the digest and the list that go along with it', () => {
  expect(statSync(program).size).toBeLessThan(most);
  const sha256 = createHash('sha256').update(readFileSync(program)).digest('hex');
  expect(readFileSync(`${program}.sha256`, 'utf8')).toBe(`${sha256}  byok\n`);
  const bill = JSON.parse(readFileSync(`${program}.cdx.json`, 'utf8'));
  expect(bill.metadata.component.hashes).toEqual([{ alg: 'SHA-256', content: sha256 }]);
  const licences = readFileSync(join(dist, 'THIRD-PARTY-LICENCES.txt'), 'utf8');
  for (const name of ['better-sqlite3', 'undici', 'vue', 'quasar', 'openai', 'gpt-tokenizer', 'node', 'sqlite']) {
    const inside = bill.components.find((one: { name: string }) => one.name === name);
    expect(inside?.version, name).toMatch(/^\d+\.\d+/);
    expect(licences, name).toMatch(new RegExp(`^${name}(\\.js)? ${inside.version}\\b`, 'im'));
  }
});

test('it serves in an empty folder, with no more than the secrets and a port, and ends in order', async () => {
  using home = folder(true);
  const port = await freePort();
  const server = start(['serve'], home.path, { ...secrets(), PORT: String(port) });
  const origin = `http://localhost:${port}`;
  await until(() => isReady(origin));
  const page = await fetch(`${origin}/sign-in`);
  expect(await page.text()).toContain('/assets/');
  expect((await fetch(`${origin}/api/docs`)).status).toBe(200);
  server.child.kill('SIGTERM');
  expect(await server.end()).toMatchObject({ code: 0, err: expect.stringContaining('/setup?token=') });
  expect(readdirSync(home.path)).toEqual(['data']);
  expect(statSync(join(home.path, 'data')).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(home.path, 'data')).sort()).toEqual(['.native', 'byok.db']);
});

/** Of the program's own file, systems count 65 to 95 MB beside it, by how they hold the file (docs/performance.md, "Binary"). */
test.runIf(process.platform === 'linux')('with nobody asking, it soon holds no more than 60 MB of its own', async () => {
  using home = folder(true);
  const port = await freePort();
  const server = start(['serve'], home.path, { ...secrets(), PORT: String(port) });
  await until(() => isReady(`http://localhost:${port}`));
  const ownBytes = () => Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))?.[1]) * 1_024;
  await until(() => ownBytes() < 60 * 1_048_576);
  server.child.kill('SIGTERM');
  expect((await server.end()).code).toBe(0);
});

test('it writes nowhere but in DATA_DIR, and its commands work on the same data', async () => {
  using closed = folder(false);
  using open = folder(true);
  const dataDir = join(open.path, 'data');
  const env = { ...secrets(), DATA_DIR: dataDir, PORT: String(await freePort()) };
  const server = start(['serve'], closed.path, env);
  await until(() => isReady(`http://localhost:${env.PORT}`));
  const added = await start(['users', 'add', '--email', 'eve@example.com', '--tier', 'premium'], closed.path, env).end();
  expect(added.code, added.err).toBe(0);
  const listed = await start(['users', 'list', '--json'], closed.path, env).end();
  expect(listed.out).toContain('eve@example.com');
  server.child.kill('SIGTERM');
  expect((await server.end()).code).toBe(0);
  expect(readdirSync(closed.path)).toEqual([]);
  expect(readdirSync(open.path)).toEqual(['data']);
});

test('where nothing may be written it says so, and makes no secrets', async () => {
  using closed = folder(false);
  const { code, err } = await start(['serve'], closed.path, {}).end();
  expect(code).toBe(1);
  expect(err).toContain('cannot be written');
});

test('another addon in the place of its own is not loaded', async () => {
  using home = folder(true);
  const env = { ...secrets(), PORT: String(await freePort()) };
  expect((await start(['migrate'], home.path, env).end()).code).toBe(0);
  const native = join(home.path, 'data/.native');
  const [file = ''] = readdirSync(native);
  const before = readFileSync(join(native, file));
  rmSync(join(native, file));
  writeFileSync(join(native, file), 'not an addon', { mode: 0o700 });
  expect((await start(['migrate'], home.path, env).end()).code).toBe(0);
  expect(readFileSync(join(native, file)).equals(before)).toBe(true);
});

test('the signal at which Node opens its inspector opens nothing, and it goes on', async () => {
  using home = folder(true);
  const port = await freePort();
  const server = start(['serve'], home.path, { ...secrets(), PORT: String(port) });
  await until(() => isReady(`http://localhost:${port}`));
  server.child.kill('SIGUSR1');
  expect(await isReady(`http://localhost:${port}`)).toBe(true);
  server.child.kill('SIGTERM');
  const { code, err } = await server.end();
  expect(code).toBe(0);
  expect(err).toContain('Stopped.');
  expect(err).not.toMatch(/inspector|debugger/i);
});
