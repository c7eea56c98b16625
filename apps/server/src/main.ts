/** The process: which command is asked for, and what the shell hears of it. */
import './no-inspector.ts';
import { registerHooks } from 'node:module';

const [major] = process.versions.node.split('.').map(Number);
if ((major ?? 0) < 24) {
  process.stderr.write(
    `SynthStack BYOK needs Node 24 or newer; this is ${process.versions.node}. Start it with: npx --yes pnpm@12.21.0 start\n`,
  );
  process.exit(1);
}

// Half of a start from the sources: Node parses the 170 kB of drizzle-orm's package.json anew for each of its 600 relative imports.
registerHooks({
  resolve: (specifier, context, next) =>
    /^\.\.?\/.*\.js$/.test(specifier) && context.parentURL?.includes('/node_modules/drizzle-orm/')
      ? { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true }
      : next(specifier, context),
});

const { runCommand } = await import('./cli/cli.ts');
process.exitCode = await runCommand(process.argv.slice(2));
