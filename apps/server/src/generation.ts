/**
 * A cache that every change drops, whichever process made it: each write to keys, tokens, plans and users moves the one-row
 * `generation` in its own transaction, and each use here looks at that row first, which takes microseconds.
 */
import { type Db, statement } from '@synthstack/core/db';

export interface GenerationCache<T> {
  /** What is remembered under `key`, or what `load` says now. What `load` throws is not remembered. */
  get(key: string, load: () => Promise<T>): Promise<T>;
  delete(key: string): void;
}

export function createGenerationCache<T>(db: Db, maxEntries = 10_000): GenerationCache<T> {
  const readGeneration = statement(db.orm.select({ value: db.tables.generation.value }).from(db.tables.generation));
  const entries = new Map<string, T>();
  let seen: unknown;

  return {
    async get(key, load) {
      const rows = db.read(readGeneration);
      // On SQLite the answer is there already: waiting for it anyway would cost each request a turn.
      const generation = (Array.isArray(rows) ? rows : await rows)[0]?.[0];
      if (generation !== seen) {
        entries.clear();
        seen = generation;
      }
      const known = entries.get(key);
      if (known !== undefined) return known;
      const loaded = await load();
      // What was read before the generation moved must not outlive the cache that it was read for.
      if (generation === seen) {
        const [oldest] = entries.keys();
        if (entries.size >= maxEntries && oldest !== undefined) entries.delete(oldest);
        entries.set(key, loaded);
      }
      return loaded;
    },
    delete: (key) => void entries.delete(key),
  };
}
