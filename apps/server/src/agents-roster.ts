/** Which agents there are: those of the catalog, as administrators have changed them, and those that they have added. Each change is a version. */
import {
  type AdminAgent,
  type AgentDefinition,
  type AgentVersions,
  type AgentView,
  AppError,
  type NewAgent,
  type ResetAgent,
  type SaveAgent,
  type TierName,
} from '@synthstack/core';
import { atomically, type Db, must, type Statement } from '@synthstack/core/db';
import { and, desc, eq } from 'drizzle-orm';
import { catalog } from './agents-catalog.ts';
import type { AuditAction, AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';

export interface Agent extends AgentDefinition {
  slug: string;
  /** 0: never changed. */
  version: number;
  isChanged: boolean;
}

export interface RosterParts {
  db: Db;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
  /** What people are called, by their ids; who is gone has no name. */
  namesOf(userIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** The tiers that have every agent. */
const fullTiers: ReadonlySet<TierName> = new Set(['premium', 'lifetime']);
const mostVersions = 100;

export type Roster = ReturnType<typeof createRoster>;

export function createRoster({ db, clock, audit, namesOf }: RosterParts) {
  const { agent, agentVersion } = db.tables;

  const rows = async () => new Map((await db.orm.select().from(agent)).map((row) => [row.slug, row]));

  /** Those of the catalog in its order, then those added, by name. */
  async function all(): Promise<Agent[]> {
    const changed = await rows();
    const slugs = [...catalog.keys(), ...[...changed.keys()].filter((slug) => !catalog.has(slug)).sort()];
    return slugs.flatMap((slug) => {
      const row = changed.get(slug);
      const definition = row?.definition ?? catalog.get(slug);
      return definition ? [{ ...definition, slug, version: row?.version ?? 0, isChanged: Boolean(row?.definition) }] : [];
    });
  }

  /** @throws AppError `not_found` */
  async function find(slug: string): Promise<Agent> {
    const found = (await all()).find((one) => one.slug === slug);
    if (!found) throw new AppError('not_found', 'There is no such agent.');
    return found;
  }

  /** @param from  the version that the change was made on */
  async function write(actor: string, change: { slug: string; from: number; definition: AgentDefinition | null; action: AuditAction }) {
    const { slug, from, definition, action } = change;
    const [version, now] = [from + 1, new Date(clock.now())];
    const values = { version, definition, updatedAt: now };
    await atomically(db, (tx) => [
      from === 0
        ? tx.insert(agent).values({ slug, ...values })
        : must(
            tx
              .update(agent)
              .set(values)
              .where(and(eq(agent.slug, slug), eq(agent.version, from))),
          ),
      tx.insert(agentVersion).values({ slug, version, definition, actor, createdAt: now }),
      audit({ actor, subject: actor, action, detail: { agent: slug, version: String(version) } }),
    ]).catch((error: unknown) => {
      throw error instanceof AppError && error.code === 'conflict' ? changedMeanwhile(error) : error;
    });
  }

  const versionOf = async (slug: string): Promise<number> => (await rows()).get(slug)?.version ?? 0;

  return {
    all,
    find,

    /** All of them, as someone of that tier sees them. */
    async views(tier: TierName): Promise<AgentView[]> {
      return (await all()).map((one) => viewOf(one, tier));
    },

    async adminList(): Promise<AdminAgent[]> {
      return (await all()).map(adminViewOf);
    },

    /** @throws AppError `not_found`; `conflict`: changed since that version */
    async save(actor: string, { slug, version, ...definition }: SaveAgent): Promise<AdminAgent> {
      const known = await find(slug);
      if (known.version !== version) throw changedMeanwhile();
      await write(actor, { slug, from: version, definition, action: 'agent.changed' });
      return adminViewOf(await find(slug));
    },

    /** @throws AppError `conflict`: there is one of that slug */
    async add(actor: string, { slug, ...definition }: NewAgent): Promise<AdminAgent> {
      if ((await all()).some((one) => one.slug === slug)) throw new AppError('conflict', 'There is an agent of that slug already.');
      await write(actor, { slug, from: await versionOf(slug), definition, action: 'agent.added' });
      return adminViewOf(await find(slug));
    },

    /**
     * An agent of the catalog becomes as it was built; an added one goes. Conversations with it stay.
     * @throws AppError `not_found`; `conflict`: changed since that version, where one is named
     */
    async reset(actor: string, { slug, version: seen }: ResetAgent): Promise<void> {
      const { isChanged, version } = await find(slug);
      if (seen !== undefined && seen !== version) throw changedMeanwhile();
      if (isChanged) await write(actor, { slug, from: version, definition: null, action: 'agent.reset' });
    },

    /** What became of an agent, the newest 100. @throws AppError `not_found`: there never was one of that slug */
    async versions(slug: string): Promise<AgentVersions> {
      const found = await db.orm
        .select()
        .from(agentVersion)
        .where(eq(agentVersion.slug, slug))
        .orderBy(desc(agentVersion.version))
        .limit(mostVersions);
      if (found.length === 0) await find(slug);
      const names = await namesOf([...new Set(found.map(({ actor }) => actor))]);
      return {
        delivered: catalog.get(slug) ?? null,
        versions: found.map(({ version, definition, actor, createdAt }) => ({
          ...{ version, definition, actor, createdAt: createdAt.toISOString() },
          actorName: names.get(actor) ?? null,
        })),
      };
    },
  };
}

export const mayAsk = ({ inAllPlans }: Agent, tier: TierName): boolean => inAllPlans || fullTiers.has(tier);

/** @throws AppError `plan_required`, which says what the plan would bring */
export function admitTo(agent: Agent, tier: TierName): void {
  if (mayAsk(agent, tier)) return;
  throw new AppError(
    'plan_required',
    `${agent.name} is part of the Premium and Lifetime plans. ${agent.description} With them you have all AI Cofounders.`,
  );
}

function viewOf(agent: Agent, tier: TierName): AgentView {
  const { slug, name, description, starters, models, version, isChanged } = agent;
  return { slug, name, description, available: mayAsk(agent, tier), starters, models, version, isChanged };
}

const adminViewOf = (agent: Agent): AdminAgent => ({ ...agent, isBuiltIn: catalog.has(agent.slug) });

const changedMeanwhile = (cause?: AppError) =>
  new AppError('conflict', 'Somebody has changed this agent meanwhile. Load it again, then make your change.', { cause });
