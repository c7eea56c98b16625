/**
 * The whole program as one file: the server bundled, the pages, the SQLite addon and the writer's code as assets, inside a copy of the
 * Node that runs this (https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html).
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';

const root = join(import.meta.dirname, '../../..');
const core = join(root, 'packages/core');
const web = join(root, 'apps/web/dist');
/** Large, and not needed by every start: assets of their own, compiled when first asked for, so that a start reads and keeps nothing of them. */
const onDemand = [
  'gpt-tokenizer/encoding/o200k_base',
  'gpt-tokenizer/encoding/cl100k_base',
  'openai',
  '@anthropic-ai/sdk',
  '@simplewebauthn/server',
];
/** Where Node looks for the blob; postject puts it there. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** @returns the file's path and size */
export async function buildBinary(): Promise<{ file: string; bytes: number }> {
  const out = join(root, 'dist');
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(out, '.build-'));
  try {
    await bundle(join(import.meta.dirname, 'binary-main.ts'), join(work, 'main.cjs'), [fromAssets]);
    await bundle(join(core, 'src/db/writer.ts'), join(work, 'writer.cjs'));
    for (const id of onDemand) await bundle(fileURLToPath(import.meta.resolve(id)), join(work, assetOf(id)));
    const program = join(work, 'byok');
    copyFileSync(process.execPath, program);
    // 18 MB of symbols that only a debugger of Node itself reads. A system without `strip` makes a larger file.
    spawnSync('strip', [program]);
    inject(program, makeBlob(work));
    if (process.platform === 'darwin') run('codesign', ['--force', '--sign', '-', program]);
    const file = join(out, 'byok');
    renameSync(program, file);
    return { file, bytes: statSync(file).size };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function bundle(input: string, file: string, plugins: Plugin[] = []): Promise<void> {
  const build = await rolldown({ input, plugins, platform: 'node', external: ['pg-native'], logLevel: 'warn' });
  await build.write({ file, format: 'cjs', exports: 'named', codeSplitting: false, minify: false });
  await build.close();
  // One letter beyond Latin-1 and V8 keeps the whole text at two bytes a letter.
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}

const assetOf = (id: string): string => `${id.replaceAll(/[@/]/g, '-')}.cjs`;

const fromAssets: Plugin = {
  name: 'from-assets',
  resolveId: (id) => (onDemand.includes(id) ? `\0${id}` : null),
  load(id) {
    if (!id.startsWith('\0') || !onDemand.includes(id.slice(1))) return null;
    return `
      const { getAsset } = require('node:sea');
      const { compileFunction } = require('node:vm');
      compileFunction(getAsset('${assetOf(id.slice(1))}', 'utf8'), ['module', 'exports', 'require'])(module, module.exports, require);`;
  },
};

function makeBlob(work: string): string {
  const pages = globSync('**/*', { cwd: web, withFileTypes: true }).filter((entry) => entry.isFile());
  if (pages.length === 0) throw new Error('The pages are not built: node scripts/build-web.ts');
  const assets = [
    ...['writer.cjs', ...onDemand.map(assetOf)].map((name) => [name, join(work, name)] as const),
    ['better_sqlite3.node', addon()] as const,
    ...pages.map((entry) => join(entry.parentPath, entry.name)).map((path) => [`web/${path.slice(web.length + 1)}`, path] as const),
  ];
  const output = join(work, 'blob');
  const options = { main: join(work, 'main.cjs'), output, disableExperimentalSEAWarning: true, useCodeCache: true };
  writeFileSync(join(work, 'sea.json'), JSON.stringify({ ...options, assets: Object.fromEntries(assets) }));
  run(process.execPath, ['--experimental-sea-config', join(work, 'sea.json')]);
  return output;
}

function inject(program: string, blob: string): void {
  const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js');
  const segment = process.platform === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : [];
  run(process.execPath, [postject, program, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse, ...segment]);
}

/** The prebuilt one of this system, from the package. */
function addon(): string {
  const lib = createRequire(join(core, 'package.json')).resolve('better-sqlite3');
  return join(lib, '../../prebuilds', `${process.platform}-${process.arch}.node`);
}

function run(program: string, args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? ''}${stdout}${stderr}`);
}
