/** Usage as people look at it: with the demo's sixty days, and live with a server of its own. */
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { beforeAll, expect, inject, test } from 'vitest';
import { type Demo, startDemo } from './demo-process.ts';
import { lookAt, seeAll, sizes } from './look.ts';
import { newKey, openStage, openVisitor, type Stage, until, type Visitor } from './stage.ts';

let demo: Demo;
let stage: Stage;
let browser: Browser;

beforeAll(async () => {
  [demo, stage, browser] = await Promise.all([startDemo(), openStage(), chromium.connect(inject('chromium'))]);
  return async () => {
    await browser.close();
    await Promise.all([demo[Symbol.asyncDispose](), stage[Symbol.asyncDispose]()]);
  };
});

const usage = '/settings/api-keys/usage';

type Cookies = Awaited<ReturnType<Visitor['context']['storageState']>>;
const sessions = new Map<string, Cookies>();

/** Somebody of the demo, who looks at her usage. Signed in once, since that is limited. */
async function open(name: string, query = '', options: BrowserContextOptions = {}): Promise<Visitor> {
  const session = sessions.get(name);
  const visitor = await openVisitor(browser, demo.origin, {
    reducedMotion: 'reduce',
    timezoneId: 'Europe/Berlin',
    ...(session && { storageState: session }),
    ...options,
  });
  if (!session) {
    const answer = await visitor.context.request.post(`${demo.origin}/api/auth/sign-in/email`, {
      data: { email: `${name}@demo.example`, password: demo.password },
      headers: { origin: demo.origin },
    });
    expect(answer.ok()).toBe(true);
    sessions.set(name, await visitor.context.storageState());
  }
  await visitor.page.goto(`${usage}${query}`);
  // It is drawn when somebody is about to see it.
  await visitor.page.locator('.chart__place').scrollIntoViewIfNeeded();
  await visitor.page.locator('.chart__canvas canvas').waitFor();
  await seeAll(visitor.page);
  return visitor;
}

const tile = (page: Page, name: string) => page.locator('.tile').filter({ has: page.getByText(name, { exact: true }) });
/** As people see it: with the line breaks between its pieces. */
const seenIn = async (place: Locator) => (await place.allInnerTexts()).join();
const numberIn = async (place: Locator) => Number((await seenIn(place)).replace(/[^\d]/g, ''));
const requestsOf = (page: Page) => numberIn(tile(page, 'Requests').locator('dd').first());

/** The first figure of each row. */
async function sumOf(page: Page, table: string): Promise<number> {
  const cells = await page.getByRole('table', { name: table }).locator('tbody tr td:nth-child(2)').allTextContents();
  return cells.reduce((sum, text) => sum + Number(text.replace(/[^\d]/g, '')), 0);
}

/** What the button downloads: `answered` are those that count in the sums. */
async function csvOf({ context, page }: Visitor): Promise<{ lines: string[]; answered: string[] }> {
  const link = await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href');
  const [head = '', ...lines] = (await (await context.request.get(link ?? '')).text()).trim().split('\r\n');
  const status = head.split(',').indexOf('status');
  expect(status).toBeGreaterThan(0);
  return { lines, answered: lines.filter((line) => line.split(',')[status] === '200') };
}

/** How many colours the chart is painted in, the ground not counted. */
const coloursOf = (page: Page) =>
  page.locator('.chart__canvas canvas').evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
    const found = new Map<string, number>();
    for (let i = 0; i < data.length; i += 4) {
      const colour = `${data[i]},${data[i + 1]},${data[i + 2]}`;
      if (data[i + 3] === 255) found.set(colour, (found.get(colour) ?? 0) + 1);
    }
    return [...found.values()].filter((pixels) => pixels > 200).length;
  });

const pressed = (page: Page, name: string) => page.getByRole('button', { name, exact: true, pressed: true }).waitFor();

test('sums, chart, tables and export agree, beside the period before', async () => {
  const ada = await open('ada');
  const { page, complaints } = ada;
  const requests = await requestsOf(page);
  expect(requests).toBeGreaterThan(500);
  expect(await seenIn(tile(page, 'Requests'))).toMatch(/[+−]\d+(\.\d)?% · [\d,]+ before/);
  await page
    .getByText(/^\d+(\.\d)?% (more|less) than in the period before, which had [\d,]+$/)
    .first()
    .waitFor({ state: 'attached' });
  expect(await seenIn(tile(page, 'Tokens'))).toMatch(/[\d,]+ in, [\d,]+ out\s+[\d,]+ of the input cached/);

  expect(await coloursOf(page)).toBeGreaterThan(3);
  await page.getByRole('img', { name: /^Cost by day\. Most: \$.* The table below/ }).waitFor();
  await page.getByRole('heading', { name: 'By day' }).click();
  expect(await sumOf(page, 'By day')).toBe(requests);
  expect(await sumOf(page, 'By model')).toBe(requests);
  expect(await sumOf(page, 'By key')).toBe(requests);
  const { lines, answered } = await csvOf(ada);
  expect(answered).toHaveLength(requests);
  expect(lines.length).toBeGreaterThan(requests);

  const chart = await page.locator('.chart__canvas').boundingBox();
  await page.mouse.move((chart?.x ?? 0) + (chart?.width ?? 0) * 0.9, (chart?.y ?? 0) + 40);
  await page.locator('.chart__tip').getByText('Total').waitFor();

  const preview = page.getByRole('table', { name: 'By model' }).getByRole('row', { name: /acme-internal-preview/ });
  expect(await preview.getByRole('cell', { name: 'unknown' }).count()).toBe(2);
  expect(await seenIn(tile(page, 'Estimated cost'))).toMatch(/^Estimated cost\s+\$[\d.]+\s\+\s/);
  expect(await page.getByText('Costs are an estimate').count()).toBe(1);
  expect(complaints()).toEqual([]);
  await ada.context.close();
});

test('range and cut are in the address: reload and back keep them, and days of one’s own say what is wrong', async () => {
  const { page, complaints, context } = await open('ada');
  await page.getByRole('button', { name: '90 days' }).click();
  await page.waitForURL(/\?range=90d$/);
  await page.getByText('no requests in the period before').first().waitFor();
  await page.getByRole('button', { name: 'Requests', exact: true }).click();
  await page.getByRole('button', { name: 'Key', exact: true }).click();
  await page.waitForURL(/range=90d&show=requests&by=key$/);
  await page.locator('.legend').getByText('Platform’s keys').waitFor();
  await page.reload();
  await pressed(page, '90 days');
  await page.getByRole('img', { name: /^Requests by day/ }).waitFor();
  for (const _step of ['key', 'requests', '90 days']) await page.goBack();
  await pressed(page, '30 days');
  await pressed(page, 'Cost');

  await page.getByRole('button', { name: '24 h' }).click();
  await page.getByRole('heading', { name: 'By hour' }).waitFor();

  const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
  await page.getByRole('button', { name: 'Custom' }).click();
  await page.getByLabel('First day').fill(day(3));
  await page.getByLabel('Last day').fill(day(4));
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: 'before the first day' }).waitFor();
  expect(await page.getByLabel('Last day').evaluate((field) => field === document.activeElement)).toBe(true);
  await page.getByLabel('First day').fill('2020-01-01');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: 'At most 366 days' }).waitFor();
  await page.getByLabel('First day').fill(day(12));
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await page.waitForURL(new RegExp(`range=custom&from=${day(12)}&to=${day(4)}$`));
  await page.getByRole('heading', { name: 'By day' }).click();
  await until(async () => (await page.getByRole('table', { name: 'By day' }).locator('tbody tr').count()) <= 9);
  expect(await sumOf(page, 'By day')).toBe(await requestsOf(page));
  expect(complaints()).toEqual([]);
  await context.close();
});

test('filters narrow sums, list and export, and each request opens to all that is known of it', async () => {
  const bob = await open('bob');
  const { page, complaints } = bob;
  const all = await requestsOf(page);
  const list = page.getByRole('table', { name: 'Requests' });
  const ids = async () => (await list.locator('tbody tr').allInnerTexts()).join();
  // The list comes after the sums: read too early, the first page would be an empty text.
  await list.locator('tbody tr').first().waitFor();
  const first = await ids();
  await page.getByRole('button', { name: 'Older' }).click();
  await page.getByText('Page 2').waitFor();
  await until(async () => (await ids()) !== first);
  await page.getByRole('button', { name: 'Newer' }).click();
  await until(async () => (await ids()) === first);

  await page.getByRole('button', { name: 'Show these requests' }).click();
  await page.waitForURL(/\?outcome=fallback$/);
  await until(async () => (await list.locator('.chip').allInnerTexts()).every((text) => text === 'Platform’s key'));
  await list.getByText('your key had no credit').first().waitFor();

  await page.getByLabel('Model', { exact: true }).selectOption('claude-haiku-4-5');
  await page.waitForURL(/\?model=claude-haiku-4-5&outcome=fallback$/);
  await until(async () => (await requestsOf(page)) < all);
  expect(await page.getByRole('table', { name: 'By model' }).locator('tbody tr').count()).toBe(1);
  // The other models can still be chosen.
  await until(async () => (await page.getByLabel('Model', { exact: true }).locator('option').count()) > 2);
  await page.getByLabel('Outcome', { exact: true }).selectOption('All outcomes');
  await page.waitForURL(/\?model=claude-haiku-4-5$/);
  const { lines, answered } = await csvOf(bob);
  expect(answered).toHaveLength(await requestsOf(page));
  expect(lines.every((line) => line.includes('claude-haiku-4-5'))).toBe(true);

  await list
    .getByRole('button', { name: /^Details of the request of/ })
    .first()
    .click();
  const id = await seenIn(page.locator('.details code'));
  expect(id).toMatch(/^req_[0-9a-z]+$/);
  expect(lines.join()).toContain(id);
  await page.getByText('/v1/messages').waitFor();
  await page.getByRole('button', { name: 'Copy Request ID' }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(id);

  await page.getByRole('button', { name: 'Clear filters' }).click();
  await until(async () => (await requestsOf(page)) === all);
  expect(complaints()).toEqual([]);
  await bob.context.close();
});

test('in German, on phone and desktop, in light and dark, it is whole and accessible', async () => {
  const { page, complaints, context } = await open('ada', '?range=7d&show=tokens', { locale: 'de-DE', viewport: sizes.phone });
  await page.getByRole('heading', { name: 'Nutzung', level: 1 }).waitFor();
  expect(await seenIn(tile(page, 'Tokens'))).toMatch(/\d{1,3}(\.\d{3})+\s+\+?−?[\d,]+\s%/);
  expect(await seenIn(tile(page, 'Geschätzte Kosten'))).toMatch(/\d+,\d{2}\s\$/);
  await page.getByRole('button', { name: 'Eigener' }).click();
  await page
    .getByRole('button', { name: /^Einzelheiten der Anfrage/ })
    .first()
    .click();
  await page.getByRole('heading', { name: 'Nach Tagen' }).click();
  await page.evaluate(() => scrollTo(0, 0));
  await lookAt(page, 'usage-german');
  expect(complaints()).toEqual([]);
  await context.close();
});

test('a request made elsewhere shows up by itself, even after the connection was lost, and nothing that is open closes', async () => {
  const { page, call, complaints } = await stage.user('premium');
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await call('keys.save', { provider: 'openai', apiKey: key });
  const { secret } = (await call('tokens.create', { name: 'Elsewhere' })) as { secret: string };
  const ask = async (model: string, status = 200) => {
    const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] }),
    });
    expect(answer.status).toBe(status);
    await answer.text();
  };

  const scripts: string[] = [];
  page.on('request', (request) => void scripts.push(request.url()));
  let lost = 0;
  await page.route('**/trpc/usage.live*', (route) => (lost++ === 0 ? route.abort() : route.continue()));
  await page.goto('/settings/api-keys');
  await page.getByRole('heading', { name: 'API keys', level: 1 }).waitFor();
  await page.getByRole('link', { name: 'Usage' }).click();
  await page.getByText('No requests in this time.').waitFor();
  await page.getByRole('link', { name: 'Make an access token' }).waitFor();
  expect(scripts.filter((url) => url.includes('UsageChart'))).toEqual([]);

  await ask('gpt-4.1-mini');
  await until(async () => (await seenIn(tile(page, 'Requests').locator('dd').first())) === '1');
  await page.locator('.chart__canvas canvas').waitFor();
  const list = page.getByRole('table', { name: 'Requests' });
  await list.getByText('OpenAI · Elsewhere').waitFor();
  await list.getByRole('button', { name: /^Details of/ }).click();
  const id = await seenIn(page.locator('.details code'));

  const details = page.locator('.details');
  await page.setViewportSize({ width: 1280, height: 400 });
  await details.evaluate((element) => element.scrollIntoView({ block: 'start' }));
  const place = (await details.boundingBox())?.y ?? 0;
  await ask('no-such-model', 404);
  // Its row may come while it still runs.
  await list.getByRole('row', { name: /no-such-model.*Failed 404/ }).waitFor();
  expect(await seenIn(list.getByRole('row', { name: /no-such-model/ }))).toMatch(/unknown[\s\S]*Failed 404/);
  expect(await seenIn(page.locator('.details code'))).toBe(id);
  expect(Math.abs(((await details.boundingBox())?.y ?? 0) - place)).toBeLessThan(2);
  expect(await requestsOf(page)).toBe(1);
  expect(lost).toBeGreaterThan(1);

  const hide = (hidden: boolean) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { configurable: true, value });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await hide(true);
  await ask('gpt-4.1-nano');
  await hide(false);
  await list.getByText('gpt-4.1-nano').waitFor();
  expect(complaints(/usage\.live/)).toEqual([]);
});
