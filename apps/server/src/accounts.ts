/** Who has an account here, and how the first administrator comes to be: through a link that only the console prints. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { AppError, type Me, type SetUp, type TierName, type UpdateMe } from '@synthstack/core';
import { atomically, bumpGeneration, type Db, must, type Statement, statement } from '@synthstack/core/db';
import { and, asc, eq, exists, inArray, isNotNull, notExists, sql } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Auth } from './auth.ts';
import type { EffectivePlan, Plans } from './plans.ts';
import type { Clock } from './ports/clock.ts';

const setUpKey = 'setup_token';

export interface AccountsParts {
  db: Db;
  clock: Clock;
  auth: Pick<Auth, 'createUser'>;
  plans: Pick<Plans, 'writes' | 'all'>;
  /** Where browsers reach this server, without a slash at its end. */
  publicUrl: string;
  audit?: (entry: AuditEntry) => Statement;
}

export interface Account extends Me {
  /** Null: never had a plan. */
  plan: EffectivePlan | null;
  disabledAt: Date | null;
  createdAt: Date;
}

export interface NewAccount {
  email: string;
  /** The part before the @ unless given. */
  name?: string;
  password: string | { hash: string };
  tier: TierName;
  admin: boolean;
  /** Who adds it, for the audit trail: a user's id, or `cli`. */
  actor?: string;
}

export type Accounts = ReturnType<typeof createAccounts>;

export function createAccounts({ db, clock, auth, plans, publicUrl, audit }: AccountsParts) {
  const { user, account, setting } = db.tables;
  const { id, email, name, role, timezone, locale } = user;
  const password = db.orm
    .select({ one: sql`1` })
    .from(account)
    .where(and(eq(account.userId, user.id), isNotNull(account.password)));
  const hasPassword = sql`${exists(password)}`.mapWith(Boolean);
  const columns = { id, email, name, role, timezone, locale, hasPassword };

  const administrators = () => db.orm.select({ one: sql`1` }).from(user).where(eq(user.role, 'admin'));

  async function needsSetUp(): Promise<boolean> {
    return (await administrators().limit(1)).length === 0;
  }

  /** @throws AppError `not_found`: no such user */
  async function me(userId: string): Promise<Me> {
    const [row] = await db.orm.select(columns).from(user).where(eq(user.id, userId));
    if (!row) throw noSuchAccount();
    return toMe(row);
  }

  function created(userId: string, actor: string, role: string): Statement[] {
    return audit ? [audit({ actor, subject: userId, action: 'account.created', detail: { role } })] : [];
  }

  return {
    /** True until there is an administrator. */
    needsSetUp,

    me,

    /** What somebody changes about themselves. @throws AppError `conflict`: the account is gone */
    async update(userId: string, changes: UpdateMe): Promise<Me> {
      const updatedAt = new Date(clock.now());
      const fields = Object.keys(changes).sort().join(', ');
      const change = db.orm
        .update(user)
        .set({ ...changes, updatedAt })
        .where(eq(user.id, userId));
      await db.commit([
        must(statement(change)),
        ...(audit ? [audit({ actor: userId, subject: userId, action: 'account.changed', detail: { fields } })] : []),
        statement(bumpGeneration(db.orm, db.tables)),
      ]);
      return me(userId);
    },

    /** @throws AppError `not_found`: nobody has this address */
    async byEmail(email: string): Promise<Me> {
      const [row] = await db.orm.select(columns).from(user).where(eq(user.email, email.trim().toLowerCase()));
      if (!row) throw noSuchAccount();
      return toMe(row);
    },

    /** What people are called, by their ids; who is gone has no name. */
    async namesOf(userIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
      if (userIds.length === 0) return new Map();
      const rows = await db.orm
        .select({ id, name })
        .from(user)
        .where(inArray(user.id, [...userIds]));
      return new Map(rows.map((row) => [row.id, row.name]));
    },

    /** Addresses and names, by their ids; of who is gone there is nothing. */
    async partiesOf(ids: readonly string[]): Promise<ReadonlyMap<string, { email: string; name: string }>> {
      if (ids.length === 0) return new Map();
      const rows = await db.orm
        .select({ id, email, name })
        .from(user)
        .where(inArray(id, [...ids]));
      return new Map(rows.map((row) => [row.id, row]));
    },

    /** Everyone, oldest first. */
    async list(): Promise<Account[]> {
      const rows = await db.orm
        .select({ ...columns, disabledAt: user.disabledAt, createdAt: user.createdAt })
        .from(user)
        .orderBy(asc(user.createdAt), asc(user.id));
      const all = await plans.all();
      return rows.map((row) => ({ ...toMe(row), plan: all.get(row.id) ?? null, disabledAt: row.disabledAt, createdAt: row.createdAt }));
    },

    /** An account with its plan, in one write. @throws AppError `conflict`: the address has one; `invalid_input` */
    async add({
      email,
      name = email.split('@')[0] ?? email,
      password,
      tier,
      admin,
      actor = 'cli',
    }: NewAccount): Promise<{ userId: string }> {
      const role = admin ? 'admin' : 'user';
      const source = actor === 'cli' ? 'cli' : 'admin';
      const plan = (userId: string) => (tier === 'community' ? [] : plans.writes(userId, { tier, source, actor }));
      return auth.createUser({ email, name, password, role }, { after: (userId) => [...created(userId, actor, role), ...plan(userId)] });
    },

    /**
     * Makes a new one-time link for the first administrator; links made before no longer work.
     * @returns null where there is an administrator already
     */
    async setUpLink(): Promise<string | null> {
      if (!(await needsSetUp())) return null;
      const token = randomBytes(32).toString('base64url');
      const values = { value: hash('sha256', token), updatedAt: new Date(clock.now()) };
      await atomically(db, (tx) => [
        tx
          .insert(setting)
          .values({ key: setUpKey, ...values })
          .onConflictDoUpdate({ target: setting.key, set: values }),
      ]);
      return `${publicUrl}/setup?token=${token}`;
    },

    /**
     * Makes the first administrator, whose server it is: their plan is lifetime. The link is used up in the same write that makes the account: of many calls at once one
     * succeeds, and one that fails leaves the link as it was.
     * @throws AppError `forbidden`: wrong link; `conflict`: there is an administrator already; `invalid_input`
     */
    async setUp({ token, name, email, password }: SetUp): Promise<{ userId: string }> {
      const given = hash('sha256', token);
      const [row] = await db.orm.select({ value: setting.value }).from(setting).where(eq(setting.key, setUpKey));
      if (!(await needsSetUp())) throw isSetUp();
      if (!sameText(given, String(row?.value ?? ''))) throw wrongLink();
      const consume = db.orm.delete(setting).where(and(eq(setting.key, setUpKey), eq(setting.value, given), notExists(administrators())));
      try {
        const before = [must(statement(consume))];
        return await auth.createUser(
          { email, name, password, role: 'admin' },
          {
            before,
            after: (userId) => [
              ...created(userId, userId, 'admin'),
              ...plans.writes(userId, { tier: 'lifetime', source: 'admin', actor: userId }),
            ],
          },
        );
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
        throw (await needsSetUp()) ? wrongLink() : isSetUp();
      }
    },
  };
}

const noSuchAccount = () => new AppError('not_found', 'There is no such account.');
const isSetUp = () => new AppError('conflict', 'This server is set up already. Sign in.');
const wrongLink = () =>
  new AppError('forbidden', 'This set-up link does not work. Open the newest one that the console of the server printed.');

/** In constant time; both are hashes, so their lengths say nothing. */
function sameText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function toMe({ id, email, name, role, timezone, locale, hasPassword }: Omit<Me, 'isAdmin'> & { role: string }): Me {
  return { id, email, name, isAdmin: role === 'admin', timezone, locale, hasPassword };
}
