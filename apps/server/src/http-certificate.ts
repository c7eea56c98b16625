/** TLS from files. What renews a certificate only has to write the files anew: they are looked at every minute, without a restart. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:https';
import { type Clock, repeatedly } from './ports/clock.ts';
import type { Log } from './ports/log.ts';

export interface CertificateFiles {
  certFile: string;
  keyFile: string;
}

export interface Certificate {
  cert: Buffer;
  key: Buffer;
}

const lookEveryMs = 60_000;

/** @throws Error: one of them cannot be read. Whether they fit together is seen when they are used. */
export const readCertificate = ({ certFile, keyFile }: CertificateFiles): Certificate => ({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
});

/**
 * Takes over what the files hold by then, for connections that begin later; those that are open go on as they are. Files that cannot be
 * read, are half written or do not fit together change nothing: the last good pair stays, and the log says so, once for each state.
 * @param serving  what the server began with
 */
export function watchCertificate(
  server: Server,
  files: CertificateFiles,
  serving: Certificate,
  { clock, log }: { clock: Clock; log: Log },
) {
  let seen = stateOf(serving);

  async function look(): Promise<void> {
    let state = 'unreadable';
    try {
      const found = readCertificate(files);
      state = stateOf(found);
      if (state === seen) return;
      server.setSecureContext(found);
      log.info({}, 'The certificate has been renewed');
    } catch (error) {
      if (state !== seen)
        log.error({}, 'TLS_CERT_FILE and TLS_KEY_FILE cannot be used as they are now; the certificate before stays', error);
    }
    seen = state;
  }

  const rounds = repeatedly(clock, lookEveryMs, look);
  server.once('close', rounds.stop);
}

const stateOf = ({ cert, key }: Certificate): string => createHash('sha256').update(cert).update('\n').update(key).digest('hex');
