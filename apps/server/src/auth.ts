/**
 * People, their passwords and their sessions: better-auth, and with auth/ the only place that knows it. It reads and writes through our
 * tables; what it offers beyond auth/routes.ts is out of reach, and it is told everything that it would else take from the
 * environment (whether a test runs, where it is reached, its secret), because some of its checks depend on that.
 */
import { hkdfSync, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { AppError, Email, Password, toAppError } from '@synthstack/core';
import { bumpGeneration, type Db, must, prepareFind, type Statement, statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import type { Secret } from '@synthstack/core/secret';
import { APIError } from 'better-auth/api';
import { hashPassword, symmetricDecrypt, symmetricEncrypt, verifyPassword } from 'better-auth/crypto';
import { and, eq } from 'drizzle-orm';
import { z } from 'zod';
import type { AuditEntry } from './audit.ts';
import { createAddressOf, neighbourhood } from './auth/address.ts';
import { createAttempts, createGate, hasty } from './auth/attempts.ts';
import { createExternal } from './auth/external.ts';
import { createFactors } from './auth/factors.ts';
import { createJwts } from './auth/jwt.ts';
import { createLibrary, type OpenedSession } from './auth/library.ts';
import { accountNews, createLinks } from './auth/links.ts';
import { createPasskeys } from './auth/passkeys.ts';
import { createPlaces } from './auth/places.ts';
import { type AuthRoute, type ChangePassword, type PasskeySignIn, routeOf, type SignIn, type SignUp } from './auth/routes.ts';
import { type Asking, createSessions } from './auth/sessions.ts';
import {
  addressHeader,
  disabledCode,
  fromLibrary,
  invalidInput,
  readBody,
  refusal,
  sendJson,
  sendProblem,
  toLibrary,
  unconfirmedCode,
  wrongCredentials,
  wrongCurrentPassword,
} from './auth/wire.ts';
import type { Mail } from './mail.ts';
import type { NoticeEntry } from './notices.ts';
import { type Clock, systemClock } from './ports/clock.ts';

export { hashPassword } from 'better-auth/crypto';
export { authRoutes } from './auth/routes.ts';

export interface AuthParts {
  db: Db;
  /** Where browsers reach this server; `iss` and `aud` of access tokens, the only trusted origin, and https decides about Secure cookies. */
  publicUrl: string;
  secret: Secret;
  /** Seals the secrets of second factors. */
  keyring: Keyring;
  countSeal(): Promise<Statement[]>;
  /** Sends links to new passwords, and to prove an address. */
  mail?: Pick<Mail, 'available' | 'secretEntry'>;
  audit?: (entry: AuditEntry) => Statement;
  /** A list of domains admits addresses at exactly these; where e-mail is sent, whoever signs up proves the address before signing in. */
  signUp: 'closed' | 'open' | readonly string[];
  /** False: only administrators sign in with a password or a passkey; everyone else elsewhere. */
  local?: boolean;
  clock?: Clock;
  trustedProxies?: readonly string[];
  /** False only where tests sign in faster than people do. */
  rateLimit?: boolean;
  onUserCreated?: (userId: string) => void | Promise<void>;
  /** Tells people of what happens to their account, and of sign-ins from where they never came; without it nobody is told. */
  notice?: (entry: NoticeEntry) => Statement;
  /** Hears of what went wrong on our side; the caller only gets a sentence. */
  onError?: (error: AppError) => void;
}

export interface NewUser {
  email: string;
  name: string;
  role: 'user' | 'admin';
  /** Or the hash of one, made before. */
  password: string | { hash: string };
}

export interface SessionRef {
  userId: string;
  sessionId: string;
}

/** What else must be written in the same breath as a new user. */
interface Alongside {
  before?: readonly Statement[];
  after?: (userId: string) => readonly Statement[] | Promise<readonly Statement[]>;
}

export type Auth = ReturnType<typeof createAuth>;

export function createAuth(parts: AuthParts) {
  const { db, local = true, clock = systemClock, trustedProxies = [], rateLimit = true, onUserCreated, onError, notice } = parts;
  const signUp = local ? parts.signUp : 'closed';
  const { user, session, account } = db.tables;
  const publicUrl = parts.publicUrl.replace(/\/+$/, '');
  const { origin } = new URL(publicUrl);
  const key = parts.secret.expose();
  const library = createLibrary({ db, origin, secret: key, rateLimit, refuse: refuseSession, opened });
  const places = notice && createPlaces({ db, clock, notice });
  const addressOf = createAddressOf(trustedProxies);
  const attempts = rateLimit ? createAttempts(clock) : { take: () => undefined, forgive: () => undefined };
  const bursts = rateLimit ? createAttempts(clock, hasty) : attempts;
  const gate = createGate(2, 64);
  const jwts = createJwts({
    ...{ db, clock, publicUrl },
    seal: (data) => symmetricEncrypt({ key, data }),
    open: (data) => symmetricDecrypt({ key, data }),
  });
  const sessions = createSessions({ db, clock });
  const audit = (entry: AuditEntry) => (parts.audit ? [parts.audit(entry)] : []);
  const tell = (entry: NoticeEntry) => (notice ? [notice(entry)] : []);
  const said = { audit, notice: tell };
  const derived = (label: string) => Buffer.from(hkdfSync('sha256', key, '', `byok/v1/${label}`, 32));
  const links = createLinks({
    ...{ db, clock, publicUrl, mail: parts.mail, ...said },
    hashPassword: (password) => hashOf(password),
    onError: (error) => onError?.(toAppError(error)),
  });
  const { keyring, countSeal } = parts;
  const issuer = new URL(publicUrl).host;
  const factors = createFactors({ db, clock, keyring, countSeal, issuer, codeKey: derived('backup-code'), ...said });
  const passkeys = createPasskeys({ db, clock, origin, challengeKey: derived('passkey-challenge'), ...said });
  /** Whoever signs up at one of the operator's domains proves that the address is theirs. */
  const provesAddress = typeof signUp !== 'string' && links.available;
  const liveSession = sessions.live;

  /** @returns whose page this is, by its cookie */
  async function sessionOf({ cookie }: IncomingHttpHeaders): Promise<SessionRef | null> {
    if (cookie === undefined) return null;
    // Without `disableRefresh` the row would live on while the browser's cookie does not: only get-session sends a new one.
    const found = await library.api.getSession({ headers: new Headers({ cookie }), query: { disableRefresh: true } });
    const live = found && (await liveSession(found.session.id));
    return live && { userId: live.userId, sessionId: found.session.id };
  }

  // Built once: the gateway asks for each caller that its cache does not know.
  const findPerson = prepareFind(db, (id) =>
    db.orm.select({ role: user.role, disabledAt: user.disabledAt }).from(user).where(eq(user.id, id)),
  );

  /** What a request with a user's id may know of that user. @returns null: no such user */
  async function person(userId: string): Promise<{ isAdmin: boolean; disabled: boolean } | null> {
    const [row] = await findPerson(userId);
    return row ? { isAdmin: row.role === 'admin', disabled: row.disabledAt !== null } : null;
  }

  /** Whoever has signed in is in, even where nobody can be told. */
  async function opened(session: OpenedSession): Promise<void> {
    const { id: sessionId, userId, ipAddress, userAgent } = session;
    await places
      ?.signedIn({ userId, sessionId, address: ipAddress ?? '', userAgent: userAgent ?? '' })
      .catch((error: unknown) => onError?.(toAppError(error)));
  }

  async function refuseSession(userId: string): Promise<void> {
    if ((await person(userId))?.disabled !== false) throw new APIError('FORBIDDEN', { code: disabledCode });
    if (!(await links.mustConfirm(userId))) return;
    await links.sendConfirmation(userId);
    throw new APIError('FORBIDDEN', { code: unconfirmedCode });
  }

  /** @returns the hash of a user's password; undefined: there is none */
  async function passwordHash(userId: string): Promise<string | undefined> {
    const [row] = await db.orm
      .select({ password: account.password })
      .from(account)
      .where(and(eq(account.userId, userId), eq(account.providerId, 'credential')));
    return row?.password ?? undefined;
  }

  async function isPassword(userId: string, password: string): Promise<boolean> {
    const hash = await passwordHash(userId);
    return hash !== undefined && verifyPassword({ hash, password });
  }

  /**
   * A person who is signed in shows that it is still they.
   * @throws AppError `invalid_input`: wrong; `limit_reached`
   */
  async function demandPassword(userId: string, password: string, ip: string): Promise<void> {
    const who = `user ${userId}`;
    attempts.take(who, ip);
    notInHaste('password', ip);
    if (!(await gate(() => isPassword(userId, password)))) throw wrongPassword();
    attempts.forgive(who, ip);
  }

  /**
   * Before what cannot be undone: the password, and a code where a second factor is on; of who has no password, that they have just signed in.
   * @throws AppError `invalid_input`: wrong; `second_factor_required`, `limit_reached`; `forbidden`: signed in too long ago
   */
  async function demandOwner(
    { userId, sessionId }: Asking,
    given: { password?: string | undefined; code?: string | undefined },
    ip: string,
  ) {
    if ((await passwordHash(userId)) === undefined) {
      if (sessionId === null || !(await sessions.isFresh(sessionId))) throw signInAgain();
      return;
    }
    await demandPassword(userId, given.password ?? '', ip);
    await factors.pass(userId, given.code);
  }

  /** @throws AppError `limit_reached`: three of this kind from this address within ten seconds, right or wrong */
  function notInHaste(kind: string, ip: string): void {
    bursts.take(kind, `${kind} ${neighbourhood(ip)}`);
  }

  /**
   * Before a password opens anything: whoever has a second factor gives both. Nobody learns of it without the password.
   * @throws AppError `unauthenticated`, `second_factor_required`, `limit_reached`
   */
  async function passSecondFactor(email: string, password: string, code: string | undefined): Promise<void> {
    const { twoFactor } = db.tables;
    const [row] = await db.orm
      .select({ userId: user.id })
      .from(user)
      .innerJoin(twoFactor, eq(twoFactor.userId, user.id))
      .where(and(eq(user.email, email.toLowerCase()), factors.isOn()));
    if (!row) return;
    if (!(await isPassword(row.userId, password))) throw wrongCredentials();
    await factors.pass(row.userId, code);
  }

  async function hashOf(password: NewUser['password']): Promise<string> {
    if (typeof password !== 'string') return password.hash;
    const { password: checked } = parse(z.object({ password: Password }), { password });
    return gate(() => hashPassword(checked));
  }

  const isTaken = async (email: string) => (await db.orm.select({ id: user.id }).from(user).where(eq(user.email, email))).length > 0;
  const taken = () => new AppError('conflict', 'There is already an account with this e-mail address.');

  /** @throws AppError `conflict`: the address has an account, or a `must` alongside was not met; `invalid_input` */
  async function createUser(input: NewUser, { before = [], after = () => [] }: Alongside = {}): Promise<{ userId: string }> {
    const { email, name } = parse(z.object({ email: Email, name: z.string().trim().min(1).max(100) }), input);
    if (await isTaken(email)) throw taken();
    const password = await hashOf(input.password);
    const [userId, now] = [randomUUID(), new Date(clock.now())];
    const times = { createdAt: now, updatedAt: now };
    const credential = { id: randomUUID(), accountId: userId, providerId: 'credential', userId, password, ...times };
    try {
      await db.commit([
        ...before,
        statement(db.orm.insert(user).values({ id: userId, email, name, role: input.role, ...times })),
        statement(db.orm.insert(account).values(credential)),
        ...(await after(userId)),
        statement(bumpGeneration(db.orm, db.tables)),
      ]);
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict' && (await isTaken(email))) throw taken();
      throw error;
    }
    await onUserCreated?.(userId);
    return { userId };
  }

  /** A new password for someone, who is signed out everywhere. @throws AppError `not_found`, `invalid_input` */
  async function setPassword(userId: string, password: NewUser['password']): Promise<void> {
    if (!(await person(userId))) throw new AppError('not_found', 'There is no such account.');
    const [hash, now] = [await hashOf(password), new Date(clock.now())];
    const credential = { id: randomUUID(), accountId: userId, providerId: 'credential', userId, createdAt: now };
    await db.commit([
      statement(db.orm.delete(account).where(and(eq(account.userId, userId), eq(account.providerId, 'credential')))),
      statement(db.orm.insert(account).values({ ...credential, password: hash, updatedAt: now })),
      statement(db.orm.delete(session).where(eq(session.userId, userId))),
      links.voidResets(userId),
      statement(bumpGeneration(db.orm, db.tables)),
    ]);
  }

  /**
   * Checks a password and opens a session, as the page does, but without a cookie.
   * @throws AppError `unauthenticated`, with one sentence for an unknown user and a wrong password; `forbidden`: right, but disabled;
   *   `second_factor_required`, `limit_reached`, `busy`
   */
  async function signIn(
    email: string,
    password: string,
    from: { ip?: string; userAgent?: string; code?: string | undefined } = {},
  ): Promise<SessionRef> {
    const { ip = '', userAgent = '', code } = from;
    attempts.take(email, ip);
    const headers = new Headers({ [addressHeader]: ip, 'user-agent': userAgent.slice(0, 512) });
    const opened = await gate(async () => {
      await passSecondFactor(email, password, code);
      return library.api.signInEmail({ body: { email, password }, headers });
    }).catch(rethrow);
    attempts.forgive(email, ip);
    await refuseLocal(opened.user.id, opened.token);
    const [row] = await db.orm.select({ id: session.id }).from(session).where(eq(session.token, opened.token));
    if (!row) throw wrongCredentials();
    return { userId: opened.user.id, sessionId: row.id };
  }

  /** Who has the right password or passkey is told where to go; anybody else learns no more than elsewhere. @param token  of the session to end */
  async function refuseLocal(userId: string, token?: string): Promise<void> {
    if (local || (await person(userId))?.isAdmin) return;
    if (token !== undefined) await db.orm.delete(session).where(eq(session.token, token));
    throw new AppError('forbidden', 'Passwords are for administrators only here. Sign in with your organisation.');
  }

  /**
   * A session for somebody who has shown who they are, with its cookie. A new sign-in owes nothing to the session before it.
   * @throws AppError `forbidden`: disabled
   */
  async function openSession(userId: string, { ip, userAgent }: { ip: string; userAgent: string }): Promise<Response> {
    const headers = new Headers({ [addressHeader]: ip, 'user-agent': userAgent.slice(0, 512) });
    const opened = await library.api.openSession({ body: { userId }, headers, asResponse: true }).catch(rethrow);
    if (opened.ok) return opened;
    throw refusal(opened.status, ((await opened.json()) as { code?: string }).code);
  }
  const comingFrom = (req: IncomingMessage) => ({ ip: addressOf(req), userAgent: req.headers['user-agent'] ?? '' });

  /** @returns null: the account is there, and its owner has to confirm the address first */
  async function selfSignUp(req: IncomingMessage, body: z.infer<typeof SignUp>): Promise<Response | null> {
    const { email, password } = body;
    const domain = email.slice(email.lastIndexOf('@') + 1);
    if (typeof signUp !== 'string' && !signUp.includes(domain))
      throw new AppError('forbidden', `Only addresses at ${signUp.join(', ')} can sign up here.`);
    // A server that nobody looks after yet is nobody's to join.
    if ((await db.orm.select({ id: user.id }).from(user).where(eq(user.role, 'admin')).limit(1)).length === 0)
      throw new AppError('forbidden', 'This server is not set up yet: open the link that its console prints.');
    attempts.take(email, addressOf(req));
    await createUser({ ...body, role: 'user' }, { after: (userId) => (provesAddress ? links.confirmation(userId) : []) });
    if (provesAddress) return null;
    const { headers } = toLibrary(req, { url: origin, address: addressOf(req), body: {}, withCookies: false });
    return gate(() => library.api.signInEmail({ body: { email, password }, headers, asResponse: true }));
  }

  /** What costs a hash: few at a time, and so many for each account, whoever it is that tries to find its password out. */
  async function guarded(kind: string, tried: string, address: string, act: () => Promise<Response>): Promise<Response> {
    attempts.take(tried, address);
    // Ours for everyone: the library would see only those without a second factor, and so tell who has one.
    notInHaste(kind, address);
    const answer = await gate(act);
    if (answer.ok) attempts.forgive(tried, address);
    return answer;
  }

  function toTheLibrary(req: IncomingMessage, route: AuthRoute, body: unknown, current: SessionRef | null): Promise<Response> {
    return library.handler(toLibrary(req, { url: origin + route.path, address: addressOf(req), body, withCookies: current !== null }));
  }

  async function pageSignIn(req: IncomingMessage, route: AuthRoute, { code, ...body }: z.infer<typeof SignIn>): Promise<Response> {
    return guarded('sign-in', body.email, addressOf(req), async () => {
      await passSecondFactor(body.email, body.password, code);
      const signedIn = await toTheLibrary(req, route, body, null);
      if (!signedIn.ok) return signedIn;
      const { user: who, token } = (await signedIn.clone().json()) as { user: { id: string }; token: string };
      await refuseLocal(who.id, token);
      return signedIn;
    });
  }

  /** The library would not write the audit row along with the password. All sessions end; the one that asks goes on as a new one. */
  async function changePassword(req: IncomingMessage, current: SessionRef, body: z.infer<typeof ChangePassword>): Promise<Response> {
    const { userId } = current;
    return guarded('password', `user ${userId}`, addressOf(req), async () => {
      const before = await passwordHash(userId);
      if (before === undefined || !(await verifyPassword({ hash: before, password: body.currentPassword }))) throw wrongCurrentPassword();
      const [password, now] = [await hashPassword(body.newPassword), new Date(clock.now())];
      // Of two changes at once, the second one's current password is no longer that.
      const isBefore = and(eq(account.userId, userId), eq(account.providerId, 'credential'), eq(account.password, before));
      await db.commit([
        must(statement(db.orm.update(account).set({ password, updatedAt: now }).where(isBefore))),
        statement(db.orm.delete(session).where(eq(session.userId, userId))),
        links.voidResets(userId),
        ...audit({ actor: userId, subject: userId, action: 'account.password_changed' }),
        ...tell(accountNews(userId, 'password_changed', now)),
        statement(bumpGeneration(db.orm, db.tables)),
      ]);
      return openSession(userId, comingFrom(req));
    });
  }

  async function passkeySignIn(req: IncomingMessage, { response }: z.infer<typeof PasskeySignIn>): Promise<Response> {
    // Nothing to guess, but each costs a look-up and a signature.
    attempts.take(`passkey ${response.id}`, addressOf(req));
    const userId = await passkeys.signIn(response);
    await refuseLocal(userId);
    attempts.forgive(`passkey ${response.id}`, addressOf(req));
    return openSession(userId, comingFrom(req));
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const route = routeOf(req.method, req.url);
    if (!route || (route.when === 'sign_up' && signUp === 'closed')) throw new AppError('not_found', 'There is nothing here.');
    if (route.path === '/api/auth/jwks') return sendJson(res, JSON.stringify(await jwts.publicKeys()));
    refuseForeignPages(req, origin);
    const current = await sessionOf(req.headers);
    if (route.access === 'signed_in' && !current) throw new AppError('unauthenticated', 'Sign in first.');
    const body = route.body && (await readBody(req, route.body));
    if (route.when === 'sign_up') {
      const signedIn = await selfSignUp(req, body as z.infer<typeof SignUp>);
      return signedIn ? fromLibrary(res, signedIn) : sendJson(res, JSON.stringify({ confirm: true }));
    }
    if (route.path === '/api/auth/sign-in/email') return fromLibrary(res, await pageSignIn(req, route, body as z.infer<typeof SignIn>));
    if (route.path === '/api/auth/passkey/options') return sendJson(res, JSON.stringify(passkeys.signInOptions()));
    if (route.path === '/api/auth/passkey/sign-in')
      return fromLibrary(res, await passkeySignIn(req, body as z.infer<typeof PasskeySignIn>));
    if (route.path === '/api/auth/change-password' && current) {
      const ended = await sessions.countOthers(current);
      return fromLibrary(res, await changePassword(req, current, body as z.infer<typeof ChangePassword>), { ended });
    }
    // The library would say that this succeeded even where the database could not be written.
    if (route.path === '/api/auth/sign-out' && current) await db.orm.delete(session).where(eq(session.id, current.sessionId));
    return fromLibrary(res, await toTheLibrary(req, route, body, current));
  }

  /** For the operator, for whoever has lost app, codes and passkeys: the password alone signs in again, and all sessions end. */
  async function resetFactors(userId: string, actor: string): Promise<void> {
    await db.commit([
      ...factors.resetWrites(userId),
      ...passkeys.resetWrites(userId),
      statement(db.orm.delete(session).where(eq(session.userId, userId))),
      ...audit({ actor, subject: userId, action: 'factor.reset' }),
      ...tell(accountNews(userId, 'factors_reset', new Date(clock.now()))),
      statement(bumpGeneration(db.orm, db.tables)),
    ]);
  }

  return {
    /** Seals a text with the server's secret; `open` throws for what another sealed. */
    seal: (data: string) => symmetricEncrypt({ key, data }),
    open: (data: string) => symmetricDecrypt({ key, data }),
    openSession,
    external: createExternal({ db, clock }),
    ...{ sessions, liveSession, sessionOf, person, createUser, setPassword, signIn, addressOf },
    ...{ links, factors, passkeys, demandPassword, demandOwner, resetFactors },
    hasPassword: async (userId: string): Promise<boolean> => (await passwordHash(userId)) !== undefined,
    /** The same answer for every address. @throws AppError `limit_reached`; `forbidden`: this server sends no e-mail */
    askReset(email: string, ip: string): void {
      if (!links.available) throw noMail();
      attempts.take(`reset ${email}`, ip);
      links.askReset(email);
    },
    /** @throws AppError `forbidden`: the link does not work (any more); `invalid_input`, `limit_reached` */
    async useLink(ip: string, act: () => Promise<void>): Promise<void> {
      attempts.take(`link ${ip}`, ip);
      await act();
      attempts.forgive(`link ${ip}`, ip);
    },
    /** Forgets from where nobody has signed in for long. @returns how many people had such a place */
    forgetOldPlaces: async (): Promise<number> => places?.forgetOld() ?? 0,
    issueJwt: jwts.issue,
    verifyJwt: jwts.verify,
    /** Answers every request to /api/auth/*; never rejects. */
    async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
      try {
        await answer(req, res).catch(rethrow);
      } catch (thrown) {
        const error = toAppError(thrown);
        if (error.form.http >= 500) onError?.(error);
        sendProblem(req, res, error);
      }
    },
  };
}

/** Stricter than the library, which would also believe origins that the environment names. */
function refuseForeignPages(req: IncomingMessage, origin: string): void {
  const foreign = req.headers.origin !== undefined && req.headers.origin !== origin;
  if (req.method !== 'GET' && (foreign || req.headers['sec-fetch-site'] === 'cross-site'))
    throw new AppError('forbidden', 'This request does not come from a page of this server.');
}

/** The library's refusals as ours; an AppError of the database may be wrapped in an error of drizzle's. */
function rethrow(thrown: unknown): never {
  if (thrown instanceof APIError) throw refusal(thrown.statusCode, thrown.body?.code, { cause: thrown });
  for (let error = thrown; error instanceof Error; error = error.cause) if (error instanceof AppError) throw error;
  throw thrown;
}

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw invalidInput(parsed.error);
  return parsed.data;
}

const wrongPassword = () => new AppError('invalid_input', 'The password is wrong.', { errors: { password: ['The password is wrong.'] } });
const signInAgain = () => new AppError('forbidden', 'Sign out and in again first: this is possible within ten minutes of signing in.');
const noMail = () =>
  new AppError('forbidden', 'This server sends no e-mail. Ask an administrator of this server for a link to a new password.');
