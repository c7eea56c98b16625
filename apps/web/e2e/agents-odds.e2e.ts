/** Bad luck in a chat: two at once, answers that get lost, people who take turns at one browser, and odd names. */
import { beforeAll, expect, test } from 'vitest';
import { answered, answers, ask, button, type ChatStage, field, keptIn, openChatStage } from './chat.ts';
import { password, until } from './stage.ts';

let chat: ChatStage;
beforeAll(async () => {
  chat = await openChatStage();
  return () => chat.stage[Symbol.asyncDispose]();
});

const questions = async (page: Parameters<typeof ask>[0]) =>
  (await page.locator('.said__text').allTextContents()).map((text) => text.trim());

test('who signs in as somebody else in another tab leaves nothing of the former person’s chat in this one', async () => {
  const { page, context, newPage } = await chat.owner();
  const other = await chat.stage.user('premium');
  await page.goto('/agents/developer');
  chat.answerWith('A secret of Ada.');
  await ask(page, 'A private question');
  await answered(page, 'A secret of Ada.');
  await field(page).fill('Something half written');
  const second = await newPage();
  // All at once, as it looks to a tab that slept meanwhile.
  await context.clearCookies();
  await context.addCookies((await other.context.storageState()).cookies);
  await second.goto('/settings/plan');
  await second.evaluate(() => new BroadcastChannel('synthstack-byok').postMessage('session'));
  await page
    .getByText('There is no such conversation')
    .or(page.getByText('This conversation is gone'))
    .or(page.locator('.chat .notice'))
    .first()
    .waitFor();
  const shown = await page.content();
  expect(shown).not.toContain('A secret of Ada');
  expect(shown).not.toContain('A private question');
  expect(await page.getByRole('textbox').evaluateAll((all) => all.map((one) => (one as HTMLInputElement).value).join(''))).toBe('');
});

test('of two tabs that ask at once in one conversation the second is told, keeps its question, and can ask it afterwards', async () => {
  const { page, newPage } = await chat.owner();
  await page.goto('/agents/developer');
  chat.answerWith('First.');
  await ask(page, 'One');
  await answered(page, 'First.');
  const second = await newPage();
  await second.goto(page.url());
  await answered(second, 'First.');
  // Whoever is refused sees what has been said meanwhile, and their own question behind it.
  const refusal = 'An answer is under way in this conversation.';
  await second.route('**/trpc/agents.ask*', (route) =>
    route.fulfill({
      status: 409,
      contentType: 'application/json',
      body: JSON.stringify({
        error: { message: 'An answer is under way in this conversation.', code: -32009, data: { code: 'conflict', httpStatus: 409 } },
      }),
    }),
  );
  chat.answerWith('Third.');
  await ask(second, 'From the second tab');
  await second.getByText(refusal).waitFor();
  await ask(page, 'From the first tab');
  await answered(page, 'Third.');
  await until(async () => (await questions(second)).join() === 'One,From the first tab,From the second tab');
  await second.unroute('**/trpc/agents.ask*');
  chat.answerWith('Fourth.');
  await button(second, 'Try again').click();
  await answered(second, 'Fourth.');
  expect((await keptIn(page)).map(({ content }) => content)).toEqual([
    ...['One', 'First.', 'From the first tab', 'Third.', 'From the second tab', 'Fourth.'],
  ]);
});

test('a question that got there although nothing came back is answered once', async () => {
  const { page } = await chat.owner();
  await page.goto('/agents/developer');
  chat.answerWith('First.');
  await ask(page, 'One');
  await answered(page, 'First.');
  const before = chat.bodies().length;
  await page.route(
    '**/trpc/agents.ask*',
    async (route) => {
      await route.fetch();
      await page.route('**/trpc/conversations.get*', (lost) => lost.abort('connectionreset'), { times: 1 });
      await route.abort('connectionreset');
    },
    { times: 1 },
  );
  chat.answerWith('Second.');
  await ask(page, 'Two');
  await button(page, 'Try again').click();
  await answered(page, 'Second.');
  expect(await questions(page)).toEqual(['One', 'Two']);
  expect(chat.bodies().length - before).toBe(1);
});

test('an answer that looks as if it were under way, and is nobody’s, is looked for until it is over', async () => {
  const { page } = await chat.owner();
  await page.goto('/agents/developer');
  chat.answerWith('Whole.');
  await ask(page, 'One');
  await answered(page, 'Whole.');
  await page.route(
    '**/trpc/conversations.get*',
    async (route) => {
      const response = await route.fetch();
      const json = (await response.json()) as { result: { data: { messages: { state: string; content: string }[] } } };
      Object.assign(json.result.data.messages.at(-1) ?? {}, { state: 'open', content: 'Wh' });
      await route.fulfill({ response, json });
    },
    { times: 2 },
  );
  await page.reload();
  await page.getByText('Reconnecting').waitFor();
  await answered(page, 'Whole.');
});

test('where nothing is kept a new chat begins anew, and a long one goes on without its oldest part', async () => {
  const { page, call } = await chat.owner();
  await call('conversations.setKeeping', { keep: false });
  await page.goto('/agents/general');
  const name = 'General Assistant';
  chat.answerWith('Hello.');
  await ask(page, 'One', name);
  await answered(page, 'Hello.');
  await page.getByRole('link', { name: 'New chat' }).click();
  await until(async () => (await answers(page).count()) === 0);
  for (let n = 0; n < 7; n += 1) {
    chat.answerWith(`Read ${n}.`);
    const buffer = Buffer.from('x\n'.repeat(99_000));
    await page.locator('input[type=file]').setInputFiles([{ name: `f${n}.txt`, mimeType: 'text/plain', buffer }]);
    await field(page, name).fill('y '.repeat(45_000));
    await button(page, 'Send').click();
    await answered(page, `Read ${n}.`);
  }
});

test('a chat that began without being kept stays so, whole for the model, also when chats are kept again', async () => {
  const { page, call } = await chat.owner();
  await call('conversations.setKeeping', { keep: false });
  await page.goto('/agents/developer');
  chat.answerWith('First.');
  await ask(page, 'One');
  await answered(page, 'First.');
  await call('conversations.setKeeping', { keep: true });
  for (const [question, answer] of [
    ['Two', 'Second.'],
    ['Three', 'Third.'],
  ] as const) {
    chat.answerWith(answer);
    await ask(page, question);
    await answered(page, answer);
  }
  await page.getByText('Nothing of this chat is kept').waitFor();
  const { messages } = JSON.parse(chat.bodies().at(-1) ?? '{}') as { messages: { content: string }[] };
  expect(messages.slice(1).map(({ content }) => content)).toEqual(['One', 'First.', 'Two', 'Second.', 'Three']);
  expect(await (await page.request.get('/api/v1/conversations')).json()).toMatchObject({ conversations: [] });
});

test('a double click sends, hands over and makes anew once; Enter that ends a composition sends nothing', async () => {
  const { page } = await chat.owner();
  const before = chat.bodies().length;
  await page.goto('/agents/general');
  await field(page, 'General Assistant').fill('か');
  for (const init of [{ isComposing: true }, { keyCode: 229 }])
    await field(page, 'General Assistant').evaluate(
      (element, more) => element.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...more })),
      init,
    );
  expect(await field(page, 'General Assistant').inputValue()).toBe('か');
  chat.answerWith('Ask her.\n\n<handover to="designer"/>');
  const gate = chat.gate('head');
  await button(page, 'Send').dblclick();
  await gate.reached;
  await page.waitForTimeout(300);
  gate.open();
  await page.locator('.hand-over').waitFor();
  chat.answerWith('Designed.');
  await page.locator('.hand-over').dblclick();
  await answered(page, 'Designed.');
  chat.answerWith('Again.');
  await button(page, 'Regenerate').dblclick();
  await answered(page, 'Again.');
  expect((await keptIn(page)).map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
  expect(chat.bodies().length - before).toBe(3);
});

test('an agent may be called whatever an administrator likes: it is shown as text', async () => {
  const { stage } = chat;
  await stage.office.addUser('root@example.com', 'premium', true);
  const { page, context, complaints } = await stage.visitor();
  const headers = { origin: stage.origin };
  await context.request.post('/api/auth/sign-in/email', { data: { email: 'root@example.com', password }, headers });
  const odd = '<img src=x onerror=alert(1)>"\'{{1}} @:x | %s <script>alert(1)</script>';
  for (const [slug, name] of [
    ['constructor', 'constructor'],
    ['odd', odd.slice(0, 60)],
  ])
    await context.request.post('/api/v1/admin/agents', {
      headers,
      data: {
        ...{ slug, name, description: odd, prompt: 'p', starters: [odd, odd, '[a](javascript:alert(1))'], temperature: null },
        ...{ models: { openai: 'gpt-4.1', anthropic: 'claude-haiku-4-5' }, inAllPlans: true },
      },
    });
  for (const path of ['/agents', '/agents/odd?start=0', '/agents/constructor', '/admin/agents', '/admin/agents/odd']) {
    await page.goto(path);
    await page.getByText('<script>alert(1)</script>').or(page.getByText('@:x | %s')).or(page.locator('textarea')).first().waitFor();
  }
  expect(complaints()).toEqual([]);
});
