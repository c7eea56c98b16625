/** What a request costs, and what is held in memory, when there are more users and more usage. */
import { mb, median, ms, ratio, table, whole } from './figures.ts';
import { checkRows, type Grown, growAll } from './grown.ts';
import type { Window } from './load.ts';
import type { Crowd } from './people.ts';
import { shapes } from './shapes.ts';
import { type Stage, say } from './stage.ts';
import { at, type Round, type Turn, takeTurns, turn } from './turns.ts';

/** How many of the users ask: as many at each size, so that only the size differs; then whoever there is, past every cache. */
const crowds = [
  { who: '10 of them ask', active: 10 },
  { who: '1,000 of them ask', active: 1_000 },
  { who: 'any of them asks', active: null },
] as const;
const usersWithRows = 10_000;

export async function measureUsers(stage: Stage): Promise<void> {
  say('\nMore users, each with a token and a sealed key; plain JSON');
  await using sizes = await growAll(
    stage,
    stage.plan.users.map((users) => ({ name: `${whole(users)} users`, users, rows: 0 })),
  );
  for (const { who, active } of crowds) {
    const large = sizes.grown.filter(({ users }) => users >= (active ?? 0));
    if (large.length > 1) await compare(stage, large, who, ({ users }) => ({ users, active: active ?? users }));
  }
  for (const one of sizes.grown) await checkRows(stage, one);
}

export async function measureRows(stage: Stage): Promise<void> {
  say(`\nMore requests made before, by ${whole(usersWithRows)} users in 90 days; plain JSON`);
  await using sizes = await growAll(
    stage,
    stage.plan.rows.map((rows) => ({ name: `${whole(rows)} rows`, users: usersWithRows, rows })),
  );
  await compare(stage, sizes.grown, '1,000 of them ask', ({ users }) => ({ users, active: 1_000 }));
  for (const one of sizes.grown) await checkRows(stage, one);
}

async function compare(stage: Stage, grown: readonly Grown[], who: string, crowdOf: (one: Grown) => Crowd): Promise<void> {
  const { plan } = stage;
  const take = async (one: Grown, how: Partial<Window> = {}) => {
    const taken = await turn(stage, one, shapes.plain, { crowd: crowdOf(one), ...how });
    one.asked += taken.requests;
    return taken;
  };
  for (const one of grown) await take(one, { ms: plan.firstMs / 2 });
  const turns = await takeTurns(plan.rounds, grown, take);
  const head = [who, 'CPU us/req', 'to the first', 'req/s', 'p50 ms', 'p99 ms', 'RSS', 'file'];
  say(table([head, ...(await Promise.all(grown.map((one) => rowOf(turns, one, grown[0] ?? one))))]));
}

async function rowOf(turns: readonly Round<Grown>[], one: Grown, first: Grown): Promise<string[]> {
  const of = (pick: (taken: Turn) => number) => median(turns.map((round) => pick(at(round, one))));
  const toFirst = median(turns.map((round) => at(round, one).serverCpuUs / at(round, first).serverCpuUs));
  const { rssBytes } = await one.process.used();
  const speed = [whole(of((taken) => taken.perSecond)), ms(of((taken) => taken.p50Ms)), ms(of((taken) => taken.p99Ms))];
  return [one.name, whole(of((taken) => taken.serverCpuUs)), ratio(toFirst), ...speed, mb(rssBytes), mb(one.bytes)];
}
