/**
 * `npx --yes pnpm@12.21.0 build`: the pages, then dist/byok with all of it inside, its digest, the list of what is inside, and the
 * licences of that. `--verify` makes all of it a second time, elsewhere, and compares the digests.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildRelease, type Release } from '../apps/server/scripts/release.ts';
import { pageModulesFile } from '../apps/web/page-modules.ts';
import { buildWeb } from './build-web.ts';

const out = join(import.meta.dirname, '../dist');

async function build(folder: string, fresh = false): Promise<Release> {
  await buildWeb({ fresh });
  return buildRelease(folder, JSON.parse(readFileSync(pageModulesFile, 'utf8')));
}

async function verify({ sha256 }: Release): Promise<boolean> {
  const elsewhere = mkdtempSync(join(tmpdir(), 'byok-again-'));
  try {
    const again = await build(elsewhere, true);
    process.stderr.write(again.sha256 === sha256 ? 'Built twice, with the same digest.\n' : `The second one differs: ${again.sha256}\n`);
    return again.sha256 === sha256;
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { verify: { type: 'boolean', default: false } } });
const release = await build(out);
process.stdout.write(`${release.file}\n`);
process.stderr.write(`${(release.bytes / 1_048_576).toFixed(1)} MB, ${release.packages} packages inside, SHA-256 ${release.sha256}\n`);
if (values.verify && !(await verify(release))) process.exitCode = 1;
