/**
 * Changing the master key while the server works: every sealed row is opened with the key that it names and sealed anew with ENCRYPTION_KEY,
 * some at a time. A row is only written if nobody else has written it meanwhile, so any number of processes may work at it at once, and
 * whatever ends one, each row is whole at every point, under one key or the other. Where it stands is what the rows say, and nothing else.
 */
import { AppError, type RotationView, toAppError } from '@synthstack/core';
import { bumpGeneration, type Db, must, type Statement, statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { and, asc, count, eq, gt, min, sql } from 'drizzle-orm';
import type { AuditEntry, AuditRow } from './audit.ts';
import type { Fields } from './ports/log.ts';
import { type SealedThing, sealedThings } from './sealed.ts';

export interface RotationParts {
  db: Db;
  keyring: Keyring;
  audit(entry: AuditEntry): Statement;
  /** The last row of the audit log that tells of a beginning. */
  lastStart(): Promise<Pick<AuditRow, 'actor' | 'at' | 'detail'> | undefined>;
  namesOf(userIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  countSeal(seals: number): Promise<Statement[]>;
  /** The servers that use this database now. */
  livingBoots(): Promise<readonly { host: string; pid: number; sealsWith: string }[]>;
  log: { info(fields: Fields, message: string): void; error(fields: Fields, message: string, cause?: unknown): void };
  /** Rows that are sealed anew in one commit. */
  pageRows?: number;
}

/** What the rows say, without who began it. */
type Stand = Omit<RotationView, 'lastStart'>;

/** Rows by the master key that they are sealed with. */
type Counts = Map<SealedThing, Map<string, number>>;

export type Rotation = ReturnType<typeof createRotation>;

const defaultPageRows = 50;
/** A row that is sealed with a former key while we are at work belongs to a process that was just stopping. */
const mostPasses = 10;

export function createRotation(parts: RotationParts) {
  const { db, keyring, audit, lastStart, namesOf, countSeal, livingBoots, log, pageRows = defaultPageRows } = parts;
  const { masterKey } = db.tables;
  const { sealingKeyId } = keyring;
  const things = sealedThings(db.tables);
  let running: Promise<Stand> | null = null;
  /** While it runs: where it is. */
  let counts: Counts = new Map();
  let unreadableRows = 0;
  let error: string | null = null;
  let isStopped = false;
  let hasMoved = false;

  /** @throws AppError `conflict`: to seal anew what such a process has to open would take the keys away from it */
  async function refuseOthers(): Promise<void> {
    const others = (await livingBoots()).filter(({ sealsWith }) => sealsWith !== sealingKeyId);
    if (others.length === 0) return;
    const named = others.map(({ pid, host }) => `${pid} on ${host}`).join(', ');
    throw new AppError(
      'conflict',
      `Another server still seals with a former master key (process ${named}). Restart it with the new ENCRYPTION_KEY, ` +
        'and the former one in ENCRYPTION_KEY_PREVIOUS, then try again.',
    );
  }

  /** Each found by one look at the index, however many rows have it. */
  async function keyIdsOf({ table: { masterKeyId }, table, only }: SealedThing): Promise<string[]> {
    const ids: string[] = [];
    for (let last = ''; ; ) {
      const [row] = await db.orm
        .select({ id: min(masterKeyId) })
        .from(table)
        .where(and(gt(masterKeyId, last), only));
      const id = row?.id as string | null | undefined;
      if (id === null || id === undefined) return ids;
      ids.push(id);
      last = id;
    }
  }

  async function countAll(): Promise<Counts> {
    const all: Counts = new Map();
    for (const thing of things) {
      const { table, only } = thing;
      const byKey = new Map<string, number>();
      for (const id of await keyIdsOf(thing)) {
        const [row] = await db.orm
          .select({ n: count() })
          .from(table)
          .where(and(eq(table.masterKeyId, id), only));
        byKey.set(id, Number(row?.n ?? 0));
      }
      all.set(thing, byKey);
    }
    return all;
  }

  function moved(thing: SealedThing, from: string, rows: number): void {
    const byKey = counts.get(thing);
    if (!byKey) return;
    byKey.set(from, Math.max(0, (byKey.get(from) ?? 0) - rows));
    byKey.set(sealingKeyId, (byKey.get(sealingKeyId) ?? 0) + rows);
  }

  function view(of: Counts): Stand {
    const tables = [...of].map(([{ name }, byKey]) => {
      return { table: name, total: sum(byKey.values()), done: byKey.get(sealingKeyId) ?? 0 };
    });
    const needed = [...of.values()].flatMap((byKey) => [...byKey].filter(([, rows]) => rows > 0).map(([id]) => id));
    const former = [...new Set([...keyring.keyIds, ...needed])].filter((id) => id !== sealingKeyId);
    const rowsWith = (id: string) => sum([...of.values()].map((byKey) => byKey.get(id) ?? 0));
    return {
      masterKeyId: sealingKeyId,
      isRunning: running !== null,
      total: sum(tables.map(({ total }) => total)),
      done: sum(tables.map(({ done }) => done)),
      tables,
      formerKeys: former.map((id) => ({ masterKeyId: id, rows: rowsWith(id), isHere: keyring.canOpen(id) })),
      removable: former.filter((id) => keyring.canOpen(id) && rowsWith(id) === 0),
      ...{ unreadableRows, error },
    };
  }

  type Row = Record<string, string> & { rowKey: string; encryptedBlob: Buffer; nonce: Buffer; masterKeyId: string };

  async function pageOf({ table, key, of, only }: SealedThing, from: string, after: Buffer): Promise<Row[]> {
    const { encryptedBlob, nonce, masterKeyId } = table;
    const rows = await db.orm
      .select({ ...of, rowKey: key, encryptedBlob, nonce, masterKeyId })
      .from(table)
      .where(and(eq(masterKeyId, from), gt(nonce, after), only))
      .orderBy(asc(nonce))
      .limit(pageRows);
    return rows as unknown as Row[];
  }

  /** @returns null: it does not open with the key that it names */
  function rewrap({ table, key, purpose, context }: SealedThing, row: Row): Statement | null {
    let plaintext: Buffer;
    try {
      plaintext = keyring.open(purpose(row), context(row), row);
    } catch {
      return null;
    }
    const sealed = keyring.seal(purpose(row), context(row), plaintext);
    plaintext.fill(0);
    // What was replaced, removed or sealed anew by another since it was read is left as it is.
    const unchanged = and(eq(key, row.rowKey), eq(table.masterKeyId, row.masterKeyId), eq(table.nonce, row.nonce));
    return statement(db.orm.update(table).set(sealed).where(unchanged));
  }

  /** @returns the nonce of the last row that was looked at; null: there are no more */
  async function rewrapPage(thing: SealedThing, from: string, after: Buffer): Promise<Buffer | null> {
    const rows = await pageOf(thing, from, after);
    const last = rows.at(-1);
    if (!last) return null;
    const writes = rows.map((row) => rewrap(thing, row)).filter((write) => write !== null);
    unreadableRows += rows.length - writes.length;
    if (writes.length > 0) {
      // Caches hold the nonces of before: a cached key opens as it did, and is read anew all the same.
      await db.commit([...writes, ...(await countSeal(writes.length)), statement(bumpGeneration(db.orm, db.tables))]);
      moved(thing, from, writes.length);
      hasMoved = true;
    }
    return last.nonce;
  }

  /** @returns how many rows it found to be done. @param told  hears of each page */
  async function pass(told: () => void): Promise<number> {
    unreadableRows = 0;
    let found = 0;
    for (const thing of things) {
      const former = (await keyIdsOf(thing)).filter((id) => id !== sealingKeyId);
      for (const from of former.filter(keyring.canOpen)) {
        for (let after: Buffer | null = Buffer.alloc(0); after && !isStopped; told()) {
          const before: Buffer = after;
          const last: Buffer | null = await undisturbed(() => rewrapPage(thing, from, before));
          if (last) found += 1;
          after = last;
        }
      }
    }
    return found;
  }

  /** The canary of a key goes once nothing is sealed with that key, and with it goes the word of it into the audit log. */
  async function retire(from: string, actor: string): Promise<void> {
    const unused = things.map(({ table }) => sql`not exists (select 1 from ${table} where ${table.masterKeyId} = ${from})`);
    const [row] = await db.orm.select({ seals: masterKey.seals }).from(masterKey).where(eq(masterKey.id, from));
    if (!row) return;
    const gone = db.orm.delete(masterKey).where(and(eq(masterKey.id, from), ...unused));
    const detail = { from, to: sealingKeyId, seals: `${row.seals}` };
    const told = audit({ actor, subject: 'platform', action: 'master_key.rotated', detail });
    try {
      await undisturbed(() => db.commit([must(gone), told]), 2);
    } catch (thrown) {
      // Another process has done it, or a row has come to it again: the count that follows says which.
      if (!isConflict(thrown)) throw thrown;
    }
  }

  /** What was sealed with the former key shall not be found in the files any more. */
  async function clearFiles(): Promise<void> {
    try {
      await db.scrub();
    } catch {
      const until =
        'What was sealed with the former key stays in the journal of the database while somebody reads it for long: a backup, or Litestream';
      log.info({}, until);
    }
  }

  /** For those who find it interrupted: who began it, and when. */
  async function tellStart(actor: string): Promise<void> {
    const rows = sum(view(counts).formerKeys.map((key) => (key.isHere ? key.rows : 0)));
    if (rows === 0) return;
    const detail = { to: sealingKeyId, rows: `${rows}` };
    await undisturbed(() => db.commit([audit({ actor, subject: 'platform', action: 'master_key.rotation_started', detail })]));
  }

  async function begun(): Promise<RotationView['lastStart']> {
    const start = await lastStart();
    if (start?.detail.to !== sealingKeyId) return null;
    const by = start.actor === 'cli' ? 'cli' : ((await namesOf([start.actor])).get(start.actor) ?? null);
    return { at: start.at.toISOString(), by };
  }

  async function rotate(actor: string, told: (view: Stand) => void): Promise<Stand> {
    await refuseOthers();
    counts = await countAll();
    await tellStart(actor);
    told(view(counts));
    for (let left = mostPasses; !isStopped && left > 0; left -= 1) {
      const pages = await pass(() => told(view(counts)));
      counts = await countAll();
      if (pages === 0 || view(counts).formerKeys.every(({ rows }) => rows === 0) || unreadableRows > 0) break;
    }
    if (isStopped) return view(counts);
    await refuseOthers();
    for (const id of view(counts).removable) await retire(id, actor);
    if (hasMoved) await clearFiles();
    counts = await countAll();
    return view(counts);
  }

  return {
    /**
     * Seals everything anew with ENCRYPTION_KEY; a run that is under way in this process is joined.
     * @param actor  a user's id, or `cli`
     * @param told   hears where it is, after each page
     * @throws AppError `conflict`: another server still seals with a former key; `storage_unavailable`: what is done is done, the rest is as it was
     */
    async run(actor: string, told: (view: Stand) => void = () => undefined): Promise<RotationView> {
      error = null;
      running ??= rotate(actor, told).finally(() => {
        running = null;
      });
      const last = await running;
      return { ...last, isRunning: false, lastStart: await begun() };
    },

    /** Begins one in the background. @throws AppError `conflict`, as `run` */
    async start(actor: string): Promise<RotationView> {
      if (!running) {
        await refuseOthers();
        this.run(actor).then(
          ({ done, total }) => log.info({ done, total }, 'The stored secrets were sealed anew with ENCRYPTION_KEY'),
          (cause: unknown) => {
            error = toAppError(cause).message;
            if (!isStopped)
              log.error({}, 'The stored secrets could not all be sealed anew; a further run goes on where this one ended', cause);
          },
        );
      }
      return this.state();
    },

    /** Where it stands. */
    async state(): Promise<RotationView> {
      const of = running && counts.size > 0 ? counts : await countAll();
      return { ...view(of), lastStart: await begun() };
    },

    /** Ends a run after the page that is under way. */
    async stop(): Promise<void> {
      isStopped = true;
      await running?.catch(() => undefined);
    },
  };
}

/** Again, from its reading on, where a nonce was there already or another node has written the audit log at the same moment. */
async function undisturbed<T>(attempt: () => Promise<T>, tries = 5): Promise<T> {
  for (let left = tries; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left <= 1 || !isConflict(error)) throw error;
    }
  }
}

const isConflict = (error: unknown): boolean => error instanceof AppError && error.code === 'conflict';

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const one of numbers) total += one;
  return total;
}
