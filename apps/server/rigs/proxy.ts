/**
 * The proxies of deploy/ before the program: the files that operators copy, with other ports and another certificate, in a real nginx and
 * a real Caddy. Every chunk of a stream must come through at once, and the caller's address must be the caller's.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, ms, quantile, table } from '../bench/figures.ts';
import { headersFor, isComplete, pathOf } from './client.ts';
import { startPlayback } from './playback.ts';
import { createRandom } from './random.ts';
import { createReport, type Findings, type Rig } from './report.ts';
import { stamping } from './slow-disk.ts';
import { stageFolder, startServerProcess } from './stage.ts';

const host = 'byok.example.com';
const ownKey = 'sk-proj-rig-own-9d3f6a1c';
const deploy = join(import.meta.dirname, '../../../deploy');
const atOnce = 20;
/** A proxy that gathers what it passes on holds a chunk until some more have come, which are 20 ms apart. */
const mayTakeMs = 15;
/** Sign-ins from an address within ten seconds (docs/operator-guide.md, People). */
const signIns = 3;

export const rig: Rig = {
  summary: 'nginx and Caddy, set up as in deploy/, pass every chunk on at once, and say whose address it is',
  times: 100,
  unit: `streams through each, ${atOnce} at a time`,
  async run({ times, seed, say }) {
    const found = createReport();
    await using provider = await startPlayback(stamping(createRandom(seed)));
    const env = { PUBLIC_URL: `https://${host}`, TRUST_PROXY: '127.0.0.1' };
    await using folder = await stageFolder({ ...provider, env, people: [{ tier: 'premium', keys: { openai: ownKey } }] });
    await using server = await startServerProcess({ env: folder.env });
    const rows: string[][] = [];
    for (const [name, start] of Object.entries({ nginx: startNginx, caddy: startCaddy })) {
      if (spawnSync(name, ['version']).error) {
        found.promise(false, `${name} is not installed, so nothing is known of it: apt-get install ${name}`);
        continue;
      }
      await using proxy = await start(server.ready.port);
      say(`${name} is there`);
      const ways = await stream(proxy.port, folder.people[0]?.tokens[0]?.secret ?? '', times, found);
      rows.push([name, ...[0.5, 0.99].map((part) => ms(quantile(ways, part))), String(ways.length)]);
      found.promise(median(ways) < mayTakeMs, `Through ${name} a chunk takes ${ms(median(ways))} ms at the median.`);
      await auditAddresses(name, proxy.port, found);
      const metrics = await get(proxy.port, { path: '/metrics' });
      found.promise(metrics.status === 404, `${name} answers /metrics with ${metrics.status}.`);
      if (proxy.plainPort) await auditRedirect(name, proxy.plainPort, found);
    }
    found.section(table([['from provider to client, through', 'chunk p50 ms', 'p99 ms', 'chunks'], ...rows]));
    return found;
  },
};

interface Proxy extends AsyncDisposable {
  port: number;
  plainPort?: number;
}

async function startNginx(upstream: number): Promise<Proxy> {
  const [port, plainPort] = [await freePort(), await freePort()];
  const folder = certified();
  const site = readFileSync(join(deploy, 'nginx.conf'), 'utf8')
    .replaceAll(/^ *listen \[::\].*\n/gm, '')
    .replace('listen 80;', `listen 127.0.0.1:${plainPort};`)
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replace('127.0.0.1:3000', `127.0.0.1:${upstream}`)
    .replaceAll('/etc/ssl/byok/', `${folder}/`);
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const places = kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');
  const main = `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {}`;
  writeFileSync(join(folder, 'nginx.conf'), `${main}\nhttp { access_log off; ${places}\n${site} }\n`);
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')], { stdio: 'inherit' });
  return { ...(await running(child, folder, port)), plainPort };
}

async function startCaddy(upstream: number): Promise<Proxy> {
  const port = await freePort();
  const folder = certified();
  const certificate = `\tbind 127.0.0.1\n\ttls ${folder}/fullchain.pem ${folder}/privkey.pem`;
  const site = readFileSync(join(deploy, 'Caddyfile'), 'utf8')
    .replace(`${host} {`, `https://${host}:${port} {\n${certificate}`)
    .replace('127.0.0.1:3000', `127.0.0.1:${upstream}`);
  const settings = `{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system ${folder}/storage\n}\n`;
  writeFileSync(join(folder, 'Caddyfile'), settings + site);
  const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn('caddy', ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')], { env, stdio: 'ignore' });
  return running(child, folder, port);
}

/** A folder with a certificate that nobody signed. */
function certified(): string {
  const folder = mkdtempSync(join(tmpdir(), 'byok-proxy-'));
  mkdirSync(join(folder, 'storage'));
  const files = ['-keyout', join(folder, 'privkey.pem'), '-out', join(folder, 'fullchain.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...files, '-subj', `/CN=${host}`], { stdio: 'ignore' });
  return folder;
}

async function running(child: ChildProcess, folder: string, port: number): Promise<Proxy> {
  const exited = once(child, 'exit');
  for (
    let tries = 0;
    !(await get(port, { path: '/healthz' }).then(
      ({ status }) => status === 200,
      () => false,
    ));
    tries += 1
  ) {
    if (tries > 200 || child.exitCode !== null) throw new Error('The proxy does not answer.');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Asked {
  path: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** Of this machine's: who asks. */
  from?: string;
  onData?(chunk: Buffer): void;
}

function get(port: number, { path, method = 'GET', headers = {}, body, from, onData }: Asked): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const given = { host: '127.0.0.1', port, path, method, headers: { host, ...headers }, ...(from && { localAddress: from }) };
    const req = request({ ...given, servername: host, rejectUnauthorized: false, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        onData?.(chunk);
      });
      res.once('end', () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks) })).once('error', reject);
    });
    req.once('error', reject).end(body);
  });
}

/** @returns the way of each chunk from provider to client, in ms, in rising order */
async function stream(port: number, token: string, times: number, found: Findings): Promise<number[]> {
  const ways: number[] = [];
  const body = JSON.stringify({ model: 'gpt-4o-mini', stream: true, messages: [{ role: 'user', content: 'Hello' }] });
  let left = times;
  const busy = Array.from({ length: Math.min(atOnce, times) }, async () => {
    while (left-- > 0) {
      let isFirst = true;
      const onData = (chunk: Buffer) => {
        const nowMs = performance.now();
        // The first waits until its request is on disk.
        if (!isFirst) for (const [, at] of chunk.toString('latin1').matchAll(/@([\d.]+)@/g)) ways.push(nowMs - Number(at));
        isFirst = false;
      };
      const had = await get(port, { path: pathOf.openai, method: 'POST', headers: headersFor('openai', token, 'proxy'), body, onData });
      found.promise(had.status === 200 && isComplete(had.body), `A stream came to no good end: ${had.status}`);
    }
  });
  await Promise.all(busy);
  return ways.sort((a, b) => a - b);
}

/** Whoever makes up an X-Forwarded-For is limited all the same, and nobody else with them. */
async function auditAddresses(name: string, port: number, found: Findings): Promise<void> {
  const signIn = (from: string, claimed: string) =>
    get(port, {
      ...{ path: '/api/auth/sign-in/email', method: 'POST', from },
      headers: { 'content-type': 'application/json', origin: `https://${host}`, 'x-forwarded-for': claimed },
      body: JSON.stringify({ email: 'nobody@example.com', password: 'not a password at all' }),
    });
  // Not the trusted one, nor the one that the other proxy's callers had.
  const [one, other] = name === 'nginx' ? ['127.0.0.21', '127.0.0.22'] : ['127.0.0.31', '127.0.0.32'];
  const statuses: number[] = [];
  for (let i = 0; i <= signIns; i += 1) statuses.push((await signIn(one ?? '', `198.51.100.${i}`)).status);
  found.promise(statuses.at(-1) === 429 && statuses[0] === 401, `${name}: sign-ins with made-up addresses had ${statuses.join(', ')}.`);
  const neighbour = await signIn(other ?? '', '198.51.100.9');
  found.promise(neighbour.status === 401, `${name}: another address is limited with it: ${neighbour.status}.`);
}

async function auditRedirect(name: string, port: number, found: Findings): Promise<void> {
  const req = plainRequest({ host: '127.0.0.1', port, path: '/sign-in?x=1', headers: { host } }).end();
  const [res] = await once(req, 'response');
  res.resume();
  const to = `${res.statusCode} ${res.headers.location}`;
  found.promise(to === `301 https://${host}/sign-in?x=1`, `${name} answers http with ${to}.`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
