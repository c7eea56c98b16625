/** The rows of provider keys as the vault reads them: sealing, opening, and what people may see of them. */
import { AppError, type BudgetView, type KeyStatus, type KeyView, type ProviderId, toUsd } from '@synthstack/core';
import { type Db, prepareFind, type Tables } from '@synthstack/core/db';
import type { Keyring, Purpose, Sealed } from '@synthstack/core/keyring';
import { Secret } from '@synthstack/core/secret';
import { and, asc, eq, gt, type SQL } from 'drizzle-orm';
import type { Clock } from './ports/clock.ts';
import { isExpired } from './vault-expiry.ts';
import type { StoredStatus } from './vault-status.ts';

/** The owner of the operator's own keys. */
export const platform = 'platform';

/** Where a key lies: one row a place. */
export interface KeyPlace {
  /** A user's id, or `platform`. */
  owner: string;
  provider: ProviderId;
  /** For good: totals and budget belong to it. 0, until an operator allows several keys of a provider. */
  position: number;
}

/** A key as it is stored, still sealed: what the gateway keeps in its cache. */
export interface StoredKey extends KeyPlace {
  /** A UUID, new with each replacement. */
  id: string;
  keyHint: string;
  sealed: Sealed;
  /** `unreadable` where no master key of this process opened it when it was read. */
  status: KeyStatus;
  isActive: boolean;
  /** Use the platform's key when this one does not work. */
  fallback: boolean;
  lastError: string | null;
  retryAt: Date | null;
  retries: number;
  lastTestedAt: Date | null;
  /** From then on it is not used; null: its owner has said nothing. */
  expiresAt: Date | null;
  /** What its owner has been told of that (vault-expiry.ts). */
  expiryTold: number | null;
  createdAt: Date;
  updatedAt: Date;
  name: string | null;
  /** Its place in the order in which keys of a provider are tried: the lowest first. */
  rank: number;
  /** The models that it is for; null: all. */
  models: string[] | null;
}

/** A platform key that the operator gave in the environment: it has no row. */
export interface EnvironmentKey {
  owner: typeof platform;
  provider: ProviderId;
  keyHint: string;
  environment: Secret;
}

/** What `use` lends and `report` is about. */
export type UsableKey = StoredKey | EnvironmentKey;

type Row = Tables['providerKey']['$inferSelect'];
type Totals = Tables['keyTotals']['$inferSelect'];
type Former = Pick<Tables['retiredKey']['$inferSelect'], 'id' | 'provider' | 'position' | 'keyHint' | 'until'>;
/** What it takes to open a key. */
type SealedKey = Pick<StoredKey, 'owner' | 'provider' | 'id' | 'sealed'>;

export type KeyRows = ReturnType<typeof createKeyRows>;

export interface KeyRowParts {
  db: Db;
  keyring: Keyring;
  clock: Clock;
  /** How many of an owner's keys for one provider are used. */
  perProvider: number;
  budgetsOf(owner: string): Promise<(place: Pick<KeyPlace, 'provider' | 'position'>) => BudgetView | null>;
}

export function createKeyRows({ db, keyring, clock, perProvider, budgetsOf }: KeyRowParts) {
  const { providerKey, keyTotals, retiredKey } = db.tables;

  const places = (place: KeyPlace) =>
    and(eq(providerKey.owner, place.owner), eq(providerKey.provider, place.provider), eq(providerKey.position, place.position));

  const select = (where: SQL | undefined) =>
    db.orm.select().from(providerKey).where(where).orderBy(asc(providerKey.provider), asc(providerKey.rank), asc(providerKey.position));
  const findOfOwner = prepareFind(db, (owner) => select(eq(providerKey.owner, owner)));

  const read = async (where: SQL | undefined): Promise<StoredKey[]> => (await select(where)).map(readKey);

  function readKey(row: Row): StoredKey {
    const key = storedKey(row);
    return opens(key) ? key : { ...key, status: 'unreadable' };
  }

  /** @throws AppError `key_unusable` */
  function open(key: SealedKey): Secret {
    const plaintext = keyring.open(purposeOf(key.owner), contextOf(key), key.sealed);
    const secret = new Secret(plaintext.toString('utf8'));
    plaintext.fill(0);
    return secret;
  }

  function opens(key: StoredKey): boolean {
    return whyUnreadable(key) === null;
  }

  function whyUnreadable(key: StoredKey): string | null {
    try {
      keyring.open(purposeOf(key.owner), contextOf(key), key.sealed).fill(0);
      return null;
    } catch (error) {
      if (error instanceof AppError && error.code === 'key_unusable') return error.message;
      throw error;
    }
  }

  return {
    read,
    open,
    ofOwner: async (owner: string): Promise<StoredKey[]> => (await findOfOwner(owner)).map(readKey),

    /** @throws AppError `not_found`: the same for no such key and for someone else's */
    async mine(owner: string, id: string): Promise<StoredKey> {
      const [key] = await read(and(eq(providerKey.id, id), eq(providerKey.owner, owner)));
      if (!key) throw new AppError('not_found', 'There is no such key.');
      return key;
    },

    async at(place: KeyPlace): Promise<StoredKey | null> {
      const [key] = await read(places(place));
      return key ?? null;
    },

    seal: (place: KeyPlace, id: string, secret: Secret): Sealed =>
      keyring.seal(purposeOf(place.owner), contextOf({ ...place, id }), secret.expose()),

    /** @param keys  of one owner */
    async views(keys: readonly StoredKey[]): Promise<KeyView[]> {
      const owner = keys[0]?.owner;
      if (owner === undefined) return [];
      const totals = await db.orm.select().from(keyTotals).where(eq(keyTotals.owner, owner));
      const { id, provider, position, keyHint, until } = retiredKey;
      const restorable = and(eq(retiredKey.owner, owner), gt(until, new Date(clock.now())));
      const formers = await db.orm.select({ id, provider, position, keyHint, until }).from(retiredKey).where(restorable);
      const all = await findOfOwner(owner);
      const budgetOf = await budgetsOf(owner);
      return keys.map((key) => {
        const isHere = (one: { provider: ProviderId; position: number }) => one.provider === key.provider && one.position === key.position;
        const inOrder = all.filter((one) => one.provider === key.provider);
        const rank = Math.max(
          0,
          inOrder.findIndex((one) => one.id === key.id),
        );
        const lastError = key.status === 'unreadable' ? whyUnreadable(key) : key.lastError;
        const shown = { lastError, position: rank, isBeyond: rank >= perProvider, budget: budgetOf(key) };
        return view(key, shown, { totals: totals.find(isHere), former: formers.find(isHere), nowMs: clock.now() });
      });
    },
  };
}

const purposeOf = (owner: string): Purpose => (owner === platform ? 'platform-key' : 'provider-key');
const contextOf = ({ owner, provider, id }: { owner: string; provider: string; id: string }): string[] => [owner, provider, id];

function storedKey({ encryptedBlob, nonce, masterKeyId, version: _version, ...row }: Row): StoredKey & { status: StoredStatus } {
  return { ...row, sealed: { masterKeyId, nonce, encryptedBlob } };
}

type Shown = Pick<KeyView, 'lastError' | 'position' | 'isBeyond' | 'budget'>;

interface Beside {
  totals: Totals | undefined;
  former: Former | undefined;
  nowMs: number;
}

function view(key: StoredKey, { lastError, ...shown }: Shown, { totals, former, nowMs }: Beside): KeyView {
  const { id, provider, keyHint, status, isActive, fallback, lastTestedAt, expiresAt, createdAt, name, models } = key;
  return {
    id,
    provider,
    keyHint,
    status,
    isValid: status === 'valid',
    isActive,
    fallback,
    expiresAt: expiresAt?.toISOString() ?? null,
    isExpired: isExpired(key, nowMs),
    former: former ? { id: former.id, keyHint: former.keyHint, until: former.until.toISOString() } : null,
    lastError,
    totalRequests: totals?.requests ?? 0,
    totalTokens: totals?.totalTokens ?? 0,
    estimatedCostUsd: toUsd(totals?.costNanoUsd ?? 0),
    unpricedRequests: totals?.unpricedRequests ?? 0,
    lastUsedAt: totals?.lastUsedAt == null ? null : new Date(totals.lastUsedAt).toISOString(),
    lastTestedAt: lastTestedAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    name,
    models,
    ...shown,
  };
}
