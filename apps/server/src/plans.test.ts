import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { authStage } from '../test/auth.ts';
import { createAudit } from './audit.ts';
import { createPlans, effectivePlan, type PlanRow } from './plans.ts';

const day = 86_400_000;
const now = 1_800_000_000_000;
const row = (tier: PlanRow['tier'], untilMs: number | null = null, state: PlanRow['state'] = 'active'): PlanRow => ({
  tier,
  state,
  until: untilMs === null ? null : new Date(untilMs),
});

test('what a plan is worth', () => {
  const cases: [PlanRow | undefined, string, string, boolean, boolean][] = [
    [undefined, 'community', 'community', false, false],
    [row('community'), 'community', 'community', false, false],
    [row('community', now - day), 'community', 'community', false, false],
    [row('subscriber'), 'subscriber', 'subscriber', false, false],
    [row('premium'), 'premium', 'premium', false, true],
    [row('lifetime'), 'lifetime', 'lifetime', false, true],
    [row('premium', now + 1), 'premium', 'premium', false, true],
    [row('premium', now), 'community', 'premium', true, false],
    [row('premium', now - day), 'community', 'premium', true, false],
    [row('premium', now + day, 'past_due'), 'premium', 'premium', false, true],
    [row('premium', now - day, 'past_due'), 'community', 'premium', true, false],
    [row('premium', null, 'lapsed'), 'community', 'premium', true, false],
    [row('premium', now + day, 'lapsed'), 'community', 'premium', true, false],
  ];
  for (const [given, tier, plan, lapsed, byok] of cases)
    expect(effectivePlan(given, now)).toEqual({ tier, plan, lapsed, byok, until: given?.until ?? null });
});

test('a plan is set, seen, replaced, and every change moves the generation and is noted', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const audit = createAudit({ db, clock: stage.clock });
  const plans = createPlans({ db, clock: stage.clock, audit: audit.entry });
  const generation = async () => (await db.orm.select().from(db.tables.generation))[0]?.value ?? Number.NaN;

  expect(await plans.view(userId)).toEqual({ tier: 'community', plan: 'community', lapsed: false, until: null, byok: false });
  expect(await plans.all()).toEqual(new Map());
  const before = await generation();
  const until = new Date(stage.clock.now() + day);
  expect(await plans.set(userId, { tier: 'premium', until, source: 'cli' })).toMatchObject({ tier: 'premium', byok: true });
  expect(await generation()).toBe(before + 1);
  expect(await plans.view(userId)).toEqual({ tier: 'premium', plan: 'premium', lapsed: false, until: until.toISOString(), byok: true });

  stage.clock.advance(day + 1);
  expect(await plans.view(userId)).toEqual({ tier: 'community', plan: 'premium', lapsed: true, until: until.toISOString(), byok: false });
  expect(await plans.all()).toEqual(new Map([[userId, await plans.of(userId)]]));

  await plans.set(userId, { tier: 'lifetime', source: 'admin', actor: 'root-id' });
  expect(await plans.of(userId)).toMatchObject({ tier: 'lifetime', until: null, lapsed: false });
  expect(await db.orm.select().from(db.tables.plan)).toHaveLength(1);
  expect(await audit.list({ limit: 10 })).toMatchObject([
    { actor: 'root-id', subject: userId, action: 'plan.changed', detail: { tier: 'lifetime', source: 'admin' } },
    { actor: 'cli', subject: userId, action: 'plan.changed', detail: { tier: 'premium', until: until.toISOString(), source: 'cli' } },
  ]);
});

test('nobody gets a plan who is not there', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const plans = createPlans({ db, clock: stage.clock });
  await expect(plans.set('nobody', { tier: 'premium', source: 'cli' })).rejects.toMatchObject({ code: 'not_found' });
  expect(await db.orm.select().from(db.tables.plan)).toEqual([]);
});
