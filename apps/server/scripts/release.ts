/** The binary with what goes along with it: its digest, the list of what is inside, and the licences of that. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import manifest from '../package.json' with { type: 'json' };
import { billOfMaterials, integrityIn } from './bill-of-materials.ts';
import { buildBinary } from './binary.ts';
import { thirdPartyLicences } from './licences.ts';
import { packagesInside } from './packages-inside.ts';

const root = join(import.meta.dirname, '../../..');

export interface Release {
  file: string;
  bytes: number;
  sha256: string;
  packages: number;
}

/**
 * Writes `byok`, `byok.sha256`, `byok.cdx.json` and `THIRD-PARTY-LICENCES.txt`.
 * @param out  the folder; it is made
 * @param pageModules  the files that the pages were made of
 * @throws Error: a part does not build, or a package inside has a licence that is not on the list
 */
export async function buildRelease(out: string, pageModules: readonly string[]): Promise<Release> {
  mkdirSync(out, { recursive: true });
  const { file, bytes, modules } = await buildBinary(out);
  const packages = packagesInside([...modules, ...pageModules]);
  const sha256 = await digestOf(file);
  const sqliteVersion = versionOfSqlite();
  const bill = billOfMaterials({
    program: { version: manifest.version, licence: manifest.license, sha256 },
    packages,
    integrity: integrityIn(readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')),
    node: process.versions,
    sqliteVersion,
  });
  const licences = thirdPartyLicences(packages, [
    { name: `Node.js ${process.versions.node}, with all that it is made of`, text: licenceOfNode() },
    { name: `SQLite ${sqliteVersion}`, text: 'SQLite is in the public domain: its authors have given up all rights in it.' },
  ]);
  writeFileSync(`${file}.sha256`, `${sha256}  byok\n`);
  writeFileSync(`${file}.cdx.json`, bill);
  writeFileSync(join(out, 'THIRD-PARTY-LICENCES.txt'), licences);
  return { file, bytes, sha256, packages: packages.length };
}

export async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** The little that is needed of better-sqlite3, whose types are core's. */
type Sqlite = new (path: string) => { prepare(sql: string): { pluck(): { get(): unknown } }; close(): void };

function versionOfSqlite(): string {
  const Database = createRequire(join(root, 'packages/core/package.json'))('better-sqlite3') as Sqlite;
  const db = new Database(':memory:');
  try {
    return String(db.prepare('select sqlite_version()').pluck().get());
  } finally {
    db.close();
  }
}

/** @throws Error: this Node came without it */
function licenceOfNode(): string {
  const file = join(dirname(process.execPath), '../LICENSE');
  if (!existsSync(file)) throw new Error(`The licence of Node is not at ${file}. Build with: npx --yes pnpm@12.21.0 build`);
  return readFileSync(file, 'utf8').trim();
}
