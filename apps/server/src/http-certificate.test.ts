import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';

/** A folder for the certificate in use, and others that can be put in its place. */
function certificates(...names: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'byok-cert-'));
  const at = (name: string, kind: 'cert' | 'key') => join(folder, `${name}-${kind}.pem`);
  for (const name of names) {
    const files = ['-keyout', at(name, 'key'), '-out', at(name, 'cert')];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...files, '-subj', `/CN=${name}`], { stdio: 'ignore' });
  }
  return {
    env: { TLS_CERT_FILE: at('used', 'cert'), TLS_KEY_FILE: at('used', 'key'), PUBLIC_URL: 'https://byok.test' },
    /** As renewal does it: a whole file is moved into place. */
    use(name: string, kinds: readonly ('cert' | 'key')[] = ['cert', 'key']) {
      for (const kind of kinds) {
        copyFileSync(at(name, kind), `${at('used', kind)}.new`);
        renameSync(`${at('used', kind)}.new`, at('used', kind));
      }
    },
    write: (kind: 'cert' | 'key', text: string) => writeFileSync(at('used', kind), text),
    remove: (kind: 'cert' | 'key') => rmSync(at('used', kind)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

async function dial(port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return socket;
}

async function nameAt(port: number): Promise<unknown> {
  const socket = await dial(port);
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

test('a renewed certificate is served within a minute, and what is open goes on', async () => {
  using files = certificates('first', 'second');
  files.use('first');
  await using app = await testApp({ env: files.env });
  const port = Number(new URL(app.url).port);
  const open = await dial(port);
  expect(await nameAt(port)).toBe('first');
  files.use('second');
  await app.clock.advance(60_000);
  expect(await nameAt(port)).toBe('second');
  open.write('GET /healthz HTTP/1.1\r\nHost: byok.test\r\nConnection: close\r\n\r\n');
  const answer: Buffer[] = await open.toArray();
  expect(Buffer.concat(answer).toString()).toContain('200 OK');
  expect(app.lines.filter((line) => line.includes('The certificate has been renewed'))).toHaveLength(1);
});

test('files that are gone, half written or do not fit together change nothing, and are told once each', async () => {
  using files = certificates('first', 'second');
  files.use('first');
  await using app = await testApp({ env: files.env });
  const port = Number(new URL(app.url).port);
  const spoil = [
    () => files.remove('cert'),
    () => files.write('cert', '-----BEGIN CERTIFICATE-----\nMII'),
    () => files.use('second', ['key']),
  ];
  for (const [i, act] of spoil.entries()) {
    files.use('first');
    await app.clock.advance(60_000);
    act();
    await app.clock.advance(60_000);
    await app.clock.advance(60_000);
    expect(await nameAt(port)).toBe('first');
    expect(app.lines.filter((line) => line.includes('the certificate before stays'))).toHaveLength(i + 1);
  }
  files.use('second');
  await app.clock.advance(60_000);
  expect(await nameAt(port)).toBe('second');
});
