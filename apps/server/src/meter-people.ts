/** Who has used the most: everybody of some UTC days, ranked. Exact for any days, whoever has used how little. */
import type { KeySource, PeopleQuery, PeopleUsage } from '@synthstack/core';
import { type Db, prepared } from '@synthstack/core/db';
import { inArray, sql } from 'drizzle-orm';
import { type Blocks, dayMs, dayOf, type PeopleMeasure, type SomePeople } from './meter-blocks.ts';
import { noSums, type Sums, shown } from './meter-report.ts';
import { sumNames } from './meter-statements.ts';
import type { Clock } from './ports/clock.ts';

const measures = { cost: 'costNanoUsd', requests: 'requests', tokens: 'totalTokens' } as const satisfies Record<string, PeopleMeasure>;
const daysAtOnce = 31;
const peopleAtOnce = 100;

export function createPeopleUsage({ db, clock, blocks }: { db: Db; clock: Clock; blocks: Blocks }) {
  const sumUp = sumStatement(db);

  /** The sums of a few people over some days, each looked up by day and person. */
  async function sumsOf(userIds: readonly string[], fromDay: number, toDay: number, source: KeySource | undefined) {
    const sums = new Map<string, Sums>(userIds.map((userId) => [userId, noSums()]));
    for (let first = 0; first < userIds.length; first += peopleAtOnce) {
      const some = Object.fromEntries(Array.from({ length: peopleAtOnce }, (_, i) => [`user${i}`, userIds[first + i] ?? '']));
      for (let from = fromDay; from < toDay; from += daysAtOnce * dayMs) {
        const days = Object.fromEntries(
          Array.from({ length: daysAtOnce }, (_, i) => [`day${i}`, from + i * dayMs < toDay ? from + i * dayMs : -1]),
        );
        for (const [userId, ...values] of await db.read(sumUp({ ...some, ...days, source: source ?? null }))) {
          const sum = sums.get(String(userId));
          if (sum) for (const [i, name] of sumNames.entries()) sum[name] += Number(values[i]);
        }
      }
    }
    return sums;
  }

  return {
    /** A page of those who used anything on these days, the most first. */
    async people({ first, last, days = 30, sort, keySource, offset, limit }: PeopleQuery): Promise<PeopleUsage> {
      const today = dayOf(clock.now());
      const [fromDay, toDay] =
        first && last ? [Date.parse(first), Math.min(Date.parse(last), today) + dayMs] : [today - (days - 1) * dayMs, today + dayMs];
      const { best, total } = await rank();
      const page = best.slice(offset);
      const userIds = await blocks.userIdsOf(page.flatMap((one) => (typeof one === 'number' ? [one] : [])));
      const ids = page.map((one) => (typeof one === 'number' ? (userIds.get(one) ?? '') : one));
      const sums = await sumsOf(ids, fromDay, toDay, keySource);
      const { user } = db.tables;
      const known =
        ids.length === 0
          ? []
          : await db.orm.select({ id: user.id, name: user.name, email: user.email }).from(user).where(inArray(user.id, ids));
      const people = new Map(known.map((one) => [one.id, one]));
      return {
        first: dateOf(fromDay),
        last: dateOf(toDay - dayMs),
        total,
        users: ids.map((userId) => {
          const { name = null, email = null } = people.get(userId) ?? {};
          return { userId, name, email, ...shown(sums.get(userId) ?? noSums()) };
        }),
      };

      /** Once more, where somebody has been given a number meanwhile, and would count twice or not at all. */
      async function rank(triesLeft = 3): Promise<ReturnType<ReturnType<typeof createTally>['best']>> {
        const most = await blocks.mostNumber();
        const tally = createTally(most);
        for await (const some of blocks.people(fromDay, toDay, keySource ?? null, measures[sort])) tally.add(some);
        return triesLeft > 0 && (await blocks.mostNumber()) !== most ? rank(triesLeft - 1) : tally.best(offset + limit);
      }
    },
  };
}

const dateOf = (day: number): string => new Date(day).toISOString().slice(0, 10);

/** Adds up what everybody used, by number; by id who has no number yet. */
function createTally(mostNumber: number) {
  const totals = new Float64Array(mostNumber + 1);
  /** Who is there, but used nothing of what is ranked by. */
  const nothing = new Uint8Array(mostNumber + 1);
  const unnumbered = new Map<string, number>();
  return {
    add({ numbers, values, unnumbered: more }: SomePeople): void {
      for (let i = 0; i < numbers.length; i += 1) {
        const number = numbers[i] as number;
        const value = values[i] as number;
        // Numbered since the arrays were made.
        if (number > mostNumber) continue;
        if (value === 0) nothing[number] = 1;
        else totals[number] = (totals[number] as number) + value;
      }
      for (const { userId, value } of more) unnumbered.set(userId, (unnumbered.get(userId) ?? 0) + value);
    },

    /** The `count` largest, in order; of equals those who came first. @returns numbers, and ids of those without one */
    best(count: number): { best: (number | string)[]; total: number } {
      const heap = createHeap(count);
      let total = unnumbered.size;
      /** What is not above it is among the best no more: a million times this is all that is looked at. */
      let floor = heap.floor();
      for (let number = 1; number <= mostNumber; number += 1) {
        const value = totals[number] as number;
        if (value === 0 && nothing[number] === 0) continue;
        total += 1;
        if (value <= floor) continue;
        heap.offer(value, number);
        floor = heap.floor();
      }
      const late = [...unnumbered].sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [i, [, value]] of late.entries()) heap.offer(value, mostNumber + 1 + i);
      return { best: heap.sorted().map((number) => late[number - mostNumber - 1]?.[0] ?? number), total };
    },
  };
}

/** Keeps the `size` largest of what it is offered: the smallest of them on top, so that most offers end with one comparison. */
function createHeap(size: number) {
  const values = new Float64Array(size);
  const numbers = new Float64Array(size);
  let length = 0;
  /** Less: a smaller value, or the same of somebody who came later. */
  const isLess = (a: number, b: number) =>
    values[a] === values[b] ? (numbers[a] as number) > (numbers[b] as number) : (values[a] as number) < (values[b] as number);
  function swap(a: number, b: number): void {
    [values[a], values[b]] = [values[b] as number, values[a] as number];
    [numbers[a], numbers[b]] = [numbers[b] as number, numbers[a] as number];
  }
  function sink(): void {
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < length && isLess(child, least)) least = child;
      if (least === at) return;
      swap(at, least);
      at = least;
    }
  }
  return {
    offer(value: number, number: number): void {
      if (length < size) {
        values[length] = value;
        numbers[length] = number;
        for (let at = length++; at > 0; ) {
          const parent = (at - 1) >> 1;
          if (!isLess(at, parent)) return;
          swap(at, parent);
          at = parent;
        }
      } else if (size > 0 && value > (values[0] as number)) {
        values[0] = value;
        numbers[0] = number;
        sink();
      }
    },
    /** The least that is kept, once as many are as can be. */
    floor: (): number => (length < size ? Number.NEGATIVE_INFINITY : size === 0 ? Number.POSITIVE_INFINITY : (values[0] as number)),
    sorted(): number[] {
      const order = Array.from({ length }, (_, i) => i).sort((a, b) => (isLess(a, b) ? 1 : -1));
      return order.map((at) => numbers[at] as number);
    },
  };
}

/** Made once: each day and person is a look into the primary key, of which a range of days alone would read everybody. */
function sumStatement(db: Db) {
  const { usageUserDay: t } = db.tables;
  const hole = (name: string, type: string) => sql`cast(${sql.placeholder(name)} as ${sql.raw(type)})`;
  const days = Array.from({ length: daysAtOnce }, (_, i) => sql`(${hole(`day${i}`, 'bigint')})`);
  const users = Array.from({ length: peopleAtOnce }, (_, i) => sql`(${hole(`user${i}`, 'text')})`);
  const sums = Object.fromEntries(sumNames.map((name) => [name, sql`sum(${t[name]})`]));
  return prepared<Record<string, unknown>>(
    db.orm
      .select({ userId: sql`${t.userId}`, ...sums })
      // Written out as cross joins, SQLite keeps to this order: else it reads everybody of each day, and then looks who is wanted.
      .from(sql`(values ${sql.join(days, sql`, `)}) as span cross join (values ${sql.join(users, sql`, `)}) as who cross join ${t}`)
      .where(sql`${t.day} = span.column1 and ${t.userId} = who.column1 and ${t.source} = coalesce(${hole('source', 'text')}, ${t.source})`)
      .groupBy(sql`${t.userId}`),
  );
}
