import { type Db, statement } from '@synthstack/core/db';
import { Secret } from '@synthstack/core/secret';
import { testDb } from '@synthstack/core/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { authStage } from '../test/auth.ts';
import { manualClock } from '../test/clock.ts';
import { type StripeEvent, startStripe, stripeEnv } from '../test/stripe.ts';
import { createAudit } from './audit.ts';
import { createBilling } from './billing.ts';
import { boughtOf, overdueGraceMs, type Subscription } from './billing-purchases.ts';
import { createTill } from './billing-till.ts';
import { createPlans } from './plans.ts';
import { createOutbound } from './ports/outbound.ts';

const day = 86_400_000;
const tiers = new Map([
  ['price_sub', 'subscriber'],
  ['price_pre', 'premium'],
  ['price_pre_year', 'premium'],
  ['price_life', 'lifetime'],
] as const);

/** Two processes on one database, before one Stripe. */
async function stage(db: Db) {
  const people = await authStage(db);
  const { clock } = people;
  const stripe = await startStripe(() => Math.floor(clock.now() / 1_000));
  const outbound = createOutbound();
  const secrets = { secretKey: new Secret(stripeEnv.STRIPE_SECRET_KEY), webhookSecret: new Secret(stripeEnv.STRIPE_WEBHOOK_SECRET) };
  const till = await createTill({ outbound, ...secrets, apiUrl: stripe.url });
  const audit = createAudit({ db, clock });
  const plans = createPlans({ db, clock, audit: audit.entry });
  const log = { info: () => undefined, warn: () => undefined };
  const process = () => createBilling({ db, clock, log, till, plans, tiers, publicUrl: 'http://byok.test' });
  const processes = [process(), process()] as const;
  let count = 0;
  return {
    ...{ stripe, clock, plans, audit, processes },
    /** Somebody whom Stripe knows. */
    async buyer() {
      count += 1;
      const { userId } = await people.person(`buyer${count}`);
      await processes[0].checkout(userId, 'price_sub');
      const rows = await db.orm.select().from(db.tables.billingCustomer);
      return { userId, customer: rows.find((row) => row.userId === userId)?.customerId ?? '' };
    },
    deliver(event: StripeEvent, by = 0) {
      const { body, signature } = stripe.signed(event);
      return (processes[by] ?? processes[0]).receive(Buffer.from(body), signature);
    },
    async plan(userId: string) {
      const { tier, state, until, renews, source } = await plans.of(userId);
      return { tier, state, until: until?.getTime() ?? null, renews, source };
    },
    async [Symbol.asyncDispose]() {
      await outbound.close();
      await stripe[Symbol.asyncDispose]();
      await people[Symbol.asyncDispose]();
    },
  };
}
type Stage = Awaited<ReturnType<typeof stage>>;
type Counts = Awaited<ReturnType<Stage['plan']>>;

/** A life, step by step: what happens at Stripe, the event that tells of it, and what must count as soon as anything was heard of it. */
function life({ stripe, clock }: Stage, customer: string) {
  const seconds = (at: number) => at * 1_000;
  const ofBilling = { source: 'billing' as const };
  const started = Math.floor(clock.now() / 1_000);
  const { sub, event: created } = { ...stripe.subscribe(customer, 'price_pre') };
  const end = seconds(sub.end);
  let bought: ReturnType<typeof stripe.payOnce> | undefined;
  const active = (until: number): Counts => ({ tier: 'premium', state: 'active', until, renews: true, ...ofBilling });
  const forever: Counts = { tier: 'lifetime', state: 'active', until: null, renews: false, ...ofBilling };
  const steps: [run: () => StripeEvent, counts: Counts][] = [
    [() => created, active(end)],
    [() => stripe.change(sub, { price: 'price_pre_year' }), active(end)],
    [() => stripe.bill(sub, false), { tier: 'premium', state: 'past_due', until: end + overdueGraceMs, renews: false, ...ofBilling }],
    [
      () => stripe.change(sub, { status: 'active', invoice: { status: 'paid', created: sub.start } }, 'invoice.paid'),
      active(seconds(2 * sub.end - started)),
    ],
    [
      () => {
        bought = stripe.payOnce(customer, 'price_life');
        return bought.event;
      },
      forever,
    ],
    [() => stripe.change(sub, { cancel_at_period_end: true }), forever],
    [() => stripe.change(sub, { status: 'canceled', ended_at: sub.end }, 'customer.subscription.deleted'), forever],
    [
      () => stripe.refund(bought?.intent ?? stripe.payOnce(customer, 'price_life').intent),
      { tier: 'community', state: 'lapsed', until: clock.now(), renews: false, ...ofBilling },
    ],
  ];
  return steps;
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [i, first] of items.entries())
    for (const rest of permutations([...items.slice(0, i), ...items.slice(i + 1)])) yield [first, ...rest];
}

test('in every order in which five events of a life can come, each of them twice, the plan is what it was at the end', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  for (const order of permutations([0, 1, 2, 3, 4])) {
    const { userId, customer } = await it.buyer();
    const events = life(it, customer)
      .slice(0, 5)
      .map(([run]) => run());
    for (const at of order) expect(await it.deliver(events[at] as StripeEvent)).toBe('written');
    for (const at of order) expect(await it.deliver(events[at] as StripeEvent, 1)).toBe('seen');
    expect(await it.plan(userId), order.join()).toMatchObject({ tier: 'lifetime', state: 'active', until: null });
  }
}, 120_000);

test('whenever an event arrives in the middle of a life, late, early, twice or all at once, the plan is what it is at Stripe by then', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  const late = fc.array(fc.record({ at: fc.nat(7), isTwice: fc.boolean(), by: fc.nat(1) }), { minLength: 8, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(late, fc.boolean(), async (arrivals, atOnce) => {
      const { userId, customer } = await it.buyer();
      const waiting: { event: StripeEvent; due: number; isTwice: boolean; by: number }[] = [];
      const steps = life(it, customer);
      for (const [now, [run, counts]] of steps.entries()) {
        const arrival = arrivals[now] ?? { at: 0, isTwice: false, by: 0 };
        waiting.push({ event: run(), due: Math.max(now, arrival.at), isTwice: arrival.isTwice, by: arrival.by });
        const due = waiting.filter((one) => one.due === now).reverse();
        const all = due.flatMap((one) => (one.isTwice ? [one, { ...one, by: 1 - one.by }] : [one]));
        if (atOnce) await Promise.all(all.map(({ event, by }) => it.deliver(event, by)));
        else for (const { event, by } of all) await it.deliver(event, by);
        const { until: _, ...said } = counts;
        if (due.length > 0) expect(await it.plan(userId)).toMatchObject(counts.state === 'lapsed' ? said : counts);
      }
    }),
    { numRuns: 40, seed: 6 },
  );
  expect((await it.audit.verify()).brokenAt).toBeNull();
}, 120_000);

test('a look at Stripe that took long does not undo a newer one of another process', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  const { userId, customer } = await it.buyer();
  const { sub, event } = it.stripe.subscribe(customer, 'price_pre');
  it.stripe.answerAfter(() => 400);
  const slow = it.deliver(event, 0);
  await expect.poll(() => it.stripe.calls.filter(({ path }) => path === '/v1/subscriptions').length).toBe(2);
  it.stripe.answerAfter(() => 0);
  const ended = it.stripe.change(sub, { status: 'canceled', ended_at: sub.start }, 'customer.subscription.deleted');
  expect(await it.deliver(ended, 1)).toBe('written');
  expect(await it.plan(userId)).toMatchObject({ tier: 'community', state: 'lapsed' });
  expect(await slow).toBe('written');
  expect(await it.plan(userId)).toMatchObject({ tier: 'community', state: 'lapsed' });
  expect(await db.orm.select().from(db.tables.billingEvent)).toHaveLength(2);
});

test('forty events of one customer at once end in one plan, and each counts once', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  const { userId, customer } = await it.buyer();
  const { sub, event } = it.stripe.subscribe(customer, 'price_pre');
  const events = [event, ...Array.from({ length: 19 }, () => it.stripe.change(sub, {}))];
  const became = await Promise.all(events.flatMap((one) => [it.deliver(one, 0), it.deliver(one, 1).catch(() => it.deliver(one, 1))]));
  expect(became.filter((one) => one === 'written')).toHaveLength(20);
  expect(await db.orm.select().from(db.tables.billingEvent)).toHaveLength(20);
  expect(await it.plan(userId)).toMatchObject({ tier: 'premium', state: 'active' });
  expect((await it.audit.list({ limit: 100 })).filter(({ action }) => action === 'plan.changed')).toHaveLength(1);
});

test('what an administrator gives while somebody pays, and what they give before, outlives the payments', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  const { userId, customer } = await it.buyer();
  await it.plans.set(userId, { tier: 'subscriber', source: 'admin' });
  const { sub, event } = it.stripe.subscribe(customer, 'price_pre');
  await it.deliver(event);
  expect(await it.plan(userId)).toMatchObject({ tier: 'premium', source: 'billing' });
  await it.deliver(it.stripe.change(sub, { status: 'canceled', ended_at: sub.start }, 'customer.subscription.deleted'));
  expect(await it.plan(userId)).toMatchObject({ tier: 'subscriber', state: 'active', source: 'admin' });
  await it.plans.set(userId, { tier: 'lifetime', source: 'admin' });
  await it.deliver(it.stripe.subscribe(customer, 'price_pre').event);
  expect(await it.plan(userId)).toMatchObject({ tier: 'lifetime', source: 'admin' });
});

test('an event whose plan cannot be written is not taken for attended to', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  const { userId, customer } = await it.buyer();
  const { event } = it.stripe.subscribe(customer, 'price_pre');
  it.stripe.fail({ status: 500, body: '{}' });
  await expect(it.deliver(event)).rejects.toMatchObject({ code: 'provider_unreachable' });
  expect(await db.orm.select().from(db.tables.billingEvent)).toEqual([]);
  it.stripe.fail(null);
  expect(await it.deliver(event)).toBe('written');
  expect(await it.plan(userId)).toMatchObject({ tier: 'premium' });
});

test('events are forgotten after 90 days, and those of others are not kept at all', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  const { customer } = await it.buyer();
  const { sub, event } = it.stripe.subscribe(customer, 'price_pre');
  await it.deliver(event);
  expect(await it.deliver(it.stripe.event('customer.created', { object: 'customer', id: 'cus_of_another_shop' }))).toBe('foreign');
  expect(await it.deliver(it.stripe.event('balance.available', { object: 'balance' }))).toBe('foreign');
  it.clock.advance(91 * day);
  const later = it.stripe.change(sub, {});
  await it.deliver(later);
  expect(await db.orm.select({ id: db.tables.billingEvent.id }).from(db.tables.billingEvent)).toEqual([{ id: later.id }]);
});

test('one who clicks twice, in two processes, is one customer', async () => {
  await using db = await testDb();
  await using it = await stage(db);
  const people = await it.buyer();
  await db.commit([statement(db.orm.delete(db.tables.billingCustomer))]);
  const urls = await Promise.all(
    [0, 1, 0, 1].map((by) => (it.processes[by as 0 | 1] as (typeof it.processes)[0]).checkout(people.userId, 'price_pre')),
  );
  expect(new Set(urls).size).toBe(4);
  expect(await db.orm.select().from(db.tables.billingCustomer)).toMatchObject([people.customer].map((customerId) => ({ customerId })));
});

const clock = manualClock(1_800_000_000_000);
const now = clock.now();
const running: Subscription = {
  ...{ status: 'active', endsAt: null, endedAt: null, unpaidSince: null },
  items: [{ price: 'price_pre', periodStart: now - day, periodEnd: now + day }],
};
const paid = { price: 'price_life', isPaid: true, isRefunded: false, paidAt: now - day };
const at = (ms: number | null) => (ms === null ? null : new Date(ms));

test.each<[string, Partial<Subscription>, [state: string, until: number, renews: boolean] | null]>([
  ['running', {}, ['active', now + day, true]],
  ['on trial', { status: 'trialing' }, ['active', now + day, true]],
  ['cancelled for the end', { endsAt: now + day }, ['active', now + day, false]],
  ['unpaid since the bill of this period', { status: 'past_due' }, ['past_due', now - day + overdueGraceMs, false]],
  ['unpaid since a later bill', { status: 'past_due', unpaidSince: now }, ['past_due', now + overdueGraceMs, false]],
  ['unpaid and cancelled', { status: 'past_due', endsAt: now + 1 }, ['past_due', now + 1, false]],
  ['given up by Stripe', { status: 'unpaid' }, ['lapsed', now - day, false]],
  ['paused', { status: 'paused' }, ['lapsed', now - day, false]],
  ['ended', { status: 'canceled', endedAt: now - 5 }, ['lapsed', now - 5, false]],
  ['never paid', { status: 'incomplete' }, null],
  ['never paid in time', { status: 'incomplete_expired' }, null],
  ['something that Stripe has not thought of yet', { status: 'hibernating' }, ['lapsed', now - day, false]],
  ['for something else', { items: [{ price: 'price_other', periodStart: 0, periodEnd: now + day }] }, null],
])('a subscription that is %s', (_is, how, said) => {
  const bought = boughtOf({ subscriptions: [{ ...running, ...how }], payments: [] }, tiers, now);
  expect(bought).toEqual(said && { tier: 'premium', state: said[0], until: at(said[1]), renews: said[2] });
});

test('of many purchases the best counts, in whatever order Stripe lists them', () => {
  const lapsed = { ...running, status: 'canceled', endedAt: now - day };
  const cheap = { ...running, items: [{ price: 'price_sub', periodStart: now, periodEnd: now + 99 * day }] };
  const longer = { ...running, items: [{ price: 'price_pre_year', periodStart: now, periodEnd: now + 9 * day }] };
  const all = [lapsed, cheap, running, longer];
  for (const subscriptions of permutations(all)) {
    expect(boughtOf({ subscriptions, payments: [] }, tiers, now)).toMatchObject({ tier: 'premium', until: at(now + 9 * day) });
    expect(boughtOf({ subscriptions, payments: [paid] }, tiers, now)).toMatchObject({ tier: 'lifetime', until: null });
    expect(boughtOf({ subscriptions, payments: [{ ...paid, isRefunded: true }] }, tiers, now)).toMatchObject({ tier: 'premium' });
  }
  expect(boughtOf({ subscriptions: [lapsed], payments: [{ ...paid, isPaid: false }] }, tiers, now)).toMatchObject({ state: 'lapsed' });
  expect(boughtOf({ subscriptions: [], payments: [{ ...paid, price: 'price_other' }] }, tiers, now)).toBeNull();
});
