/** The process: which command is asked for, and what the shell hears of it. */
import './no-inspector.ts';

const [major] = process.versions.node.split('.').map(Number);
if ((major ?? 0) < 24) {
  process.stderr.write(
    `SynthStack BYOK needs Node 24 or newer; this is ${process.versions.node}. Start it with: npx --yes pnpm@12.21.0 start\n`,
  );
  process.exit(1);
}

const { runCommand } = await import('./cli/cli.ts');
process.exitCode = await runCommand(process.argv.slice(2));
