/**
 * A cache that every change drops, whichever process made it: each write to keys, tokens, plans and users moves the one-row
 * `generation` in its own transaction, and each use here looks at that row first, which takes microseconds.
 */
import type { Db } from '@synthstack/core/db';

export interface GenerationCache<T> {
  /** What is remembered under `key`, or what `load` says now. What `load` throws is not remembered. */
  get(key: string, load: () => Promise<T>): T | Promise<T>;
  delete(key: string): void;
}

export function createGenerationCache<T>(db: Pick<Db, 'generation'>, maxEntries = 10_000): GenerationCache<T> {
  const entries = new Map<string, T>();
  let seen: unknown;

  function look(key: string, generation: unknown, load: () => Promise<T>): T | Promise<T> {
    if (generation !== seen) {
      entries.clear();
      seen = generation;
    }
    const known = entries.get(key);
    return known === undefined ? fetch(key, generation, load) : known;
  }

  async function fetch(key: string, generation: unknown, load: () => Promise<T>): Promise<T> {
    const loaded = await load();
    // What was read before the generation moved must not outlive the cache that it was read for.
    if (generation === seen) {
      const [oldest] = entries.keys();
      if (entries.size >= maxEntries && oldest !== undefined) entries.delete(oldest);
      entries.set(key, loaded);
    }
    return loaded;
  }

  return {
    get(key, load) {
      const generation = db.generation();
      // On SQLite the answer is there already: waiting for it anyway would cost each request a turn.
      return generation instanceof Promise ? generation.then((value) => look(key, value, load)) : look(key, generation, load);
    },
    delete: (key) => void entries.delete(key),
  };
}
