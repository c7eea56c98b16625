/**
 * Finds people among a million: each way of looking walks along one index, a page at a time, from where the last page ended. What further
 * filters leave over is looked for in a bounded number of rows a call; nothing is ever counted.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { type AdminUser, type AdminUserList, type AdminUserQuery, wrongField } from '@synthstack/core';
import type { Db, Tables } from '@synthstack/core/db';
import { and, eq, getTableColumns, gt, gte, isNotNull, lt, lte, or, type SQL, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { EffectivePlan, PlanRow } from './plans.ts';
import type { Clock } from './ports/clock.ts';

export interface SearchParts {
  db: Db;
  clock: Clock;
  /** What a plan's row is worth now (plans.ts). */
  worthOf(row: PlanRow | undefined, nowMs: number): EffectivePlan;
  /** Rows that one statement looks at where there are further filters, and how often one call does. */
  windowRows?: number;
  mostWindows?: number;
}

type User = Pick<Tables['user']['$inferSelect'], 'id' | 'email' | 'name' | 'role' | 'disabledAt' | 'createdAt'>;
type Plan = Tables['plan']['$inferSelect'];
interface Found extends User {
  plan: Plan | null;
}
type Key = string | number;

/** One way along an index. */
interface Path {
  /** What the index is ordered by, before the id. */
  key: SQL;
  /** The newest, or the latest, come first. */
  descending: boolean;
  where: SQL | undefined;
  from: 'user' | 'plan';
  /** Where somebody stands on it; null: they do not. */
  keyOf(found: Found): Key | null;
}
interface Step {
  key: Key;
  found: Found;
}

const Cursor = z.tuple([z.union([z.string(), z.number()]), z.string()]);
type Cursor = z.infer<typeof Cursor>;

/** Greater than whatever begins like the text before it. */
const last = '\u{10FFFF}';

export function createAccountSearch({ db, clock, worthOf, windowRows = 250, mostWindows = 6 }: SearchParts) {
  const { user, plan } = db.tables;
  const { bytewise, folded, byDomain } = db.order;
  const { id, email, name, role, disabledAt, createdAt } = user;
  const userColumns = { id, email, name, role, disabledAt, createdAt };
  const columns = { ...userColumns, plan: getTableColumns(plan) };

  /** Along the texts that begin with one. */
  function beginning(key: SQL, text: string, textOf: (found: Found) => string): Path {
    const where = and(gte(key, text), lt(key, text + last));
    const keyOf = (found: Found) => (textOf(found).startsWith(text) ? textOf(found) : null);
    return { key, descending: false, where, from: 'user', keyOf };
  }

  function pathsOfText(text: string): Path[] {
    const small = text.toLowerCase();
    const address = (found: Found) => found.email;
    if (small.startsWith('@')) return [beginning(byDomain(email), small, (found) => domainFirst(found.email))];
    const byAddress = beginning(bytewise(email), small, address);
    if (small.includes('@')) return [byAddress];
    // The engines fold A to Z only: of other letters both forms are looked for.
    const forms = new Set([small, small.charAt(0).toUpperCase() + small.slice(1), text].map(asciiLower));
    return [byAddress, ...[...forms].map((form) => beginning(folded(name), form, (found) => asciiLower(found.name)))];
  }

  function byTier(tier: string): Path[] {
    const key = sql`${plan.updatedAt}`;
    const changedAt = ({ plan: row }: Found) => row?.updatedAt.getTime() ?? null;
    const common = { key, descending: true, from: 'plan' } as const;
    return [
      { ...common, where: eq(sql`${plan.tier}`, tier), keyOf: (found) => (found.plan?.tier === tier ? changedAt(found) : null) },
      {
        ...common,
        where: and(isNotNull(plan.besideTier), eq(sql`${plan.besideTier}`, tier)),
        keyOf: (found) => (found.plan?.besideTier === tier ? changedAt(found) : null),
      },
    ];
  }

  function lapsed(nowMs: number): Path[] {
    const common = { descending: true, from: 'plan' } as const;
    return [
      {
        ...common,
        key: sql`${plan.until}`,
        where: lte(plan.until, new Date(nowMs)),
        keyOf: ({ plan: row }) => (row?.until && row.until.getTime() <= nowMs ? row.until.getTime() : null),
      },
      {
        ...common,
        key: sql`${plan.updatedAt}`,
        where: sql`${plan.state} = 'lapsed'`,
        keyOf: ({ plan: row }) => (row?.state === 'lapsed' ? row.updatedAt.getTime() : null),
      },
    ];
  }

  /** The ways that lead to all who may be meant, the fewest possible. */
  function pathsOf({ search, tier, state, admins }: AdminUserQuery, nowMs: number): Path[] {
    if (search) return pathsOfText(search);
    const common = { descending: true, from: 'user' } as const;
    const newest = { ...common, key: sql`${createdAt}`, keyOf: (found: Found) => found.createdAt.getTime() };
    if (admins) return [{ ...newest, where: sql`${role} = 'admin'` }];
    if (state === 'disabled')
      return [
        {
          ...common,
          key: sql`${disabledAt}`,
          where: isNotNull(disabledAt),
          keyOf: (found) => found.disabledAt?.getTime() ?? null,
        },
      ];
    if (state === 'lapsed') return lapsed(nowMs);
    return tier && tier !== 'community' ? byTier(tier) : [{ ...newest, where: undefined }];
  }

  function statementOf({ key, descending, where, from }: Path, after: Cursor | null, limit: number) {
    const tie = from === 'user' ? id : plan.userId;
    const [beyond, beyondOrAt] = descending ? [lt, lte] : [gt, gte];
    const rest = after ? and(beyondOrAt(key, after[0]), or(beyond(key, after[0]), beyond(tie, after[1]))) : undefined;
    const order = descending ? [sql`${key} desc`, sql`${tie} desc`] : [sql`${key}`, sql`${tie}`];
    const all =
      from === 'user'
        ? db.orm.select(columns).from(user).leftJoin(plan, eq(plan.userId, id))
        : db.orm.select(columns).from(plan).innerJoin(user, eq(id, plan.userId));
    return all
      .where(and(where, rest))
      .orderBy(...order)
      .limit(limit);
  }

  /** The next steps on all the paths together, in their common order; somebody who stands on two of them comes with the first. */
  async function nextSteps(paths: readonly Path[], after: Cursor | null, limit: number): Promise<{ steps: Step[]; atEnd: boolean }> {
    const steps: (Step & { path: number })[] = [];
    for (const [i, path] of paths.entries())
      for (const found of (await statementOf(path, after, limit)) as Found[]) {
        const key = path.keyOf(found);
        if (key !== null) steps.push({ key, found, path: i });
      }
    const sign = paths[0]?.descending ? -1 : 1;
    steps.sort((a, b) => sign * (compare(a.key, b.key) || compare(a.found.id, b.found.id)) || a.path - b.path);
    return { steps: steps.slice(0, limit), atEnd: steps.length < limit };
  }

  /** False: they came before, by another path, or at this very place. */
  function isFirst({ key, found }: Step, paths: readonly Path[], seen: ReadonlySet<string>): boolean {
    const sign = paths[0]?.descending ? -1 : 1;
    return !seen.has(found.id) && paths.every((path) => sign * compare(path.keyOf(found) ?? key, key) >= 0);
  }

  async function byId(query: AdminUserQuery, search: string): Promise<AdminUserList> {
    const [row] = await db.orm.select(columns).from(user).leftJoin(plan, eq(plan.userId, id)).where(eq(id, search.toLowerCase()));
    const users = row ? [viewOf(row)].filter((one) => fits(one, query)) : [];
    return { users, nextCursor: null };
  }

  const viewOf = (found: Found): AdminUser => userView(found, worthOf(found.plan ?? undefined, clock.now()));

  return {
    statementsOf: (query: AdminUserQuery, after: Cursor | null = null) =>
      pathsOf(query, clock.now()).map((path) => statementOf(path, after, query.limit).toSQL()),

    /** One by id. @returns null: no such user */
    async one(userId: string): Promise<AdminUser | null> {
      const [row] = await db.orm.select(columns).from(user).leftJoin(plan, eq(plan.userId, id)).where(eq(id, userId));
      return row ? viewOf(row) : null;
    },

    /** @throws AppError `invalid_input`: a cursor that is not of this search */
    async search(query: AdminUserQuery): Promise<AdminUserList> {
      if (query.search && z.uuid().safeParse(query.search).success) return byId(query, query.search);
      const paths = pathsOf(query, clock.now());
      const isFiltered = Boolean(query.tier ?? query.state ?? query.admins);
      const limit = isFiltered || paths.length > 1 ? Math.max(windowRows, query.limit + 1) : query.limit + 1;
      const users: (AdminUser & { at: Cursor })[] = [];
      const seen = new Set<string>();
      let after = cursorOf(query.cursor, paths[0]);
      for (let looked = 0; looked < mostWindows; looked += 1) {
        if (looked > 0) await turn();
        const { steps, atEnd } = await nextSteps(paths, after, limit);
        for (const step of steps) {
          after = [step.key, step.found.id];
          const view = viewOf(step.found);
          if (!isFirst(step, paths, seen) || !fits(view, query)) continue;
          seen.add(view.id);
          users.push({ ...view, at: after });
          if (users.length > query.limit) return page(users.slice(0, query.limit), users[query.limit - 1]?.at ?? null);
        }
        if (atEnd) return page(users, null);
      }
      return page(users, after);
    },
  };
}

function page(users: readonly (AdminUser & { at: Cursor })[], next: Cursor | null): AdminUserList {
  return {
    users: users.map(({ at: _at, ...user }) => user),
    nextCursor: next && Buffer.from(JSON.stringify(next)).toString('base64url'),
  };
}

function cursorOf(text: string | undefined, path: Path | undefined): Cursor | null {
  if (text === undefined) return null;
  try {
    const cursor = Cursor.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
    // Numbers are instants, which come down; texts go up.
    if ((typeof cursor[0] === 'number') === path?.descending) return cursor;
  } catch {
    // As one of another search.
  }
  throw wrongField('cursor', "The last answer's nextCursor, with the same search.");
}

function fits({ isAdmin, disabledAt, plan }: AdminUser, { tier, state, admins }: AdminUserQuery): boolean {
  if (admins && !isAdmin) return false;
  if (tier && plan.plan !== tier) return false;
  if (state === 'disabled') return disabledAt !== null;
  if (state === 'lapsed') return plan.lapsed;
  return state !== 'active' || (disabledAt === null && !plan.lapsed);
}

function userView({ id, email, name, role, disabledAt, createdAt }: User, { until, ...plan }: EffectivePlan): AdminUser {
  return {
    ...{ id, email, name, isAdmin: role === 'admin' },
    ...{ disabledAt: disabledAt?.toISOString() ?? null, createdAt: createdAt.toISOString() },
    plan: { ...plan, until: until?.toISOString() ?? null },
  };
}

const asciiLower = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
/** As `byDomain` of the database says it. */
const domainFirst = (email: string): string => `${email.slice(Math.max(0, email.indexOf('@')))} ${email}`;

/** Texts byte by byte, as the database does. */
function compare(a: Key, b: Key): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
}
