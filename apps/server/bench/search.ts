/**
 * What the pages of Administration cost the server when very many people have accounts: looking for some of them in every way, one of them
 * with all that belongs to them, the audit log and the health of the server; over HTTP with an administrator's cookie.
 */
import { ms, table, whole } from './figures.ts';
import { growAll } from './grown.ts';
import { measure, type Question } from './pages.ts';
import { idOf } from './people.ts';
import { type Stage, say } from './stage.ts';

/** Of the server's time, for each question. */
const mostMs = 100;
const mostRows = 1_000_000;

function questions(users: number): Question[] {
  const list = (name: string, input: object): Question => ({ name, procedure: 'admin.users.list', input });
  const somebody = Math.floor(users / 2);
  return [
    list('users, the newest', {}),
    list('an address begins so', { search: `person${somebody}@` }),
    list('addresses and names begin so', { search: 'person' }),
    list('a name begins so', { search: `Person ${somebody}` }),
    list('a domain', { search: '@bench.example' }),
    list('nobody', { search: 'zzz' }),
    list('an id', { search: idOf('user', somebody) }),
    list('of a plan', { tier: 'premium' }),
    list('of a plan that nobody has', { tier: 'lifetime' }),
    list('of no plan, who all have one', { tier: 'community' }),
    list('whose plan has ended', { state: 'lapsed' }),
    list('disabled', { state: 'disabled' }),
    list('administrators', { admins: true }),
    list('beginning so, of a plan that nobody has', { search: 'person', tier: 'lifetime' }),
    { name: 'one user', procedure: 'admin.users.get', input: { id: idOf('user', somebody) } },
    { name: 'audit log', procedure: 'admin.audit.list', input: {} },
    { name: 'system health', procedure: 'admin.health' },
    { name: 'announcements', procedure: 'announcements.current' },
  ];
}

export async function measureSearch(stage: Stage): Promise<void> {
  const users = stage.plan.users.at(-1) ?? 0;
  const rows = Math.min(mostRows, stage.plan.rows.at(-1) ?? 0);
  say(`\nThe pages of Administration with ${whole(users)} users and ${whole(rows)} requests`);
  await using sizes = await growAll(stage, [{ name: `${whole(users)} users`, users, rows }]);
  for (const one of sizes.grown) {
    const cookie = await one.process.call<string>({ signIn: idOf('user', 0), admin: true });
    const lines: string[][] = [];
    for (const question of questions(users)) {
      const { firstMs, p50Ms, p99Ms, cpuMs, othersMs } = await measure(one, question, cookie, stage.plan.pageTimes);
      lines.push([question.name, ...[firstMs, p50Ms, p99Ms, cpuMs, othersMs].map(ms)]);
      if (cpuMs < mostMs) continue;
      say(`  ${question.name}: ${ms(cpuMs)} ms of the server's time. It must be under ${mostMs}.`);
      process.exitCode = 1;
    }
    say(table([['', 'first ms', 'p50 ms', 'p99 ms', 'CPU ms', 'others wait'], ...lines]));
  }
}
