/** Accounts of people who come with an identity from elsewhere: found by issuer and subject, made at first sight, without a password. */
import { hash, randomUUID } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { bumpGeneration, type Db, prepareFind, type Statement, statement } from '@synthstack/core/db';
import { eq } from 'drizzle-orm';
import type { Clock } from '../ports/clock.ts';

export interface ExternalIdentity {
  issuer: string;
  /** What the issuer calls them, for ever. */
  subject: string;
  /** Proven there; null: none. */
  email: string | null;
  name: string | null;
}

export function createExternal({ db, clock }: { db: Db; clock: Clock }) {
  const { user, account } = db.tables;
  // Subjects are unique within their issuer only, so both are looked at.
  const findAccounts = prepareFind(db, (subject) =>
    db.orm.select({ userId: account.userId, issuer: account.providerId }).from(account).where(eq(account.accountId, subject)),
  );

  async function find({ issuer, subject }: ExternalIdentity): Promise<string | null> {
    return (await findAccounts(subject)).find((one) => one.issuer === issuer)?.userId ?? null;
  }

  const isTaken = async (email: string) => (await db.orm.select({ id: user.id }).from(user).where(eq(user.email, email))).length > 0;

  /** Nobody can receive mail there (RFC 2606), and nobody else gets it. */
  const placeholder = ({ issuer, subject }: ExternalIdentity): string =>
    `${hash('sha256', `${issuer}\n${subject}`).slice(0, 24)}@identity.invalid`;

  /**
   * @param alongside  what else is written in the same breath as a new user
   * @returns the id of their account
   */
  return async (who: ExternalIdentity, alongside: (userId: string) => readonly Statement[]): Promise<string> => {
    const known = await find(who);
    if (known) return known;
    const isFree = who.email !== null && !(await isTaken(who.email));
    const email = isFree && who.email !== null ? who.email : placeholder(who);
    const [userId, now] = [randomUUID(), new Date(clock.now())];
    const times = { createdAt: now, updatedAt: now };
    const name = who.name ?? (isFree ? (email.split('@')[0] ?? email) : 'New user');
    try {
      await db.commit([
        statement(db.orm.insert(user).values({ id: userId, email, name, emailVerified: isFree, role: 'user', ...times })),
        statement(db.orm.insert(account).values({ id: randomUUID(), accountId: who.subject, providerId: who.issuer, userId, ...times })),
        ...alongside(userId),
        statement(bumpGeneration(db.orm, db.tables)),
      ]);
      return userId;
    } catch (error) {
      // Somebody sends their first requests all at once.
      const made = error instanceof AppError && error.code === 'conflict' ? await find(who) : null;
      if (made) return made;
      throw error;
    }
  };
}
