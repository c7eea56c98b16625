import { expect, test } from 'vitest';
import { type Person, password, type TestApp, testApp } from '../test/app.ts';
import { manualClock } from '../test/clock.ts';
import { findPlanted } from '../test/planted.ts';
import { type ScriptedStripe, startStripe, stripeEnv } from '../test/stripe.ts';

async function stage(env: Record<string, string> = {}) {
  const clock = manualClock();
  const stripe = await startStripe(() => Math.floor(clock.now() / 1_000));
  const app = await testApp({ clock, env: { ...stripe.env, ...env }, platform: { openai: 'good' } });
  return {
    ...{ app, stripe, clock },
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]();
      await stripe[Symbol.asyncDispose]();
    },
  };
}

/** As the person themselves, and not one of their gateway tokens. */
async function call(app: TestApp, who: Person, name: string, json?: unknown) {
  const { token } = await app.app.auth.issueJwt(await app.app.auth.signIn(who.email, password));
  const isQuery = json === undefined;
  const res = await app.fetch(null, `/trpc/billing.${name}`, {
    headers: { authorization: `Bearer ${token}` },
    ...(!isQuery && { json }),
  });
  const body = (await res.json()) as { result?: { data: Record<string, unknown> }; error?: { message: string; data: { code: string } } };
  return { status: res.status, data: body.result?.data, error: body.error };
}

const codeOf = async (res: Response) => ((await res.json()) as { code: string }).code;
const customerIn = (stripe: ScriptedStripe) =>
  stripe.calls.findLast(({ path }) => path === '/v1/checkout/sessions')?.params.get('customer') ?? '';

function send(app: TestApp, { body, headers }: { body: string; headers?: Record<string, string> }): Promise<Response> {
  return app.fetch(null, '/api/billing/webhook', { method: 'POST', body, ...(headers && { headers }) });
}

test('from the page to Stripe and back: who pays has the plan at the next request, who stops paying loses it, and keys stay', async () => {
  await using it = await stage();
  const { app, stripe, clock } = it;
  const ada = await app.person({ tier: 'premium', until: new Date(clock.now() - 1), keys: { openai: 'good' } });
  const paidBy = async () => (await app.chat(ada, 'hello')).headers.get('x-byok-key-source');
  expect(await paidBy()).toBe('platform');
  const prices = [
    { id: 'price_sub', tier: 'subscriber', amount: 500, currency: 'USD', interval: 'month' },
    { id: 'price_pre', tier: 'premium', amount: 1_900, currency: 'USD', interval: 'month' },
    { id: 'price_pre_year', tier: 'premium', amount: 19_000, currency: 'USD', interval: 'year' },
    { id: 'price_life', tier: 'lifetime', amount: 49_900, currency: 'USD', interval: null },
  ];
  expect((await call(app, ada, 'view')).data).toEqual({ enabled: true, manageable: false });
  expect((await call(app, ada, 'prices')).data).toEqual({ prices });
  expect((await call(app, ada, 'portal', {})).error?.data.code).toBe('not_found');

  const { data } = await call(app, ada, 'checkout', { price: 'price_pre' });
  expect(data?.url).toMatch(new RegExp(`^${stripe.url}/pay/cs_`));
  const asked = stripe.calls.findLast(({ path }) => path === '/v1/checkout/sessions');
  expect(Object.fromEntries(asked?.params ?? [])).toEqual({
    ...{ mode: 'subscription', customer: customerIn(stripe), 'line_items[0][price]': 'price_pre', 'line_items[0][quantity]': '1' },
    ...{ success_url: 'http://byok.test/settings/plan?checkout=premium', cancel_url: 'http://byok.test/settings/plan' },
  });
  const made = stripe.calls.find(({ path }) => path === '/v1/customers');
  expect(Object.fromEntries(made?.params ?? [])).toEqual({ email: ada.email, 'metadata[user]': ada.id });

  const { sub, event } = stripe.subscribe(customerIn(stripe), 'price_pre');
  expect(await paidBy()).toBe('platform');
  const heard = await send(app, stripe.signed(event));
  expect([heard.status, await heard.json()]).toEqual([200, { received: 'written' }]);
  expect(await paidBy()).toBe('user');
  expect((await call(app, ada, 'view')).data).toMatchObject({ manageable: true });
  expect((await call(app, ada, 'portal', {})).data?.url).toMatch(/\/portal\//);
  // Nobody is made to pay for two subscriptions.
  expect((await call(app, ada, 'checkout', { price: 'price_pre_year' })).data?.url).toMatch(/\/portal\//);

  await send(app, stripe.signed(stripe.bill(sub, false)));
  expect(await app.app.plans.view(ada.id)).toMatchObject({ state: 'past_due', byok: true });
  expect(await paidBy()).toBe('user');
  await send(app, stripe.signed(stripe.change(sub, { status: 'canceled', ended_at: sub.start }, 'customer.subscription.deleted')));
  expect(await paidBy()).toBe('platform');
  expect(await app.keysOf(ada)).toMatchObject([{ status: 'valid', isActive: true }]);

  const once = await call(app, ada, 'checkout', { price: 'price_life' });
  expect(once.data?.url).toMatch(/\/pay\//);
  const last = stripe.calls.findLast(({ path }) => path === '/v1/checkout/sessions');
  expect(last?.params.get('mode')).toBe('payment');
  expect(last?.params.get('payment_intent_data[metadata][byok_price]')).toBe('price_life');
  await send(app, stripe.signed(stripe.payOnce(customerIn(stripe), 'price_life').event));
  expect(await app.app.plans.view(ada.id)).toMatchObject({ tier: 'lifetime', until: null, source: 'billing' });
  expect(await paidBy()).toBe('user');
  expect((await call(app, ada, 'checkout', { price: 'price_life' })).error?.data.code).toBe('conflict');
  expect((await call(app, ada, 'checkout', { price: 'price_of_nothing' })).error?.data.code).toBe('not_found');

  const audit = await app.app.audit.list({ subject: ada.id, limit: 3 });
  expect(audit.map(({ actor, detail }) => [actor, detail.tier, detail.state])).toEqual([
    ['system', 'lifetime', 'active'],
    ['system', 'premium', 'lapsed'],
    ['system', 'premium', 'past_due'],
  ]);
});

test('what Stripe has not signed just now, for us, to the byte, changes nothing', async () => {
  await using it = await stage();
  const { app, stripe } = it;
  const ada = await app.person({ tier: 'community' });
  await call(app, ada, 'checkout', { price: 'price_pre' });
  const { event } = stripe.subscribe(customerIn(stripe), 'price_pre');
  const good = stripe.signed(event);
  const old = stripe.signed(event, { at: Math.floor(it.clock.now() / 1_000) - 301 });
  const bad: Record<string, { body: string; headers?: Record<string, string> }> = {
    unsigned: { body: good.body },
    empty: { body: '', headers: good.headers },
    'another secret': stripe.signed(event, { secret: 'whsec_of_somebody_else_entirely' }),
    'too long ago': old,
    'an old signature with a new time': {
      body: old.body,
      headers: { 'stripe-signature': old.signature.replace(/t=\d+/, `t=${Math.floor(it.clock.now() / 1_000)}`) },
    },
    'another scheme': { body: good.body, headers: { 'stripe-signature': good.signature.replace('v1=', 'v0=') } },
    'no time': { body: good.body, headers: { 'stripe-signature': good.signature.replace(/t=\d+,/, '') } },
    'another byte': { body: good.body.replace('"active"', '"Active"'), headers: good.headers },
    'one byte more': { body: `${good.body} `, headers: good.headers },
    'no JSON': stripe.signed('hello'),
    'no event': stripe.signed('null'),
    'no object': stripe.signed({ id: 'evt_1', type: 'x' }),
  };
  for (const [name, request] of Object.entries(bad)) {
    const res = await send(app, request);
    expect([res.status, await codeOf(res)], name).toEqual([400, 'invalid_input']);
  }
  const long = await send(app, { ...good, body: good.body + ' '.repeat(600_000) });
  expect(long.status).toBe(413);
  const wrongMethod = await app.fetch(null, '/api/billing/webhook');
  expect([wrongMethod.status, wrongMethod.headers.get('allow')]).toEqual([405, 'POST']);
  expect(await app.app.plans.view(ada.id)).toMatchObject({ tier: 'community' });
  expect(await app.app.db.orm.select().from(app.app.db.tables.billingEvent)).toEqual([]);

  // The control: the same event as it should be; and a browser's marks neither help nor harm it.
  const res = await send(app, { ...good, headers: { ...good.headers, origin: 'https://evil.example', cookie: 'byok.session_token=x' } });
  expect([res.status, await res.json()]).toEqual([200, { received: 'written' }]);
  expect(await (await send(app, good)).json()).toEqual({ received: 'seen' });
  expect(await app.app.plans.view(ada.id)).toMatchObject({ tier: 'premium' });
});

test('while Stripe is in trouble nothing is written, its event is refused for it to come again, and no secret is told to anybody', async () => {
  await using it = await stage();
  const { app, stripe } = it;
  const ada = await app.person({ tier: 'community' });
  await call(app, ada, 'checkout', { price: 'price_pre' });
  const { event } = stripe.subscribe(customerIn(stripe), 'price_pre');
  const leaky = JSON.stringify({ error: { type: 'api_error', message: `Key ${stripeEnv.STRIPE_SECRET_KEY} for ${ada.email}` } });
  for (const how of [
    { status: 500, body: leaky },
    { status: 401, body: leaky },
    { status: 200, body: 'no JSON' },
    { status: 302, body: '' },
  ]) {
    stripe.fail(how);
    const res = await send(app, stripe.signed(event));
    expect([res.status, await codeOf(res)], how.body).toEqual([502, 'provider_unreachable']);
    const { error } = await call(app, ada, 'portal', {});
    expect(error?.message).toBe('The payment service cannot be reached. Please try again in a moment.');
  }
  expect(await app.app.plans.view(ada.id)).toMatchObject({ tier: 'community' });
  // What has no error in it is no success for that.
  const bea = await app.person({ tier: 'community' });
  for (const how of [
    { status: 500, body: '{}' },
    { status: 404, body: '{"data":[]}' },
    { status: 200, body: '{}' },
  ]) {
    stripe.fail(how);
    expect((await send(app, stripe.signed(event))).status, how.body).toBe(502);
    expect((await call(app, bea, 'checkout', { price: 'price_pre' })).error?.data.code, how.body).not.toBe('conflict');
  }
  stripe.fail(null);
  expect((await send(app, stripe.signed(event))).status).toBe(200);
  expect(await app.app.plans.view(ada.id)).toMatchObject({ tier: 'premium' });

  expect(stripe.calls.length).toBeGreaterThan(8);
  for (const { headers } of stripe.calls) expect(headers.authorization).toBe(`Bearer ${stripeEnv.STRIPE_SECRET_KEY}`);
  const written = app.everythingWritten();
  for (const secret of [stripeEnv.STRIPE_SECRET_KEY, stripeEnv.STRIPE_WEBHOOK_SECRET]) {
    expect(findPlanted(secret, written)).toEqual([]);
    expect(findPlanted(secret, Buffer.concat([written, Buffer.from(secret)]))).not.toEqual([]);
  }
  expect(app.lines.join('')).toContain(event.id);
  expect(app.lines.join('')).not.toContain(ada.email);
});

test('where Stripe does not say what something costs, it is not offered, and the rest is', async () => {
  await using it = await stage({ STRIPE_PRICES: 'price_pre=premium,price_not_there=lifetime' });
  const ada = await it.app.person({ tier: 'community' });
  expect((await call(it.app, ada, 'prices')).data?.prices).toMatchObject([{ id: 'price_pre' }]);
  expect(it.app.lines.join('')).toContain('did not tell all prices');
});
