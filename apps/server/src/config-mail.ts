/** How SMTP_URL and MAIL_FROM are read. Taken apart here, so that no option that somebody else's library knows can come in by the URL. */
import { Secret } from '@synthstack/core/secret';
import { z } from 'zod';
import { isLoopback } from './base-url.ts';
import type { SmtpServer } from './ports/mail.ts';

type Complain = (sentence: string) => void;

/** `smtp[s]://user:password@host:port`. TLS is a must but to this machine itself, or where `?tls=none` says so. @returns null: complained */
export function smtpServer(text: string, complain: Complain): SmtpServer | null {
  const url = /\p{Cc}/u.test(text) ? null : URL.parse(text);
  const isRight = url && /^smtps?:$/.test(url.protocol) && /^([\w.-]+|\[[\da-f:.]+\])$/i.test(url.hostname) && /^\/?$/.test(url.pathname);
  if (!isRight || url.hash !== '') return refuse(complain, 'smtps://user:password@host:port, or smtp:// for STARTTLS.');
  const implicit = url.protocol === 'smtps:';
  const unprotected = url.search === '?tls=none';
  if (url.search !== '' && (!unprotected || implicit)) return refuse(complain, 'The only option is ?tls=none, behind smtp://host.');
  const [user, password] = [decoded(url.username), decoded(url.password)];
  if (user === null || password === null) return refuse(complain, 'In user and password, write %25 for %.');
  if ((user === '') !== (password === ''))
    return refuse(complain, 'User and password go together; in them, write %40 for @, %3A for : and %2F for /.');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (implicit ? 465 : 587),
    tls: implicit ? 'implicit' : unprotected || isLoopback(url.hostname) ? 'none' : 'starttls',
    login: user === '' ? undefined : { user, password: new Secret(password) },
  };
}

/** `Name <address>`, or an address; nothing that could end a header's line. @returns null: complained */
export function mailFrom(text: string, complain: Complain): { name: string; address: string } | null {
  const [, name = '', address] = /^([^<>"\p{Cc}]*)<([^<>]+)>$/u.exec(text.trim()) ?? [undefined, '', text.trim()];
  const parsed = z.email().safeParse(address);
  if (parsed.success) return { name: name.trim(), address: parsed.data };
  return refuse(complain, 'An address, or a name and an address: SynthStack <byok@example.com>.');
}

function refuse(complain: Complain, sentence: string): null {
  complain(sentence);
  return null;
}

/** @returns null: a % that stands for nothing */
function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
