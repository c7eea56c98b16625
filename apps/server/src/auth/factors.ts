/**
 * The second factor: codes of an app, and ten codes on paper for when the app is lost. The app's secret lies sealed for its user; codes on
 * paper as keyed hashes. Each code is taken once, and of wrong ones five in a quarter of an hour are heard, whatever process is asked.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { type Db, must, type Statement, statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { and, count, eq, isNotNull, isNull, lt, lte, or, sql } from 'drizzle-orm';
import type { AuditEntry } from '../audit.ts';
import type { NoticeEntry } from '../notices.ts';
import type { Clock } from '../ports/clock.ts';
import { accountNews } from './links.ts';
import { base32, matchingStep, otpAuthUri, secretBytes } from './totp.ts';

export interface FactorsParts {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  /** What the app calls this server. */
  issuer: string;
  /** Hashes the codes on paper: whoever reads the table alone cannot try them out. */
  codeKey: Buffer;
  countSeal(): Promise<Statement[]>;
  audit(entry: AuditEntry): Statement[];
  notice(entry: NoticeEntry): Statement[];
}

/** Shown once, while it is set up. */
export interface NewFactor {
  /** In base32, for typing. */
  secret: string;
  /** For the app to read from a square. */
  uri: string;
}

const triesMs = 15 * 60_000;
const mostTries = 5;
const backupCodes = 10;

export type Factors = ReturnType<typeof createFactors>;

export function createFactors({ db, clock, keyring, issuer, codeKey, countSeal, audit, notice }: FactorsParts) {
  const { twoFactor: factor, backupCode, session } = db.tables;
  const now = () => new Date(clock.now());
  const of = (userId: string) => eq(factor.userId, userId);

  const hashOf = (userId: string, code: string) => createHmac('sha256', codeKey).update(`${userId} ${code}`).digest('hex');

  async function rowOf(userId: string) {
    const [row] = await db.orm.select().from(factor).where(of(userId));
    return row;
  }

  /** Counts before it is judged, so that many at once cannot slip through. @throws AppError `limit_reached` */
  async function takeTry(userId: string): Promise<void> {
    const at = now();
    const isOver = lte(factor.triesEndAt, at);
    const counted = db.orm
      .update(factor)
      .set({
        tries: sql`case when ${isOver} then 1 else ${factor.tries} + 1 end`,
        triesEndAt: sql`case when ${isOver} then ${at.getTime() + triesMs} else ${factor.triesEndAt} end`,
      })
      .where(and(of(userId), or(isOver, lt(factor.tries, mostTries))));
    if (await took(must(statement(counted)))) return;
    const retryAfterMs = Math.max(1_000, ((await rowOf(userId))?.triesEndAt.getTime() ?? 0) - clock.now());
    throw new AppError('limit_reached', 'Too many wrong codes. Please try again later.', { retryAfterMs });
  }

  /** @returns false: another was first, or there is no such thing */
  async function took(...statements: Statement[]): Promise<boolean> {
    try {
      await db.commit(statements);
      return true;
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict') return false;
      throw error;
    }
  }

  type Row = NonNullable<Awaited<ReturnType<typeof rowOf>>>;

  async function takeCode(row: Row, code: string, ...more: Statement[]): Promise<boolean> {
    const secret = keyring.open('totp', [row.userId], row);
    const step = matchingStep(secret, code, clock.now());
    secret.fill(0);
    if (step === null) return false;
    const taken = db.orm
      .update(factor)
      .set({ lastStep: step, tries: 0 })
      .where(and(of(row.userId), lt(factor.lastStep, step)));
    return took(must(statement(taken)), ...more);
  }

  async function takeBackupCode(userId: string, code: string): Promise<boolean> {
    const used = db.orm.delete(backupCode).where(and(eq(backupCode.userId, userId), eq(backupCode.hash, hashOf(userId, code))));
    return took(
      must(statement(used)),
      statement(db.orm.update(factor).set({ tries: 0 }).where(of(userId))),
      ...audit({ actor: userId, subject: userId, action: 'factor.code_used' }),
      ...notice(accountNews(userId, 'code_used', now())),
    );
  }

  /** @throws AppError `limit_reached` */
  async function accepts(row: Row, given: string): Promise<boolean> {
    await takeTry(row.userId);
    const code = given.replace(/[\s-]/g, '').toUpperCase();
    return /^\d{6}$/.test(code) ? takeCode(row, code) : takeBackupCode(row.userId, code);
  }

  /** For a person who is signed in. @throws AppError `conflict`: it is off; `invalid_input`: a wrong code; `limit_reached` */
  async function demand(userId: string, code: string): Promise<void> {
    const row = await rowOf(userId);
    if (!row?.confirmedAt) throw notOn();
    if (!(await accepts(row, code))) throw wrongCode();
  }

  function newCodes(userId: string): { codes: string[]; writes: Statement[] } {
    const codes = Array.from({ length: backupCodes }, () => base32(randomBytes(10)).slice(0, 12));
    const rows = codes.map((code) => ({ userId, hash: hashOf(userId, code) }));
    const writes = [
      statement(db.orm.delete(backupCode).where(eq(backupCode.userId, userId))),
      statement(db.orm.insert(backupCode).values(rows)),
    ];
    return { codes: codes.map((code) => code.replace(/(.{4})(?=.)/g, '$1-')), writes };
  }

  const removal = (userId: string): Statement[] => [
    must(statement(db.orm.delete(factor).where(of(userId)))),
    statement(db.orm.delete(backupCode).where(eq(backupCode.userId, userId))),
  ];

  return {
    /** @returns null: it is off */
    async state(userId: string): Promise<{ since: Date; codesLeft: number } | null> {
      const row = await rowOf(userId);
      if (!row?.confirmedAt) return null;
      const [left] = await db.orm.select({ n: count() }).from(backupCode).where(eq(backupCode.userId, userId));
      return { since: row.confirmedAt, codesLeft: Number(left?.n ?? 0) };
    },

    /**
     * What stands between a right password and a session.
     * @throws AppError `second_factor_required`: no code, or a wrong one; `limit_reached`; `key_unusable`: the secret cannot be opened
     */
    async pass(userId: string, code: string | undefined): Promise<void> {
      const row = await rowOf(userId);
      if (!row?.confirmedAt) return;
      if (!code) throw new AppError('second_factor_required', 'Enter the code of your authenticator app.');
      if (!(await accepts(row, code))) throw new AppError('second_factor_required', wrongCodeSentence);
    },

    /** Makes a secret that asks nobody for codes until `confirm`; one begun before is gone. @throws AppError `conflict`: it is on */
    async begin(userId: string, email: string): Promise<NewFactor> {
      const raw = randomBytes(secretBytes);
      const sealed = keyring.seal('totp', [userId], raw);
      const secret = base32(raw);
      raw.fill(0);
      const row = { ...sealed, confirmedAt: null, lastStep: 0, tries: 0, triesEndAt: now(), createdAt: now() };
      const write = db.orm
        .insert(factor)
        .values({ userId, ...row })
        .onConflictDoUpdate({ target: factor.userId, set: row, setWhere: isNull(factor.confirmedAt) });
      if (!(await took(...(await countSeal()), must(statement(write))))) throw isOn();
      return { secret, uri: otpAuthUri({ secret, issuer, email }) };
    },

    /**
     * On with the first right code. Sessions that were opened without one end, but for the one that asks.
     * @returns the codes for paper, which are never shown again
     * @throws AppError `conflict`: not begun, or on already; `invalid_input`: a wrong code; `limit_reached`
     */
    async confirm({ userId, sessionId }: { userId: string; sessionId: string | null }, given: string): Promise<string[]> {
      const row = await rowOf(userId);
      if (!row) throw notOn();
      if (row.confirmedAt) throw isOn();
      await takeTry(userId);
      const { codes, writes } = newCodes(userId);
      const isCurrent = and(of(userId), isNull(factor.confirmedAt), eq(factor.nonce, row.nonce));
      const done = await takeCode(
        row,
        given.replace(/\s/g, ''),
        must(statement(db.orm.update(factor).set({ confirmedAt: now() }).where(isCurrent))),
        ...writes,
        statement(db.orm.delete(session).where(and(eq(session.userId, userId), sql`${session.id} <> ${sessionId ?? ''}`))),
        ...audit({ actor: userId, subject: userId, action: 'factor.enabled' }),
        ...notice(accountNews(userId, 'factor_enabled', now())),
      );
      if (!done) throw wrongCode();
      return codes;
    },

    /** New codes for paper; the old ones are void. @throws AppError as `disable` */
    async renewCodes(userId: string, code: string): Promise<string[]> {
      await demand(userId, code);
      const { codes, writes } = newCodes(userId);
      await db.commit([...writes, ...audit({ actor: userId, subject: userId, action: 'factor.codes_renewed' })]);
      return codes;
    },

    /** @throws AppError `conflict`: it is off; `invalid_input`: a wrong code; `limit_reached` */
    async disable(userId: string, code: string): Promise<void> {
      await demand(userId, code);
      await db.commit([
        ...removal(userId),
        ...audit({ actor: userId, subject: userId, action: 'factor.disabled' }),
        ...notice(accountNews(userId, 'factor_disabled', now())),
      ]);
    },

    /** The statements that take away both app and codes on paper, for whoever has lost them. */
    resetWrites: (userId: string): Statement[] => [
      statement(db.orm.delete(factor).where(of(userId))),
      statement(db.orm.delete(backupCode).where(eq(backupCode.userId, userId))),
    ],

    /** Whose sign-in asks for a code. */
    isOn: () => isNotNull(factor.confirmedAt),
  };
}

const wrongCodeSentence = 'This code is wrong, or was used before. Wait for the next one.';
const wrongCode = () => new AppError('invalid_input', wrongCodeSentence, { errors: { code: [wrongCodeSentence] } });
const isOn = () => new AppError('conflict', 'Two-factor authentication is already on.');
const notOn = () => new AppError('conflict', 'Two-factor authentication is not on.');
