import { beforeAll, expect, test } from 'vitest';
import { type ScriptedStripe, startStripe } from '../../server/test/stripe.ts';
import { english, lookAt } from './look.ts';
import { openStage, type Stage, type Visitor } from './stage.ts';

let stage: Stage;
let stripe: ScriptedStripe;
/** Events are held back until this is called. */
let confirm: () => Promise<void>;

beforeAll(async () => {
  stripe = await startStripe(() => Math.floor(Date.now() / 1_000));
  stage = await openStage(stripe.env);
  const held: Parameters<ScriptedStripe['signed']>[0][] = [];
  stripe.tell(async (event) => void held.push(event));
  confirm = async () => {
    for (const event of held.splice(0)) {
      const { body, headers } = stripe.signed(event);
      const answer = await fetch(`${stage.origin}/api/billing/webhook`, { method: 'POST', body, headers });
      expect(answer.status).toBe(200);
    }
  };
  return async () => {
    await stage[Symbol.asyncDispose]();
    await stripe[Symbol.asyncDispose]();
  };
});

/** Stripe's pages are the only foreign place, and only by going there. */
const going = () => new RegExp(`^foreign request: ${stripe.url}/(pay|portal)/`);

async function pay({ page }: Visitor, plan: RegExp): Promise<void> {
  await page.getByRole('button', { name: plan }).click();
  await page.getByRole('heading', { name: 'Stripe' }).waitFor();
  await page.getByRole('button', { name: 'Pay' }).click();
}

test('somebody buys Premium on Stripe’s page, comes back, sees it confirmed, cancels in the portal and sees until when it counts', async () => {
  const visitor = await stage.user('community');
  const { page, complaints } = visitor;
  await page.goto('/settings/plan');
  await page.getByRole('heading', { name: 'Change your plan' }).waitFor();
  await page.getByText('$19.00 a month').waitFor();
  await page.getByText('$499.00 paid once').waitFor();
  expect(await page.getByText('Your administrator can change your plan.').count()).toBe(0);
  expect(await page.getByRole('button', { name: 'Manage billing' }).count()).toBe(0);
  await lookAt(page, 'plan-offers');
  await english(page);

  await pay(visitor, /^Choose Premium: \$19\.00 a month$/);
  await page.getByText('Your plan changes as soon as Stripe has confirmed the payment').waitFor();
  await confirm();
  await page.getByText('Thank you. Your plan is Premium now.').waitFor();
  await page.getByText('Renews on').waitFor();
  await page.getByText('Bought with Stripe.').waitFor();
  await page.getByText('Includes keys of your own.').first().waitFor();

  await page.goto('/settings/plan');
  await page.getByRole('button', { name: 'Manage billing' }).click();
  await page.getByRole('button', { name: 'Cancel plan' }).click();
  await page.getByText('Renews on').waitFor();
  await confirm();
  await page.reload();
  await page.getByText(/^Until /).waitFor();
  expect(complaints(going())).toEqual([]);
});

test('who has not paid a bill reads until when keys still work; who bought for life is offered nothing of it again; in German as well', async () => {
  const visitor = await stage.user('community', { locale: 'de-DE' });
  const { page, complaints } = visitor;
  await page.goto('/settings/plan');
  await page.getByRole('button', { name: /^Premium wählen: 19,00\s\$ pro Monat$/ }).click();
  await page.getByRole('button', { name: 'Pay' }).click();
  await page.getByText('Dein Tarif ändert sich, sobald Stripe').waitFor();
  await confirm();
  await page.getByText('Danke. Dein Tarif ist jetzt Premium.').waitFor();
  const customer = stripe.calls.findLast(({ path }) => path === '/v1/checkout/sessions')?.params.get('customer') ?? '';
  const { sub, event } = stripe.subscribe(customer, 'price_pre');
  expect(event.type).toBe('customer.subscription.created');
  const all = stripe.change(sub, { status: 'past_due', invoice: { status: 'open', created: sub.start } });
  stripe.cancelOthers(customer, sub);
  const { body, headers } = stripe.signed(all);
  await fetch(`${stage.origin}/api/billing/webhook`, { method: 'POST', body, headers });
  await page.goto('/settings/plan');
  await page.getByText('Zahlung überfällig: Deine Schlüssel funktionieren noch bis').waitFor();
  await lookAt(page, 'plan-overdue');

  await page.getByRole('button', { name: /^Lifetime wählen/ }).click();
  await page.getByRole('button', { name: 'Pay' }).click();
  await page.getByText('sobald Stripe').waitFor();
  await confirm();
  await page.goto('/settings/plan');
  await page.getByText('Unbefristet').waitFor();
  expect(await page.getByRole('button', { name: /^Lifetime wählen/ }).count()).toBe(0);
  expect(complaints(going())).toEqual([]);
});

test('while Stripe cannot be reached the page says so and stays', async () => {
  const { page, complaints } = await stage.user('community');
  await page.goto('/settings/plan');
  await page.getByText('$19.00 a month').waitFor();
  stripe.fail({ status: 500, body: '{}' });
  await page.getByRole('button', { name: /^Choose Lifetime/ }).click();
  await page.getByText('The payment service cannot be reached. Please try again in a moment.').waitFor();
  stripe.fail(null);
  await page.getByRole('button', { name: /^Choose Lifetime/ }).click();
  await page.getByRole('button', { name: 'Pay' }).waitFor();
  expect(complaints(new RegExp(`${going().source}|status of 502`))).toEqual([]);
});
