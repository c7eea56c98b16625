/**
 * Where somebody's keys of a provider stand: which place a new one gets, and in which order they are tried. A place (`position`) is a key's for
 * good, with its totals and its budget; the order (`rank`) is its owner's to change.
 */
import { AppError, type NewKey } from '@synthstack/core';
import { atomically, bumpGeneration, type Db, must } from '@synthstack/core/db';
import { and, eq } from 'drizzle-orm';
import type { Clock } from './ports/clock.ts';
import { providerOf } from './providers/catalog.ts';
import { type KeyPlace, type KeyRows, platform, type StoredKey } from './vault-rows.ts';
import type { Spot } from './vault-writes.ts';

export interface SpotParts {
  db: Db;
  rows: KeyRows;
  clock: Clock;
  /** How many keys of a provider somebody may have. */
  perProvider: number;
}

export function createSpots({ db, rows, clock, perProvider }: SpotParts) {
  const inOrder = async (owner: string, provider: StoredKey['provider']): Promise<StoredKey[]> =>
    (await rows.ofOwner(owner)).filter((key) => key.provider === provider);

  return {
    /**
     * @throws AppError `not_found`: there is no such key to replace; `conflict`: there are as many as may be
     */
    async forNew(owner: string, { provider, keyId, name }: Pick<NewKey, 'provider' | 'keyId' | 'name'>): Promise<Spot> {
      const keys = await inOrder(owner, provider);
      const most = owner === platform ? 1 : perProvider;
      const before = keyId === undefined ? (most === 1 ? keys[0] : undefined) : keys.find((key) => key.id === keyId);
      if (keyId !== undefined && !before) throw new AppError('not_found', 'There is no such key to replace.');
      if (before) {
        const { position, rank, models } = before;
        return { owner, provider, position, rank, models, name: name === undefined ? before.name : name, before };
      }
      if (keys.length >= most) throw tooMany(providerOf(provider).name, most);
      const taken = new Set(keys.map(({ position }) => position));
      const position = keys.findIndex((_, i) => !taken.has(i));
      const rank = Math.max(-1, ...keys.map((key) => key.rank)) + 1;
      return { owner, provider, position: position === -1 ? keys.length : position, rank, models: null, name: name ?? null, before: null };
    },

    /** Where a replaced key goes back to. @throws AppError `not_found`: there is none any more that has replaced it */
    async ofFormer(place: KeyPlace): Promise<Spot> {
      const before = await rows.at(place);
      if (!before) throw new AppError('not_found', 'There is no such key to restore any more.');
      const { owner, provider, position, rank, name, models } = before;
      return { owner, provider, position, rank, name, models, before };
    },

    /** Moves a key in the order; beyond its end is the end. @throws AppError `conflict`: a key came or went meanwhile */
    async move({ id, owner, provider }: StoredKey, position: number): Promise<void> {
      const before = await inOrder(owner, provider);
      const moved = before.find((key) => key.id === id);
      if (!moved) return;
      const others = before.filter((key) => key !== moved);
      const keys = [...others.slice(0, position), moved, ...others.slice(position)];
      const updatedAt = new Date(clock.now());
      await atomically(db, (tx, t) => [
        ...keys.map((key, rank) =>
          must(
            tx
              .update(t.providerKey)
              .set({ rank, ...(key.rank !== rank && { updatedAt }) })
              .where(and(eq(t.providerKey.id, key.id), eq(t.providerKey.rank, key.rank))),
          ),
        ),
        bumpGeneration(tx, t),
      ]);
    },
  };
}

const tooMany = (name: string, most: number) =>
  new AppError('conflict', `You have ${most} keys of ${name}, which is as many as this server allows. Replace one of them, or remove one.`);
