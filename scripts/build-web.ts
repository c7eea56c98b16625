/** Builds the pages into apps/web/dist, but only if something that they are made of has changed since the last time. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';

const root = join(import.meta.dirname, '..');
const web = join(root, 'apps/web');
/** Not in dist: everything in there is served. */
const stampFile = join(web, 'node_modules/.cache/build-web.sha256');
const sources = [
  'apps/web/{src,public}/**/*.*',
  'apps/web/{index.html,page-files.ts,page-modules.ts,vite.config.ts,package.json,tsconfig.json}',
  'packages/core/{package.json,src/**/*.ts}',
  'pnpm-lock.yaml',
  'tsconfig.base.json',
];

/**
 * @param fresh  builds in any case
 * @throws Error with vite's own words if the build fails
 */
export async function buildWeb({ fresh = false } = {}): Promise<'built' | 'fresh'> {
  const stamp = stampOf(sources.flatMap((pattern) => globSync(pattern, { cwd: root })));
  const last = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : '';
  if (!fresh && stamp === last && existsSync(join(web, 'dist/index.html'))) return 'fresh';
  // A build that fails half-way must not pass for a good one.
  rmSync(stampFile, { force: true });
  await vite();
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
  return 'built';
}

function stampOf(files: string[]): string {
  const hash = createHash('sha256');
  for (const file of files.sort())
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

async function vite(): Promise<void> {
  const child = spawn(process.execPath, [join(web, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'], {
    cwd: web,
    // A test runner sets NODE_ENV=test, and vite would build for that.
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject));
  const [code, said, complained] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code !== 0) throw new Error(`The pages could not be built (vite ended with ${code}):\n${said}${complained}`);
}

if (import.meta.main) {
  const startedMs = performance.now();
  try {
    const outcome = await buildWeb();
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    process.stderr.write(outcome === 'built' ? `Built the pages in ${seconds} s.\n` : 'The pages are up to date.\n');
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
