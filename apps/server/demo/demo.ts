/**
 * The product to try out, without a real key: the scripted provider, the server and made-up people, all of it in a temporary folder
 * that goes away with the process. Its passwords are known, so it listens on this machine only and touches nobody's data.
 */
const refusal = refuse(process.env);
if (refusal) {
  process.stderr.write(`${refusal}\n`);
  process.exit(2);
}
// Loaded only now: a refusal should not wait for the whole program.
const { playDemo } = await import('./stage.ts');
try {
  await playDemo(Number(process.env.PORT || 3_000));
} catch (error) {
  process.stderr.write(`The demo cannot start. ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

/** @returns why it will not run, or null */
function refuse(env: NodeJS.ProcessEnv): string | null {
  if (env.DATABASE_URL || env.DATABASE_URL_FILE)
    return 'The demo has a database of its own and touches no other: unset DATABASE_URL, then start it again.';
  if (env.HOST && env.HOST !== '127.0.0.1' && env.HOST !== 'localhost')
    return "The demo's passwords are known to everyone, so it listens on 127.0.0.1 only: unset HOST, then start it again.";
  const port = Number(env.PORT || 3_000);
  return Number.isInteger(port) && port >= 0 && port <= 65_535 ? null : 'PORT: a port from 0 to 65535.';
}

export {};
