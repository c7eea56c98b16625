/**
 * Whose address a request comes from. A forwarded address is believed only as far as operators named their proxies:
 * everything to the left of the first foreign hop is the caller's own invention.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * @param trustedProxies  addresses and CIDRs, checked by config.ts
 * @returns the caller's address in its short form; '' where the socket is already gone
 */
export function createAddressOf(trustedProxies: readonly string[]): (req: IncomingMessage) => string {
  const trusted = new BlockList();
  for (const entry of trustedProxies) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(bits), family);
  }
  const isTrusted = (address: string): boolean => isIP(address) > 0 && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

  return (req) => {
    let address = plain(req.socket.remoteAddress ?? '');
    if (!isTrusted(address)) return address;
    const hops = String(req.headers['x-forwarded-for'] ?? '').split(',');
    for (let hop = hops.pop(); hop !== undefined && isTrusted(address); hop = hops.pop()) {
      const next = plain(hop.trim());
      if (isIP(next) === 0) return address;
      address = next;
    }
    return address;
  };
}

/** One household or host has a whole IPv6 /64 to itself, so limits count that as one address. */
export function neighbourhood(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail ? tail.split(':') : [];
  const groups = tail === undefined ? left : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** `::ffff:192.0.2.1`, as a dual-stack socket says it, is 192.0.2.1. */
const plain = (address: string): string => (address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address);
