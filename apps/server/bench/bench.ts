/**
 * What the gateway costs beside a bare pass-through and beside another gateway, and whether it costs more when there is more of
 * everything: in one run on one machine, `npx --yes pnpm@12.21.0 bench`, with `--quick`, `--part speed` or `--part growth`, and
 * `--connections N`. docs/performance.md says how it is measured and what came out.
 */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { measureDisk } from './disk.ts';
import { mb, ms } from './figures.ts';
import { measureGrowth } from './growth.ts';
import { measureSpeed } from './speed.ts';
import { quick, say, setStage, thorough } from './stage.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    part: { type: 'string', default: 'all' },
    connections: { type: 'string', default: '64' },
  },
});
const parts = { speed: [measureSpeed], growth: [measureGrowth], all: [measureSpeed, measureGrowth] } as const;
if (!(flags.part in parts)) throw new Error('--part is speed, growth or all.');

await using stage = await setStage({ ...(flags.quick ? quick : thorough), connections: Number(flags.connections) });
const disk = measureDisk(stage.folder());
const load = loadavg()[0] ?? 0;
say(
  `${cpus()[0]?.model}, ${availableParallelism()} cores, ${mb(totalmem())}, Node ${process.versions.node}, load average ${load.toFixed(2)}`,
);
say(`fdatasync of 4 kB: p50 ${ms(disk.p50Ms)} ms, p99 ${ms(disk.p99Ms)} ms`);
if (load > 0.5) say('Other programs are at work on this machine: only the CPU per request is worth reading.');
for (const measure of parts[flags.part as keyof typeof parts]) await measure(stage);
