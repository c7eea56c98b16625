import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { freePort, freshSecrets, place } from '../../test/process.ts';

test('a diagnostic report of the server holds none of its environment', async () => {
  const secrets = freshSecrets();
  const options = '--report-on-signal --report-signal=SIGUSR2';
  await using here = await place({ ...secrets, PORT: String(await freePort()), NODE_OPTIONS: options });
  const server = here.start(['serve']);
  await server.says(/setup\?token=/);
  server.child.kill('SIGUSR2');
  const reports = () => readdirSync(here.folder).filter((file) => file.startsWith('report.'));
  const written = async () => {
    const [name = ''] = reports();
    // It is there before it is whole.
    JSON.parse(readFileSync(join(here.folder, name), 'utf8'));
    return readFileSync(join(here.folder, name), 'utf8');
  };
  const report = await vi.waitFor(written, { timeout: 30_000 });
  for (const secret of Object.values(secrets)) expect(report).not.toContain(secret);
  // Node itself would have written it.
  const file = join(here.folder, 'control.json');
  execFileSync(process.execPath, ['-e', `process.report.writeReport(${JSON.stringify(file)})`], { env: { ...secrets }, stdio: 'ignore' });
  for (const secret of Object.values(secrets)) expect(readFileSync(file, 'utf8')).toContain(secret);
}, 120_000);

test('the signal at which Node opens its inspector opens nothing, and the server goes on', async () => {
  const said = /inspector|debugger/i;
  // Any free port, for the control.
  const env = { PORT: String(await freePort()), NODE_OPTIONS: '--inspect-port=0' };
  await using here = await place({ ...freshSecrets(), ...env });
  const server = here.start(['serve']);
  await server.says(/setup\?token=/);
  server.child.kill('SIGUSR1');
  // What Node has to say of it would stand before this.
  expect((await fetch(`http://127.0.0.1:${env.PORT}/healthz`)).status).toBe(200);
  const { code, err } = await server.stop();
  expect(code).toBe(0);
  expect(err).toContain('Stopped.');
  expect(err).not.toMatch(said);
  // Node itself opens it.
  const node = spawn(process.execPath, ['-e', 'console.log("up"); setInterval(() => {}, 1_000)'], { env });
  node.stdout.once('data', () => node.kill('SIGUSR1'));
  const [heard] = await once(node.stderr, 'data');
  node.kill('SIGKILL');
  expect(`${heard}`).toMatch(said);
}, 120_000);
