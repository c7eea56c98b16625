/**
 * Every check, one after the other, each with all that it needs: types, lint, the browser pages, unit and integration tests on both
 * engines, browser tests, the binary and what is worth trying of it. Closes with `N passed, N failed`, where a failed step that counts no tests counts as one.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Tally {
  passed: number;
  failed: number;
}

const folder = mkdtempSync(join(tmpdir(), 'byok-checks-'));
const reportOf = (name: string) => join(folder, `${name}.json`);
const vitest = (name: string, config: string) => [
  'vitest',
  'run',
  '--config',
  config,
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${reportOf(name)}`,
];

const binaryTests = 'apps/web/e2e/binary/vitest.config.ts';
const steps: { name: string; command: string[]; counts?: true }[] = [
  { name: 'types', command: ['pnpm', '-r', 'types'] },
  { name: 'lint', command: ['biome', 'check', '.'] },
  { name: 'pages', command: ['node', 'scripts/build-web.ts'] },
  { name: 'tests', command: vitest('tests', 'vitest.config.ts'), counts: true },
  { name: 'browser', command: vitest('browser', 'apps/web/e2e/vitest.config.ts'), counts: true },
  { name: 'build', command: ['node', 'scripts/build-binary.ts'] },
  { name: 'binary', command: vitest('binary', binaryTests), counts: true },
];

function run([program = '', ...args]: string[]): Promise<number> {
  // pnpm is on no path of its own: it is the program that runs this script.
  const pnpm = process.env.npm_execpath;
  const [command, given] = program === 'pnpm' && pnpm ? [pnpm, args] : [program, args];
  return new Promise((resolve) => {
    const child = spawn(command, given, { stdio: 'inherit' });
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
  });
}

function tallyOf(name: string): Tally | null {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(reportOf(name), 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
    };
    return { passed: numPassedTests, failed: numFailedTests };
  } catch {
    return null;
  }
}

const total: Tally = { passed: 0, failed: 0 };
const times: string[] = [];
for (const { name, command, counts } of steps) {
  console.log(`\n== ${name}`);
  const startedAt = performance.now();
  const code = await run(command);
  times.push(`${name} ${((performance.now() - startedAt) / 1_000).toFixed(0)} s${code === 0 ? '' : ' FAILED'}`);
  const tally = counts ? tallyOf(name) : null;
  total.passed += tally?.passed ?? (code === 0 && !counts ? 1 : 0);
  total.failed += tally?.failed ?? 0;
  if (code !== 0 && !tally?.failed) total.failed += 1;
}
rmSync(folder, { recursive: true, force: true });
console.log(`\n${times.join(' · ')}\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
