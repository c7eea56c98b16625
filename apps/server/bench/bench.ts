/**
 * What the gateway costs beside a bare pass-through and beside another gateway, and whether it costs more when there is more of
 * everything: in one run on one machine, `npx --yes pnpm@12.21.0 bench`, with `--quick`, `--part speed` (or `growth`, or one of
 * `users`, `rows`, `streams`, `disk`; or `pages`, `administration`, `search`, `binary`, `profile`), `--users N` and `--connections N`. docs/performance.md says how it is
 * measured and what came out.
 */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { measureAdministration } from './administration.ts';
import { measureBinary } from './binary.ts';
import { measureDisk } from './disk.ts';
import { mb, ms, whole } from './figures.ts';
import { measureRows, measureUsers } from './growth.ts';
import { measurePages } from './pages.ts';
import { measureProfile } from './profile.ts';
import { measureSearch } from './search.ts';
import { measureSpeed } from './speed.ts';
import { quick, type Stage, say, setStage, thorough } from './stage.ts';
import { measureSlowDisk, measureStreams } from './streams.ts';

const usage =
  'bench [--quick] [--part all|speed|growth|users|rows|streams|disk|pages|administration|search|binary|profile] [--users N] [--connections N]';
const flags = flagsOf();

function flagsOf() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        part: { type: 'string', default: 'all' },
        connections: { type: 'string', default: '64' },
        users: { type: 'string' },
      },
    });
    if (!values.help) return values;
    say(usage);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${usage}\n`);
    process.exit(2);
  }
}

const growth = [measureUsers, measureRows, measureStreams, measureSlowDisk];
const parts: Record<string, readonly ((on: Stage) => Promise<void>)[]> = {
  all: [measureSpeed, ...growth, measurePages, measureAdministration, measureSearch],
  ...{ speed: [measureSpeed], growth, pages: [measurePages], administration: [measureAdministration], search: [measureSearch] },
  binary: [measureBinary],
  profile: [measureProfile],
  ...{ users: [measureUsers], rows: [measureRows], streams: [measureStreams], disk: [measureSlowDisk] },
};
const wanted = parts[flags.part];
if (!wanted) throw new Error(`--part is one of ${Object.keys(parts).join(', ')}.`);

await using stage = await setStage({
  ...(flags.quick ? quick : thorough),
  connections: Number(flags.connections),
  ...(flags.users !== undefined && { users: [Number(flags.users)] }),
});
const disk = measureDisk(stage.folder());
const load = loadavg()[0] ?? 0;
say(
  `${cpus()[0]?.model}, ${availableParallelism()} cores, ${mb(totalmem())}, Node ${process.versions.node}, load average ${load.toFixed(2)}`,
);
say(`fdatasync of 4 kB: p50 ${ms(disk.p50Ms)} ms, p99 ${ms(disk.p99Ms)} ms`);
if (load > 0.5) say('Other programs are at work on this machine: only the CPU per request is worth reading.');
for (const measure of wanted) await measure(stage);
say(`\n${whole(stage.tally.sent)} requests were sent to this gateway; ${whole(stage.tally.done)} are on disk and done.`);
