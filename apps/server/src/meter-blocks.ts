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
  numbers: ArrayLike<number>;
  values: ArrayLike<number>;
  unnumbered: { userId: string; value: number }[];
}

/** A request may last so long (the longest timeout that can be set), and is added to the day on which it began. */
const mayGrowMs = dayMs + 3_600_000;
/** A block of a day that may still grow is made anew as often. */
const renewedAfterMs = 10 * 60_000;
const daysAtOnce = 4;
const peopleAtOnce = 2_000;
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
    prepared<{ source: string; from: number; to: number }>(
      db.orm
        .select(pick(usagePeopleBlock, 'day', 'people', measure))
        .from(usagePeopleBlock)
        .where(
          and(
            gte(usagePeopleBlock.day, hole('from')),
            lt(usagePeopleBlock.day, hole('to')),
            eq(usagePeopleBlock.source, hole('source')),
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

  /** Every UTC day from one to another, the second exclusive, in order. */
  async function* days(fromDay: number, toDay: number): AsyncGenerator<DaySums> {
    const rest = turns();
    for (let from = fromDay; from < toDay; from += daysAtOnce * dayMs) {
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

  /** What everybody used on the UTC days from one to another, the second exclusive, in no order; nobody twice a day and source. */
  async function* people(fromDay: number, toDay: number, source: KeySource, measure: PeopleMeasure): AsyncGenerator<SomePeople> {
    const rest = turns();
    for (let from = fromDay; from < toDay; from += daysAtOnce * dayMs) {
      const to = Math.min(toDay, from + daysAtOnce * dayMs);
      const seen = new Set<number>();
      for (const [day, numbers, values] of await db.read(findPeople[measure]({ source, from, to }))) {
        seen.add(Number(day));
        const column = measure === 'requests' ? uint32(values) : float64(values);
        yield { numbers: uint32(numbers), values: column, unnumbered: [] };
        await rest();
      }
      for (let day = from; day < to; day += dayMs) if (!seen.has(day)) yield* peopleOfRows(day, source, measure);
    }
  }

  async function* peopleOfRows(day: number, source: KeySource, measure: PeopleMeasure): AsyncGenerator<SomePeople> {
    const at = 2 + peopleMeasures.indexOf(measure);
    const rest = turns();
    for await (const rows of pagesOf(day, source)) {
      const some = { numbers: [] as number[], values: [] as number[], unnumbered: [] as SomePeople['unnumbered'] };
      for (const row of rows) {
        const value = Number(row[at]);
        if (row[0] === null) some.unnumbered.push({ userId: String(row[1]), value });
        else {
          some.numbers.push(Number(row[0]));
          some.values.push(value);
        }
      }
      yield some;
      await rest();
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
    const [numbers, requests, tokens, costs] = [[], [], [], []] as [number[], number[], number[], number[]];
    for await (const rows of pagesOf(day, source)) {
      const given = await numbersOf(rows.filter((row) => row[0] === null).map((row) => String(row[1])));
      for (const row of rows) {
        numbers.push(Number(row[0] ?? given.get(String(row[1]))));
        requests.push(Number(row[2]));
        tokens.push(Number(row[3]));
        costs.push(Number(row[4]));
      }
      await turn();
    }
    const built = {
      builtAt: startedAt,
      people: bytesOf(Uint32Array.from(numbers)),
      requests: bytesOf(Uint32Array.from(requests)),
      totalTokens: bytesOf(Float64Array.from(tokens)),
      costNanoUsd: bytesOf(Float64Array.from(costs)),
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
      const [first] = await db.orm.select({ bucket: min(usageTotal.bucket) }).from(usageTotal);
      if (first?.bucket == null) return 0;
      const today = dayOf(clock.now());
      let built = 0;
      for (let day = dayOf(Number(first.bucket)); day < today && !isStopped; day += dayMs) {
        const at = await builtAt(day);
        const isFinal = at >= day + dayMs + mayGrowMs;
        if (isFinal || at > clock.now() - renewedAfterMs) continue;
        await buildDay(day);
        for (const source of keySources) await buildPeople(day, source);
        built += 1;
      }
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
