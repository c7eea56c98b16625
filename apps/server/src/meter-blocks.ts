/**
 * The sums of days that are over, as columns of numbers: what administrators ask for is a hundred days of everybody, and a row of a table
 * takes a microsecond to read where a number in a column takes a nanosecond. A block is made of the rows behind everybody's back, and
 * where there is none the rows are read; it never says anything else than they do.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { KeySource } from '@synthstack/core';
import { keySources } from '@synthstack/core';
import { type Db, must, prepared, type Statement, statement } from '@synthstack/core/db';
import { and, asc, eq, gt, gte, inArray, isNotNull, lt, min, sql } from 'drizzle-orm';
import { sumNames } from './meter-statements.ts';
import type { Clock } from './ports/clock.ts';

/** Provider, model, source and tier. */
export type Kind = [provider: string, model: string, source: string, tier: string];
export const width = sumNames.length;
export const quartersADay = 96;
const quarterMs = 15 * 60_000;
export const dayMs = 86_400_000;

/** One UTC day of everybody. */
export interface DaySums {
  day: number;
  kinds: Kind[];
  /** For each row: its quarter of the day times 65,536, and its kind. */
  places: Uint32Array;
  /** For each row `width` sums. */
  sums: Float64Array;
  /** For each kind `width` sums. */
  daySums: Float64Array;
}

export type PeopleMeasure = 'requests' | 'totalTokens' | 'costNanoUsd';

/** Some people of one UTC day: by number, or by id who has none yet. */
export interface SomePeople {
  numbers: Uint32Array;
  values: Float64Array | Uint32Array;
  unnumbered: { userId: string; value: number }[];
}

/** A request may last so long (the longest timeout that can be set), and is added to the day on which it began. */
const mayGrowMs = dayMs + 3_600_000;
/** A block of a day that may still grow is made anew as often. */
const renewedAfterMs = 10 * 60_000;
const daysAtOnce = 4;
const peopleAtOnce = 2_000;
/** Of the numbers that are remembered: some 20 MB. */
const mostKnown = 200_000;
const turnAfterMs = 5;

export type Blocks = ReturnType<typeof createBlocks>;

export function createBlocks({ db, clock }: { db: Db; clock: Clock }) {
  const { usageTotal, usageUserDay, usageDayBlock, usagePeopleBlock, usagePerson } = db.tables;
  const hole = (name: string) => sql.placeholder(name) as never;
  const findDays = prepared<{ from: number; to: number }>(
    db.orm
      .select({ ...pick(usageDayBlock, 'day', 'kinds', 'places', 'sums', 'daySums') })
      .from(usageDayBlock)
      .where(and(gte(usageDayBlock.day, hole('from')), lt(usageDayBlock.day, hole('to')), isNotNull(usageDayBlock.builtAt)))
      .orderBy(asc(usageDayBlock.day)),
  );
  const findRows = prepared<{ from: number; to: number }>(
    db.orm
      .select(pick(usageTotal, 'bucket', 'provider', 'model', 'source', 'tier', ...sumNames))
      .from(usageTotal)
      .where(and(gte(usageTotal.bucket, hole('from')), lt(usageTotal.bucket, hole('to')))),
  );
  const findPeople = perMeasure((measure) =>
    prepared<{ source: string | null; from: number; to: number }>(
      db.orm
        .select(pick(usagePeopleBlock, 'day', 'source', 'people', measure))
        .from(usagePeopleBlock)
        .where(
          and(
            gte(usagePeopleBlock.day, hole('from')),
            lt(usagePeopleBlock.day, hole('to')),
            sql`${usagePeopleBlock.source} = coalesce(cast(${sql.placeholder('source')} as text), ${usagePeopleBlock.source})`,
            isNotNull(usagePeopleBlock.builtAt),
          ),
        ),
    ),
  );
  const findPeopleRows = prepared<{ day: number; source: string; after: string }>(
    db.orm
      .select({ number: usagePerson.number, ...pick(usageUserDay, 'userId', 'requests', 'totalTokens', 'costNanoUsd') })
      .from(usageUserDay)
      .leftJoin(usagePerson, eq(usagePerson.userId, usageUserDay.userId))
      .where(and(eq(usageUserDay.day, hole('day')), gt(usageUserDay.userId, hole('after')), eq(usageUserDay.source, hole('source'))))
      .orderBy(asc(usageUserDay.userId))
      .limit(peopleAtOnce),
  );
  const findValues = perMeasure((measure) =>
    prepared<{ day: number; after: string; source: string | null }>(
      db.orm
        .select(pick(usageUserDay, 'userId', measure))
        .from(usageUserDay)
        .where(
          and(
            eq(usageUserDay.day, hole('day')),
            gt(usageUserDay.userId, hole('after')),
            sql`${usageUserDay.source} = coalesce(cast(${sql.placeholder('source')} as text), ${usageUserDay.source})`,
          ),
        )
        .orderBy(asc(usageUserDay.userId))
        .limit(peopleAtOnce),
    ),
  );
  /** Numbers never change, and most who come today came before. */
  let knownNumbers = new Map<string, number>();

  /** The first UTC day of which there is anything; null: nothing was ever used. */
  async function firstDay(): Promise<number | null> {
    const [row] = await db.orm.select({ bucket: min(usageTotal.bucket) }).from(usageTotal);
    return row?.bucket == null ? null : dayOf(Number(row.bucket));
  }

  /** Every UTC day of which there is anything, from one to another, the second exclusive, in order. */
  async function* days(fromDay: number, toDay: number): AsyncGenerator<DaySums> {
    const rest = turns();
    for (let from = Math.max(fromDay, (await firstDay()) ?? toDay); from < toDay; from += daysAtOnce * dayMs) {
      const to = Math.min(toDay, from + daysAtOnce * dayMs);
      const found = await db.read(findDays({ from, to }));
      const known = new Map(found.map((row) => [Number(row[0]), blockIn(row)]));
      for (let day = from; day < to; day += dayMs) yield known.get(day) ?? (await daySumsOfRows(day));
      await rest();
    }
  }

  async function daySumsOfRows(day: number): Promise<DaySums> {
    const rows: unknown[][] = [];
    const rest = turns();
    for (let from = day; from < day + dayMs; from += dayMs / 4) {
      for (const row of await db.read(findRows({ from, to: from + dayMs / 4 }))) rows.push(row);
      await rest();
    }
    return daySumsOf(day, rows);
  }

  /**
   * What everybody used on the UTC days from one to another, the second exclusive, in no order, whoever it was on each of them.
   * @param source  null: on whichever key
   */
  async function* people(fromDay: number, toDay: number, source: KeySource | null, measure: PeopleMeasure): AsyncGenerator<SomePeople> {
    const rest = turns();
    const wanted = source ? [source] : keySources;
    for (let from = Math.max(fromDay, (await firstDay()) ?? toDay); from < toDay; from += daysAtOnce * dayMs) {
      const to = Math.min(toDay, from + daysAtOnce * dayMs);
      const seen = new Set<string>();
      for (const [day, of, numbers, values] of await db.read(findPeople[measure]({ source, from, to }))) {
        seen.add(`${Number(day)} ${of}`);
        yield { numbers: uint32(numbers), values: measure === 'requests' ? uint32(values) : float64(values), unnumbered: [] };
      }
      await rest();
      for (let day = from; day < to; day += dayMs) {
        const missing = wanted.filter((one) => !seen.has(`${day} ${one}`));
        const [first = null] = missing;
        if (missing.length > 0) yield* peopleOfRows(day, missing.length === 1 ? first : null, measure);
      }
    }
  }

  async function* peopleOfRows(day: number, source: KeySource | null, measure: PeopleMeasure): AsyncGenerator<SomePeople> {
    const rest = turns();
    for (let after = ''; ; ) {
      const page = await db.read(findValues[measure]({ day, source, after }));
      const isLast = page.length < peopleAtOnce;
      const lastUser = page.at(-1)?.[0];
      // Whoever is last may have another row, for the other key: they come with the next page.
      const rows = isLast ? page : page.filter(([userId]) => userId !== lastUser);
      if (rows.length > 0) yield await numbered(rows);
      if (isLast) return;
      after = String(rows.at(-1)?.[0]);
      await rest();
    }
  }

  /** @param rows  user ids and values */
  async function numbered(rows: readonly unknown[][]): Promise<SomePeople> {
    const strangers = rows.flatMap(([userId]) => (knownNumbers.has(userId as string) ? [] : [userId as string]));
    if (strangers.length > 0) await meet(strangers);
    const [numbers, values] = [new Uint32Array(rows.length), new Float64Array(rows.length)];
    const unnumbered: SomePeople['unnumbered'] = [];
    let count = 0;
    for (const [userId, value] of rows) {
      const number = knownNumbers.get(userId as string);
      if (number === undefined) unnumbered.push({ userId: userId as string, value: Number(value) });
      else {
        numbers[count] = number;
        values[count++] = Number(value);
      }
    }
    return { numbers: numbers.subarray(0, count), values: values.subarray(0, count), unnumbered };
  }

  async function meet(userIds: readonly string[]): Promise<void> {
    if (knownNumbers.size > mostKnown) knownNumbers = new Map();
    for (const part of chunks([...new Set(userIds)])) {
      const found = await db.orm.select().from(usagePerson).where(inArray(usagePerson.userId, part));
      for (const { number, userId } of found) knownNumbers.set(userId, number);
    }
  }

  async function* pagesOf(day: number, source: KeySource): AsyncGenerator<unknown[][]> {
    for (let after = ''; ; ) {
      const rows = await db.read(findPeopleRows({ day, source, after }));
      if (rows.length > 0) yield rows;
      if (rows.length < peopleAtOnce) return;
      after = String(rows.at(-1)?.[1]);
    }
  }

  /** Gives numbers to those who have none. Others may do so at the same time. */
  async function numbersOf(userIds: readonly string[]): Promise<Map<string, number>> {
    const numbers = new Map<string, number>();
    let missing = [...userIds];
    while (missing.length > 0) {
      for (const part of chunks(missing)) {
        const found = await db.orm.select().from(usagePerson).where(inArray(usagePerson.userId, part));
        for (const { number, userId } of found) numbers.set(userId, number);
      }
      missing = missing.filter((userId) => !numbers.has(userId));
      if (missing.length === 0) break;
      const [{ most } = { most: 0 }] = await db.orm
        .select({ most: sql<number>`coalesce(max(${usagePerson.number}), 0)` })
        .from(usagePerson);
      const rows = missing.map((userId, i) => ({ number: Number(most) + 1 + i, userId }));
      for (const part of chunks(rows)) await db.commit([statement(db.orm.insert(usagePerson).values(part).onConflictDoNothing())]);
    }
    return numbers;
  }

  async function buildDay(day: number): Promise<void> {
    const [builder, startedAt] = [randomUUID(), clock.now()];
    const none = Buffer.alloc(0);
    const empty = { day, builder, builtAt: null, kinds: [], places: none, sums: none, daySums: none };
    const { day: _day, ...fields } = empty;
    await db.commit([statement(db.orm.insert(usageDayBlock).values(empty).onConflictDoUpdate({ target: usageDayBlock.day, set: fields }))]);
    const { kinds, places, sums, daySums } = await daySumsOfRows(day);
    const built = { builtAt: startedAt, kinds, places: bytesOf(places), sums: bytesOf(sums), daySums: bytesOf(daySums) };
    const mine = and(eq(usageDayBlock.day, day), eq(usageDayBlock.builder, builder));
    await ifStillMine(db.commit([must(db.orm.update(usageDayBlock).set(built).where(mine))]));
  }

  async function buildPeople(day: number, source: KeySource): Promise<void> {
    const [builder, startedAt] = [randomUUID(), clock.now()];
    const none = Buffer.alloc(0);
    const columns = { people: none, requests: none, totalTokens: none, costNanoUsd: none };
    const fields = { builder, builtAt: null, ...columns };
    const insert = db.orm.insert(usagePeopleBlock).values({ day, source, ...fields });
    const target = [usagePeopleBlock.day, usagePeopleBlock.source];
    await db.commit([statement(insert.onConflictDoUpdate({ target, set: fields }))]);
    const all: [number: number, requests: number, tokens: number, cost: number][] = [];
    for await (const rows of pagesOf(day, source)) {
      const given = await numbersOf(strangersIn(rows));
      for (const [number, userId, ...values] of rows)
        all.push([Number(number ?? given.get(String(userId))), Number(values[0]), Number(values[1]), Number(values[2])]);
      await turn();
    }
    // In the order in which a ranking has them in memory.
    all.sort(([a], [b]) => a - b);
    const built = {
      builtAt: startedAt,
      people: bytesOf(Uint32Array.from(all, ([number]) => number)),
      requests: bytesOf(Uint32Array.from(all, ([, requests]) => requests)),
      totalTokens: bytesOf(Float64Array.from(all, ([, , tokens]) => tokens)),
      costNanoUsd: bytesOf(Float64Array.from(all, ([, , , cost]) => cost)),
    };
    const mine = and(eq(usagePeopleBlock.day, day), eq(usagePeopleBlock.source, source), eq(usagePeopleBlock.builder, builder));
    await ifStillMine(db.commit([must(db.orm.update(usagePeopleBlock).set(built).where(mine))]));
  }

  /** When the rows of a day's blocks were read; 0: one of them is not there. */
  async function builtAt(day: number): Promise<number> {
    const found = await db.orm.select({ at: usageDayBlock.builtAt }).from(usageDayBlock).where(eq(usageDayBlock.day, day));
    const people = await db.orm.select({ at: usagePeopleBlock.builtAt }).from(usagePeopleBlock).where(eq(usagePeopleBlock.day, day));
    const all = [...found, ...people];
    return all.length < 1 + keySources.length ? 0 : Math.min(...all.map(({ at }) => Number(at ?? 0)));
  }

  let isStopped = false;

  return {
    days,
    people,

    /** The largest of the numbers that people have. */
    async mostNumber(): Promise<number> {
      const [row] = await db.orm.select({ most: sql<number>`coalesce(max(${usagePerson.number}), 0)` }).from(usagePerson);
      return Number(row?.most ?? 0);
    },

    /** Whose number it is. */
    async userIdsOf(numbers: readonly number[]): Promise<Map<number, string>> {
      const found = await Promise.all(
        chunks(numbers).map((part) => db.orm.select().from(usagePerson).where(inArray(usagePerson.number, part))),
      );
      return new Map(found.flat().map(({ number, userId }) => [number, userId]));
    },

    /** Makes the blocks that are missing, and those anew whose days may have grown since. @returns of how many days */
    async run(): Promise<number> {
      const first = await firstDay();
      if (first === null) return 0;
      const today = dayOf(clock.now());
      let built = 0;
      for (let day = first; day < today && !isStopped; day += dayMs) {
        const at = await builtAt(day);
        const isFinal = at >= day + dayMs + mayGrowMs;
        if (isFinal || at > clock.now() - renewedAfterMs) continue;
        await buildDay(day);
        for (const source of keySources) await buildPeople(day, source);
        built += 1;
      }
      // Whoever came for the first time today: so a ranking need not look for them one by one.
      for (const source of keySources) for await (const rows of pagesOf(today, source)) await numbersOf(strangersIn(rows));
      return built;
    },

    /** No more days are begun. */
    stop(): void {
      isStopped = true;
    },
  };
}

/** The statements that belong to every change of what the sums of days that are over say. */
export function dropBlocks(db: Db, days: Iterable<number>): Statement[] {
  const { usageDayBlock, usagePeopleBlock } = db.tables;
  const all = [...new Set(days)];
  return [
    statement(db.orm.delete(usageDayBlock).where(inArray(usageDayBlock.day, all))),
    statement(db.orm.delete(usagePeopleBlock).where(inArray(usagePeopleBlock.day, all))),
  ];
}

export const dayOf = (ms: number): number => Math.floor(ms / dayMs) * dayMs;

/** @param rows  number and user id first */
const strangersIn = (rows: readonly unknown[][]): string[] => rows.filter((row) => row[0] === null).map((row) => String(row[1]));

const peopleMeasures = ['requests', 'totalTokens', 'costNanoUsd'] as const satisfies readonly PeopleMeasure[];
const perMeasure = <T>(make: (measure: PeopleMeasure) => T) =>
  Object.fromEntries(peopleMeasures.map((measure) => [measure, make(measure)])) as Record<PeopleMeasure, T>;

function pick<T extends object, Name extends keyof T>(table: T, ...names: Name[]): Pick<T, Name> {
  return Object.fromEntries(names.map((name) => [name, table[name]])) as Pick<T, Name>;
}

/** @param rows  bucket, provider, model, source, tier, then the sums */
function daySumsOf(day: number, rows: readonly unknown[][]): DaySums {
  const kinds: Kind[] = [];
  const numbers = new Map<string, number>();
  const places = new Uint32Array(rows.length);
  const sums = new Float64Array(rows.length * width);
  rows.forEach((row, i) => {
    const kind = row.slice(1, 5).map(String) as Kind;
    const name = JSON.stringify(kind);
    const number = numbers.get(name) ?? kinds.push(kind) - 1;
    numbers.set(name, number);
    places[i] = ((Number(row[0]) - day) / quarterMs) * 65_536 + number;
    for (let j = 0; j < width; j += 1) sums[i * width + j] = Number(row[5 + j]);
  });
  const daySums = new Float64Array(kinds.length * width);
  places.forEach((place, i) => {
    const at = (place & 0xffff) * width;
    for (let j = 0; j < width; j += 1) daySums[at + j] = (daySums[at + j] ?? 0) + (sums[i * width + j] ?? 0);
  });
  return { day, kinds, places, sums, daySums };
}

function blockIn([day, kinds, places, sums, daySums]: readonly unknown[]): DaySums {
  return {
    day: Number(day),
    kinds: JSON.parse(String(kinds)) as Kind[],
    places: uint32(places),
    sums: float64(sums),
    daySums: float64(daySums),
  };
}

/** Numbers lie in the bytes as this machine has them: all that Node runs on begin with the least. */
const bytesOf = (numbers: Uint32Array | Float64Array): Buffer => Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
const uint32 = (bytes: unknown): Uint32Array => new Uint32Array(...aligned(bytes as Uint8Array, 4));
const float64 = (bytes: unknown): Float64Array => new Float64Array(...aligned(bytes as Uint8Array, 8));
function aligned(bytes: Uint8Array, size: number): [buffer: ArrayBufferLike, offset: number, length: number] {
  const length = Math.floor(bytes.byteLength / size);
  return bytes.byteOffset % size === 0 ? [bytes.buffer, bytes.byteOffset, length] : [bytes.slice().buffer, 0, length];
}

/** Lets others have their turn once a while of work has gone by. */
function turns(): () => Promise<void> | undefined {
  let sinceMs = performance.now();
  return () => {
    if (performance.now() - sinceMs < turnAfterMs) return undefined;
    return turn().then(() => {
      sinceMs = performance.now();
    });
  };
}

/** Somebody has changed the rows meanwhile, or makes the same block: it is left to the next round, or to them. */
async function ifStillMine(write: Promise<unknown>): Promise<void> {
  await write.catch((error: { code?: string }) => {
    if (error.code !== 'conflict') throw error;
  });
}

/** SQLite takes so many values in one statement. */
const perStatement = 400;
function chunks<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / perStatement) }, (_, i) => all.slice(i * perStatement, (i + 1) * perStatement));
}
