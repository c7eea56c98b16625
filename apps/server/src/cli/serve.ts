/** The server as a process: starts, says where it is, drains at SIGTERM. */
import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { AppError } from '@synthstack/core';
import type { App, Ports } from '../app.ts';
import { type Config, readEnvironment } from '../config.ts';
import type { Command } from './cli.ts';
import { collectOnce } from './collect.ts';

const drainMs = 60_000;
const sweepMs = 50;

export const serve: Command = {
  summary: 'Run the server.',
  usage: 'serve',
  async run({ say }) {
    // A diagnostic report would hold the environment, and with it the secrets.
    process.report.excludeEnv = true;
    const { config, notes } = readEnvironment({ makeSecrets: true });
    for (const note of notes) say(note);
    const running = await startServer(config);
    const stop = () => {
      say(stopping(running.underWay()));
      void running.stop().then(() => {
        say('Stopped.');
        process.exit(0);
      }, failed);
    };
    const failed = (error: unknown) => {
      running.app.log.error({}, 'The server could not be stopped in order', error);
      process.exit(1);
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    say(`SynthStack BYOK ${config.version} is at ${config.publicUrl}`);
    collectOnce(() => running.underWay() > 0);
    const link = await running.app.accounts.setUpLink();
    if (link) say(`There is no administrator yet. Make the first one at (works once):\n\n  ${link}\n`);
    return undefined;
  },
};

function stopping(underWay: number): string {
  if (underWay === 0) return 'Stopping...';
  return `Stopping: ${underWay === 1 ? '1 request is' : `${underWay} requests are`} still being answered...`;
}

/** @throws AppError */
export async function startServer(config: Config, ports: Partial<Ports> = {}) {
  // Loaded when needed: help and wrong usage should not wait a second for it.
  const { createApp } = await import('../app.ts');
  const app = await createApp(config, ports);
  const server = await listen(app, config).catch(async (error: unknown) => {
    await app.close();
    throw error;
  });

  let underWay = 0;
  server.on('request', (_req, res: ServerResponse) => {
    underWay += 1;
    res.once('close', () => {
      underWay -= 1;
    });
  });

  return {
    app,
    server,
    /**
     * How many requests are being answered, without those that only listen for changes: stopping does not wait for them; and with the
     * agents' answers that go on although nobody listens.
     */
    underWay: () => underWay - app.live.streams() - app.noticesLive.streams() + app.agents.unheard(),
    port: (server.address() as AddressInfo).port,
    /** Lets what is under way finish, up to a minute, then closes everything. */
    async stop(): Promise<void> {
      app.drain();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // A connection that answers its last request after `close` would stay open for the next, which never comes.
      const sweep = setInterval(() => server.closeIdleConnections(), sweepMs);
      const timer = setTimeout(() => {
        app.agents.interrupt();
        server.closeAllConnections();
      }, drainMs);
      await Promise.all([closed, app.agents.idle()]);
      clearInterval(sweep);
      clearTimeout(timer);
      await app.close();
    },
  };
}

async function listen(app: App, config: Config): Promise<Server> {
  const { createServer } = await import('../http.ts');
  let server: Server;
  try {
    server = createServer(app, fileURLToPath(new URL('../../../web/dist', import.meta.url)));
  } catch (cause) {
    throw new AppError('invalid_config', 'TLS_CERT_FILE and TLS_KEY_FILE must be a certificate chain and its private key, as PEM.', {
      cause,
    });
  }
  try {
    server.listen(config.port, config.host);
    await once(server, 'listening');
    return server;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new AppError(
      'invalid_config',
      code === 'EADDRINUSE'
        ? `Port ${config.port} is in use. Stop the other program, or set PORT to another number.`
        : `Cannot listen on HOST ${config.host}, PORT ${config.port} (${code}). HOST must be an address of this machine.`,
    );
  }
}
