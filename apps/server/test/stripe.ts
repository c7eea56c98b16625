/**
 * Stripe, scripted, on a real socket: the calls that billing-till.ts makes, pages on which a browser pays and cancels, and events signed as
 * Stripe's own library signs them. What a customer has is changed by the verbs below; each returns the event that Stripe would send.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { Stripe } from 'stripe';

export const stripeEnv = {
  STRIPE_SECRET_KEY: 'sk_test_Vb3kQ9xT7mZ2pL5wR8nC4jH6',
  STRIPE_WEBHOOK_SECRET: 'whsec_Kd83hfPq02LmXz71TtYe9Rb4',
  STRIPE_PRICES: 'price_sub=subscriber,price_pre=premium,price_pre_year=premium,price_life=lifetime',
};

const day = 86_400;
const catalog: Record<string, { unit_amount: number; interval: 'month' | 'year' | null }> = {
  price_sub: { unit_amount: 500, interval: 'month' },
  price_pre: { unit_amount: 1_900, interval: 'month' },
  price_pre_year: { unit_amount: 19_000, interval: 'year' },
  price_life: { unit_amount: 49_900, interval: null },
  price_other: { unit_amount: 100, interval: 'month' },
};

interface Subscription {
  id: string;
  customer: string;
  status: string;
  price: string;
  start: number;
  end: number;
  cancel_at_period_end: boolean;
  ended_at: number | null;
  invoice: { status: string; created: number };
}
interface Intent {
  id: string;
  customer: string;
  status: string;
  metadata: Record<string, string>;
  created: number;
  refunded: boolean;
}
export interface StripeEvent {
  id: string;
  object: 'event';
  type: string;
  created: number;
  data: { object: Record<string, unknown> };
}
export interface SeenCall {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  params: URLSearchParams;
}

export type ScriptedStripe = Awaited<ReturnType<typeof startStripe>>;

/** @param now  seconds, as Stripe counts; the test's clock */
export async function startStripe(now: () => number) {
  const subscriptions = new Map<string, Subscription>();
  const intents = new Map<string, Intent>();
  const customers = new Map<string, string>();
  const sessions = new Map<string, URLSearchParams>();
  const calls: SeenCall[] = [];
  let made = 0;
  let trouble: { status: number; body: string } | 'hang' | null = null;
  let delay = (): number => 0;
  let webhook: ((event: StripeEvent) => Promise<unknown>) | null = null;
  const id = (kind: string) => `${kind}_${String(++made).padStart(6, '0')}test`;

  const event = (type: string, object: Record<string, unknown>): StripeEvent => ({
    ...{ id: id('evt'), object: 'event', type, created: now(), data: { object } },
  });
  const told = ({ price, start, end, invoice, ...rest }: Subscription) => ({
    ...{ object: 'subscription', ...rest, cancel_at: null, latest_invoice: { object: 'invoice', ...invoice } },
    items: { object: 'list', data: [{ price: { id: price }, current_period_start: start, current_period_end: end }] },
  });
  const charged = ({ refunded, ...intent }: Intent) => ({
    ...{ object: 'payment_intent', ...intent },
    latest_charge: { object: 'charge', customer: intent.customer, payment_intent: intent.id, refunded },
  });
  const charge = (intent: Intent) => charged(intent).latest_charge;
  const page = (data: unknown[]) => ({ object: 'list', data, has_more: false, url: '/v1/x' });
  const problem = (message: string, code?: string) => ({ error: { type: 'invalid_request_error', message, code } });

  const verbs = {
    subscribe(customer: string, price: string): { sub: Subscription; event: StripeEvent } {
      const length = (catalog[price]?.interval === 'year' ? 365 : 30) * day;
      const sub: Subscription = {
        ...{ id: id('sub'), customer, status: 'active', price, start: now(), end: now() + length },
        ...{ cancel_at_period_end: false, ended_at: null, invoice: { status: 'paid', created: now() } },
      };
      subscriptions.set(sub.id, sub);
      return { sub, event: event('customer.subscription.created', told(sub)) };
    },
    change(sub: Subscription, changes: Partial<Subscription>, type = 'customer.subscription.updated'): StripeEvent {
      Object.assign(sub, changes);
      return event(type, told(sub));
    },
    /** The bill of the next period, paid or not. */
    bill(sub: Subscription, isPaid: boolean): StripeEvent {
      const length = sub.end - sub.start;
      Object.assign(sub, { start: sub.end, end: sub.end + length, status: isPaid ? 'active' : 'past_due' });
      sub.invoice = { status: isPaid ? 'paid' : 'open', created: sub.start };
      return event(isPaid ? 'invoice.paid' : 'invoice.payment_failed', { object: 'invoice', customer: sub.customer });
    },
    payOnce(customer: string, price: string, status = 'succeeded'): { intent: Intent; event: StripeEvent } {
      const intent = { id: id('pi'), customer, status, metadata: { byok_price: price }, created: now(), refunded: false };
      intents.set(intent.id, intent);
      return { intent, event: event('checkout.session.completed', { object: 'checkout.session', customer, payment_intent: intent.id }) };
    },
    /** A customer has this subscription and no other. */
    cancelOthers(customer: string, kept: Subscription): void {
      for (const sub of subscriptions.values())
        if (sub.customer === customer && sub !== kept) Object.assign(sub, { status: 'canceled', ended_at: now() });
    },
    refund(intent: Intent): StripeEvent {
      intent.refunded = true;
      return event('charge.refunded', charge(intent));
    },
  };

  function answerApi(method: string, path: string, params: URLSearchParams, key: string): { status: number; body: unknown } {
    const ok = (body: unknown) => ({ status: 200, body });
    const [, kind = '', name = ''] = /^\/v1\/([a-z_/]+?)(?:\/([a-z]+_\w+))?$/.exec(path) ?? [];
    const customer = params.get('customer');
    const isKnown = customer !== null && [...customers.values()].includes(customer);
    if (customer !== null && !isKnown) return { status: 404, body: problem(`No such customer: '${customer}'`, 'resource_missing') };
    switch (`${method} ${kind}`) {
      case 'POST customers': {
        const known = customers.get(key) ?? id('cus');
        customers.set(key, known);
        return ok({ id: known, object: 'customer', email: params.get('email') });
      }
      case 'GET subscriptions':
        return ok(page([...subscriptions.values()].filter((one) => one.customer === customer).map(told)));
      case 'GET payment_intents':
        return ok(page([...intents.values()].filter((one) => one.customer === customer).map(charged)));
      case 'GET prices': {
        const price = catalog[name];
        if (!price) return { status: 404, body: problem(`No such price: '${name}'`, 'resource_missing') };
        const recurring = price.interval && { interval: price.interval, interval_count: 1 };
        return ok({ id: name, object: 'price', active: true, currency: 'usd', unit_amount: price.unit_amount, recurring });
      }
      case 'POST checkout/sessions': {
        const session = id('cs');
        sessions.set(session, params);
        return ok({ id: session, object: 'checkout.session', url: `${url}/pay/${session}` });
      }
      case 'POST billing_portal/sessions': {
        const session = id('bps');
        sessions.set(session, params);
        return ok({ id: session, object: 'billing_portal.session', url: `${url}/portal/${session}` });
      }
      default:
        return { status: 404, body: problem(`Unrecognized request URL (${method}: ${path}).`) };
    }
  }

  /** What a browser sees: a form that does the one thing and goes back. */
  async function answerPage(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const [, kind, name = ''] = path.split('/');
    const session = sessions.get(name);
    if (!session) return void res.writeHead(404).end();
    const button = kind === 'pay' ? 'Pay' : 'Cancel plan';
    const form = `<!doctype html><title>Stripe</title><link rel="icon" href="data:,"><h1>Stripe</h1><form method="post"><button>${button}</button></form>`;
    if (req.method !== 'POST') return void res.writeHead(200, { 'content-type': 'text/html' }).end(form);
    const customer = session.get('customer') ?? '';
    const price = session.get('line_items[0][price]') ?? '';
    const mine = [...subscriptions.values()].filter((one) => one.customer === customer);
    const events =
      kind !== 'pay'
        ? mine.map((sub) => verbs.change(sub, { cancel_at_period_end: true }))
        : [session.get('mode') === 'payment' ? verbs.payOnce(customer, price).event : verbs.subscribe(customer, price).event];
    for (const one of events) await webhook?.(one);
    res.writeHead(303, { location: session.get(kind === 'pay' ? 'success_url' : 'return_url') ?? '' }).end();
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://stripe.test');
    if (!pathname.startsWith('/v1/')) return answerPage(req, res, pathname);
    const params = req.method === 'GET' ? searchParams : new URLSearchParams(await text(req));
    calls.push({ method: req.method ?? '', path: pathname, headers: req.headers, params });
    if (trouble === 'hang') return;
    // What it says is what was so when it was asked; how long it takes to say it is another thing.
    const told =
      req.headers.authorization === `Bearer ${stripeEnv.STRIPE_SECRET_KEY}`
        ? answerApi(req.method ?? '', pathname, params, String(req.headers['idempotency-key']))
        : { status: 401, body: problem(`Invalid API Key provided: ${req.headers.authorization}`) };
    const late = delay();
    if (late > 0) await wait(late);
    res.writeHead(trouble?.status ?? told.status, { 'content-type': 'application/json', 'request-id': id('req') });
    res.end(trouble?.body ?? JSON.stringify(told.body));
  }

  const server = createServer((req, res) => void answer(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    ...verbs,
    url,
    calls,
    event,
    env: { ...stripeEnv, STRIPE_API_URL: url },
    /** Every call fails like this; null: as usual. */
    fail(how: typeof trouble): void {
      trouble = how;
    },
    /** How long each answer takes, in ms. */
    answerAfter(ms: () => number): void {
      delay = ms;
    },
    /** Who hears of what a browser does on the pages. */
    tell(to: typeof webhook): void {
      webhook = to;
    },
    /** The request that brings an event. */
    signed(one: unknown, { secret = stripeEnv.STRIPE_WEBHOOK_SECRET, at = now() } = {}) {
      const body = typeof one === 'string' ? one : JSON.stringify(one);
      const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: at });
      return { body, signature, headers: { 'stripe-signature': signature, 'content-type': 'application/json' } };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
