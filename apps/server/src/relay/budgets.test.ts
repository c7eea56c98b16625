/** Budgets as callers meet them: refused before anything is sent, exact with many at once, told once, and never silently somebody else's money. */
import { nanoUsdPerUsd, noTokens, type ProviderId, type SetBudget } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../../test/app.ts';
import { manualClock } from '../../test/clock.ts';
import type { OpenRequest } from '../meter.ts';

const model = 'gpt-4.1-mini';
const capped = { model, max_completion_tokens: 1_000 };
/** What `capped` sets aside for a few words: $0.40 and $1.60 for a million tokens in and out, about 1,100 and 1,000 of them. */
const cappedUsd = 0.0021;

async function setBudget(
  app: TestApp,
  who: Person,
  budget: Partial<Omit<SetBudget, 'id'>>,
  provider: ProviderId = 'openai',
): Promise<void> {
  const id = (await app.keysOf(who)).find((key) => key.provider === provider)?.id;
  const json = { limitUsd: 1, hard: true, ...budget };
  const res = await app.fetch(who, `/api/v1/api-keys/${id}/budget`, { method: 'PATCH', json });
  if (res.status !== 200) throw new Error(await res.text());
}

/** The key's budget as it is now; amounts in dollars. */
const budgetOf = async (app: TestApp, who: Person) => (await app.keysOf(who)).find(({ provider }) => provider === 'openai')?.budget;
const spend = async (app: TestApp, who: Person, usd: number) => {
  const { budget } = app.app.db.tables;
  await app.app.db.orm.update(budget).set({ spentNanoUsd: Math.round(usd * nanoUsdPerUsd) });
  expect((await budgetOf(app, who))?.spentUsd).toBeCloseTo(usd);
};
const calls = (app: TestApp) => app.provider.requests.filter(({ path }) => path === '/v1/chat/completions').length;
const kinds = async (app: TestApp, who: Person) => {
  await app.app.budgets.idle();
  return (await app.app.notices.list(who.id)).map(({ kind }) => kind);
};
const errorOf = async (res: Response) => {
  const body = (await res.json()) as { error: { code: string; message: string; details?: { error_code: string } } };
  return { ...body.error, code: body.error.details?.error_code ?? body.error.code, status: res.status };
};

test('a hard budget refuses what it cannot hold, says what to do, and sends nothing; the platform does not step in', async () => {
  await using app = await testApp({ platform: { openai: 'good', anthropic: 'good' } });
  const ada = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  await setBudget(app, ada, { limitUsd: 0.01 });
  const ok = await app.chat(ada, 'hello', capped);
  expect([ok.status, ok.headers.get('x-byok-key-source')]).toEqual([200, 'user']);
  await ok.text();
  const [row] = await app.requests();
  expect(await budgetOf(app, ada)).toMatchObject({ limitUsd: 0.01, spentUsd: (row?.costNanoUsd ?? 0) / nanoUsdPerUsd, reservedUsd: 0 });

  const sent = calls(app);
  const dear = await app.chat(ada, 'hello', { model: 'gpt-5' });
  expect([dear.headers.get('x-should-retry'), dear.headers.get('x-byok-fallback-reason'), dear.headers.get('retry-after')]).toEqual([
    'false',
    'budget',
    null,
  ]);
  const refusal = await errorOf(dear);
  expect(refusal).toMatchObject({ status: 402, code: 'budget_reached' });
  expect(refusal.message).toMatch(
    /may cost up to \$1\.\d\d, and \$0\.0\d+ of the monthly budget.*\(\$0\.010?\).*Set a lower max_completion_tokens/,
  );
  expect(await kinds(app, ada)).toEqual([]);

  await spend(app, ada, 0.01);
  const over = await errorOf(await app.chat(ada, 'hello', capped));
  expect(over).toMatchObject({ status: 402, code: 'budget_reached' });
  expect([calls(app), (await app.requests()).length]).toEqual([sent, 1]);

  // The other provider's key has no budget; and at Anthropic's routes the refusal has Anthropic's shape.
  const message = () =>
    app.fetch(ada, '/v1/messages', {
      headers: { 'anthropic-version': '2023-06-01' },
      json: { model: 'claude-haiku-4-5', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] },
    });
  expect((await message()).status).toBe(200);
  await setBudget(app, ada, { limitUsd: 0.01 }, 'anthropic');
  await app.app.db.orm.update(app.app.db.tables.budget).set({ spentNanoUsd: nanoUsdPerUsd });
  expect(await errorOf(await message())).toMatchObject({ status: 402, type: 'billing_error', code: 'budget_reached' });
});

/** Some minutes before a month ends. */
const lateInTheMonth = () => manualClock(Date.UTC(2026, 10, 30, 23, 50));

test('a raised budget, or the next month, lets requests through again', async () => {
  await using app = await testApp({ clock: lateInTheMonth() });
  const ada = await app.person({ keys: { openai: 'good' } });
  await setBudget(app, ada, { limitUsd: 0.01 });
  await spend(app, ada, 0.01);
  expect((await app.chat(ada, 'hello', capped)).status).toBe(402);
  await setBudget(app, ada, { limitUsd: 0.02 });
  expect((await app.chat(ada, 'hello', capped)).status).toBe(200);
  await spend(app, ada, 0.02);
  expect((await app.chat(ada, 'hello', capped)).status).toBe(402);
  const { resetsAt = '' } = (await budgetOf(app, ada)) ?? {};
  app.clock.advance(Date.parse(resetsAt) - app.clock.now());
  expect((await app.chat(ada, 'hello', capped)).status).toBe(200);
  expect((await budgetOf(app, ada))?.spentUsd).toBeLessThan(0.01);
});

test('of many requests at once, what they may cost together never exceeds a hard budget, and their places come back', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  const room = 7;
  await setBudget(app, ada, { limitUsd: 0.02 });
  const limit = 0.02 * nanoUsdPerUsd;
  // So that only so many fit.
  await app.app.db.orm.update(app.app.db.tables.budget).set({ spentNanoUsd: limit - Math.round(room * cappedUsd * nanoUsdPerUsd) });
  const gates = Array.from({ length: room }, () => app.provider.gate());
  const underWay = Array.from({ length: 100 }, (_, i) => app.chat(ada, `hello ${i % 10}`, capped));
  await Promise.all(gates.map((gate) => gate.reached));
  const refused = 100 - room;
  // All that do not fit are refused while those that do are still open.
  let over = 0;
  await new Promise<void>((resolve) => {
    for (const one of underWay) one.then((res) => res.status === 402 && ++over === refused && resolve());
  });
  const { reservedUsd = 0, spentUsd = 0 } = (await budgetOf(app, ada)) ?? {};
  expect(reservedUsd + spentUsd).toBeLessThanOrEqual(0.02);
  expect(reservedUsd).toBeGreaterThan(room * cappedUsd * 0.9);
  for (const gate of gates) gate.open();
  const answers = await Promise.all(underWay);
  await Promise.all(answers.map((res) => res.text()));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(room);
  expect(answers.filter(({ status }) => status === 402)).toHaveLength(refused);
  const rows = await app.requests();
  expect(rows).toHaveLength(room);
  const before = limit - Math.round(room * cappedUsd * nanoUsdPerUsd);
  const cost = rows.reduce((sum, { costNanoUsd }) => sum + (costNanoUsd ?? 0), 0);
  expect(await budgetOf(app, ada)).toMatchObject({ reservedUsd: 0, spentUsd: (before + cost) / nanoUsdPerUsd });
});

test('where its owner said so, the platform answers at the end of a hard budget, and never silently', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  await setBudget(app, ada, { limitUsd: 0.01, thenPlatform: true });
  for (const spent of [0, 0.01]) {
    await spend(app, ada, spent);
    // Too little is left for this one, or nothing at all.
    const res = await app.chat(ada, 'hello', { model: 'gpt-5' });
    expect([res.status, res.headers.get('x-byok-key-source'), res.headers.get('x-byok-fallback-reason')]).toEqual([
      200,
      'platform',
      'budget',
    ]);
    await res.text();
  }
  expect((await app.requests()).map(({ source, fallbackReason }) => [source, fallbackReason])).toEqual([
    ['platform', 'budget'],
    ['platform', 'budget'],
  ]);
  expect(await kinds(app, ada)).toContain('fallback_used');
  expect((await budgetOf(app, ada))?.spentUsd).toBeCloseTo(0.01);
  // A key whose fallback is off forbids that too.
  const [key] = await app.keysOf(ada);
  await app.app.vault.set({ userId: ada.id, byok: true }, { id: key?.id ?? '', fallback: false });
  expect(await errorOf(await app.chat(ada, 'hello', capped))).toMatchObject({ status: 402, code: 'budget_reached' });
});

test('a soft budget lets requests go on and tells at 80 and at 100 %, once a month each', async () => {
  await using app = await testApp({ clock: lateInTheMonth() });
  const ada = await app.person({ keys: { openai: 'good' } });
  const ask = async () => (await app.chat(ada, 'hello', { model })).text();
  await setBudget(app, ada, { limitUsd: 0.01, hard: false });
  await ask();
  expect(await kinds(app, ada)).toEqual([]);
  await spend(app, ada, 0.0085);
  await ask();
  expect(await kinds(app, ada)).toEqual(['budget_80']);
  await spend(app, ada, 0.012);
  await ask();
  await ask();
  expect((await kinds(app, ada)).sort()).toEqual(['budget_100', 'budget_80']);
  const [notice] = (await app.app.notices.list(ada.id)).filter(({ kind }) => kind === 'budget_100');
  expect(notice?.data).toMatchObject({ provider: 'openai', limitUsd: '0.01', hard: 'false', keyHint: expect.stringMatching(/^\*{4}/) });
  await app.restart();
  await ask();
  expect(await kinds(app, ada)).toHaveLength(2);
  const { resetsAt = '' } = (await budgetOf(app, ada)) ?? {};
  app.clock.advance(Date.parse(resetsAt) - app.clock.now());
  await ask();
  await spend(app, ada, 0.02);
  await ask();
  expect((await kinds(app, ada)).sort()).toEqual(['budget_100', 'budget_100', 'budget_80', 'budget_80']);
});

test('unknown is not zero: under a hard budget a model without a price is refused, under a soft one it is not', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ keys: { openai: 'good' } });
  await setBudget(app, ada, { hard: true, thenPlatform: true });
  const refusal = await errorOf(await app.chat(ada, 'hello', { model: 'gpt-nobody-knows' }));
  expect(refusal).toMatchObject({
    status: 402,
    code: 'budget_reached',
    message: expect.stringContaining('"gpt-nobody-knows" has no known price'),
  });
  expect(calls(app)).toBe(0);
  // What costs nothing needs no price.
  expect((await app.fetch(ada, '/v1/moderations', { json: { input: 'hello' } })).status).toBe(200);
  expect((await app.fetch(ada, '/v1/models')).status).toBe(200);
  await setBudget(app, ada, { hard: false });
  const image = await app.fetch(ada, '/v1/images/generations', { json: { model: 'dall-e-3', prompt: 'a cat' } });
  expect([image.status, (await image.text()).length > 0]).toEqual([200, true]);
  expect((await app.requests()).at(-1)).toMatchObject({ model: 'dall-e-3', costNanoUsd: null });
  expect(await budgetOf(app, ada)).toMatchObject({ spentUsd: 0, reservedUsd: 0 });
});

test('whatever a request comes to, what it had set aside comes back', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const reserved = async (who: Person) => {
    const held = await app.app.db.orm.select().from(app.app.db.tables.reservation);
    return [(await budgetOf(app, who))?.reservedUsd, held.length];
  };
  for (const script of ['revoked', 'no_credit', 'overloaded', 'reset', 'rate_limited', 'truncated'] as const) {
    const who = await app.person({ keys: { openai: script } });
    await setBudget(app, who, {});
    await app
      .chat(who, 'hello', { ...capped, stream: script === 'truncated' })
      .then((res) => res.text())
      .catch(() => '');
    await expect.poll(() => reserved(who), { message: script }).toEqual([0, 0]);
  }
  const eve = await app.person({ keys: { openai: 'good' } });
  await setBudget(app, eve, {});
  const gate = app.provider.gate();
  const leaving = new AbortController();
  const left = app.fetch(eve, '/v1/chat/completions', { json: { ...capped, messages: [] }, signal: leaving.signal }).catch(() => null);
  await gate.reached;
  expect((await reserved(eve))[1]).toBe(1);
  leaving.abort();
  await left;
  gate.open();
  await expect.poll(() => reserved(eve)).toEqual([0, 0]);
});

test('what a dead process had set aside comes back at the next start', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await setBudget(app, ada, { limitUsd: 1 });
  const request = {
    id: 1,
    userId: ada.id,
    provider: 'openai',
    keyPosition: 0,
    source: 'user',
    hold: null,
    startedAt: app.clock.now(),
  } as const;
  await app.app.budgets.reserve(request, 'a boot that nobody knows', nanoUsdPerUsd);
  expect((await app.chat(ada, 'hello', capped)).status).toBe(402);
  await app.restart();
  expect(await budgetOf(app, ada)).toMatchObject({ reservedUsd: 0 });
  expect((await app.chat(ada, 'hello', capped)).status).toBe(200);
});

test('a budget counts the month from its beginning, goes on when the key is replaced, and goes with the key', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await (await app.chat(ada, 'hello', { model })).text();
  const cost = ((await app.requests())[0]?.costNanoUsd ?? 0) / nanoUsdPerUsd;
  expect(cost).toBeGreaterThan(0);
  await setBudget(app, ada, { limitUsd: 5, hard: false });
  expect(await budgetOf(app, ada)).toMatchObject({ spentUsd: cost, hard: false, thenPlatform: false });
  const save = () => app.app.vault.save({ userId: ada.id, byok: true }, { provider: 'openai', apiKey: app.newSecret('openai') });
  expect((await save()).budget).toMatchObject({ limitUsd: 5, spentUsd: cost });
  await (await app.chat(ada, 'hello', { model })).text();
  expect((await budgetOf(app, ada))?.spentUsd).toBeCloseTo(2 * cost, 9);
  // Another person's budget is nobody else's to set.
  const eve = await app.person();
  const [key] = await app.keysOf(ada);
  const foreign = await app.fetch(eve, `/api/v1/api-keys/${key?.id}/budget`, { method: 'PATCH', json: { limitUsd: 1, hard: true } });
  expect(foreign.status).toBe(404);
  await app.app.vault.remove({ userId: ada.id, byok: true }, key?.id ?? '');
  expect((await save()).budget).toBeNull();
  expect((await app.app.audit.list({ subject: ada.id, limit: 9 })).map(({ action }) => action)).toContain('budget.changed');
});

test('what becomes priced later was spent in its month', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await setBudget(app, ada, { hard: false });
  const { meter } = app.app;
  const [key] = await app.keysOf(ada);
  const request: OpenRequest = {
    ...{ id: meter.newId(), userId: ada.id, tier: 'premium', tokenId: null, provider: 'openai', route: '/v1/chat/completions' },
    ...{ model: 'gpt-next', streamed: false, firstKeyId: key?.id ?? '', keyId: key?.id ?? '', keyPosition: 0, hold: null, source: 'user' },
    ...{ fallbackReason: null, slotAt: null, startedAt: app.clock.now() },
  };
  await meter.record(request);
  const usage = { model: null, tokens: { ...noTokens, input: 1_000, output: 500 }, total: 1_500 };
  await meter.settle(request, { state: 'done', status: 200, errorCode: null, usage, estimated: false, firstByteAt: 1 });
  expect(await budgetOf(app, ada)).toMatchObject({ spentUsd: 0 });
  await app.app.prices.set('cli', {
    provider: 'openai',
    model: 'gpt-next',
    inputUsdPerMillion: 1,
    outputUsdPerMillion: 2,
    validFrom: '2026-01-01T00:00:00Z',
  });
  await expect.poll(async () => (await budgetOf(app, ada))?.spentUsd).toBe(0.002);
  expect(await app.keysOf(ada)).toMatchObject([{ estimatedCostUsd: 0.002, unpricedRequests: 0 }]);
});
