import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { conversation, say } from '../test/chat.ts';
import { cpuMs } from '../test/cpu.ts';
import { fit, type Past } from './agents-context.ts';
import { providers } from './providers/catalog.ts';

const turn = (role: Past['role'], content: string): Past => ({ role, content, attachments: [], agent: 'general' });
const pair = (i: number, words: number): Past[] => [
  turn('user', `question ${i} ${'word '.repeat(words)}`),
  turn('assistant', `answer ${i}`),
];
const voice = { provider: providers.openai, model: 'gpt-4.1', chosen: null };

test('what there is room for goes along whole', async () => {
  const past = Array.from({ length: 20 }, (_, i) => pair(i, 10)).flat();
  expect(await fit(past, voice)).toMatchObject({ dropped: 0, turns: { length: 40 } });
});

test.each([
  ['gpt-4.1', 24_000],
  ['gpt-4', 4_000],
  ['gpt-3.5-turbo', 8_000],
])('%s: the oldest questions go with their answers, and the rest stays below %d tokens', async (model, most) => {
  const past = Array.from({ length: 50 }, (_, i) => pair(i, 1_000)).flat();
  const { turns, dropped } = await fit(past, { ...voice, model });
  expect(turns[0]).toMatchObject({ role: 'user', content: expect.stringContaining(`question ${dropped} `) });
  expect(turns).toHaveLength(2 * (50 - dropped));
  const tokens = await providers.openai.countTokens(turns.map(({ content }) => content).join('\n'), model);
  expect(tokens).toBeLessThanOrEqual(most);
  expect(tokens).toBeGreaterThan(most - 1_100);
});

test('a last answer that is too long by itself leaves nothing, and costs no counting', async () => {
  const past = [turn('user', 'x'), turn('assistant', 'ab'.repeat(2_000_000))];
  const before = cpuMs();
  expect(await fit(past, voice)).toEqual({ turns: [], dropped: 1 });
  expect(cpuMs() - before).toBeLessThan(500);
});

test('answers that broke off before their first word are left out, and files count', async () => {
  const past: Past[] = [
    { ...turn('user', 'read'), attachments: [{ name: 'a.txt', text: 'word '.repeat(30_000) }] },
    turn('assistant', 'done'),
    turn('user', 'hello'),
    turn('assistant', ''),
  ];
  expect(await fit(past, voice)).toEqual({ turns: [{ role: 'user', content: 'hello' }], dropped: 1 });
});

test('a conversation that grew too long says how much of it was left out', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const { start } = await say(app, ada, `one ${'word '.repeat(15_000)}`);
  const conversationId = start.conversationId ?? '';
  await say(app, ada, { conversationId, content: `two ${'word '.repeat(15_000)}` });
  const third = await say(app, ada, { conversationId, content: 'three' });
  expect(third.start.droppedTurns).toBe(1);
  expect((await conversation(app, ada, conversationId)).messages.map(({ droppedTurns }) => droppedTurns)).toEqual([0, 0, 0, 0, 0, 1]);
  const sent = JSON.parse(app.provider.requests.at(-1)?.body.toString() ?? '') as { messages: { content: string }[] };
  expect(sent.messages.map(({ content }) => content.slice(0, 4))).toEqual(['You ', 'two ', expect.any(String), 'thre']);
  // What is too far back to be looked at counts as well.
  const { db } = app.app;
  await db.orm.update(db.tables.message).set({ position: sql`${db.tables.message.position} + 1000` });
  await db.orm.update(db.tables.message).set({ position: sql`${db.tables.message.position} - 600` });
  expect((await say(app, ada, { conversationId, content: 'four' })).start.droppedTurns).toBe(201);
});
