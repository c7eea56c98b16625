import { testDb } from '@synthstack/core/testing';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { authStage } from '../test/auth.ts';
import { createAudit } from './audit.ts';
import { afterPurchase, type Bought, createPlans, effectivePlan, type PlanEntry, type PlanRow, renewalGraceMs } from './plans.ts';

const day = 86_400_000;
const now = 1_800_000_000_000;
const at = (ms: number | null): Date | null => (ms === null ? null : new Date(ms));
const alone = { besideTier: null, besideState: null, besideUntil: null, besideRenews: null, besideSource: null };
const row = (tier: PlanRow['tier'], untilMs: number | null = null, state: PlanRow['state'] = 'active'): PlanRow => ({
  ...{ tier, state, until: at(untilMs), renews: false, source: 'cli', ...alone },
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
    [{ ...row('premium', now - day), renews: true }, 'premium', 'premium', false, true],
    [{ ...row('premium', now - renewalGraceMs), renews: true }, 'community', 'premium', true, false],
  ];
  for (const [given, tier, plan, lapsed, byok] of cases)
    expect(effectivePlan(given, now)).toEqual({
      ...{ tier, plan, lapsed, byok, until: given?.until ?? null, source: given?.source ?? null },
      ...{ state: lapsed ? 'lapsed' : (given?.state ?? 'active'), renews: !lapsed && (given?.renews ?? false) },
    });
});

const premium: Bought = { tier: 'premium', state: 'active', until: at(now + day), renews: true };
const none: PlanRow | undefined = undefined;
const granted = (tier: PlanRow['tier'], untilMs: number | null = null): PlanRow => ({ ...row(tier, untilMs), source: 'admin' });
const bought = (one: Bought): PlanEntry => ({ ...one, source: 'billing' });

/** What counts after each of these looks at Stripe, one after the other. */
function after(start: PlanRow | undefined, looks: (Bought | null)[], atMs = now) {
  const last = looks.reduce<PlanRow | undefined>((before, look) => afterPurchase(before, look, atMs) ?? before, start);
  const { tier, source, lapsed } = effectivePlan(last, atMs);
  return { tier, source, lapsed };
}

test('what an administrator has given is never taken away by what is bought, and what is bought never by what is given', () => {
  const lapsed: Bought = { ...premium, state: 'lapsed', renews: false, until: at(now) };
  expect(after(none, [premium])).toEqual({ tier: 'premium', source: 'billing', lapsed: false });
  expect(after(none, [premium, lapsed])).toEqual({ tier: 'community', source: 'billing', lapsed: true });
  expect(after(none, [premium, null])).toEqual({ tier: 'community', source: 'billing', lapsed: true });
  expect(after(none, [null])).toEqual({ tier: 'community', source: null, lapsed: false });
  // The better one counts while it lasts, of equal ones what was given; then the other.
  expect(after(granted('subscriber'), [premium])).toEqual({ tier: 'premium', source: 'billing', lapsed: false });
  expect(after(granted('subscriber'), [premium, lapsed])).toEqual({ tier: 'subscriber', source: 'admin', lapsed: false });
  expect(after(granted('subscriber'), [premium, null])).toEqual({ tier: 'subscriber', source: 'admin', lapsed: false });
  expect(after(granted('subscriber'), [premium, lapsed, premium])).toMatchObject({ tier: 'premium', source: 'billing' });
  expect(after(granted('premium'), [premium])).toEqual({ tier: 'premium', source: 'admin', lapsed: false });
  expect(after(granted('lifetime'), [premium, lapsed])).toEqual({ tier: 'lifetime', source: 'admin', lapsed: false });
  expect(after(granted('community'), [premium, lapsed])).toEqual({ tier: 'community', source: 'admin', lapsed: false });
  expect(after(granted('premium', now - 1), [{ ...premium, tier: 'subscriber' }])).toMatchObject({ tier: 'subscriber', source: 'billing' });
  // Time alone hands over too, either way.
  const both = afterPurchase(granted('lifetime', now + 1), premium, now) ?? none;
  expect(effectivePlan(both, now)).toMatchObject({ tier: 'lifetime', source: 'admin' });
  expect(effectivePlan(both, now + 1)).toMatchObject({ tier: 'premium', source: 'billing' });
  expect(effectivePlan(both, now + day + renewalGraceMs)).toMatchObject({ tier: 'community', lapsed: true });
});

test('a second look at Stripe that shows the same writes nothing', () => {
  for (const start of [none, granted('subscriber'), granted('lifetime'), granted('premium', now - 1)]) {
    const once = afterPurchase(start, premium, now) ?? none;
    expect(once).toBeDefined();
    expect(afterPurchase(once, premium, now + 1)).toBeNull();
  }
  const gone = afterPurchase({ ...row('premium'), ...bought(premium) }, null, now) ?? none;
  expect(afterPurchase(gone, null, now + day)).toBeNull();
});

test('an administrator who sets a plan leaves what was bought beside it, on whichever day', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const plans = createPlans({ db, clock: stage.clock });
  const until = new Date(stage.clock.now() + day);
  const buy = async (one: Bought | null) => db.commit(plans.writesOfPurchase(userId, await plans.row(userId), one));
  await buy({ ...premium, until });
  expect(await plans.of(userId)).toMatchObject({ tier: 'premium', source: 'billing', renews: true });
  expect(await plans.set(userId, { tier: 'subscriber', source: 'admin' })).toMatchObject({ tier: 'premium', source: 'billing' });
  await plans.set(userId, { tier: 'community', source: 'cli' });
  expect(await plans.of(userId)).toMatchObject({ tier: 'premium', source: 'billing', until });
  stage.clock.advance(day + renewalGraceMs);
  expect(await plans.of(userId)).toMatchObject({ tier: 'community', source: 'cli', lapsed: false });
  await plans.set(userId, { tier: 'lifetime', source: 'admin' });
  await buy(null);
  expect(await plans.of(userId)).toMatchObject({ tier: 'lifetime', source: 'admin' });
});

test('what was read of a plan before somebody changed it decides nothing', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const [ada, bea] = [await stage.person('ada'), await stage.person('bea')];
  const plans = createPlans({ db, clock: stage.clock });
  await plans.set(ada.userId, { tier: 'subscriber', source: 'admin' });
  const [adas, beas] = [await plans.row(ada.userId), await plans.row(bea.userId)];
  await plans.set(ada.userId, { tier: 'lifetime', source: 'admin' });
  await plans.set(bea.userId, { tier: 'lifetime', source: 'admin' });
  for (const [{ userId }, before] of [
    [ada, adas],
    [bea, beas],
  ] as const) {
    await expect(db.commit(plans.writesOfPurchase(userId, before, premium))).rejects.toMatchObject({ code: 'conflict' });
    expect(await plans.of(userId)).toMatchObject({ tier: 'lifetime', source: 'admin' });
  }
});

test('a plan is set, seen, replaced, and every change moves the generation and is noted', async () => {
  await using db = await testDb();
  await using stage = await authStage(db);
  const { userId } = await stage.person('ada');
  const audit = createAudit({ db, clock: stage.clock });
  const plans = createPlans({ db, clock: stage.clock, audit: audit.entry });
  const generation = async () => (await db.orm.select().from(db.tables.generation))[0]?.value ?? Number.NaN;

  expect(await plans.view(userId)).toEqual({
    ...{ tier: 'community', plan: 'community', state: 'active', lapsed: false, until: null, renews: false, source: null, byok: false },
  });
  expect(await plans.all()).toEqual(new Map());
  const before = await generation();
  const until = new Date(stage.clock.now() + day);
  expect(await plans.set(userId, { tier: 'premium', until, source: 'cli' })).toMatchObject({ tier: 'premium', byok: true });
  expect(await generation()).toBe(before + 1);
  expect(await plans.view(userId)).toEqual({
    ...{ tier: 'premium', plan: 'premium', state: 'active', lapsed: false, until: until.toISOString() },
    ...{ renews: false, source: 'cli', byok: true },
  });

  stage.clock.advance(day + 1);
  expect(await plans.view(userId)).toMatchObject({ tier: 'community', state: 'lapsed', lapsed: true, byok: false });
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

test('a lapsed plan holds at the next request: the key stays stored, unused, and works again on renewal without being entered again', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ until: new Date(app.clock.now() + day), keys: { openai: 'good' } });
  const paysNow = async () => {
    const { headers } = await app.chat(ada, 'hello');
    return [headers.get('x-byok-key-source'), headers.get('x-byok-fallback-reason')];
  };
  const [stored] = await app.keysOf(ada);
  expect(await paysNow()).toEqual(['user', null]);
  app.clock.advance(day - 1);
  expect(await paysNow()).toEqual(['user', null]);
  app.clock.advance(1);
  expect(await paysNow()).toEqual(['platform', 'plan']);
  expect(await app.keysOf(ada)).toMatchObject([{ id: stored?.id, status: 'valid', isActive: true }]);
  await app.app.plans.set(ada.id, { tier: 'premium', source: 'admin' });
  expect(await paysNow()).toEqual(['user', null]);
  expect(await app.keysOf(ada)).toMatchObject([{ id: stored?.id, totalRequests: 3 }]);
});
