/**
 * What administrators have set, as typed values in the table `setting`: in memory, read again when the generation moves. Each change
 * names the version that it was made on, so that two people do not undo each other unawares; its row, its line in the audit log and the
 * signal to all processes stand or fall together.
 */
import { AppError, TierLimitsSetting, TierModelsSetting, type TierName, tierNames } from '@synthstack/core';
import { atomically, bumpGeneration, type Db, followGeneration, must, type Statement } from '@synthstack/core/db';
import { and, eq, inArray } from 'drizzle-orm';
import { z } from 'zod';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';
import type { Fields } from './ports/log.ts';

const ofEachTier = <Prefix extends string, T>(prefix: Prefix, schema: T) =>
  Object.fromEntries(tierNames.map((tier) => [`${prefix}.${tier}`, schema])) as Record<`${Prefix}.${TierName}`, T>;

/** All that can be set. What is not there has its default, wherever that comes from. */
const schemas = { ...ofEachTier('limits', TierLimitsSetting), ...ofEachTier('models', TierModelsSetting) };

type Schemas = typeof schemas;
export type SettingKey = keyof Schemas;
export type SettingValue<Key extends SettingKey> = z.infer<Schemas[Key]>;

export interface Setting<Value> {
  value: Value;
  /** When it was last changed, in ms, and always later than before; 0: never. */
  version: number;
  /** Id of the user who changed it last. */
  actor: string | null;
}

export interface SettingsParts {
  db: Db;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
  /** For the log of those who run the server. */
  warn?(fields: Fields, message: string): void;
}

export type Settings = ReturnType<typeof createSettings>;

const keys = Object.keys(schemas) as SettingKey[];
const Stored = z.strictObject({ actor: z.string(), value: z.unknown() });

export function createSettings({ db, clock, audit, warn = () => undefined }: SettingsParts) {
  const { setting } = db.tables;
  let known = new Map<SettingKey, Setting<unknown>>();
  /** Counts the readings, so that what is derived from them is made once each. */
  let readings = 0;

  const fresh = followGeneration(db, async () => {
    const rows = await db.orm.select().from(setting).where(inArray(setting.key, keys));
    known = new Map(rows.map((row) => [row.key as SettingKey, read(row.key as SettingKey, row.value, row.updatedAt)]));
    readings += 1;
  });

  /** What somebody has written by hand, and what a later version has, does not stop this one: the default holds. */
  function read(key: SettingKey, stored: unknown, updatedAt: Date): Setting<unknown> {
    const row = Stored.safeParse(stored);
    const value = schemas[key].safeParse(row.data?.value);
    if (!value.success) warn({ setting: key }, 'A setting in the database is not understood; its default holds');
    return { value: value.data ?? {}, version: updatedAt.getTime(), actor: row.data?.actor ?? null };
  }

  const get = <Key extends SettingKey>(key: Key): Setting<SettingValue<Key>> =>
    (known.get(key) ?? { value: {}, version: 0, actor: null }) as Setting<SettingValue<Key>>;

  return {
    /** Takes over what has changed, in whatever process. On SQLite nothing is waited for while nothing has. @throws AppError `storage_unavailable` */
    fresh,
    get,

    /** What is worked out from settings, once for each time that they are read. */
    derived<T>(make: () => T): () => T {
      let madeOf = -1;
      let made: T;
      return () => {
        if (madeOf !== readings) [made, madeOf] = [make(), readings];
        return made;
      };
    },

    /**
     * Writes a whole value.
     * @param version  the one that the change was made on
     * @throws AppError `conflict`: somebody has changed it since
     */
    async change<Key extends SettingKey>(actor: string, key: Key, version: number, value: SettingValue<Key>): Promise<void> {
      await fresh();
      const before = get(key);
      if (before.version !== version) throw changedMeanwhile();
      const [was, is] = [before.value, schemas[key].parse(value)] as Record<string, unknown>[];
      const fields = Object.keys(schemas[key].shape).filter((field) => text(was?.[field]) !== text(is?.[field]));
      if (fields.length === 0) return;
      const said = (of: Record<string, unknown> | undefined) =>
        JSON.stringify(Object.fromEntries(fields.map((field) => [field, of?.[field] ?? null])));
      const updatedAt = new Date(Math.max(clock.now(), version + 1));
      const stored = { value: { actor, value: is }, updatedAt };
      const detail = { setting: key, before: said(was), after: said(is) };
      await atomically(db, (tx, t) => [
        version === 0
          ? tx.insert(setting).values({ key, ...stored })
          : must(
              tx
                .update(setting)
                .set(stored)
                .where(and(eq(setting.key, key), eq(setting.updatedAt, new Date(version)))),
            ),
        audit({ actor, subject: 'platform', action: 'setting.changed', detail }),
        bumpGeneration(tx, t),
      ]).catch((error: unknown) => {
        throw error instanceof AppError && error.code === 'conflict' ? changedMeanwhile(error) : error;
      });
      await fresh();
    },
  };
}

const text = (value: unknown): string => JSON.stringify(value ?? null);

const changedMeanwhile = (cause?: AppError) =>
  new AppError('conflict', 'Somebody has changed this meanwhile. Look at it again, then make your change.', { cause });
