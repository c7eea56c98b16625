/** Knowledge that is read again when somebody has changed something, in whatever process: the `generation` says so. */
import type { Db } from './open.ts';

const never = Symbol('never read');

/**
 * @param load  reads all of it anew; what it throws is thrown to those who wait, and the next look tries again
 * @returns a look: on SQLite nothing is waited for while nothing has changed
 */
export function followGeneration(db: Pick<Db, 'generation'>, load: () => Promise<void>): () => void | Promise<void> {
  let seen: unknown = never;
  let loading: { generation: unknown; done: Promise<void> } | null = null;

  async function read(generation: unknown): Promise<void> {
    await load();
    seen = generation;
  }

  function look(generation: unknown): void | Promise<void> {
    if (generation === seen) return undefined;
    if (loading && loading.generation === generation) return loading.done;
    // What an older look reads may be from before the change.
    const before = loading?.done.catch(() => undefined);
    const mine = {
      generation,
      done: Promise.resolve(before)
        .then(() => read(generation))
        .finally(() => {
          if (loading === mine) loading = null;
        }),
    };
    loading = mine;
    return mine.done;
  }

  return () => {
    const generation = db.generation();
    return generation instanceof Promise ? generation.then(look) : look(generation);
  };
}
