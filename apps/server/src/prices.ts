/**
 * What every model costs, as this server knows it: prices that administrators set come before those of a list (a file, or PRICES_URL:
 * whichever came last), and these before the release's. Held in memory and asked for without waiting; who changes them, in whatever
 * process, moves the `generation`, and a token of our own in `setting`, so that only then they are read anew.
 */
import { randomUUID } from 'node:crypto';
import {
  AppError,
  type ModelPrice,
  type NewPrice,
  type PriceOrigin,
  type PriceRef,
  type PriceSource,
  type ProviderId,
} from '@synthstack/core';
import { atomically, bumpGeneration, type Db, followGeneration, type Statement, type Tables } from '@synthstack/core/db';
import { and, asc, eq, ne, or } from 'drizzle-orm';
import type { AuditEntry } from './audit.ts';
import type { Clock } from './ports/clock.ts';
import { type ListedModel, typedPeriod } from './prices-list.ts';
import { providerOf } from './providers/catalog.ts';
import type { PricePeriod } from './providers/prices.ts';

export interface PriceBookParts {
  db: Db;
  clock: Clock;
  audit(entry: AuditEntry): Statement;
}

export type StoredPriceRow = Tables['priceOverride']['$inferSelect'];

/** A model whose price by a list is not what it was. */
export interface PriceChange extends PriceRef {
  /** What held now, before and after, in pico-USD a token; null: none. */
  before: ModelPrice | null;
  after: ModelPrice | null;
}

export type PriceBook = ReturnType<typeof createPriceBook>;

/** What stands in the database about one model, oldest first. */
interface Overrides {
  admin: StoredPeriod[];
  list: StoredPeriod[];
}

interface StoredPeriod {
  fromMs: number;
  price: ModelPrice;
  source: PriceOrigin;
}

const versionKey = 'prices.version';
const dated = /-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/;
const never = Symbol('never read');

export function createPriceBook({ db, clock, audit }: PriceBookParts) {
  const { priceOverride, setting } = db.tables;
  let books: Partial<Record<ProviderId, Map<string, Overrides>>> = {};
  let version: unknown = never;
  let changed: () => void = () => undefined;

  /** By its own name, else by the name in the release's list, else without its date: answers name dated versions of what was asked for. */
  function overridesOf(provider: ProviderId, model: string): Overrides | undefined {
    const book = books[provider];
    if (!book || book.size === 0) return undefined;
    return book.get(model) ?? book.get(providerOf(provider).listed(model) ?? model.replace(dated, ''));
  }

  function storedAt(provider: ProviderId, model: string, atMs: number): StoredPeriod | undefined {
    const found = overridesOf(provider, model);
    if (!found) return undefined;
    const holds = ({ fromMs }: StoredPeriod) => fromMs <= atMs;
    return found.admin.findLast(holds) ?? found.list.findLast(holds);
  }

  const price = (provider: ProviderId, model: string, atMs = clock.now()): ModelPrice | null =>
    storedAt(provider, model, atMs)?.price ?? providerOf(provider).price(model, atMs);

  const rows = (): Promise<StoredPriceRow[]> => db.orm.select().from(priceOverride).orderBy(asc(priceOverride.validFrom));

  const fresh = followGeneration(db, async () => {
    const [row] = await db.orm.select({ value: setting.value }).from(setting).where(eq(setting.key, versionKey));
    const now = row?.value ?? null;
    if (now === version) return;
    const isFirst = version === never;
    books = booksOf(await rows());
    version = now;
    if (!isFirst) changed();
  });

  /** What belongs to every change: that all processes hear of it, and that it is in the audit log. */
  const told = (entry: Omit<AuditEntry, 'action' | 'subject'>) => {
    const value = randomUUID();
    const updatedAt = new Date(clock.now());
    const noted = db.orm
      .insert(setting)
      .values({ key: versionKey, value, updatedAt })
      .onConflictDoUpdate({ target: setting.key, set: { value, updatedAt } });
    return [noted, bumpGeneration(db.orm, db.tables), audit({ ...entry, subject: 'platform', action: 'price.changed' })];
  };

  const rowOf = (
    { provider, model }: PriceRef,
    period: PricePeriod & { price: ModelPrice },
    by: { source: PriceOrigin; actor: string },
  ) => ({
    ...{ id: randomUUID(), provider, model, ...by, createdAt: new Date(clock.now()) },
    ...{ validFrom: Math.max(0, period.fromMs), ...period.price, tiers: [...period.price.tiers] },
  });

  const isModel = ({ provider, model }: PriceRef) => and(eq(priceOverride.provider, provider), eq(priceOverride.model, model));
  const isListed = ne(priceOverride.source, 'admin');

  return {
    /** Prices of a model at a time, now unless told; null: unknown, which is not zero. */
    price,

    /** The same, and whose price it is. */
    find(provider: ProviderId, model: string, atMs: number): { price: ModelPrice; source: PriceSource } | null {
      const stored = storedAt(provider, model, atMs);
      if (stored) return stored;
      const released = providerOf(provider).price(model, atMs);
      return released && { price: released, source: 'release' };
    },

    /**
     * Takes over what has changed, in whatever process. On SQLite nothing is waited for while nothing has.
     * @throws AppError `storage_unavailable`: what was known stays
     */
    fresh,

    /** Is called after prices have changed, with the new ones in place. */
    whenChanged(fn: () => void): void {
      changed = fn;
    },

    /** Models with prices of this server's own that the release's list does not have, for people to choose. */
    moreModels(provider: ProviderId): string[] {
      const { listed, models, isForPeople } = providerOf(provider);
      return [...(books[provider] ?? [])]
        .filter(([model]) => listed(model) === null && !models.includes(model))
        .filter(([model, { admin }]) => admin.some((one) => one.price.output > 0) || isForPeople(model))
        .map(([model]) => model)
        .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
    },

    /** All that stands in the database. */
    rows,

    /** Sets one model's price by hand, in place of the one from that same instant on. */
    async set(actor: string, input: NewPrice): Promise<void> {
      const { price: typed, fromMs } = typedPeriod(input.provider, input);
      if (!typed) throw new AppError('internal', 'A price that was typed has not been read.');
      const before = price(input.provider, input.model);
      const row = rowOf(input, { fromMs, price: typed }, { source: 'admin', actor });
      const detail = {
        ...{ provider: input.provider, model: input.model, source: 'admin', before: said(before), after: said(typed) },
        ...(input.validFrom && { validFrom: new Date(fromMs).toISOString() }),
      };
      await atomically(db, (tx) => [
        tx.delete(priceOverride).where(and(isModel(input), eq(priceOverride.source, 'admin'), eq(priceOverride.validFrom, row.validFrom))),
        tx.insert(priceOverride).values(row),
        ...told({ actor, detail }),
      ]);
      await fresh();
    },

    /** Takes back all prices of a model that were set by hand. @throws AppError `not_found` */
    async remove(actor: string, ref: PriceRef): Promise<void> {
      const mine = and(isModel(ref), eq(priceOverride.source, 'admin'));
      const [found] = await db.orm.select({ id: priceOverride.id }).from(priceOverride).where(mine).limit(1);
      if (!found) throw new AppError('not_found', 'No price was set for this model by hand.');
      const detail = {
        provider: ref.provider,
        model: ref.model,
        source: 'admin',
        before: said(price(ref.provider, ref.model)),
        after: 'removed',
      };
      await atomically(db, (tx) => [tx.delete(priceOverride).where(mine), ...told({ actor, detail })]);
      await fresh();
    },

    /**
     * Takes over a list: each model in it has exactly its prices from now on, beside those set by hand; models that it does not name keep
     * theirs. What is the release's anyway is not stored, so that a later release may change it.
     * @returns what is different from before; none: nothing was written
     */
    async take(list: readonly ListedModel[], by: { source: 'import' | 'url'; actor: string }): Promise<PriceChange[]> {
      await fresh();
      const different = list.filter((one) => !isSame(one.periods, listedPeriods(one)));
      if (different.length === 0) return [];
      const nowMs = clock.now();
      const changes = different.map(({ provider, model, periods }) => ({
        ...{ provider, model, before: periodAt(listedPeriods({ provider, model }), nowMs), after: periodAt(periods, nowMs) },
      }));
      const values = different
        .filter((one) => !isSame(one.periods, providerOf(one.provider).priceList.periods(one.model)))
        .flatMap((one) => one.periods.flatMap(({ fromMs, price: listed }) => (listed ? [rowOf(one, { fromMs, price: listed }, by)] : [])));
      const detail = { source: by.source, models: String(different.length), names: namesIn(different) };
      await atomically(db, (tx) => [
        ...chunks(different).map((part) => tx.delete(priceOverride).where(and(isListed, or(...part.map(isModel))))),
        ...chunks(values).map((part) => tx.insert(priceOverride).values(part)),
        ...told({ actor: by.actor, detail }),
      ]);
      await fresh();
      return changes;
    },
  };

  /** What a model costs by lists alone: that of this server, else the release's. */
  function listedPeriods({ provider, model }: PriceRef): readonly PricePeriod[] {
    const own = books[provider]?.get(model)?.list ?? [];
    return own.length > 0 ? own : providerOf(provider).priceList.periods(model);
  }
}

function booksOf(all: readonly StoredPriceRow[]) {
  const books: Partial<Record<ProviderId, Map<string, Overrides>>> = {};
  for (const row of all) {
    const book = books[row.provider] ?? new Map<string, Overrides>();
    books[row.provider] = book;
    const overrides = book.get(row.model) ?? { admin: [], list: [] };
    book.set(row.model, overrides);
    overrides[row.source === 'admin' ? 'admin' : 'list'].push({ fromMs: row.validFrom, price: priceIn(row), source: row.source });
  }
  return books;
}

export function priceIn(row: StoredPriceRow): ModelPrice {
  const { input, cachedInput, cacheWrite, cacheWrite1h, audioInput, output, audioOutput, tiers } = row;
  return { input, cachedInput, cacheWrite, cacheWrite1h, audioInput, output, audioOutput, tiers };
}

const periodAt = (periods: readonly PricePeriod[], atMs: number): ModelPrice | null =>
  periods.findLast(({ fromMs }) => fromMs <= atMs)?.price ?? null;

/** In whatever order their fields are, and whether they begin with time itself or with 1970. */
function isSame(some: readonly PricePeriod[], others: readonly PricePeriod[]): boolean {
  const textOf = (periods: readonly PricePeriod[]) =>
    JSON.stringify(periods.map(({ fromMs, price }) => [Math.max(0, fromMs), price && numbersIn(price), price?.tiers.map(tierNumbers)]));
  return textOf(some) === textOf(others);
}
const numbersIn = ({ input, cachedInput, cacheWrite, cacheWrite1h, audioInput, output, audioOutput }: Omit<ModelPrice, 'tiers'>) => [
  ...[input, cachedInput, cacheWrite, cacheWrite1h, audioInput, output, audioOutput],
];
const tierNumbers = (tier: ModelPrice['tiers'][number]) => [tier.aboveInputTokens, ...numbersIn(tier)];

/** For the audit log: dollars a million tokens. */
const said = (price: ModelPrice | null): string => (price ? `${price.input / 1e6} / ${price.output / 1e6}` : 'unknown');

const mostNames = 20;
function namesIn(models: readonly ListedModel[]): string {
  const names = models.slice(0, mostNames).map(({ model }) => model);
  return names.join(', ') + (models.length > mostNames ? ', ...' : '');
}

/** SQLite takes so many values in one statement, and expressions nested so deep. */
const perStatement = 100;
function chunks<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / perStatement) }, (_, i) => all.slice(i * perStatement, (i + 1) * perStatement));
}
