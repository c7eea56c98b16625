/**
 * The one way by which e-mail leaves: a connection a message to the operator's own SMTP server. What went wrong comes back as a word of a
 * fixed list: the server's sentences may repeat an address or a credential, so nobody else ever sees them.
 */
import { Readable } from 'node:stream';
import type { Secret } from '@synthstack/core/secret';
import MailComposer from 'nodemailer/lib/mail-composer';
import SMTPConnection from 'nodemailer/lib/smtp-connection';

export interface SmtpServer {
  host: string;
  port: number;
  /** `implicit`: TLS from the first byte · `starttls`: not a word of weight before STARTTLS · `none`: as the operator wants it. */
  tls: 'implicit' | 'starttls' | 'none';
  login?: { user: string; password: Secret } | undefined;
}

export interface MailerParts {
  server: SmtpServer;
  from: { name: string; address: string };
  /** How this server names itself to the other. */
  name: string;
  /** Of a whole sending, and of each wait within it, in ms. */
  timeouts?: { totalMs: number; waitMs: number };
}

export interface Message {
  /** Becomes `<id@domain of the sender>`. */
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  at: Date;
}

export const mailFailures = ['unreachable', 'timeout', 'tls', 'sign_in', 'sender', 'recipient', 'message', 'other'] as const;
export type MailFailure = (typeof mailFailures)[number];

/**
 * sent: the server has taken it · refused: it will never take it · failed: it may take it later · uncertain: it had all of it and did
 * not say what became of it.
 */
export type Delivery = { state: 'sent' } | { state: 'refused' | 'failed' | 'uncertain'; reason: MailFailure };

export type Mailer = ReturnType<typeof createMailer>;

export function createMailer({ server, from, name, timeouts = { totalMs: 90_000, waitMs: 20_000 } }: MailerParts) {
  const { host, port, tls, login } = server;
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1);
  const options = {
    ...{ host, port, name },
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    connectionTimeout: timeouts.waitMs,
    greetingTimeout: timeouts.waitMs,
    dnsTimeout: timeouts.waitMs,
    socketTimeout: timeouts.waitMs,
    tls: { minVersion: 'TLSv1.2' as const },
    logger: false as const,
  };

  const closing = new AbortController();
  const underWay = new Set<Promise<unknown>>();

  /** Does `act` on a connection that is greeted and signed in, within the time that all of it may take. Rejects with the library's errors. */
  async function connected<T>(act: (connection: SMTPConnection) => Promise<T>): Promise<T> {
    const connection = new SMTPConnection(options);
    const broken = Promise.withResolvers<never>();
    // Also those that come when nobody waits any more: an `error` that nobody hears would end the process.
    connection.on('error', broken.reject);
    const timer = setTimeout(() => broken.reject(timeout()), timeouts.totalMs);
    const breakOff = () => broken.reject(timeout());
    closing.signal.addEventListener('abort', breakOff);
    const run = async () => {
      await call((done) => connection.connect(done));
      if (login) await call((done) => connection.login({ user: login.user, pass: login.password.expose() }, done));
      return act(connection);
    };
    try {
      return await Promise.race([run(), broken.promise]);
    } finally {
      clearTimeout(timer);
      closing.signal.removeEventListener('abort', breakOff);
      broken.promise.catch(() => undefined);
      connection.close();
    }
  }

  async function deliver({ id, to, subject, text, html, at }: Message): Promise<Delivery> {
    if (!isAddress.test(to)) return { state: 'refused', reason: 'recipient' };
    if (closing.signal.aborted) return { state: 'failed', reason: 'timeout' };
    let handedOver = false;
    try {
      const message = new MailComposer({
        from,
        to: { name: '', address: to },
        ...{ subject, text, html },
        messageId: `<${id}@${domain}>`,
        date: at,
        // RFC 3834: no answer by a machine is wanted.
        headers: { 'Auto-Submitted': 'auto-generated' },
        xMailer: false,
        disableFileAccess: true,
        disableUrlAccess: true,
      }).compile();
      const bytes = await message.build();
      // Read only once the server has said that it takes the message.
      const body = Readable.from(
        (function* () {
          yield bytes;
          handedOver = true;
        })(),
        { objectMode: false },
      );
      const envelope = { from: from.address, to: [to] };
      await connected((connection) => call((done) => connection.send(envelope, body, done)));
      return { state: 'sent' };
    } catch (error) {
      return judge(error as SmtpError, handedOver);
    }
  }

  return {
    /** Never rejects. */
    send(message: Message): Promise<Delivery> {
      const delivery = deliver(message);
      underWay.add(delivery);
      void delivery.then(() => underWay.delete(delivery));
      return delivery;
    },

    /** Lets what is under way come to its end for some seconds, then breaks it off; nothing is sent afterwards. */
    async close(graceMs = 5_000): Promise<void> {
      const timer = setTimeout(() => closing.abort(), graceMs);
      await Promise.all(underWay);
      clearTimeout(timer);
      closing.abort();
    },

    /** Greets the server and signs in. @returns null: it works */
    async verify(): Promise<MailFailure | null> {
      try {
        await connected(async () => undefined);
        return null;
      } catch (error) {
        return reasonOf(error as SmtpError);
      }
    },
  };
}

/** What we look at in the library's errors. */
interface SmtpError {
  code?: string;
  /** The system's, where the library has put one of its own in its place. */
  originalCode?: string;
  command?: string;
  responseCode?: number;
}

/** Nothing that an envelope or a header would read as more than one. */
const isAddress = /^[^\s<>"(),:;\\\p{Cc}]+@[^\s<>"(),:;@\\\p{Cc}]+$/u;

const timeout = (): Error => Object.assign(new Error('Timeout'), { code: 'ETIMEDOUT' });

/** A callback of the library's, as a promise. */
function call(run: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => run((error) => (error ? reject(error) : resolve())));
}

function judge(error: SmtpError, handedOver: boolean): Exclude<Delivery, { state: 'sent' }> {
  const { command = '', responseCode } = error;
  const reason = reasonOf(error);
  if (responseCode === undefined) return { state: handedOver ? 'uncertain' : 'failed', reason };
  // Who may send, and from where, the operator can mend; what the server says of this recipient or text stays so (RFC 5321, 4.2.1).
  const isFinal = responseCode >= 500 && /^(RCPT TO|DATA)$/.test(command);
  return { state: isFinal ? 'refused' : 'failed', reason };
}

function reasonOf({ code = '', originalCode = '', command = '', responseCode }: SmtpError): MailFailure {
  if (code === 'EAUTH' || command.startsWith('AUTH')) return 'sign_in';
  if (code === 'ETLS' || command === 'STARTTLS' || /CERT|SSL|TLS/.test(code + originalCode)) return 'tls';
  if (code === 'ETIMEDOUT') return 'timeout';
  if (command === 'MAIL FROM') return 'sender';
  if (command === 'RCPT TO') return 'recipient';
  if (command === 'DATA' || code === 'EMESSAGE') return 'message';
  return responseCode === undefined ? 'unreachable' : 'other';
}
