/**
 * The proofs of the gateway that a test runs in part, in full: `npx --yes pnpm@12.21.0 rig <name> [--times N] [--seed N]`. Prints what
 * it saw; exit code 1 where a promise was broken, 2 for wrong usage.
 */
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type { Rig } from './report.ts';

const rigs: Readonly<Record<string, () => Promise<{ rig: Rig }>>> = {
  kill: () => import('./kill.ts'),
  leavers: () => import('./leavers.ts'),
  estimates: () => import('./estimates.ts'),
  bytes: () => import('./bytes.ts'),
  'slow-disk': () => import('./slow-disk.ts'),
  limits: () => import('./limits.ts'),
  rotation: () => import('./rotation.ts'),
  proxy: () => import('./proxy.ts'),
};

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function help(): Promise<string> {
  const all = await Promise.all(Object.entries(rigs).map(async ([name, load]) => [name, (await load()).rig] as const));
  const lines = all.map(([name, { summary, times, unit }]) => `  ${name.padEnd(10)} ${summary} (--times: ${times} ${unit})`);
  return `Usage: rig <name> [--times N] [--seed N]\n\n${lines.join('\n')}\n`;
}

function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: { times: { type: 'string' }, seed: { type: 'string', default: '1' } } });
  } catch {
    return null;
  }
}

const given = readArguments();
const load = given && rigs[given.positionals[0] ?? ''];
const times = given?.values.times === undefined ? undefined : Number(given.values.times);
const seed = Number(given?.values.seed);
if (
  !load ||
  given.positionals.length !== 1 ||
  !Number.isInteger(seed) ||
  (times !== undefined && !(Number.isInteger(times) && times > 0))
) {
  process.stderr.write(await help());
  process.exit(2);
}

const { rig } = await load();
const startedAt = performance.now();
say(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.versions.node}, load average ${loadavg()[0]?.toFixed(2)}`);
say(`${given.positionals[0]}: ${rig.summary}; ${times ?? rig.times} ${rig.unit}, seed ${seed}`);
const report = await rig.run({ times: times ?? rig.times, seed, say });
say(`\n${report.text}\n`);
for (const broken of report.broken.slice(0, 50)) say(`BROKEN: ${broken}`);
if (report.broken.length > 50) say(`... and ${report.broken.length - 50} more`);
say(
  `${report.broken.length === 0 ? 'All promises were kept' : `${report.broken.length} broken`}, in ${Math.round((performance.now() - startedAt) / 1_000)} s.`,
);
process.exit(report.broken.length === 0 ? 0 : 1);
