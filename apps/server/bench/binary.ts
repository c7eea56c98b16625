/**
 * The single binary beside `node server`: how large it is, how soon it answers, and what it holds when nobody asks. Both are started in
 * turns with hardly an environment, on data of their own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { random } from './config.ts';
import { mb, median, ms, table } from './figures.ts';
import { type Stage, say } from './stage.ts';

const binary = join(import.meta.dirname, '../../../dist/byok');
const main = join(import.meta.dirname, '../src/main.ts');
/** After the first answer: what a start leaves behind is collected by then. */
const idleMs = 5_000;
/** As often as a client of a socket that is not open yet can ask. */
const lookEveryMs = 2;

interface Program {
  name: string;
  command: [string, ...string[]];
  env: Record<string, string>;
}

interface Start {
  answerMs: number;
  /** Of all threads until then: what does not depend on who else is at work. */
  cpuMs: number;
  rssBytes: number;
  /** Without what is mapped from files, which the system can take back and share. */
  ownBytes: number;
}

export async function measureBinary(stage: Stage): Promise<void> {
  if (!existsSync(binary)) throw new Error('There is no dist/byok yet: npx --yes pnpm@12.21.0 build');
  const bytes = statSync(binary).size;
  say(`\nThe single binary: ${mb(bytes)}, as xz ${mb(packedBytes())}`);
  const secrets = { ENCRYPTION_KEY: random(), AUTH_SECRET: random() };
  const programs: Program[] = [
    { name: 'dist/byok', command: [binary], env: secrets },
    { name: 'node server', command: [process.execPath, main], env: secrets },
    { name: 'node server, compiled before', command: [process.execPath, main], env: { ...secrets, NODE_COMPILE_CACHE: stage.folder() } },
  ];
  const data = programs.map(() => stage.folder());
  const first: Start[][] = programs.map(() => []);
  const again: Start[][] = programs.map(() => []);
  for (let round = 0; round < stage.plan.rounds; round += 1)
    for (const [i, program] of programs.entries()) {
      first[i]?.push(await start(program, fresh(data[i] ?? ''), 0));
      again[i]?.push(await start(program, join(data[i] ?? '', 'kept'), idleMs));
    }
  const cells = (starts: readonly Start[]) => [
    ms(median(starts.map((one) => one.answerMs))),
    ms(Math.min(...starts.map((one) => one.answerMs))),
    ms(median(starts.map((one) => one.cpuMs))),
  ];
  const rows = programs.map(({ name }, i) => {
    const kept = again[i] ?? [];
    return [
      name,
      ...cells(first[i] ?? []),
      ...cells(kept),
      mb(median(kept.map((one) => one.rssBytes))),
      mb(median(kept.map((one) => one.ownBytes))),
    ];
  });
  say(table([['', 'first start ms', 'best', 'CPU ms', 'later start ms', 'best', 'CPU ms', 'idle RSS', 'of it its own'], ...rows]));
}

function fresh(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return mkdtempSync(join(folder, 'new-'));
}

/** @param thenMs  how long it is left alone before its memory is looked at */
async function start({ command: [program, ...args], env }: Program, dataDir: string, thenMs: number): Promise<Start> {
  const port = await freePort();
  const began = performance.now();
  const child = spawn(program, [...args, 'serve'], { cwd: '/', env: { ...env, DATA_DIR: dataDir, PORT: String(port) }, stdio: 'ignore' });
  const exited = once(child, 'exit');
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`${program} has ended with ${child.exitCode}.`);
    await wait(lookEveryMs);
  }
  const answerMs = performance.now() - began;
  const cpuMs = cpuMsOf(child);
  await wait(thenMs);
  const [rssBytes, ownBytes] = [memoryOf(child, 'VmRSS'), memoryOf(child, 'RssAnon')];
  child.kill('SIGTERM');
  await exited;
  return { answerMs, cpuMs, rssBytes, ownBytes };
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    get({ port, host: '127.0.0.1', path: '/readyz', agent: false }, (res) => {
      res.resume();
      resolve(res.statusCode === 200);
    }).once('error', () => resolve(false));
  });

/** @returns NaN on a system without /proc, as the next does */
function memoryOf({ pid }: ChildProcess, kind: 'VmRSS' | 'RssAnon'): number {
  const [, kilobytes] = new RegExp(`^${kind}:\\s+(\\d+)`, 'm').exec(readProc(`${pid}/status`)) ?? [];
  return Number(kilobytes) * 1_024;
}

/** Counted in hundredths of a second (proc(5), utime and stime); the program's name, in brackets, may hold spaces. */
function cpuMsOf({ pid }: ChildProcess): number {
  const [user, system] = readProc(`${pid}/stat`).split(') ').at(-1)?.split(' ').slice(11, 13) ?? [];
  return (Number(user) + Number(system)) * 10;
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'utf8');
  } catch {
    return '';
  }
}

/** @returns NaN where there is no xz */
function packedBytes(): number {
  const { status, stdout } = spawnSync('sh', ['-c', 'xz --threads=1 --stdout "$0" | wc -c', binary], { encoding: 'utf8' });
  return status === 0 && Number(stdout) > 0 ? Number(stdout) : Number.NaN;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
