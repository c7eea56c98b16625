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

/** @param maxEntries  at most so many are remembered, and at least the latest half of them */
export function createGenerationCache<T>(db: Pick<Db, 'generation'>, maxEntries = 20_000): GenerationCache<T> {
  // Two halves, the newer of which fills: what is asked for moves to it, and the older is let go as a whole. To delete the oldest entry of
  // one map, time and again, takes ever longer: V8 walks over all those that were deleted before.
  let newer = new Map<string, T>();
  let older = new Map<string, T>();
  let seen: unknown;

  function remember(key: string, value: T): void {
    if (newer.size >= maxEntries / 2) {
      older = newer;
      newer = new Map();
    }
    newer.set(key, value);
  }

  function recall(key: string): T | undefined {
    const known = newer.get(key);
    if (known !== undefined) return known;
    const old = older.get(key);
    if (old !== undefined) remember(key, old);
    return old;
  }

  function look(key: string, generation: unknown, load: () => Promise<T>): T | Promise<T> {
    if (generation !== seen) {
      newer.clear();
      older.clear();
      seen = generation;
    }
    const known = recall(key);
    return known === undefined ? fetch(key, generation, load) : known;
  }

  async function fetch(key: string, generation: unknown, load: () => Promise<T>): Promise<T> {
    const loaded = await load();
    // What was read before the generation moved must not outlive the cache that it was read for.
    if (generation === seen) remember(key, loaded);
    return loaded;
  }

  return {
    get(key, load) {
      const generation = db.generation();
      // On SQLite the answer is there already: waiting for it anyway would cost each request a turn.
      return generation instanceof Promise ? generation.then((value) => look(key, value, load)) : look(key, generation, load);
    },
    delete(key) {
      newer.delete(key);
      older.delete(key);
    },
  };
}
