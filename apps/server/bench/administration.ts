/**
 * What Administration's page of usage costs the server with very many users and requests behind it: of all tiers, models and key sources,
 * and everybody alike, which is the hardest for a ranking.
 */
import { ms, seconds, whole } from './figures.ts';
import { growAll } from './grown.ts';
import { measureQuestions, type Question } from './pages.ts';
import { idOf } from './people.ts';
import { type Stage, say } from './stage.ts';

const timezone = 'Europe/Berlin';
const report = (name: string, input: object, opens?: true): Question => ({
  ...{ name: `report, ${name}`, procedure: 'admin.usage.report', input: { timezone, seriesBy: 'model', ...input } },
  ...(opens && { opens }),
});
const users = (name: string, input: object, opens?: true): Question => ({
  ...{ name: `users, ${name}`, procedure: 'admin.usage.users', input },
  ...(opens && { opens }),
});
const questions: readonly Question[] = [
  report('30 days by day', { days: 30 }, true),
  users('30 days by cost', { days: 30 }, true),
  report('24 hours', { hours: 24 }),
  report('90 days', { days: 90 }),
  report('90 days of one tier', { days: 90, tier: 'premium', seriesBy: 'keySource' }),
  report('31 days by hour', { days: 31, groupBy: 'hour' }),
  report('366 days', { days: 366 }),
  users('1 day by requests', { days: 1, sort: 'requests' }),
  users('90 days by cost', { days: 90 }),
  users('90 days by tokens', { days: 90, sort: 'tokens' }),
  users("90 days, the platform's keys", { days: 90, keySource: 'platform' }),
  users('90 days, from the 10,000th', { days: 90, offset: 10_000 }),
];

export async function measureAdministration(stage: Stage): Promise<void> {
  const [people, rows] = [stage.plan.users.at(-1) ?? 0, stage.plan.rows.at(-1) ?? 0];
  const name = `${whole(people)} users, ${whole(rows)} requests`;
  say(`\nAdministration's page of usage: ${name} in 90 days`);
  await using sizes = await growAll(stage, [{ name, users: people, rows, mixed: true }]);
  for (const one of sizes.grown) {
    const cookie = await one.process.call<string>({ signIn: idOf('user', 0), admin: true });
    await measureQuestions({ ...stage, plan: { ...stage.plan, pageTimes: 5 } }, one, {
      cookie,
      name: 'from rows, as after an upgrade',
      asked: questions,
    });
    const startMs = performance.now();
    const days = await one.process.call<number>('blocks');
    const tookMs = performance.now() - startMs;
    say(`  ${whole(days)} past days put together in ${seconds(tookMs)}, ${ms(tookMs / Math.max(1, days))} ms each`);
    await measureQuestions(stage, one, { cookie, name: 'from blocks', asked: questions });
  }
}
