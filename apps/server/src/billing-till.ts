/**
 * Stripe: the only file that knows its library. Hides its objects (no more leaves here than the house needs), where it is (fixed by
 * the operator) and its errors. The library is loaded only where billing is configured.
 */
import { hash } from 'node:crypto';
import { AppError } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import type { Stripe } from 'stripe';
import type { Payment, Purchases, Subscription } from './billing-purchases.ts';
import { createSmallFetch, type SmallFetch } from './ports/fetch.ts';
import type { Outbound } from './ports/outbound.ts';

export interface TillParts {
  outbound: Outbound;
  secretKey: Secret;
  webhookSecret: Secret;
  /** Scheme, host and port. */
  apiUrl: string;
}

/** What of an event is believed: that something has happened to this customer. What it is, Stripe is asked. */
export interface BillingEvent {
  id: string;
  type: string;
  /** Null: it is about nobody. */
  customerId: string | null;
}

export interface Price {
  id: string;
  /** In the currency's smallest unit; null: not a fixed amount. */
  amount: number | null;
  /** ISO 4217, in capitals. */
  currency: string;
  /** Null: paid once. */
  interval: 'day' | 'week' | 'month' | 'year' | null;
  isOnSale: boolean;
}

export interface Checkout {
  customerId: string;
  price: Price;
  successUrl: string;
  cancelUrl: string;
}

export type Till = Awaited<ReturnType<typeof createTill>>;

const timeoutMs = 8_000;
const maxAnswerBytes = 4 * 1_048_576;
/** Stripe's own advice; a captured event cannot be sent again after it. In seconds. */
const signatureTolerance = 300;
/** The one-time payments that are ours say so themselves. */
const priceKey = 'byok_price';

export async function createTill({ outbound, secretKey, webhookSecret, apiUrl }: TillParts) {
  const { Stripe } = await import('stripe');
  const { hostname, port, protocol, origin } = new URL(apiUrl);
  const timeouts = { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs };
  const send = createSmallFetch({ outbound, admits: (to) => to === origin, timeouts, maxBytes: maxAnswerBytes, name: 'Stripe' });
  const stripe = new Stripe(secretKey.expose(), {
    ...{ host: hostname, port: port || (protocol === 'https:' ? 443 : 80), protocol: protocol === 'https:' ? 'https' : 'http' },
    ...{ maxNetworkRetries: 1, timeout: timeoutMs, telemetry: false },
    httpClient: Stripe.createFetchHttpClient(withoutFalseSuccess(send) as typeof globalThis.fetch),
  });

  /** @throws AppError `provider_unreachable`; its cause names Stripe's code and request, and nothing of what was sent or told */
  async function ask<T>(what: () => Promise<T>): Promise<T> {
    try {
      return await what();
    } catch (thrown) {
      throw failureOf(thrown);
    }
  }

  async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
    const found: T[] = [];
    for await (const one of pages) found.push(one);
    return found;
  }

  return {
    /**
     * Reads an event that Stripe has signed.
     * @param body  as it came, byte for byte
     * @throws AppError `invalid_input`: not signed by Stripe, or too long ago
     */
    openEvent(body: Buffer, signature: string, nowMs: number): BillingEvent {
      try {
        const secret = webhookSecret.expose();
        const { id, type, data } = Stripe.webhooks.constructEvent(body, signature, secret, signatureTolerance, undefined, nowMs);
        return { id, type, customerId: customerOf(data.object) };
      } catch {
        throw new AppError('invalid_input', 'This is not an event that Stripe has signed for this server.');
      }
    },

    /** A customer for a user: the same one, however often and however fast this is asked. @returns its id */
    async newCustomer(userId: string, email: string): Promise<string> {
      const idempotencyKey = `byok-customer-${userId}-${hash('sha256', email).slice(0, 16)}`;
      const { id } = await ask(() => stripe.customers.create({ email, metadata: { user: userId } }, { idempotencyKey }));
      if (typeof id === 'string') return id;
      throw new AppError('provider_unreachable', 'Stripe made no customer.');
    },

    /** All that a customer has bought, as it is now. */
    async purchasesOf(customerId: string): Promise<Purchases> {
      const [subscriptions, intents] = await ask(() =>
        Promise.all([
          all(stripe.subscriptions.list({ customer: customerId, status: 'all', limit: 100, expand: ['data.latest_invoice'] })),
          all(stripe.paymentIntents.list({ customer: customerId, limit: 100, expand: ['data.latest_charge'] })),
        ]),
      );
      return { subscriptions: subscriptions.map(toSubscription), payments: intents.flatMap(toPayment) };
    },

    async price(id: string): Promise<Price> {
      const { unit_amount: amount, currency, recurring, active } = await ask(() => stripe.prices.retrieve(id));
      const interval = (recurring?.interval ?? null) as Price['interval'];
      return { id, amount, currency: currency.toUpperCase(), interval, isOnSale: active };
    },

    /** @returns where to pay */
    async checkout({ customerId, price, successUrl, cancelUrl }: Checkout): Promise<string> {
      const common = {
        customer: customerId,
        line_items: [{ price: price.id, quantity: 1 }],
        success_url: successUrl,
        cancel_url: cancelUrl,
      };
      const once = { mode: 'payment' as const, payment_intent_data: { metadata: { [priceKey]: price.id } } };
      const params = price.interval === null ? { ...common, ...once } : { ...common, mode: 'subscription' as const };
      return addressOf((await ask(() => stripe.checkout.sessions.create(params))).url, origin);
    },

    /** @returns where to change or end a subscription, and to see bills */
    async portal(customerId: string, returnUrl: string): Promise<string> {
      const session = await ask(() => stripe.billingPortal.sessions.create({ customer: customerId, return_url: returnUrl }));
      return addressOf(session.url, origin);
    },
  };
}

/** The library takes whatever has no `error` in it for a success, whatever its status: of something between us and Stripe, for instance. */
function withoutFalseSuccess(send: SmallFetch): SmallFetch {
  return async (url, init) => {
    const answer = await send(url, init);
    if (answer.ok) return answer;
    const text = await answer.text();
    if (!/"error"\s*:\s*\{/.test(text)) throw new AppError('provider_unreachable', `Stripe answered ${answer.status} without a word.`);
    return new Response(text, { status: answer.status, headers: answer.headers });
  };
}

const ms = (seconds: number | null | undefined): number | null => (seconds ? seconds * 1_000 : null);

function customerOf(object: unknown): string | null {
  const { id, object: kind, customer } = object as { id?: unknown; object?: unknown; customer?: unknown };
  const named = kind === 'customer' ? id : ((customer as { id?: unknown } | null)?.id ?? customer);
  return typeof named === 'string' ? named : null;
}

function toSubscription({ status, items, cancel_at, cancel_at_period_end, ended_at, latest_invoice }: Stripe.Subscription): Subscription {
  const periods = items.data.map(({ price, current_period_start, current_period_end }) => ({
    ...{ price: price.id, periodStart: current_period_start * 1_000, periodEnd: current_period_end * 1_000 },
  }));
  const lastEnd = Math.max(...periods.map(({ periodEnd }) => periodEnd));
  const bill = typeof latest_invoice === 'object' ? latest_invoice : null;
  return {
    ...{ status, items: periods },
    endsAt: ms(cancel_at) ?? (cancel_at_period_end ? lastEnd : null),
    endedAt: ms(ended_at),
    unpaidSince: bill?.status === 'open' ? ms(bill.created) : null,
  };
}

function toPayment({ status, metadata, latest_charge, created }: Stripe.PaymentIntent): Payment[] {
  const price = metadata[priceKey];
  if (!price) return [];
  const isRefunded = typeof latest_charge === 'object' && latest_charge?.refunded === true;
  return [{ price, isPaid: status === 'succeeded', isRefunded, paidAt: created * 1_000 }];
}

/** A page goes wherever this says. `http:` only where the operator has set Stripe to be there. */
function addressOf(url: string | null, apiOrigin: string): string {
  const parsed = url === null ? null : URL.parse(url);
  if (parsed && (parsed.protocol === 'https:' || parsed.origin === apiOrigin)) return parsed.href;
  throw new AppError('provider_unreachable', 'Stripe told no address to go to. Please try again in a moment.');
}

/** Stripe's messages may quote a key, an address or a parameter: codes and its request id are enough to look it up there. */
function failureOf(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const { type, code, statusCode, requestId } = thrown as Record<string, unknown>;
  const cause = new Error([type, code, statusCode, requestId].filter((part) => part !== undefined).join(' ') || 'no answer');
  cause.name = 'StripeError';
  return new AppError('provider_unreachable', 'The payment service cannot be reached. Please try again in a moment.', { cause });
}
