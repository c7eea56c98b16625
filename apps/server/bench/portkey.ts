/**
 * Another gateway, as its users start it: through npx. This process only starts it, measures what all that npx has started use, and ends
 * them with itself. Left to itself, npx takes the newest @hono/node-server that the gateway's range allows, and with that every stream is
 * answered with a 500 (it appends to the headers of fetch's own Response): here it is held at the newest with which streams pass.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { argsOf, endWithParent, serveParent, type Used } from './child.ts';

const name = '@portkey-ai/gateway';
const version = '1.15.2';
const overrides = { '@hono/node-server': '1.14.1' };
const patienceMs = 120_000;

/** Where it listens, or a sentence on why it does not. */
export type PortkeyReady = { port: number } | { why: string };

const { folder } = argsOf<{ folder: string }>();
const port = await freePort();
let group = 0;
process.once('exit', endGroup);
endWithParent();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(0));
const ready = await start();
serveParent(ready, { used: usedByGroup });

async function start(): Promise<PortkeyReady> {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: { [name]: version }, overrides }));
  const install = ['install', '--prefer-offline', '--fetch-retries=1', '--ignore-scripts', '--no-audit', '--no-fund'];
  const why = await ended(run('npm', install));
  if (why !== null) return { why };
  const npx = run('npx', ['--yes', `${name}@${version}`, `--port=${port}`, '--headless'], {
    // Only this machine's addresses, and no proxy to the upstream.
    NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'loopback.ts')).href}`,
    TRUSTED_CUSTOM_HOSTS: '127.0.0.1',
    NO_PROXY: '127.0.0.1',
  });
  return Promise.race([ended(npx).then((reason) => ({ why: reason ?? 'it has ended' })), listening()]);
}

/** Starts a program with the same Node as everybody here, at the head of a process group of its own. */
function run(program: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const path = [dirname(process.execPath), process.env.PATH].join(delimiter);
  const child = spawn(program, args, {
    ...{ cwd: folder, detached: true, stdio: ['ignore', 'ignore', 'pipe'] },
    env: { ...process.env, PATH: path, npm_config_update_notifier: 'false', ...env },
  });
  group = child.pid ?? 0;
  return child;
}

/** @returns why it has ended, or null if all went well */
function ended(child: ChildProcess): Promise<string | null> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-2_000);
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code) => {
      const reason = /npm error (?!A complete log).*/.exec(said)?.[0];
      resolve(code === 0 ? null : `${child.spawnargs[0]} has ended with code ${code}${reason ? ` (${reason})` : ''}`);
    });
  });
}

async function listening(): Promise<PortkeyReady> {
  const untilMs = performance.now() + patienceMs;
  while (performance.now() < untilMs) {
    if (await listens(port)) return { port };
    await wait(200);
  }
  return { why: `it did not listen within ${patienceMs / 1_000} s` };
}

function listens(onPort: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(onPort, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as { port: number };
      server.close(() => resolve(free));
    });
  });
}

function endGroup(): void {
  try {
    if (group > 0) process.kill(-group, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** What /proc tells of all processes of the group, npx's own memory left out: CPU in steps of 10 ms, which is half a percent of a window. Elsewhere unknown. */
function usedByGroup(): Used {
  let ticks = 0;
  let rssKb = 0;
  for (const pid of processes()) {
    const stat = textOf(`/proc/${pid}/stat`);
    // The program's name, in parentheses, may hold anything: fields are counted from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(fields[2]) !== group) continue;
    ticks += Number(fields[11]) + Number(fields[12]);
    // npx itself only waits.
    if (Number(pid) !== group) rssKb += Number(/^VmRSS:\s*(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0);
  }
  return rssKb === 0 ? { cpuUs: Number.NaN, rssBytes: Number.NaN } : { cpuUs: ticks * 10_000, rssBytes: rssKb * 1_024 };
}

function processes(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** '' for a process that has just ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
