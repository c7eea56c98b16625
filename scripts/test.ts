/**
 * Every check, one after the other, each with all that it needs: types, lint, the browser pages, unit and integration tests on both
 * engines, browser tests, the binary and what is worth trying of it. Closes with `N passed, N failed`, where a failed step that counts no tests counts as one.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** Of vitest's JSON report what is used here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
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

function reportOn(name: string): Report | null {
  try {
    return JSON.parse(readFileSync(reportOf(name), 'utf8')) as Report;
  } catch {
    return null;
  }
}

/** What failed and why, in a line or a few each: who reads only the end of a long log finds it there. */
function failuresIn({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((one) => one.status === 'failed');
    const why = failed.map(({ fullName, failureMessages }) => `${fullName}\n    ${firstLines(failureMessages.join('\n'))}`);
    if (failed.length === 0 && status === 'failed') why.push(firstLines(message));
    return why.map((line) => `FAILED ${relative('.', name)} > ${line}`);
  });
}

const firstLines = (text: string) => text.split('\n').slice(0, 8).join('\n    ');

const total = { passed: 0, failed: 0 };
const times: string[] = [];
const failures: string[] = [];
for (const { name, command, counts } of steps) {
  console.log(`\n== ${name}`);
  const startedAt = performance.now();
  const code = await run(command);
  times.push(`${name} ${((performance.now() - startedAt) / 1_000).toFixed(0)} s${code === 0 ? '' : ' FAILED'}`);
  const report = counts ? reportOn(name) : null;
  total.passed += report?.numPassedTests ?? (code === 0 && !counts ? 1 : 0);
  total.failed += report?.numFailedTests ?? 0;
  if (report) failures.push(...failuresIn(report));
  if (code !== 0 && !report?.numFailedTests) {
    total.failed += 1;
    failures.push(`FAILED ${name} > not in a test: look for "Error" under == ${name}`);
  }
}
rmSync(folder, { recursive: true, force: true });
for (const failure of failures) console.log(`\n${failure}`);
console.log(`\n${times.join(' · ')}\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
