/**
 * An SMTP server on a real loopback socket that does as a test says: takes messages, refuses at any step, keeps silent, breaks off; plain,
 * with STARTTLS, or under TLS from the start. It remembers every message, and every word that it was told.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';

export type SmtpStep = 'greeting' | 'EHLO' | 'STARTTLS' | 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'message';

export interface ReceivedMail {
  from: string;
  to: string[];
  /** As it came, without the dot at its end. */
  raw: string;
  /** By lower-case name, unfolded and with encoded words decoded. */
  headers: Record<string, string>;
  /** The first text/plain and text/html part, decoded. */
  text: string;
  html: string;
  secured: boolean;
  login: string | null;
}

export interface SmtpOptions {
  /** `user:password` that is taken; none: nobody need sign in. */
  login?: string;
  /** Of a certificate: STARTTLS is offered, or with `implicit` spoken at once. */
  secure?: { context: SecureContext; implicit?: boolean };
}

export type SmtpServer = Awaited<ReturnType<typeof startSmtp>>;

export async function startSmtp({ login, secure }: SmtpOptions = {}) {
  const received: ReceivedMail[] = [];
  const said: string[] = [];
  const sockets = new Set<Socket>();
  /** What is answered at a step instead; `hang`: nothing, `close`: the connection ends, `take-and-close`: so it does with the message kept. */
  const script = new Map<SmtpStep, string>();
  let delivering: (() => Promise<void>) | undefined;

  function serve(raw: Socket): void {
    sockets.add(raw);
    raw.on('close', () => sockets.delete(raw)).on('error', () => undefined);
    const session = { from: '', to: [] as string[], secured: false, login: null as string | null };
    let wire: Socket = raw;
    let pending = '';
    let body: string | null = null;
    let waitsForAuth = false;

    const send = (line: string) => void wire.write(`${line}\r\n`);
    /** @returns whether the step goes on as usual */
    function step(name: SmtpStep, usual: string): boolean {
      const instead = script.get(name);
      if (instead === undefined) {
        send(usual);
        return true;
      }
      if (instead === 'close' || instead === 'take-and-close') raw.destroy();
      else if (instead !== 'hang') send(instead);
      return false;
    }

    function upgrade(): void {
      wire = new TLSSocket(raw, { isServer: true, ...(secure && { secureContext: secure.context }) });
      session.secured = true;
      listen();
    }

    async function finish(): Promise<void> {
      const text = body ?? '';
      body = null;
      await delivering?.();
      const fate = script.get('message');
      if (fate === undefined || fate === 'take-and-close' || fate === 'hang') received.push({ ...session, ...parse(text), raw: text });
      step('message', '250 2.0.0 taken');
    }

    function command(line: string): void {
      said.push(line);
      const word = line.split(' ')[0]?.toUpperCase() ?? '';
      if (waitsForAuth) {
        waitsForAuth = false;
        authenticate(line);
        return;
      }
      if (word === 'EHLO') {
        const offers = [...(secure && !session.secured ? ['STARTTLS'] : []), ...(login ? ['AUTH PLAIN'] : []), '8BITMIME'];
        step('EHLO', ['byok.test', ...offers].map((one, i) => `250${i === offers.length ? ' ' : '-'}${one}`).join('\r\n'));
      } else if (word === 'STARTTLS' && secure) {
        if (step('STARTTLS', '220 go on')) upgrade();
      } else if (word === 'AUTH') {
        const given = line.split(' ')[2];
        if (given === undefined) {
          waitsForAuth = true;
          send('334 ');
        } else authenticate(given);
      } else if (word === 'MAIL') {
        session.from = /<(.*)>/.exec(line)?.[1] ?? '';
        session.to = [];
        step('MAIL', login && !session.login ? '530 sign in first' : '250 ok');
      } else if (word === 'RCPT') {
        session.to.push(/<(.*)>/.exec(line)?.[1] ?? '');
        step('RCPT', '250 ok');
      } else if (word === 'DATA') {
        if (step('DATA', '354 go on')) body = '';
      } else if (word === 'QUIT') {
        send('221 bye');
        raw.end();
      } else send(/^(RSET|NOOP)$/.test(word) ? '250 ok' : '502 what?');
    }

    function authenticate(given: string): void {
      const [, user, password] = Buffer.from(given, 'base64').toString('utf8').split('\0');
      const right = `${user}:${password}` === login;
      if (right) session.login = user ?? null;
      step('AUTH', right ? '235 welcome' : `535 5.7.8 not with ${user} and ${password}`);
    }

    function take(chunk: string): void {
      pending += chunk;
      for (;;) {
        if (body !== null) {
          body += pending;
          pending = '';
          const end = /(^|\r\n)\.\r\n/.exec(body);
          if (!end) return;
          pending = body.slice(end.index + end[0].length);
          body = body.slice(0, end.index).replaceAll('\r\n..', '\r\n.');
          void finish();
          return;
        }
        const end = pending.indexOf('\r\n');
        if (end < 0) return;
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        command(line);
      }
    }

    function listen(): void {
      wire.on('error', () => undefined);
      wire.on('data', (chunk: Buffer) => take(chunk.toString('latin1')));
    }

    if (secure?.implicit) upgrade();
    else listen();
    step('greeting', '220 byok.test ESMTP');
  }

  const server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${secure?.implicit ? 'smtps' : 'smtp'}://${login ? `${login.split(':').map(encodeURIComponent).join(':')}@` : ''}127.0.0.1:${port}`,
    received,
    /** Every line that a client sent outside of messages. */
    said,
    script,
    /** Called when a message is there and before it is answered. */
    whileDelivering(fn: (() => Promise<void>) | undefined): void {
      delivering = fn;
    },
    connections: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function parse(raw: string): Pick<ReceivedMail, 'headers' | 'text' | 'html'> {
  const { headers, body } = split(raw);
  const boundary = /boundary="?([^";]+)"?/.exec(headers['content-type'] ?? '')?.[1];
  // What stands before the first part and behind the last is nobody's.
  const parts = boundary
    ? body
        .split(`--${boundary}`)
        .slice(1, -1)
        .map((part) => split(part.slice(2, -2)))
    : [{ headers, body }];
  const of = (type: string) => {
    const part = parts.find((one) => (one.headers['content-type'] ?? 'text/plain').startsWith(type));
    return part ? decode(part.body, part.headers['content-transfer-encoding']) : '';
  };
  return { headers, text: of('text/plain'), html: of('text/html') };
}

function split(raw: string): { headers: Record<string, string>; body: string } {
  const end = raw.indexOf('\r\n\r\n');
  const lines = raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = lines.flatMap((line) => {
    const at = line.indexOf(':');
    return at > 0 ? [[line.slice(0, at).toLowerCase(), words(line.slice(at + 1).trim())]] : [];
  });
  return { headers: Object.fromEntries(headers), body: raw.slice(end + 4) };
}

/** Encoded words (RFC 2047); what separates two of them is no space. */
function words(text: string): string {
  return text
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([QB])\?(.*?)\?=/gi, (_all, how: string, given: string) =>
      how.toUpperCase() === 'B' ? Buffer.from(given, 'base64').toString('utf8') : decode(given.replaceAll('_', ' '), 'quoted-printable'),
    );
}

function decode(text: string, how = '7bit'): string {
  if (how === 'base64') return Buffer.from(text, 'base64').toString('utf8');
  const bytes =
    how === 'quoted-printable'
      ? text.replace(/=\r\n/g, '').replace(/=([\dA-F]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      : text;
  return Buffer.from(bytes, 'latin1').toString('utf8').replaceAll('\r\n', '\n');
}
