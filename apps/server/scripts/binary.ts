/**
 * The whole program as one file: the server bundled, the pages, the SQLite addon and the writer's code as assets, inside a copy of the
 * Node that runs this (https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html). The same sources, lock file, Node
 * and `strip` make the same bytes, wherever and whenever: no path and no time gets into it.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  createReadStream,
  createWriteStream,
  globSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { type Plugin, rolldown } from 'rolldown';

const root = join(import.meta.dirname, '../../..');
const core = join(root, 'packages/core');
const web = join(root, 'apps/web/dist');
/** Large, and not needed by every start: assets of their own, unpacked and compiled when first asked for, so that a start reads and keeps nothing of them. */
const onDemand = [
  'gpt-tokenizer/encoding/o200k_base',
  'gpt-tokenizer/encoding/cl100k_base',
  'openai',
  '@anthropic-ai/sdk',
  '@simplewebauthn/server',
  'stripe',
];
/** Where Node looks for the blob; postject puts it there. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

export interface Binary {
  file: string;
  bytes: number;
  /** The files that its scripts were made of, but for the pages'. */
  modules: ReadonlySet<string>;
}

/** @param out  an existing folder in which `byok` is written, or replaced in one step */
export async function buildBinary(out: string): Promise<Binary> {
  const work = mkdtempSync(join(out, '.build-'));
  const modules = new Set<string>([addon()]);
  const bundle = async (input: string, name: string, plugins: Plugin[] = []) => {
    for (const id of await bundleScript(input, join(work, name), plugins)) modules.add(id);
  };
  try {
    await bundle(join(import.meta.dirname, 'binary-main.ts'), 'main.cjs', [fromAssets]);
    await bundle(join(core, 'src/db/writer.ts'), 'writer.cjs');
    for (const id of onDemand) {
      await bundle(fileURLToPath(import.meta.resolve(id)), 'script.cjs');
      writeFileSync(join(work, assetOf(id)), packed(readFileSync(join(work, 'script.cjs'))));
    }
    const program = join(work, 'byok');
    copyFileSync(process.execPath, program);
    // 18 MB of symbols that only a debugger of Node itself reads. A system without `strip` makes a larger file.
    spawnSync('strip', [program]);
    makeBlob(work);
    inject(work);
    if (process.platform === 'darwin') run(work, 'codesign', ['--force', '--sign', '-', program]);
    const file = join(out, 'byok');
    const whole = join(work, 'whole');
    await copyInPieces(program, whole);
    renameSync(whole, file);
    return { file, bytes: statSync(file).size, modules };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** V8 holds the text of its script for as long as it runs: without indentation, a fifth of 5.5 MB less. Names stay, for the log's stacks. */
const whitespace = { compress: false, mangle: false, codegen: true } as const;

/** @returns the files that it was made of */
async function bundleScript(input: string, file: string, plugins: Plugin[]): Promise<string[]> {
  const build = await rolldown({ input, plugins, cwd: root, platform: 'node', external: ['pg-native'], logLevel: 'warn' });
  const { output } = await build.write({
    file,
    format: 'cjs',
    exports: 'named',
    codeSplitting: false,
    minify: whitespace,
    comments: false,
  });
  await build.close();
  // One letter beyond Latin-1 and V8 keeps the whole text at two bytes a letter.
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
  return output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
}

const assetOf = (id: string): string => `${id.replaceAll(/[@/]/g, '-')}.cjs.br`;

/** A third of its size. A quality above 9 saves little more, and takes twenty times as long. */
const packed = (script: Buffer): Buffer => brotliCompressSync(script, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });

const fromAssets: Plugin = {
  name: 'from-assets',
  resolveId: (id) => (onDemand.includes(id) ? `\0${id}` : null),
  load(id) {
    if (!id.startsWith('\0') || !onDemand.includes(id.slice(1))) return null;
    return `
      const { getRawAsset } = require('node:sea');
      const { compileFunction } = require('node:vm');
      const { brotliDecompressSync } = require('node:zlib');
      const text = brotliDecompressSync(getRawAsset('${assetOf(id.slice(1))}')).latin1Slice();
      compileFunction(text, ['module', 'exports', 'require'])(module, module.exports, require);`;
  },
};

/** The blob says where its main script lay, so that has a relative path. */
function makeBlob(work: string): void {
  const pages = globSync('**/*', { cwd: web, withFileTypes: true }).filter((entry) => entry.isFile());
  if (pages.length === 0) throw new Error('The pages are not built: node scripts/build-web.ts');
  const paths = pages.map((entry) => join(entry.parentPath, entry.name)).sort();
  const assets = [
    ...['writer.cjs', ...onDemand.map(assetOf)].map((name) => [name, name] as const),
    ['better_sqlite3.node', addon()] as const,
    ...paths.map((path) => [`web/${path.slice(web.length + 1)}`, path] as const),
  ];
  const options = { main: 'main.cjs', output: 'blob', disableExperimentalSEAWarning: true, useCodeCache: true };
  writeFileSync(join(work, 'sea.json'), JSON.stringify({ ...options, assets: Object.fromEntries(assets) }));
  // V8 shuffles its tables by chance, and so its code cache, unless it is told by which; a cache made so is taken all the same.
  run(work, process.execPath, ['--random-seed=1', '--experimental-sea-config', 'sea.json']);
}

function inject(work: string): void {
  const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js');
  const segment = process.platform === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : [];
  run(work, process.execPath, [postject, 'byok', 'NODE_SEA_BLOB', 'blob', '--sentinel-fuse', fuse, ...segment]);
}

/** The prebuilt one of this system, from the package. */
function addon(): string {
  const lib = createRequire(join(core, 'package.json')).resolve('better-sqlite3');
  return join(lib, '../../prebuilds', `${process.platform}-${process.arch}.node`);
}

/**
 * 64 kB at a time, as a download is written. postject writes all of it at once: the system then holds the file in large pieces, and Linux 6.18
 * counts the whole of each piece that is touched as the program's memory, 133 MB instead of 115, until it is read from the disk anew.
 */
const copyInPieces = (from: string, to: string): Promise<void> => pipeline(createReadStream(from), createWriteStream(to, { mode: 0o755 }));

function run(cwd: string, program: string, args: string[]): void {
  // Flags from outside would go into the code cache, and the program would not take it.
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? ''}${stdout}${stderr}`);
}
