/**
 * One-time links to an account: to choose a new password, and to prove that an address is one's own. The table holds hashes of what opens
 * them. Whoever asks for one learns nothing: the answer is the same, and given before it is looked up whether there is such an account.
 */
import { hash, randomBytes, randomUUID } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { bumpGeneration, type Db, must, type Statement, statement } from '@synthstack/core/db';
import { Secret } from '@synthstack/core/secret';
import { and, count, eq, gt, lte } from 'drizzle-orm';
import type { AuditEntry } from '../audit.ts';
import type { Mail } from '../mail.ts';
import type { NoticeEntry } from '../notices.ts';
import type { Clock } from '../ports/clock.ts';

export interface LinksParts {
  db: Db;
  clock: Clock;
  publicUrl: string;
  /** Without it, or where it is not available, only the operator makes links. */
  mail?: Pick<Mail, 'available' | 'secretEntry'> | undefined;
  audit(entry: AuditEntry): Statement[];
  notice(entry: NoticeEntry): Statement[];
  hashPassword(password: string): Promise<string>;
  onError(error: unknown): void;
}

type Kind = 'reset_password' | 'confirm_email';

const hourMs = 3_600_000;
const lifetimeMs: Readonly<Record<Kind, number>> = { reset_password: hourMs, confirm_email: 24 * hourMs };
/** As many e-mails of a kind as one gets in an hour (mail.ts). Links made before go on working, so that nobody can spoil one by asking again. */
const mostAnHour = 5;

export type Links = ReturnType<typeof createLinks>;

export function createLinks({ db, clock, publicUrl, mail, audit, notice, hashPassword, onError }: LinksParts) {
  const { accountLink: link, user, account, session } = db.tables;
  const underWay = new Set<Promise<void>>();
  const now = () => new Date(clock.now());

  function newLink(userId: string, kind: Kind): { token: string; write: Statement } {
    const token = randomBytes(32).toString('base64url');
    const expiresAt = new Date(clock.now() + lifetimeMs[kind]);
    const row = { tokenHash: hash('sha256', token), userId, kind, expiresAt, createdAt: now() };
    return { token, write: statement(db.orm.insert(link).values(row)) };
  }

  async function isTooMany(userId: string, kind: Kind): Promise<boolean> {
    const since = gt(link.createdAt, new Date(clock.now() - hourMs));
    const [row] = await db.orm
      .select({ n: count() })
      .from(link)
      .where(and(eq(link.userId, userId), eq(link.kind, kind), since));
    return Number(row?.n ?? 0) >= mostAnHour;
  }

  async function mailReset(email: string): Promise<void> {
    // Who has no password signs in elsewhere, and whoever decides there who gets in decides for this server too.
    const [who] = await db.orm
      .select({ id: user.id, disabledAt: user.disabledAt })
      .from(user)
      .innerJoin(account, and(eq(account.userId, user.id), eq(account.providerId, 'credential')))
      .where(eq(user.email, email));
    if (!who || who.disabledAt !== null || !mail || (await isTooMany(who.id, 'reset_password'))) return;
    const { token, write } = newLink(who.id, 'reset_password');
    const secret = new Secret(pathOf('reset_password', token));
    const expiresAt = new Date(clock.now() + lifetimeMs.reset_password);
    await db.commit([write, ...(await mail.secretEntry({ userId: who.id, kind: 'reset_password', secret, expiresAt }))]);
  }

  /** The statements that make a link and send it to the address of an account, which may be made in the same write. */
  async function confirmation(userId: string): Promise<Statement[]> {
    if (!mail) return [];
    const { token, write } = newLink(userId, 'confirm_email');
    const secret = new Secret(pathOf('confirm_email', token));
    const expiresAt = new Date(clock.now() + lifetimeMs.confirm_email);
    return [write, ...(await mail.secretEntry({ userId, kind: 'verify_email', secret, expiresAt }))];
  }

  /** @throws AppError `forbidden`: it never was one, was used, or has run out */
  async function ownerOf(token: string, kind: Kind): Promise<{ userId: string; consume: Statement }> {
    const valid = and(eq(link.tokenHash, hash('sha256', token)), eq(link.kind, kind), gt(link.expiresAt, now()));
    const [row] = await db.orm.select({ userId: link.userId }).from(link).innerJoin(user, eq(user.id, link.userId)).where(valid);
    if (!row) throw deadLink();
    return { userId: row.userId, consume: must(statement(db.orm.delete(link).where(valid))) };
  }

  async function commitOnce(statements: Statement[]): Promise<void> {
    try {
      await db.commit(statements);
    } catch (error) {
      // Of two at once, one has used it up.
      if (error instanceof AppError && error.code === 'conflict') throw deadLink();
      throw error;
    }
  }

  return {
    confirmation,

    /** Whether addresses can be proved here. */
    available: mail?.available ?? false,

    /** Sends a link to that address if somebody has an account with a password with it; nobody waits for it. */
    askReset(email: string): void {
      if (!mail?.available) return;
      const work = mailReset(email).catch(onError);
      underWay.add(work);
      void work.finally(() => underWay.delete(work));
    },

    /** Resolves when everything that was asked for has been written. */
    async idle(): Promise<void> {
      await Promise.all(underWay);
    },

    /**
     * The same for an administrator, by e-mail to the owner: nobody else sees it.
     * @throws AppError `forbidden`: this server sends no e-mail; `limit_reached`: several were sent within the hour
     */
    async sendReset(userId: string, actor: string): Promise<{ expiresAt: Date }> {
      if (!mail?.available) throw new AppError('forbidden', 'This server sends no e-mail.');
      if (await isTooMany(userId, 'reset_password'))
        throw new AppError('limit_reached', 'Several links were sent to them within the last hour. Please wait.', { retryAfterMs: hourMs });
      const { token, write } = newLink(userId, 'reset_password');
      const secret = new Secret(pathOf('reset_password', token));
      const expiresAt = new Date(clock.now() + lifetimeMs.reset_password);
      await db.commit([
        write,
        ...(await mail.secretEntry({ userId, kind: 'reset_password', secret, expiresAt })),
        ...audit({ actor, subject: userId, action: 'account.reset_link_made', detail: { sent: 'true' } }),
      ]);
      return { expiresAt };
    },

    /** How long a link to a new password works. */
    resetMs: lifetimeMs.reset_password,

    /** For the operator to hand over. @returns the whole address */
    async makeReset(userId: string, actor: string): Promise<string> {
      const { token, write } = newLink(userId, 'reset_password');
      await db.commit([write, ...audit({ actor, subject: userId, action: 'account.reset_link_made' })]);
      return publicUrl + pathOf('reset_password', token);
    },

    /**
     * A new password for whoever has the link; all sessions end, and all other links to the account.
     * @throws AppError `forbidden`: the link does not work (any more); `invalid_input`
     */
    async reset(token: string, password: string): Promise<void> {
      // Looked at before the costly hash, and again in the write.
      const { userId, consume } = await ownerOf(token, 'reset_password');
      const [hashed, at] = [await hashPassword(password), now()];
      const credential = { id: randomUUID(), accountId: userId, providerId: 'credential', userId, createdAt: at, updatedAt: at };
      await commitOnce([
        consume,
        statement(db.orm.delete(link).where(eq(link.userId, userId))),
        statement(db.orm.delete(account).where(and(eq(account.userId, userId), eq(account.providerId, 'credential')))),
        statement(db.orm.insert(account).values({ ...credential, password: hashed })),
        statement(db.orm.delete(session).where(eq(session.userId, userId))),
        ...audit({ actor: userId, subject: userId, action: 'account.password_reset' }),
        ...notice(accountNews(userId, 'password_reset', at)),
        statement(bumpGeneration(db.orm, db.tables)),
      ]);
    },

    /** The address is its owner's: they may sign in. @throws AppError `forbidden`: the link does not work (any more) */
    async confirm(token: string): Promise<void> {
      const { userId, consume } = await ownerOf(token, 'confirm_email');
      await commitOnce([
        consume,
        statement(db.orm.delete(link).where(and(eq(link.userId, userId), eq(link.kind, 'confirm_email')))),
        statement(db.orm.update(user).set({ emailVerified: true, updatedAt: now() }).where(eq(user.id, userId))),
        ...audit({ actor: userId, subject: userId, action: 'account.email_confirmed' }),
      ]);
    },

    /** For the list in which a password is changed: links to a new one that were made before end with it. */
    voidResets: (userId: string): Statement =>
      statement(db.orm.delete(link).where(and(eq(link.userId, userId), eq(link.kind, 'reset_password')))),

    /** Whoever signed up and has not confirmed the address yet must not sign in. */
    async mustConfirm(userId: string): Promise<boolean> {
      const [row] = await db.orm
        .select({ userId: link.userId })
        .from(link)
        .where(and(eq(link.userId, userId), eq(link.kind, 'confirm_email')))
        .limit(1);
      return row !== undefined;
    },

    /** Another link for whoever has just given the right password, unless they have had many. */
    async sendConfirmation(userId: string): Promise<void> {
      if (!mail?.available || (await isTooMany(userId, 'confirm_email'))) return;
      await db.commit(await confirmation(userId));
    },

    /** Deletes links to new passwords that have run out; those to confirm an address also say that it must be. @returns how many */
    async forgetOld(): Promise<number> {
      const over = and(eq(link.kind, 'reset_password'), lte(link.expiresAt, now()));
      return (await db.orm.delete(link).where(over).returning({ userId: link.userId })).length;
    },
  };
}

/** What an account's owner should know, if it was somebody else. Told each time. */
export function accountNews(userId: string, event: string, at: Date): NoticeEntry {
  return { userId, kind: 'account_security', dedupe: `account_security:${userId}:${randomUUID()}`, data: { event, at: at.toISOString() } };
}

const pages: Readonly<Record<Kind, string>> = { reset_password: '/reset-password', confirm_email: '/verify-email' };
const pathOf = (kind: Kind, token: string): string => `${pages[kind]}?token=${token}`;
const deadLink = () => new AppError('forbidden', 'This link does not work any more: it was used, or its time is over. Ask for a new one.');
