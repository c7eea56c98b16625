/**
 * What the usage page costs the server: the questions that it asks when it is opened and used, of people with few and with very many
 * requests behind them, one after the other, over HTTP with a session's cookie.
 */
import { ms, quantile, table, whole } from './figures.ts';
import { type Grown, growAll } from './grown.ts';
import { idOf } from './people.ts';
import { rareModel } from './seed.ts';
import { type Stage, say } from './stage.ts';

const users = 10_000;
const busyEvery = 10;
const dayMs = 86_400_000;
const timezone = 'Europe/Berlin';

export interface Question {
  name: string;
  procedure: string;
  input?: object;
  /** Asked when the page is opened. */
  opens?: true;
}

function questions(): Question[] {
  const to = new Date().toISOString();
  const range = { from: new Date(Date.now() - 30 * dayMs).toISOString(), to };
  const quarter = { from: new Date(Date.now() - 90 * dayMs).toISOString(), to };
  const report = (input: object) => ({ procedure: 'usage.report', input: { timezone, seriesBy: 'model', ...input } });
  const list = (input: object) => ({ procedure: 'usage.requests', input });
  return [
    { name: 'report, 30 days by day', ...report({ days: 30 }), opens: true },
    { name: 'list, first page', ...list(range), opens: true },
    { name: 'limits', procedure: 'usage.limits', opens: true },
    { name: 'keys', procedure: 'keys.list', opens: true },
    { name: 'providers', procedure: 'keys.providers', opens: true },
    { name: 'report, 24 hours', ...report({ hours: 24 }) },
    { name: 'report, 90 days', ...report({ days: 90 }) },
    { name: 'report, 366 days', ...report({ days: 366 }) },
    { name: 'report, 31 days by hour', ...report({ days: 31, groupBy: 'hour' }) },
    { name: 'report, 90 days of one model', ...report({ days: 90, model: 'gpt-4o' }) },
    { name: 'list, a rare model', ...list({ ...quarter, model: rareModel }) },
    { name: 'list, what nothing fits', ...list({ ...quarter, outcome: 'estimated' }) },
    { name: 'list, under way', ...list({ ...quarter, outcome: 'open' }) },
  ];
}

export interface Times {
  firstMs: number;
  p50Ms: number;
  p99Ms: number;
  /** Of the server, all threads, each time that it is asked. */
  cpuMs: number;
  /** The longest that a look at /healthz took meanwhile: what this does to everybody else. */
  othersMs: number;
}

export async function measurePages(stage: Stage): Promise<void> {
  const rows = stage.plan.rows.at(-1) ?? 0;
  const people = [
    `one of ${whole(users)}, ${whole((rows - rows / busyEvery) / users)} requests`,
    `one with ${whole(rows / busyEvery)} requests`,
  ];
  say(`\nThe usage page with ${whole(rows)} requests of ${whole(users)} users in 90 days behind it`);
  await using sizes = await growAll(stage, [{ name: `${whole(rows)} rows`, users, rows, busyEvery }]);
  for (const one of sizes.grown) {
    // Person 0 is the busy one.
    for (const [i, person] of [1_234, 0].entries()) await measurePerson(stage, one, person, people[i] ?? '');
  }
}

async function measurePerson(stage: Stage, one: Grown, person: number, name: string): Promise<void> {
  const cookie = await one.process.call<string>({ signIn: idOf('user', person) });
  await measureQuestions(stage, one, { cookie, name, asked: questions() });
}

interface Asking {
  cookie: string;
  /** The head of the table. */
  name: string;
  asked: readonly Question[];
}

export async function measureQuestions(stage: Stage, one: Grown, { cookie, name, asked }: Asking): Promise<void> {
  const times: Times[] = [];
  for (const question of asked) times.push(await measure(one, question, cookie, stage.plan.pageTimes));
  const cells = ({ firstMs, p50Ms, p99Ms, cpuMs, othersMs }: Times) => [firstMs, p50Ms, p99Ms, cpuMs, othersMs].map(ms);
  const opening = times.filter((_, i) => asked[i]?.opens);
  const sum = (pick: (one: Times) => number) => opening.reduce((all, one) => all + pick(one), 0);
  const all: Times = {
    ...{ firstMs: sum((one) => one.firstMs), p50Ms: sum((one) => one.p50Ms), p99Ms: sum((one) => one.p99Ms) },
    ...{ cpuMs: sum((one) => one.cpuMs), othersMs: Math.max(...opening.map((one) => one.othersMs)) },
  };
  const lines = asked.map((question, i) => [`${question.opens ? '* ' : '  '}${question.name}`, ...cells(times[i] ?? all)]);
  say(table([[name, 'first ms', 'p50 ms', 'p99 ms', 'CPU ms', 'others wait'], ...lines, ['* opening the page, in all', ...cells(all)]]));
}

export async function measure({ process: server }: Grown, { procedure, input }: Question, cookie: string, count: number): Promise<Times> {
  const base = `http://127.0.0.1:${server.ready.port}`;
  const url = `${base}/trpc/${procedure}${input ? `?input=${encodeURIComponent(JSON.stringify(input))}` : ''}`;
  const timed = async (address: string) => {
    const startMs = performance.now();
    const answer = await fetch(address, { headers: { cookie } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${address}: ${text}`);
    return performance.now() - startMs;
  };
  const firstMs = await timed(url);
  const before = await server.used();
  const taken: number[] = [];
  for (let i = 0; i < count; i += 1) taken.push(await timed(url));
  const cpuMs = ((await server.used()).cpuUs - before.cpuUs) / 1_000 / count;
  taken.sort((a, b) => a - b);
  let isAsking = true;
  const asking = timed(url).finally(() => {
    isAsking = false;
  });
  let othersMs = 0;
  while (isAsking) othersMs = Math.max(othersMs, await timed(`${base}/healthz`));
  await asking;
  return { firstMs, p50Ms: quantile(taken, 0.5), p99Ms: quantile(taken, 0.99), cpuMs, othersMs };
}
