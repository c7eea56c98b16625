import { randomBytes } from 'node:crypto';
import { createKeyring } from '@synthstack/core/keyring';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { ask, call, conversation, say } from '../test/chat.ts';
import { newDataKey, openDataKey } from './conversations-sealing.ts';

interface Page {
  conversations: { id: string; title: string | null; messages: number; agent: string }[];
  nextCursor: string | null;
}
const list = (app: TestApp, who: Person, input: Record<string, unknown> = {}) => call<Page>(app, who, 'conversations.list', input);
const idOf = async (app: TestApp, who: Person, content: string): Promise<string> =>
  (await say(app, who, content)).start.conversationId ?? '';

test('conversations are listed newest first, renamed, found by their titles, and deleted', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const ids: string[] = [];
  for (const content of ['First   question\nwith a second line', 'Zweite Frage: Übergröße', `${'long '.repeat(30)}`]) {
    ids.push(await idOf(app, ada, content));
    app.clock.advance(1_000);
  }
  const { conversations } = await list(app, ada);
  expect(conversations.map(({ title }) => title)).toEqual([
    `${'long '.repeat(12).trim()}…`,
    'Zweite Frage: Übergröße',
    'First question with a second line',
  ]);
  expect(conversations.map(({ messages, agent }) => [messages, agent])).toEqual([2, 2, 2].map((n) => [n, 'general']));
  // Whoever writes in an old one brings it to the top.
  await say(app, ada, { conversationId: ids[0] ?? '', content: 'more' }, 'designer');
  expect((await list(app, ada)).conversations[0]).toMatchObject({ id: ids[0], messages: 4, agent: 'designer' });
  expect(await call(app, ada, 'conversations.rename', { id: ids[1], title: ' Kleider ' })).toMatchObject({ id: ids[1], title: 'Kleider' });
  const found = async (query: string) => (await list(app, ada, { query })).conversations.map(({ id }) => id);
  expect([await found('KLEID'), await found('übergröße'), await found('question'), await found('%')]).toEqual([[ids[1]], [], [ids[0]], []]);
  await call(app, ada, 'conversations.remove', { id: ids[0] });
  expect((await list(app, ada)).conversations).toHaveLength(2);
  await call(app, ada, 'conversations.removeAll');
  expect(await list(app, ada)).toEqual({ conversations: [], nextCursor: null });
  expect(await app.app.db.orm.select().from(app.app.db.tables.message)).toEqual([]);
  // What was used stays counted.
  expect(await app.requests()).toHaveLength(4);
});

test('a long list comes in pages without a gap, also where several are of one moment', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const { conversations } = app.app;
  for (let i = 0; i < 120; i += 1) {
    if (i % 7 === 0) app.clock.advance(1);
    const answer = { id: crypto.randomUUID(), model: 'm', droppedTurns: 0, bootId: 'b' };
    const question = { id: crypto.randomUUID(), content: `number ${i}`, attachments: [] };
    await conversations.begin({
      id: crypto.randomUUID(),
      userId: ada.id,
      kept: null,
      agent: 'general',
      provider: 'openai',
      model: null,
      question,
      answer,
      at: 0,
      replaces: false,
    });
  }
  const titles: (string | null)[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Page = await list(app, ada, cursor ? { cursor } : {});
    expect(page.conversations.length).toBeLessThanOrEqual(50);
    titles.push(...page.conversations.map(({ title }) => title));
    cursor = page.nextCursor;
  }
  expect(new Set(titles).size).toBe(120);
  expect(titles).toHaveLength(120);
  expect((await list(app, ada, { query: 'number 11' })).conversations).toHaveLength(11);
});

test('of two that write to one conversation at once, one is refused, and nothing that was said is lost', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const id = await idOf(app, ada, 'hello');
  const { conversations } = app.app;
  const kept = await conversations.open(ada.id, id);
  const begin = (content: string, { at, replaces }: { at: number; replaces: boolean }) =>
    conversations.begin({
      ...{ id, userId: ada.id, kept, agent: 'general', provider: 'openai', model: null },
      question: { id: crypto.randomUUID(), content, attachments: [] },
      answer: { id: crypto.randomUUID(), model: 'm', droppedTurns: 0, bootId: app.app.boot.id },
      ...{ at, replaces },
    });
  const contents = async () => (await conversation(app, ada, id)).messages.map(({ content }) => content);
  const before = await contents();
  const conflict = { code: 'conflict' };
  // Both have read the same two messages; the clock stands still, so the place alone must tell.
  const outcomes = await Promise.allSettled([begin('one', { at: 2, replaces: false }), begin('two', { at: 2, replaces: false })]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(await contents()).toHaveLength(4);
  expect((await contents()).slice(0, 2)).toEqual(before);
  // An answer that is being written is not replaced either.
  await expect(begin('three', { at: 2, replaces: true })).rejects.toMatchObject(conflict);
  // Nor does a question that was thought of before the answer was there take its place.
  await app.app.db.orm.update(app.app.db.tables.message).set({ state: 'done' });
  await expect(begin('late', { at: 2, replaces: false })).rejects.toMatchObject(conflict);
  expect(await contents()).toHaveLength(4);
  app.clock.advance(1);
  await app.app.db.orm.update(app.app.db.tables.conversation).set({ updatedAt: new Date(app.clock.now()) });
  await expect(begin('four', { at: 0, replaces: true })).rejects.toMatchObject(conflict);
  expect((await contents()).slice(0, 2)).toEqual(before);
});

test('a conversation is exported as Markdown and JSON, as a file, and to its owner only', async () => {
  await using app = await testApp();
  const [ada, eve] = [await app.person({ keys: { openai: { text: 'Use `code`.' } } }), await app.person()];
  const { start } = await say(app, ada, { content: 'How?', attachments: [{ name: 'a.md', text: '```js\n1\n```' }] }, 'developer');
  const path = `/api/v1/conversations/${start.conversationId}/export`;
  const markdown = await app.fetch(ada, path);
  expect(markdown.headers.get('content-type')).toBe('text/markdown; charset=utf-8');
  expect(markdown.headers.get('content-disposition')).toMatch(/^attachment; filename="conversation-\d{4}-\d\d-\d\d-[0-9a-f]{8}\.md"$/);
  const text = await markdown.text();
  expect(text).toMatch(
    /^# How\?\n\n.*\n\n## You\n\nHow\?\n\n````\na\.md\n\n```js\n1\n```\n````\n\n## Software Developer\n\nUse `code`\.\n\n\*openai · gpt-5\.4 · own key · \d+ \+ \d+ tokens · \$/,
  );
  const json = await app.fetch(ada, `${path}?format=json`);
  expect(json.headers.get('content-type')).toBe('application/json');
  expect(await json.json()).toMatchObject({
    id: start.conversationId,
    title: 'How?',
    messages: [
      { role: 'user', attachments: [{ name: 'a.md', text: '```js\n1\n```' }] },
      { role: 'assistant', agent: 'developer', content: 'Use `code`.' },
    ],
  });
  expect((await app.fetch(eve, path)).status).toBe(404);
  expect((await app.fetch(ada, `${path}?format=pdf`)).status).toBe(400);
  expect((await app.fetch(ada, '/api/v1/conversations/1/export')).status).toBe(400);
  expect((await app.fetch(ada, path, { method: 'DELETE' })).status).toBe(405);
});

test('code that was cut off in an answer does not take in the rest of the exported file', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  let conversationId: string | undefined;
  for (const text of ['See:\n````ts\nconst a = `\n```\n', '~~~\n```\n~~~', 'a\n``` not `code\n```js\n1\n```', '1. x\n   ```\n   y']) {
    const { start } = await say(app, ada, { content: `/say\n${text}`, ...(conversationId && { conversationId }) });
    conversationId = start.conversationId ?? undefined;
  }
  const text = await (await app.fetch(ada, `/api/v1/conversations/${conversationId}/export`)).text();
  expect(text).toContain('See:\n````ts\nconst a = `\n```\n\n````\n');
  expect(text).toContain('\n\n~~~\n```\n~~~\n\n*openai');
  expect(text).toContain('\n\na\n``` not `code\n```js\n1\n```\n\n*openai');
  expect(text).toContain('\n\n1. x\n   ```\n   y\n```\n');
});

test('who keeps nothing leaves nothing behind, and what was kept before stays', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'I see.' } } });
  const before = await idOf(app, ada, 'kept');
  expect(await call(app, ada, 'conversations.keeping')).toEqual({ keep: true });
  await call(app, ada, 'conversations.setKeeping', { keep: false });
  expect(await call(app, ada, 'conversations.keeping')).toEqual({ keep: false });
  const { db } = app.app;
  const written = async () =>
    [...(await db.orm.select().from(db.tables.conversation)), ...(await db.orm.select().from(db.tables.message))].length;
  const rows = await written();
  const history = [
    { role: 'user' as const, content: 'one' },
    { role: 'assistant' as const, content: 'two' },
  ];
  const answer = await say(app, ada, { content: 'three', history });
  expect(answer).toMatchObject({ text: 'I see.', start: { conversationId: null, userMessageId: null } });
  expect(await written()).toBe(rows);
  expect(JSON.parse(app.provider.requests.at(-1)?.body.toString() ?? '').messages.slice(1)).toEqual([
    ...history,
    { role: 'user', content: 'three' },
  ]);
  expect((await list(app, ada)).conversations.map(({ id }) => id)).toEqual([before]);
  await say(app, ada, { conversationId: before, content: 'goes on' });
  expect((await conversation(app, ada, before)).messages).toHaveLength(4);
  await call(app, ada, 'conversations.setKeeping', { keep: true });
  expect((await say(app, ada, 'again')).start.conversationId).not.toBeNull();
});

test('what began without being kept is not kept in part, and stays whole for the model, also when keeping is on again', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const history = [
    { role: 'user' as const, content: 'One' },
    { role: 'assistant' as const, content: 'First.' },
  ];
  const { start } = await say(app, ada, { content: 'Two', history });
  expect(start).toMatchObject({ conversationId: null, userMessageId: null });
  expect((await list(app, ada)).conversations).toEqual([]);
  expect((await say(app, ada, { content: 'Two', history: [] })).start.conversationId).not.toBeNull();
});

test('nothing that was said can be read in the database or the log, and a deleted conversation leaves no ciphertext', async () => {
  await using app = await testApp();
  const planted = ['PlantedQuestion', 'PlantedAnswer', 'PlantedFile', 'PlantedTitle', 'PlantedName'].map(
    (word) => `${word}-${randomBytes(9).toString('hex')}`,
  );
  const [question = '', answer = '', file = '', title = '', name = ''] = planted;
  const ada = await app.person({ keys: { openai: { text: `Well: ${answer}` } } });
  const id =
    (await say(app, ada, { content: `${question} ?`, attachments: [{ name: `${name}.txt`, text: file }] })).start.conversationId ?? '';
  await call(app, ada, 'conversations.rename', { id, title });
  const kept = await conversation(app, ada, id);
  expect(JSON.stringify(kept)).toContain(answer);
  const { db } = app.app;
  const tables = [db.tables.conversation, db.tables.message, db.tables.request, db.tables.audit];
  const inTables = async () =>
    Buffer.concat(
      (await Promise.all(tables.map((table) => db.orm.select().from(table))))
        .flat(2)
        .flatMap((row) => Object.values(row).map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(String(value))))),
    );
  const everything = () => app.everythingWritten();
  for (const text of planted)
    for (const form of [text, text.slice(3, 24), Buffer.from(text).toString('base64').slice(2, 20), Buffer.from(text).toString('hex')]) {
      expect((await inTables()).includes(form)).toBe(false);
      expect(everything().includes(form)).toBe(false);
    }
  // The control: an id that is meant to be readable is found, and so is the ciphertext, until it is deleted.
  expect((await inTables()).includes(id)).toBe(true);
  const [row] = await db.orm.select().from(db.tables.message).where(eq(db.tables.message.conversationId, id));
  const ciphertext = row?.body.subarray(12) ?? Buffer.alloc(0);
  if (db.dialect === 'sqlite') expect(everything().includes(ciphertext)).toBe(true);
  await call(app, ada, 'conversations.remove', { id });
  expect(everything().includes(ciphertext)).toBe(false);
});

test('what is sealed opens in its place only: not in another message, conversation or account, and not changed by a bit', () => {
  const keyring = createKeyring({ current: randomBytes(32).toString('hex') });
  const [ada, other] = [
    { userId: 'ada', id: 'c1' },
    { userId: 'ada', id: 'c2' },
  ];
  const [one, two] = [newDataKey(keyring, ada), newDataKey(keyring, other)];
  const sealed = one.key.seal('m1', 'a secret');
  expect(openDataKey(keyring, ada, one.sealed).open('m1', sealed)).toBe('a secret');
  const unreadable = expect.objectContaining({ code: 'key_unusable' });
  const tries = [
    () => one.key.open('m2', sealed),
    () => one.key.open('title', sealed),
    () => two.key.open('m1', sealed),
    () => openDataKey(keyring, other, one.sealed),
    () => openDataKey(keyring, { ...ada, userId: 'eve' }, one.sealed),
    () => openDataKey(createKeyring({ current: randomBytes(32).toString('hex') }), ada, one.sealed),
    ...[0, 5, 20, 27].map((length) => () => one.key.open('m1', sealed.subarray(0, length))),
    ...Array.from({ length: sealed.length * 8 }, (_, bit) => () => one.key.open('m1', flipped(sealed, bit))),
  ];
  for (const attempt of tries) expect(attempt).toThrow(unreadable);
  expect(one.key.seal('m1', 'a secret')).not.toEqual(sealed);
});

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

test('a conversation whose key was lost shows without a title, says so, and can be deleted', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const id = await idOf(app, ada, 'hello');
  const { db } = app.app;
  await db.orm.update(db.tables.conversation).set({ encryptedBlob: Buffer.alloc(48) });
  expect((await list(app, ada)).conversations).toMatchObject([{ id, title: null }]);
  await expect(conversation(app, ada, id)).rejects.toMatchObject({ code: 'key_unusable' });
  await expect(ask(app, ada, { conversationId: id, content: 'x' })).rejects.toMatchObject({ code: 'key_unusable' });
  await call(app, ada, 'conversations.remove', { id });
  expect((await list(app, ada)).conversations).toEqual([]);
});

test('whoever is deleted takes their conversations along', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  await say(app, ada, 'hello');
  const { db } = app.app;
  await db.orm.delete(db.tables.user).where(eq(db.tables.user.id, ada.id));
  expect(await db.orm.select().from(db.tables.conversation)).toEqual([]);
  expect(await db.orm.select().from(db.tables.message)).toEqual([]);
});

test('of a conversation of many megabytes no more is opened at once than is shown or told to a model', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const { conversations } = app.app;
  const id = crypto.randomUUID();
  const [files, content] = [[{ name: 'a.txt', text: 'some words '.repeat(18_000) }], 'word '.repeat(19_000)];
  for (let n = 0; n < 30; n += 1) {
    app.clock.advance(1);
    const answer = { id: crypto.randomUUID(), model: 'm', droppedTurns: 0, bootId: app.app.boot.id };
    const kept = await conversations.begin({
      ...{
        id,
        userId: ada.id,
        kept: n === 0 ? null : await conversations.open(ada.id, id),
        agent: 'general',
        provider: 'openai',
        model: null,
      },
      question: { id: crypto.randomUUID(), content, attachments: files },
      ...{ answer, at: 2 * n, replaces: false },
    });
    await conversations.finish(kept, answer.id, {
      ...{ state: 'done', content: `answer ${n}`, error: null, isCut: false, keySource: 'user', fallbackReason: null },
      ...{ inputTokens: 1, outputTokens: 1, costNanoUsd: 1, requestId: null, handover: null },
    });
  }
  const view = await conversation(app, ada, id);
  expect(view.messages.length + view.hidden).toBe(60);
  expect(view.messages.length).toBeLessThan(30);
  expect(view.messages.at(-1)?.content).toBe('answer 29');
  const kept = await conversations.open(ada.id, id);
  const newest = await conversations.newest(kept, { messages: 200, bytes: 1_000_000 });
  expect(newest.length).toBeLessThan(10);
  // However little there is room for: the last question with its answer is what an answer is made anew from.
  expect((await conversations.newest(kept, { messages: 200, bytes: 1 })).map(({ role }) => role)).toEqual(['user', 'assistant']);
  const again = await say(app, ada, { conversationId: id, regenerates: true });
  expect(again.start.droppedTurns).toBe(29);
  const next = await say(app, ada, { conversationId: id, content: 'And now?' });
  expect(next.start.droppedTurns).toBe(30);
  const exported = await app.fetch(ada, `/api/v1/conversations/${id}/export?format=json`);
  expect(((await exported.json()) as { messages: unknown[] }).messages).toHaveLength(62);
});
