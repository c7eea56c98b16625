/**
 * How the server is. Asked for a page, so nothing takes long: what is counted is counted up to a bound, nothing is read as a whole, and no
 * provider is knocked at: what the last requests met is told. What `doctor` and /readyz look at as well is looked at by the same functions.
 */
import { statfsSync } from 'node:fs';
import { type HealthState, healthStates, type MasterKeyHealth, mostCounted, type SystemHealth } from '@synthstack/core';
import { atomically, type Db } from '@synthstack/core/db';
import { and, desc, eq, gt, isNotNull, max, ne, sql } from 'drizzle-orm';
import type { Boot } from './boot.ts';
import type { Config } from './config.ts';
import type { Clock } from './ports/clock.ts';
import { allProviders } from './providers/catalog.ts';
import type { Sender } from './providers/send.ts';
import { type SealedThing, sealedThings } from './sealed.ts';
import type { Vault } from './vault.ts';

export interface HealthParts {
  db: Db;
  clock: Clock;
  version: string;
  dataDir: string;
  backups: Config['backups'];
  /** `at` in ms; null: there is none in the folder. */
  newestBackup(folder: string): { at: number } | null;
  /** The server sends e-mail. */
  mail: boolean;
  /** Prices come from PRICES_URL as well. */
  pricesUrl: boolean;
  boot: Pick<Boot, 'id'>;
  sender: Pick<Sender, 'contact'>;
  vault: Pick<Vault, 'masterKeyStates' | 'platformProviders'>;
  /** Models that were used and have no price. */
  waitingModels(): Promise<readonly unknown[]>;
}

export type Health = ReturnType<typeof createHealth>;

const dayMs = 86_400_000;
const waitsLongMs = 30 * 60_000;
const hourMs = 3_600_000;
const oldListMs = 3 * dayMs;
/** After so many seals random nonces are no longer safe enough to go on without a new master key (vault-master-keys.ts). */
const manySeals = 2 ** 31;

export function createHealth({
  db,
  clock,
  version,
  dataDir,
  backups,
  newestBackup,
  mail,
  pricesUrl,
  boot: self,
  sender,
  vault,
  waitingModels,
}: HealthParts) {
  const { boot, mailOutbox: outbox, priceOverride, setting } = db.tables;
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

  const sealed = sealedThings(db.tables);

  /** An index with the key's id in front counts each. */
  async function countUpTo({ table, only }: SealedThing, id: string): Promise<number> {
    const some = db.orm
      .select({ one: sql`1`.as('one') })
      .from(table)
      .where(and(eq(table.masterKeyId, id), only))
      .limit(mostCounted)
      .as('some');
    const [row] = await db.orm.select({ n: sql<number>`count(*)` }).from(some);
    return Number(row?.n ?? 0);
  }

  async function database(): Promise<SystemHealth['database']> {
    const { data, log } = await db.size();
    const readMs = await timed(() => ping(db));
    // The sign of life that this process writes every ten seconds anyway.
    const heartbeatAt = clock.now();
    const writeMs = await timed(() => atomically(db, (tx) => [tx.update(boot).set({ heartbeatAt }).where(eq(boot.id, self.id))])).catch(
      () => null,
    );
    return { state: writeMs === null ? 'failed' : 'ok', engine: db.dialect, bytes: data, logBytes: log, readMs, writeMs };
  }

  async function masterKeys(): Promise<SystemHealth['masterKeys']> {
    const keys: MasterKeyHealth[] = [];
    for (const state of await vault.masterKeyStates()) {
      const rows = [];
      for (const thing of sealed) rows.push({ what: thing.name, rows: await countUpTo(thing, state.id) });
      keys.push({ ...state, rows });
    }
    return { state: worst(keys.map(stateOfKey)), keys };
  }

  async function processes() {
    const rows = await db.orm.select().from(boot).orderBy(desc(boot.startedAt));
    return rows.map(({ id, host, pid, startedAt, heartbeatAt }) => ({
      ...{ host, pid, self: id === self.id },
      ...{ startedAt: new Date(startedAt).toISOString(), seenAt: new Date(heartbeatAt).toISOString() },
    }));
  }

  async function mailHealth(): Promise<SystemHealth['mail']> {
    const open = db.orm.select({ at: outbox.createdAt }).from(outbox).where(isNotNull(outbox.dueAt)).limit(mostCounted).as('open');
    const [waiting] = await db.orm.select({ n: sql<number>`count(*)`, oldest: sql<number | null>`min(${open.at})` }).from(open);
    const recent = gt(outbox.endedAt, new Date(clock.now() - dayMs));
    const ended = db.orm.select({ state: outbox.state }).from(outbox).where(recent).limit(mostCounted).as('ended');
    const states = await db.orm.select({ state: ended.state, n: sql<number>`count(*)` }).from(ended).groupBy(ended.state);
    const ofState = (state: string) => Number(states.find((one) => one.state === state)?.n ?? 0);
    const wrong = isNotNull(outbox.lastError);
    const latest = async (where: ReturnType<typeof and>) =>
      (await db.orm.select({ error: outbox.lastError }).from(outbox).where(and(where, wrong)).limit(1))[0]?.error;
    const oldestAt = waiting?.oldest == null ? null : Number(waiting.oldest);
    const failedToday = ofState('failed') + ofState('uncertain');
    const waitsLong = oldestAt !== null && clock.now() - oldestAt > waitsLongMs;
    return {
      // Not to have set it up is a decision, which the page tells of all the same.
      state: mail && (failedToday > 0 || waitsLong) ? 'warning' : 'ok',
      available: mail,
      waiting: Number(waiting?.n ?? 0),
      oldestAt: iso(oldestAt),
      sentToday: ofState('sent'),
      failedToday,
      lastError: (await latest(isNotNull(outbox.dueAt))) ?? (await latest(recent)) ?? null,
    };
  }

  function backup(): SystemHealth['backup'] {
    const { dir, everyHours, keep } = backups;
    if (dir === undefined) return null;
    const newestAt = newestBackup(dir)?.at ?? null;
    const isLate = newestAt === null || clock.now() - newestAt > 2 * everyHours * hourMs;
    return { state: isLate ? 'warning' : 'ok', folder: dir, everyHours, keep, newestAt: iso(newestAt) };
  }

  async function prices(): Promise<SystemHealth['prices']> {
    const isList = ne(priceOverride.source, 'admin');
    const [row] = await db.orm
      .select({ at: max(priceOverride.createdAt) })
      .from(priceOverride)
      .where(isList);
    const [worked] = await db.orm.select({ at: setting.updatedAt }).from(setting).where(eq(setting.key, 'prices.url_worked_at'));
    const listAt = Math.max(row?.at?.getTime() ?? 0, worked?.at.getTime() ?? 0) || null;
    const waiting = (await waitingModels()).length;
    const isOld = pricesUrl && (listAt === null || clock.now() - listAt > oldListMs);
    return { state: waiting > 0 || isOld ? 'warning' : 'ok', release: version, listAt: iso(listAt), waitingModels: waiting };
  }

  async function providers(): Promise<SystemHealth['providers']> {
    const platform = await vault.platformProviders();
    return allProviders.map((provider) => {
      const { id, name } = provider;
      const contact = sender.contact(provider);
      const failedLast = (contact?.failedAt ?? 0) > (contact?.answeredAt ?? 0);
      return {
        ...{ id, name, platform: platform.has(id), state: failedLast ? ('warning' as const) : ('ok' as const) },
        ...{ answeredAt: iso(contact?.answeredAt ?? null), failedAt: iso(contact?.failedAt ?? null), error: contact?.failure ?? null },
      };
    });
  }

  return {
    /** @throws AppError `storage_unavailable`: the database does not answer */
    async report(): Promise<SystemHealth> {
      const parts = {
        database: await database(),
        masterKeys: await masterKeys(),
        disk: { ...diskOf(dataDir), folder: dataDir },
        mail: await mailHealth(),
        prices: await prices(),
      };
      const kept = backup();
      const [all, reached] = [await processes(), await providers()];
      const startedAt = all.find((one) => one.self)?.startedAt ?? new Date(clock.now()).toISOString();
      const rssBytes = process.memoryUsage.rss();
      return {
        state: worst([...Object.values(parts), ...reached, ...(kept ? [kept] : [])].map(({ state }) => state)),
        at: new Date(clock.now()).toISOString(),
        program: { version, node: process.versions.node, startedAt, rssBytes, state: 'ok' },
        ...parts,
        backup: kept,
        processes: all,
        providers: reached,
      };
    },
  };
}

/** The database answers. @throws AppError `storage_unavailable` */
export async function ping(db: Pick<Db, 'orm' | 'tables'>): Promise<void> {
  await db.orm.select().from(db.tables.generation);
}

/** How much room is left in the folder that everything is written to. */
export function diskOf(folder: string): { state: HealthState; freeBytes: number } {
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  return { state: freeBytes < 100 * 1_048_576 ? 'failed' : freeBytes < 1_024 * 1_048_576 ? 'warning' : 'ok', freeBytes };
}

/** A key that is not there fails what it sealed; one that is, but is no longer the current one, should seal nothing any more. */
function stateOfKey({ current, given, opens, seals, rows }: MasterKeyHealth): HealthState {
  const used = rows.some((one) => one.rows > 0);
  if ((used && !given) || (given && !opens)) return 'failed';
  return (used && !current) || seals >= manySeals ? 'warning' : 'ok';
}

const worst = (states: readonly HealthState[]): HealthState =>
  states.reduce((most, state) => (healthStates.indexOf(state) > healthStates.indexOf(most) ? state : most), 'ok');

async function timed(act: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await act();
  return Math.round((performance.now() - startMs) * 100) / 100;
}
