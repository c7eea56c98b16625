/**
 * Who pays for which plan, by Stripe. An event only says that something has happened to a customer: what they have bought is then asked of
 * Stripe. Events come late, twice and in any order, and two of one second cannot be told apart by their times; a look at Stripe is right
 * whenever it is taken, and each event is sent after the change that it tells of, so the last look always shows the last state. That an
 * older look is not written after a newer one, in whatever process, is what the customer's `version` is for.
 */
import { AppError, type BillingView, type Offer, type OfferList, type TierName } from '@synthstack/core';
import { type Db, must, type Statement, statement } from '@synthstack/core/db';
import { and, eq, lt, sql } from 'drizzle-orm';
import { boughtOf } from './billing-purchases.ts';
import type { Price, Till } from './billing-till.ts';
import type { Plans } from './plans.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';

export interface BillingParts {
  db: Db;
  clock: Clock;
  log: Pick<Log, 'info' | 'warn'>;
  till: Till;
  plans: Pick<Plans, 'row' | 'writesOfPurchase'>;
  /** What is sold: Stripe's price id -> tier. */
  tiers: ReadonlyMap<string, TierName>;
  /** Where browsers reach this server, without a slash at its end. */
  publicUrl: string;
}

/** What became of an event: `seen` was attended to before, `foreign` is about nobody here. */
export type Attended = 'written' | 'seen' | 'foreign';

export type Billing = ReturnType<typeof createBilling>;

const mostTries = 5;
const eventsKeptMs = 90 * 86_400_000;
const pricesFreshMs = 10 * 60_000;

export function createBilling({ db, clock, log, till, plans, tiers, publicUrl }: BillingParts) {
  const { billingCustomer, billingEvent, user } = db.tables;
  const turns = createTurns();
  const page = `${publicUrl}/settings/plan`;
  let known: { prices: Price[]; atMs: number } | null = null;

  const wasSeen = async (id: string) =>
    (await db.orm.select({ id: billingEvent.id }).from(billingEvent).where(eq(billingEvent.id, id))).length > 0;

  /**
   * Asks Stripe what a customer has bought, and writes what follows, together with the event that made us ask.
   * @throws AppError `conflict`: somebody has written meanwhile, so that what was read is old
   */
  async function look(userId: string, event: Statement[]): Promise<void> {
    const [customer] = await db.orm.select().from(billingCustomer).where(eq(billingCustomer.userId, userId));
    if (!customer) throw new AppError('conflict', 'This account is gone.');
    // Read before Stripe is asked: whatever changes meanwhile makes this look an old one.
    const before = await plans.row(userId);
    const bought = boughtOf(await till.purchasesOf(customer.customerId), tiers, clock.now());
    const isStill = and(eq(billingCustomer.userId, userId), eq(billingCustomer.version, customer.version));
    await db.commit([
      ...event,
      must(
        db.orm
          .update(billingCustomer)
          .set({ version: sql`${billingCustomer.version} + 1` })
          .where(isStill),
      ),
      ...plans.writesOfPurchase(userId, before, bought),
    ]);
  }

  /** The statements by which an event counts once. */
  function noted({ id, type }: { id: string; type: string }): Statement[] {
    const old = new Date(clock.now() - eventsKeptMs);
    return [
      statement(db.orm.insert(billingEvent).values({ id, type: type.slice(0, 100), receivedAt: new Date(clock.now()) })),
      statement(db.orm.delete(billingEvent).where(lt(billingEvent.receivedAt, old))),
    ];
  }

  async function attendTo(event: { id: string; type: string }, userId: string): Promise<Attended> {
    for (let tried = 0; tried < mostTries; tried += 1) {
      if (await wasSeen(event.id)) return 'seen';
      try {
        await look(userId, noted(event));
        log.info({ event: event.id, type: event.type }, 'A billing event was attended to');
        return 'written';
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
      }
    }
    throw new AppError('busy', 'This account is being changed. Send the event again.');
  }

  async function customerOf(userId: string): Promise<string | null> {
    const [row] = await db.orm.select({ id: billingCustomer.customerId }).from(billingCustomer).where(eq(billingCustomer.userId, userId));
    return row?.id ?? null;
  }

  async function customerFor(userId: string): Promise<string> {
    const [found] = await db.orm.select({ email: user.email }).from(user).where(eq(user.id, userId));
    if (!found) throw new AppError('not_found', 'There is no such account.');
    const existing = await customerOf(userId);
    if (existing) return existing;
    const customerId = await till.newCustomer(userId, found.email);
    const row = { userId, customerId, createdAt: new Date(clock.now()) };
    await db.commit([statement(db.orm.insert(billingCustomer).values(row).onConflictDoNothing())]);
    return (await customerOf(userId)) ?? customerId;
  }

  /** What is on sale. What Stripe does not answer for is left out, and asked again at the next time. */
  async function prices(): Promise<Price[]> {
    if (known && clock.now() - known.atMs < pricesFreshMs) return known.prices;
    const asked = await Promise.allSettled([...tiers.keys()].map((id) => till.price(id)));
    const told = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const found = told.filter(({ isOnSale }) => isOnSale);
    if (told.length === asked.length) known = { prices: found, atMs: clock.now() };
    else log.warn({ prices: asked.length - told.length }, 'Stripe did not tell all prices of STRIPE_PRICES');
    return found;
  }

  const viewOf = ({ id, amount, currency, interval }: Price): Offer[] => {
    const tier = tiers.get(id);
    return tier ? [{ id, tier, amount, currency, interval }] : [];
  };

  return {
    /**
     * Attends to what came to the webhook.
     * @param body  as it came, byte for byte
     * @throws AppError `invalid_input`: not signed by Stripe; `provider_unreachable`, `provider_timeout`, `busy`: Stripe shall send it again
     */
    async receive(body: Buffer, signature: string): Promise<Attended> {
      const event = till.openEvent(body, signature, clock.now());
      if (event.customerId === null) return 'foreign';
      const [owner] = await db.orm
        .select({ userId: billingCustomer.userId })
        .from(billingCustomer)
        .where(eq(billingCustomer.customerId, event.customerId));
      if (!owner) return 'foreign';
      return turns(owner.userId, () => attendTo(event, owner.userId));
    },

    /** Whether this user has bills to look at. */
    async view(userId: string): Promise<BillingView> {
      return { enabled: true, manageable: (await customerOf(userId)) !== null };
    },

    /** What is sold, in the order of STRIPE_PRICES. */
    async prices(): Promise<OfferList> {
      return { prices: (await prices()).flatMap(viewOf) };
    },

    /**
     * Where to buy at this price. Who has a running subscription and chooses another is sent where subscriptions are changed, so that
     * nobody pays for two.
     * @throws AppError `not_found`: it is not on sale; `conflict`: paid once and for all already; `provider_unreachable`
     */
    async checkout(userId: string, priceId: string): Promise<string> {
      const price = (await prices()).find(({ id }) => id === priceId);
      if (!price) throw new AppError('not_found', 'This is not on sale.');
      const customerId = await customerFor(userId);
      const { subscriptions, payments } = await till.purchasesOf(customerId);
      if (payments.some((one) => one.price === priceId && one.isPaid && !one.isRefunded))
        throw new AppError('conflict', 'You have bought this already.');
      const isRunning = subscriptions.some(({ status, items }) => running.has(status) && items.some((item) => tiers.has(item.price)));
      if (isRunning && price.interval !== null) return till.portal(customerId, page);
      return till.checkout({ customerId, price, successUrl: `${page}?checkout=${tiers.get(price.id)}`, cancelUrl: page });
    },

    /** Where bills are seen and a subscription is changed or ended. @throws AppError `not_found`: never bought anything */
    async portal(userId: string): Promise<string> {
      const customerId = await customerOf(userId);
      if (!customerId) throw new AppError('not_found', 'You have not bought anything here yet.');
      return till.portal(customerId, page);
    },
  };
}

const running = new Set(['active', 'trialing', 'past_due', 'unpaid', 'paused', 'incomplete']);

/** One after the other for each name, so that a burst of events about one customer does not make them undo each other's looks. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const before = last.get(name);
    const mine = before ? before.then(run, run) : run();
    last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (last.get(name) === mine) last.delete(name);
    }
  };
}
