/** The server as a process: starts, says where it is, drains at SIGTERM. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { AppError } from '@synthstack/core';
import { createApp, type Ports } from '../app.ts';
import { type Config, readEnvironment } from '../config.ts';
import { createServer } from '../http.ts';
import type { Command } from './cli.ts';

const drainMs = 60_000;

export const serve: Command = {
  summary: 'Run the server.',
  usage: 'serve',
  async run({ say }) {
    // A diagnostic report would hold the environment, and with it the secrets.
    process.report.excludeEnv = true;
    const { config, notes } = readEnvironment({ makeSecrets: true });
    for (const note of notes) say(note);
    const running = await startServer(config);
    say(`SynthStack BYOK ${config.version} is at ${config.publicUrl}`);
    const link = await running.app.accounts.setUpLink();
    if (link) say(`Nobody has an account yet. Make the first administrator at (works once):\n\n  ${link}\n`);
    const stop = () => void running.stop().then(() => process.exit(0));
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    return undefined;
  },
};

/** @throws AppError */
export async function startServer(config: Config, ports: Partial<Ports> = {}) {
  const app = await createApp(config, ports);
  const server = createServer(app, fileURLToPath(new URL('../../../web/dist', import.meta.url)));
  try {
    server.listen(config.port, config.host);
    await once(server, 'listening');
  } catch (error) {
    await app.close();
    const busy = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    throw new AppError(
      'invalid_config',
      busy
        ? `Port ${config.port} is in use. Stop the other program, or set PORT to another number.`
        : `Cannot listen on ${config.host}:${config.port}: ${error instanceof Error ? error.message : 'unknown reason'}`,
    );
  }

  return {
    app,
    server,
    port: (server.address() as AddressInfo).port,
    /** Lets what is under way finish, up to a minute, then closes everything. */
    async stop(): Promise<void> {
      app.drain();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), drainMs);
      await closed;
      clearTimeout(timer);
      await app.close();
    },
  };
}
