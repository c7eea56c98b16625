/**
 * E-mail, from the outbox. Other modules put `entry` into the list of their own write; what waits there is sent in the background, each by
 * one process, which claims it first. A server that took a message and did not say so may have it: such a message is not sent again.
 *
 * What an e-mail says is written when it is sent, from a kind and a few words. What opens something (a link to reset a password) is handed
 * in as a `Secret`, lies sealed for its row alone, and is gone, like the words, once the row has come to its end.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { type Db, type MailState, must, type Statement, statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import type { Secret } from '@synthstack/core/secret';
import { and, asc, count, eq, gt, inArray, lt, lte } from 'drizzle-orm';
import { compose } from './mail-message.ts';
import type { MailKind, SecretKind } from './mail-texts.ts';
import type { NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';
import type { Fields } from './ports/log.ts';
import type { Delivery, Mailer, MailFailure } from './ports/mail.ts';

export type { MailKind } from './mail-texts.ts';

/** To a user, at the address that they have when it is sent, in their language; or to an address. */
export type Recipient = { userId: string; to?: undefined } | { userId?: undefined; to: string; locale?: string | null };

export type MailEntry = Recipient & { kind: Exclude<MailKind, SecretKind>; data: Record<string, string> };

export type SecretMail = Recipient & {
  kind: SecretKind;
  data?: Record<string, string>;
  /** A path of this server that opens something, such as `/reset?token=...`. */
  secret: Secret;
  /** When it no longer opens anything; from then on it is not sent. */
  expiresAt: Date;
};

export interface MailParts {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  /** null: this server sends no e-mail. */
  mailer: Pick<Mailer, 'send'> | null;
  publicUrl: string;
  notice(entry: NoticeEntry): Statement;
  countSeal(): Promise<Statement[]>;
  warn(fields: Fields, message: string): void;
}

export type Mail = ReturnType<typeof createMail>;

const minuteMs = 60_000;
/** From one attempt to the next: 23 hours in all. */
const retryMs = [1, 5, 15, 60, 180, 360, 760].map((minutes) => minutes * minuteMs);
/** After a third of an hour it is no hiccup: administrators are told while there is time to mend it. */
const attemptsUntilTold = 4;
const keptMs = 24 * 60 * minuteMs;
/** Longer than a sending may take (ports/mail.ts): whoever has not said by then what became of it has died. */
const claimMs = 5 * minuteMs;
const endedKeptMs = 7 * 24 * 60 * minuteMs;
const atOnce = 2;
const mostPerRun = 100;
/** To one recipient within an hour: all notices together, and each other kind. */
const mostNotices = 10;
const mostOfKind = 5;
const rateMs = 60 * minuteMs;

export function createMail({ db, clock, keyring, mailer, publicUrl, notice, countSeal, warn }: MailParts) {
  const { mailOutbox: outbox, user } = db.tables;
  /** Of the last run: what went wrong, and how often. */
  const failures = new Map<MailFailure, number>();
  const isDue = () => lte(outbox.dueAt, new Date(clock.now()));

  function row(recipient: Recipient, kind: MailKind) {
    const at = new Date(clock.now());
    const { userId = null, to: address = null } = recipient;
    const locale = ('locale' in recipient ? recipient.locale : null) ?? null;
    return { id: randomUUID(), userId, address, locale, kind, state: 'waiting' as const, dueAt: at, createdAt: at };
  }

  function required(): void {
    if (!mailer) throw new AppError('forbidden', 'This server sends no e-mail: its operator has set no SMTP_URL.');
  }

  /** What an e-mail says leaves the table with its end. */
  function ended(state: MailState, lastError: string | null) {
    const gone = { data: null, encryptedBlob: null, nonce: null, masterKeyId: null };
    return { state, lastError, ...gone, dueAt: null, endedAt: new Date(clock.now()) };
  }

  /** The statement that ends one which this process holds. */
  const end = (id: string, state: MailState, lastError: string | null = null): Statement =>
    statement(
      db.orm
        .update(outbox)
        .set(ended(state, lastError))
        .where(and(eq(outbox.id, id), eq(outbox.state, 'sending'))),
    );

  function tellAdministrators(reason: MailFailure | 'unreadable' | 'interrupted'): Statement {
    // One a day for each reason: a server that is down fails thousands alike.
    const dedupe = `mail_failed:${reason}:${new Date(clock.now()).toISOString().slice(0, 10)}`;
    return notice({ userId: 'administrators', kind: 'mail_failed', dedupe, data: { reason } });
  }

  /** Whoever sees it due first has it. @returns null: someone else was first */
  async function claim(id: string) {
    const [found] = await db.orm.select().from(outbox).where(eq(outbox.id, id));
    if (found?.state !== 'waiting') return null;
    const attempts = found.attempts + 1;
    const claimed = db.orm
      .update(outbox)
      .set({ state: 'sending', attempts, dueAt: new Date(clock.now() + claimMs) })
      .where(and(eq(outbox.id, id), eq(outbox.state, 'waiting'), isDue()));
    try {
      await db.commit([must(statement(claimed))]);
      return { ...found, attempts };
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict') return null;
      throw error;
    }
  }

  type Row = NonNullable<Awaited<ReturnType<typeof claim>>>;

  /** @returns null: nobody is to get it (any more) */
  async function readerOf({ userId, address, locale }: Row) {
    if (userId === null) return address === null ? null : { address, locale, timezone: null };
    const { email, timezone, disabledAt } = user;
    const [who] = await db.orm.select({ email, locale: user.locale, timezone, disabledAt }).from(user).where(eq(user.id, userId));
    return who && who.disabledAt === null ? { address: who.email, locale: who.locale, timezone: who.timezone } : null;
  }

  /** They have had as many as one should get within an hour. */
  async function isTooMany({ userId, address, kind }: Row): Promise<boolean> {
    const whose = userId === null ? eq(outbox.address, address ?? '') : eq(outbox.userId, userId);
    const isNotice = kind.startsWith('notice.');
    // All notices lie between `notice.` and `notice/`, the sign that follows.
    const alike = isNotice ? and(gt(outbox.kind, 'notice.'), lt(outbox.kind, 'notice/')) : eq(outbox.kind, kind);
    const recent = and(gt(outbox.endedAt, new Date(clock.now() - rateMs)), inArray(outbox.state, ['sent', 'uncertain']));
    const [found] = await db.orm
      .select({ n: count() })
      .from(outbox)
      .where(and(whose, alike, recent));
    return Number(found?.n ?? 0) >= (isNotice ? mostNotices : mostOfKind);
  }

  /** @returns undefined: no secret; null: no master key of this process opens it */
  function secretOf({ id, kind, encryptedBlob, nonce, masterKeyId }: Row): string | null | undefined {
    if (!encryptedBlob || !nonce || !masterKeyId) return undefined;
    try {
      return keyring.open('mail', [id, kind], { encryptedBlob, nonce, masterKeyId }).toString('utf8');
    } catch {
      return null;
    }
  }

  async function deliver(id: string, by: Pick<Mailer, 'send'>): Promise<boolean> {
    const mine = await claim(id);
    if (!mine) return false;
    const reader = await readerOf(mine);
    if (!reader || (await isTooMany(mine))) return gone(end(id, 'dropped'));
    const secret = secretOf(mine);
    if (secret === null) return gone(end(id, 'failed', 'unreadable'), tellAdministrators('unreadable'));
    const { kind, data } = mine;
    const words = { kind: kind as MailKind, data: data ?? {}, path: secret, locale: reader.locale, timezone: reader.timezone, publicUrl };
    const delivery = await by.send({ id, to: reader.address, at: new Date(clock.now()), ...compose(words) });
    await db.commit(after(mine, delivery));
    return delivery.state === 'sent';
  }

  async function gone(...statements: Statement[]): Promise<false> {
    await db.commit(statements);
    return false;
  }

  function after({ id, attempts }: Row, delivery: Delivery): Statement[] {
    if (delivery.state === 'sent') return [end(id, 'sent')];
    const { state, reason } = delivery;
    failures.set(reason, (failures.get(reason) ?? 0) + 1);
    const waitMs = state === 'failed' ? retryMs[attempts - 1] : undefined;
    if (waitMs === undefined) return [end(id, state === 'uncertain' ? 'uncertain' : 'failed', reason), tellAdministrators(reason)];
    const later = { state: 'waiting' as const, dueAt: new Date(clock.now() + waitMs), lastError: reason };
    return [
      statement(
        db.orm
          .update(outbox)
          .set(later)
          .where(and(eq(outbox.id, id), eq(outbox.state, 'sending'))),
      ),
      ...(attempts === attemptsUntilTold ? [tellAdministrators(reason)] : []),
    ];
  }

  interface Due {
    id: string;
    state: MailState;
    expiresAt: Date;
  }

  /** Ends those whose process died in the middle (they may have arrived), and those that nobody needs any more. @returns the rest */
  async function sweep(due: readonly Due[]): Promise<string[]> {
    const lost = due.filter(({ state }) => state === 'sending').map(({ id }) => id);
    const late = due.filter(({ state, expiresAt }) => state === 'waiting' && expiresAt.getTime() <= clock.now()).map(({ id }) => id);
    const finish = (ids: string[], was: MailState, state: MailState, why: string | null): Statement =>
      statement(
        db.orm
          .update(outbox)
          .set(ended(state, why))
          .where(and(inArray(outbox.id, ids), eq(outbox.state, was), isDue())),
      );
    if (lost.length > 0) await db.commit([finish(lost, 'sending', 'uncertain', 'interrupted'), tellAdministrators('interrupted')]);
    if (late.length > 0) await db.commit([finish(late, 'waiting', 'expired', null)]);
    const over = new Set([...lost, ...late]);
    return due.map(({ id }) => id).filter((id) => !over.has(id));
  }

  return {
    /** Whether this server sends e-mail at all. */
    available: mailer !== null,

    /** The statement that puts it into the outbox. @throws AppError `forbidden`: this server sends no e-mail */
    entry(mail: MailEntry): Statement {
      required();
      const expiresAt = new Date(clock.now() + keptMs);
      return statement(db.orm.insert(outbox).values({ ...row(mail, mail.kind), data: mail.data, expiresAt }));
    },

    /** The statements that put one with a secret into the outbox. @throws AppError `forbidden`; `storage_unavailable`: nothing may be sealed */
    async secretEntry({ secret, data = {}, expiresAt, ...mail }: SecretMail): Promise<Statement[]> {
      required();
      const counted = await countSeal();
      const values = row(mail as Recipient, mail.kind);
      const sealed = keyring.seal('mail', [values.id, mail.kind], secret.expose());
      return [...counted, statement(db.orm.insert(outbox).values({ ...values, data, expiresAt, ...sealed }))];
    },

    /** Sends what is due. @returns how many the server has taken */
    async run(): Promise<number> {
      const { id, state, expiresAt } = outbox;
      const due = await sweep(
        await db.orm.select({ id, state, expiresAt }).from(outbox).where(isDue()).orderBy(asc(outbox.dueAt)).limit(mostPerRun),
      );
      if (!mailer) return 0;
      let sent = 0;
      failures.clear();
      const work = async () => {
        for (let next = due.shift(); next; next = due.shift()) if (await deliver(next, mailer)) sent += 1;
      };
      const outcomes = await Promise.allSettled(Array.from({ length: atOnce }, work));
      // One line a run, however many wait.
      if (failures.size > 0) warn(Object.fromEntries(failures), 'E-mails could not be sent');
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      return sent;
    },

    /** Deletes what has ended a week ago, some at a time. @returns how many */
    async forgetOld(): Promise<number> {
      const before = lt(outbox.endedAt, new Date(clock.now() - endedKeptMs));
      const old = await db.orm.select({ id: outbox.id }).from(outbox).where(before).limit(1_000);
      const ids = old.map(({ id }) => id);
      if (ids.length > 0) await db.commit([statement(db.orm.delete(outbox).where(inArray(outbox.id, ids)))]);
      return ids.length;
    },
  };
}
