/**
 * Who may scrape. With a token, whoever sends it, from anywhere. Without one, only this machine itself: the socket's own peer counts,
 * never what a header says of it, and a request that came by way of a proxy is nobody's but the proxy's.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { AppError } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import { isLoopback } from './base-url.ts';

/** @returns a function that throws AppError `unauthenticated` or `forbidden`, and says no more */
export function createScrapeAccess(token: Secret | undefined): (req: Pick<IncomingMessage, 'headers' | 'socket'>) => void {
  const wanted = token && digest(token.expose());

  return ({ headers, socket }) => {
    if (wanted) {
      const given = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? '';
      // Digests are equally long, whatever was sent.
      if (!timingSafeEqual(digest(given), wanted))
        throw new AppError('unauthenticated', 'Metrics are for those who run this server: send METRICS_TOKEN as "Authorization: Bearer".');
    } else if (!isLoopbackAddress(socket.remoteAddress) || isForwarded(headers) || !isLoopbackName(headers.host)) {
      throw new AppError(
        'forbidden',
        'Metrics are for those who run this server: ask from its own machine, without a proxy, or set METRICS_TOKEN there.',
      );
    }
  };
}

const digest = (text: string): Buffer => hash('sha256', text, 'buffer');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/** A list knows `::ffff:127.0.0.1` too, as a dual-stack socket says it. */
export function isLoopbackAddress(address = ''): boolean {
  const family = isIP(address);
  return family > 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

const isForwarded = (headers: IncomingMessage['headers']): boolean =>
  Object.keys(headers).some((name) => name === 'forwarded' || name === 'via' || name.startsWith('x-forwarded-'));

/** A page elsewhere can have its own name point at this machine, and a proxy may pass its name on: neither is this machine's. */
const isLoopbackName = (host = ''): boolean => isLoopback(host.toLowerCase().replace(/:\d{1,5}$/, ''));
