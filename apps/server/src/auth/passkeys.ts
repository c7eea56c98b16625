/**
 * Passkeys (WebAuthn): a key pair in a person's device, which asks for a finger or a PIN before it signs, so that it is both factors at once.
 * Challenges are not stored: each carries its end and a keyed hash, and is noted when it has been used.
 */
import { createHmac, hash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type {
  AuthenticationResponseJSON,
  AuthenticatorTransportFuture,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import { AppError, type PasskeyView } from '@synthstack/core';
import { type Db, must, type Statement, statement } from '@synthstack/core/db';
import { and, asc, eq, lte } from 'drizzle-orm';
import type { AuditEntry } from '../audit.ts';
import type { NoticeEntry } from '../notices.ts';
import type { Clock } from '../ports/clock.ts';
import { accountNews } from './links.ts';

export interface PasskeysParts {
  db: Db;
  clock: Clock;
  /** The page's own, which browsers bind a passkey to, and its host. */
  origin: string;
  challengeKey: Buffer;
  audit(entry: AuditEntry): Statement[];
  notice(entry: NoticeEntry): Statement[];
}

export interface Owner {
  userId: string;
  email: string;
  name: string;
}

const challengeMs = 5 * 60_000;
const mostOfOne = 20;
const timeBytes = 6;
const saltBytes = 16;

export type Passkeys = ReturnType<typeof createPasskeys>;

export function createPasskeys({ db, clock, origin, challengeKey, audit, notice }: PasskeysParts) {
  const { passkey, user, verification } = db.tables;
  const rpID = new URL(origin).hostname;
  const now = () => new Date(clock.now());
  // Loaded when first needed: few people have a passkey, and every start would wait for it.
  const webauthn = () => import('@simplewebauthn/server');

  const seal = (head: Buffer, purpose: string) => createHmac('sha256', challengeKey).update(purpose).update(head).digest().subarray(0, 16);

  /** @param purpose  `sign-in`, or `add` and for whom: it is good for nothing else */
  function newChallenge(purpose: string): Buffer<ArrayBuffer> {
    const head = Buffer.alloc(timeBytes + saltBytes);
    head.writeUIntBE(clock.now() + challengeMs, 0, timeBytes);
    randomBytes(saltBytes).copy(head, timeBytes);
    return Buffer.concat([head, seal(head, purpose)]);
  }

  function isChallenge(text: string, purpose: string): boolean {
    const bytes = Buffer.from(text, 'base64url');
    const head = bytes.subarray(0, timeBytes + saltBytes);
    const right = seal(head, purpose);
    const given = bytes.subarray(timeBytes + saltBytes);
    return given.length === right.length && timingSafeEqual(given, right) && head.readUIntBE(0, timeBytes) > clock.now();
  }

  /** Notes that it was used: a second time is a conflict. */
  function consume(challenge: string): Statement[] {
    const [id, expiresAt] = [`challenge ${hash('sha256', challenge)}`, new Date(clock.now() + challengeMs)];
    const row = { id, identifier: 'passkey-challenge', value: '', expiresAt, createdAt: now(), updatedAt: now() };
    const old = and(eq(verification.identifier, row.identifier), lte(verification.expiresAt, now()));
    return [statement(db.orm.delete(verification).where(old)), statement(db.orm.insert(verification).values(row))];
  }

  const rowsOf = (userId: string) => db.orm.select().from(passkey).where(eq(passkey.userId, userId)).orderBy(asc(passkey.createdAt));

  return {
    async list(userId: string): Promise<PasskeyView[]> {
      return (await rowsOf(userId)).map(({ id, name, createdAt, lastUsedAt }) => {
        return { id, name, createdAt: createdAt.toISOString(), lastUsedAt: lastUsedAt?.toISOString() ?? null };
      });
    },

    /** What the browser needs to make one. @throws AppError `conflict`: there are 20 */
    async addOptions({ userId, email, name }: Owner): Promise<PublicKeyCredentialCreationOptionsJSON> {
      const rows = await rowsOf(userId);
      if (rows.length >= mostOfOne) throw new AppError('conflict', 'You have 20 passkeys. Remove one first.');
      const { generateRegistrationOptions } = await webauthn();
      return generateRegistrationOptions({
        ...{ rpID, rpName: rpID, userName: email, userDisplayName: name, challenge: newChallenge(`add ${userId}`), timeout: challengeMs },
        userID: new Uint8Array(Buffer.from(userId)),
        attestationType: 'none',
        excludeCredentials: rows.map(({ credentialId, transports }) => {
          return { id: credentialId, transports: transports as AuthenticatorTransportFuture[] };
        }),
        // It is found without a user name, and asks for finger or PIN.
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      });
    },

    /** @throws AppError `invalid_input`: not what was asked for; `conflict`: it is there already */
    async add(userId: string, name: string, response: RegistrationResponseJSON): Promise<void> {
      const { verifyRegistrationResponse } = await webauthn();
      let challenge = '';
      const verified = await verifyRegistrationResponse({
        response,
        expectedChallenge: (given) => {
          challenge = given;
          return isChallenge(given, `add ${userId}`);
        },
        expectedOrigin: origin,
        expectedRPID: rpID,
        requireUserVerification: true,
      }).catch((cause: unknown) => {
        throw new AppError('invalid_input', notTaken, { cause });
      });
      if (!verified.verified) throw new AppError('invalid_input', notTaken);
      const { id: credentialId, publicKey, counter } = verified.registrationInfo.credential;
      const { transports = [] } = response.response;
      const row = { id: randomUUID(), userId, name, credentialId, publicKey: Buffer.from(publicKey), counter, transports };
      await db.commit([
        ...consume(challenge),
        statement(db.orm.insert(passkey).values({ ...row, createdAt: now() })),
        ...audit({ actor: userId, subject: userId, action: 'passkey.added' }),
        ...notice(accountNews(userId, 'passkey_added', now())),
      ]);
    },

    /** @throws AppError `not_found`: no such passkey, or someone else's */
    async remove(userId: string, id: string): Promise<void> {
      const mine = and(eq(passkey.id, id), eq(passkey.userId, userId));
      const [row] = await db.orm.select({ name: passkey.name }).from(passkey).where(mine);
      if (!row) throw new AppError('not_found', 'There is no such passkey.');
      await db.commit([
        statement(db.orm.delete(passkey).where(mine)),
        ...audit({ actor: userId, subject: userId, action: 'passkey.removed' }),
        ...notice(accountNews(userId, 'passkey_removed', now())),
      ]);
    },

    /** The same for everyone: the device knows whose passkeys it has. */
    signInOptions(): PublicKeyCredentialRequestOptionsJSON {
      // Without the library: a stranger's question should not load it.
      return { rpId: rpID, challenge: newChallenge('sign-in').toString('base64url'), timeout: challengeMs, userVerification: 'required' };
    },

    /** @returns whose passkey signed. @throws AppError `unauthenticated`, with one sentence for all that may be wrong */
    async signIn(response: AuthenticationResponseJSON): Promise<string> {
      const [row] = await db.orm
        .select({ key: passkey })
        .from(passkey)
        .innerJoin(user, eq(user.id, passkey.userId))
        .where(eq(passkey.credentialId, response.id));
      if (!row) throw unknownPasskey();
      const { id, userId, credentialId, publicKey, counter } = row.key;
      const { verifyAuthenticationResponse } = await webauthn();
      let challenge = '';
      const found = await verifyAuthenticationResponse({
        response,
        expectedChallenge: (given) => {
          challenge = given;
          return isChallenge(given, 'sign-in');
        },
        expectedOrigin: origin,
        expectedRPID: rpID,
        requireUserVerification: true,
        credential: { id: credentialId, publicKey: new Uint8Array(publicKey), counter },
      }).catch((cause: unknown) => {
        throw unknownPasskey(cause);
      });
      if (!found.verified) throw unknownPasskey();
      const used = db.orm
        .update(passkey)
        .set({ counter: found.authenticationInfo.newCounter, lastUsedAt: now() })
        .where(and(eq(passkey.id, id), eq(passkey.counter, counter)));
      await db.commit([...consume(challenge), must(statement(used))]).catch((error: unknown) => {
        throw error instanceof AppError && error.code === 'conflict' ? unknownPasskey(error) : error;
      });
      return userId;
    },

    resetWrites: (userId: string): Statement[] => [statement(db.orm.delete(passkey).where(eq(passkey.userId, userId)))],
  };
}

const notTaken = 'The passkey could not be added. Please try again.';
const unknownPasskey = (cause?: unknown) =>
  new AppError('unauthenticated', 'This passkey does not open an account here. Sign in with your password.', { cause });
