/** main.ts for the single binary: it brings its own Node, and a CommonJS bundle cannot wait at its top level. */
import '../src/no-inspector.ts';
import { runCommand } from '../src/cli/cli.ts';

void runCommand(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
