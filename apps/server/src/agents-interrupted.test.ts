/** Answers that do not go to their end at once: dropped connections, stops, errors, restarts; and questions that are asked again. */
import { type AnswerEvent, providerIds } from '@synthstack/core';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { type Person, type TestApp, testApp } from '../test/app.ts';
import { ask, call, conversation, type Heard, heard, listen, post, say, summed, wholeOf } from '../test/chat.ts';

const textIn = (told: readonly Heard[]): string => told.map(({ event }) => (event.type === 'delta' ? event.text : '')).join('');

/** The first events, up to one of that type. */
async function until(told: AsyncGenerator<Heard>, isIt: (event: AnswerEvent) => boolean): Promise<Heard[]> {
  const list: Heard[] = [];
  for (let next = await told.next(); !next.done; next = await told.next()) {
    list.push(next.value);
    if (isIt(next.value.event)) return list;
  }
  return list;
}
const anyDelta = (event: AnswerEvent) => event.type === 'delta';

async function rest(told: AsyncIterable<Heard>): Promise<Heard[]> {
  const list: Heard[] = [];
  for await (const one of told) list.push(one);
  return list;
}

const stopped = (app: TestApp, who: Person, answerId: string) => call(app, who, 'agents.stop', { answerId });

test.each(['tRPC', 'REST'])('whoever comes again over %s gets what came after their last event, and not a letter twice', async (way) => {
  await using app = await testApp();
  const text = 'one two three four five six seven eight';
  const ada = await app.person({ keys: { openai: { text, chunks: 8 } } });
  const gate = app.provider.gate(3);
  const { answerId } = await ask(app, ada, { content: 'count' });
  const before = listen(app, ada, answerId);
  const first = await until(before, anyDelta);
  const last = first.at(-1)?.id ?? '';
  await before.return(undefined);
  gate.open();
  await app.app.agents.idle();
  const again =
    way === 'tRPC'
      ? await rest(listen(app, ada, answerId, last))
      : await rest(heard(await post(app, ada, '', 'general', { 'last-event-id': last })));
  expect(textIn(first) + textIn(again)).toBe(text);
  // All that was missed comes in one piece.
  expect(again.map(({ event }) => event.type)).toEqual(['delta', 'usage', 'done']);
  expect(await app.requests()).toHaveLength(1);
  // From the beginning for whoever reloads the page; and after the last event there is nothing more.
  const whole = await rest(listen(app, ada, answerId));
  expect(textIn(whole)).toBe(text);
  expect(await rest(listen(app, ada, answerId, whole.at(-1)?.id))).toEqual([]);
});

test('a client that leaves while its question is written down leaves no listener, and the answer is made', async () => {
  await using app = await testApp({ commitDelayMs: 30 });
  const ada = await app.person({ keys: { openai: { tokens: 3_000 } } });
  for (const waitMs of [0, 5, 20, 60]) {
    const leaving = new AbortController();
    const asked = app.fetch(ada, '/api/v1/agents/general/messages', { json: { content: 'hello' }, signal: leaving.signal });
    setTimeout(() => leaving.abort(), waitMs);
    await asked.then((res) => res.text()).catch(() => undefined);
    app.clock.advance(2_000);
  }
  // Whatever had reached the server goes on by itself, and to its end.
  await new Promise((resolve) => setTimeout(resolve, 200));
  await app.app.agents.idle();
  while (app.app.agents.listeners() > 0) await new Promise(setImmediate);
  const { conversations } = await call<{ conversations: { id: string }[] }>(app, ada, 'conversations.list', {});
  for (const { id } of conversations) expect((await conversation(app, ada, id)).messages[1]).toMatchObject({ state: 'done' });
});

test('an answer can be followed by several, and by none, and is forgotten five minutes after its end', async () => {
  await using app = await testApp();
  const [ada, eve] = [await app.person({ keys: { openai: { tokens: 50 } } }), await app.person()];
  const { answerId, conversationId } = await ask(app, ada, { content: 'hello' });
  const [one, two] = await Promise.all([rest(listen(app, ada, answerId)), rest(listen(app, ada, answerId))]);
  expect(textIn(one)).toBe(textIn(two));
  await expect(listen(app, eve, answerId).next()).rejects.toMatchObject({ code: 'not_found' });
  await expect(stopped(app, eve, answerId)).rejects.toMatchObject({ code: 'not_found' });
  expect((await post(app, eve, '', 'general', { 'last-event-id': `${answerId}:1` })).status).toBe(404);
  app.clock.advance(300_000);
  await expect(listen(app, ada, answerId).next()).rejects.toMatchObject({ code: 'not_found' });
  expect((await conversation(app, ada, conversationId)).messages).toHaveLength(2);
});

test.each(providerIds)('a stop aborts %s at once, keeps what was said, and counts it', async (id) => {
  await using app = await testApp();
  const ada = await app.person({ keys: { [id]: { fault: 'stall', tokens: 100, afterChunks: 8 } } });
  const { answerId, conversationId } = await ask(app, ada, { content: 'Tell me a story.', provider: id });
  const told = listen(app, ada, answerId);
  const first = await until(told, anyDelta);
  await stopped(app, ada, answerId);
  await stopped(app, ada, answerId);
  // The provider never ends by itself, and time stands still, so that no limit on a wait can have done it.
  expect(await app.provider.requests.at(-1)?.settled).toBe('aborted');
  const all = [...first, ...(await rest(told))].map(({ event }) => event);
  expect(all.at(-1)).toEqual({ type: 'done', stopped: true, cut: false });
  const answer = summed(all);
  expect((await conversation(app, ada, conversationId)).messages[1]).toMatchObject({ state: 'stopped', content: answer.text, error: null });
  expect(answer.text.length).toBeGreaterThan(3);
  expect(await app.requests()).toMatchObject([
    { errorCode: 'client_closed', estimated: true, source: 'user', outputTokens: expect.any(Number) },
  ]);
});

test('an answer is made anew: the old one goes, and the question stays', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'first' }, anthropic: { text: 'second' } } });
  const { start } = await say(app, ada, 'hello');
  const conversationId = start.conversationId ?? '';
  const again = await say(app, ada, { conversationId, regenerates: true, provider: 'anthropic' });
  expect(again.start.userMessageId).toBe(start.userMessageId);
  expect((await conversation(app, ada, conversationId)).messages.map(({ content }) => content)).toEqual(['hello', 'second']);
  const sent = JSON.parse(app.provider.requests.at(-1)?.body.toString() ?? '');
  expect(sent.messages).toEqual([{ role: 'user', content: 'hello' }]);
  expect(await app.requests()).toHaveLength(2);
});

test('a question is put in other words: it and all after it go, and its files stay unless others are given', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'well' } } });
  const { start } = await say(app, ada, { content: 'one', attachments: [{ name: 'a.txt', text: 'A' }] });
  const conversationId = start.conversationId ?? '';
  await say(app, ada, { conversationId, content: 'two' });
  const replaced = await say(app, ada, { conversationId, content: 'ONE', replaces: start.userMessageId ?? '' });
  const kept = await conversation(app, ada, conversationId);
  expect(kept.messages.map(({ content }) => content)).toEqual(['ONE', 'well']);
  expect(kept.messages[0]).toMatchObject({ id: replaced.start.userMessageId, attachments: [{ name: 'a.txt', size: 1 }] });
  await say(app, ada, { conversationId, content: 'ONE', replaces: replaced.start.userMessageId ?? '', attachments: [] });
  expect((await conversation(app, ada, conversationId)).messages[0]?.attachments).toEqual([]);
  // Neither an answer nor somebody else's message.
  const wrong = async (replaces: string) => (await post(app, ada, { conversationId, content: 'x', replaces })).status;
  expect([await wrong((await conversation(app, ada, conversationId)).messages[1]?.id ?? ''), await wrong(start.messageId)]).toEqual([
    400, 404,
  ]);
});

const faults = [
  ['reset_mid_stream', 'provider_unreachable'],
  ['close_early', 'provider_unreachable'],
  ['truncated', 'provider_unreachable'],
  ['error_event', 'provider_error'],
] as const;

test.each(faults.flatMap(([fault, code]) => providerIds.map((id) => ({ fault, code, id }))))(
  '$id with $fault: what was said stays, the error says what to do, and a retry answers',
  async ({ fault, code, id }) => {
    await using app = await testApp();
    const ada = await app.person({ keys: { [id]: { fault, tokens: 60, afterChunks: 10 } } });
    const broken = await say(app, ada, 'hello');
    expect(broken.last).toMatchObject({ type: 'error', code, detail: expect.stringMatching(/\.$/) });
    expect(broken.text).not.toBe('');
    const conversationId = broken.start.conversationId ?? '';
    const [, failed] = (await conversation(app, ada, conversationId)).messages;
    expect(failed).toMatchObject({ state: 'failed', content: broken.text, error: { code } });
    app.provider.key(ada.secrets[id] ?? '', { text: 'Whole.' }, id);
    expect((await say(app, ada, { conversationId, regenerates: true })).text).toBe('Whole.');
    expect((await conversation(app, ada, conversationId)).messages.map(({ content }) => content)).toEqual(['hello', 'Whole.']);
    expect(await app.requests()).toMatchObject([{ state: 'failed' }, { state: 'done' }]);
  },
);

test.each([
  ['openai', 'rate_limited', 'rate_limited'],
  ['anthropic', 'rate_limited', 'rate_limited'],
  ['openai', 'revoked', 'key_unusable'],
  ['openai', 'no_credit', 'key_unusable'],
  ['anthropic', 'overloaded', 'provider_unreachable'],
] as const)('%s says %s: the answer is an error with our words for it', async (id, state, code) => {
  await using app = await testApp();
  const ada = await app.person({ keys: { [id]: state } });
  const answer = await say(app, ada, 'hello');
  expect(answer.last).toMatchObject({ type: 'error', code });
  expect(answer.start).toMatchObject({ provider: id, keySource: 'user' });
  expect((await conversation(app, ada, answer.start.conversationId)).messages[1]).toMatchObject({
    state: 'failed',
    content: '',
    error: { code },
  });
});

test('a model that the provider does not know is refused in its own words', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const answer = await say(app, ada, { content: 'hello', provider: 'openai', model: 'gpt-none' });
  expect(answer.last).toMatchObject({
    type: 'error',
    code: 'refused',
    detail: expect.stringMatching(/OpenAI refused.*gpt-none.*does not exist/),
  });
});

test('a key that is revoked in the middle of a conversation: the platform answers, and the answer says why', async () => {
  await using app = await testApp({ platform: { openai: { text: 'Platform.' } } });
  const ada = await app.person({ keys: { openai: { text: 'Own.' } } });
  const first = await say(app, ada, 'hello');
  app.provider.key(ada.secrets.openai ?? '', 'revoked', 'openai');
  const second = await say(app, ada, { conversationId: first.start.conversationId ?? '', content: 'and now?' });
  expect([first.start.keySource, second.start.keySource, second.start.fallbackReason]).toEqual(['user', 'platform', 'bad_key']);
  expect((await conversation(app, ada, first.start.conversationId)).messages.map(({ keySource }) => keySource)).toEqual([
    null,
    'user',
    null,
    'platform',
  ]);
  expect(await app.requests()).toMatchObject([{ source: 'user' }, { source: 'platform', fallbackReason: 'bad_key' }]);
});

test('a limit that is reached in the middle of a conversation says until when, and the conversation goes on afterwards', async () => {
  await using app = await testApp({ platform: { openai: { text: 'Yes.' } } });
  const ada = await app.person({ tier: 'community' });
  const conversationId = (await say(app, ada, 'hello')).start.conversationId ?? '';
  for (let i = 0; i < 9; i += 1) await say(app, ada, { conversationId, content: `${i}` });
  const refused = await say(app, ada, { conversationId, content: 'one more' });
  expect(refused.last).toMatchObject({ type: 'error', code: 'limit_reached', detail: expect.stringMatching(/10 requests a minute/) });
  expect(refused.events.map(({ type }) => type)).toEqual(['start', 'error']);
  app.clock.advance(61_000);
  expect((await say(app, ada, { conversationId, regenerates: true })).text).toBe('Yes.');
  const { messages } = await conversation(app, ada, conversationId);
  expect(messages).toHaveLength(22);
  expect(messages.every(({ state }) => state === 'done')).toBe(true);
});

test('an answer goes on although nobody listens; one that is kept nowhere ends half a minute after its last listener', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { tokens: 100 } } });
  const gate = app.provider.gate(4);
  const kept = await ask(app, ada, { content: 'hello' });
  const leaving = listen(app, ada, kept.answerId);
  await until(leaving, anyDelta);
  await leaving.return(undefined);
  await gate.reached;
  app.clock.advance(120_000);
  gate.open();
  await app.app.agents.idle();
  expect((await conversation(app, ada, kept.conversationId)).messages[1]).toMatchObject({ state: 'done' });

  await call(app, ada, 'conversations.setKeeping', { keep: false });
  const unheard = app.provider.gate(4);
  const nowhere = await ask(app, ada, { content: 'hello' });
  await unheard.reached;
  expect(nowhere.conversationId).toBeNull();
  app.clock.advance(30_000);
  expect(await app.provider.requests.at(-1)?.settled).toBe('aborted');
  await app.app.agents.idle();
});

test('a stop of the server lets answers finish that are under way, listened to or not, and takes no new ones', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'To the end.' } } });
  const gate = app.provider.gate(2);
  const { answerId, conversationId } = await ask(app, ada, { content: 'hello' });
  const told = listen(app, ada, answerId);
  await told.next();
  const restarted = app.restart();
  await expect(app.app.agents.ask(await callerOf(app, ada), { agent: 'general', content: 'x' })).rejects.toMatchObject({
    code: 'draining',
  });
  gate.open();
  expect(textIn(await rest(told))).toBe('To the end.');
  await restarted;
  expect((await conversation(app, ada, conversationId)).messages[1]).toMatchObject({ state: 'done', content: 'To the end.' });
});

const callerOf = (app: TestApp, who: Person) => app.app.callers.identify({ authorization: `Bearer ${who.token}` });

test('what a process had said when it died is there, marked as interrupted, and can be asked for again', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'Half of the answer.', chunks: 5 } } });
  const gate = app.provider.gate(4);
  const { answerId, conversationId } = await ask(app, ada, { content: 'hello' });
  const told = textIn(await until(listen(app, ada, answerId), anyDelta));
  await gate.reached;
  // Two seconds later it is written.
  app.clock.advance(2_000);
  const { db } = app.app;
  while (!(await conversation(app, ada, conversationId)).messages[1]?.content) await new Promise(setImmediate);
  expect(await app.app.conversations.settleDead()).toBe(0);
  // As if its process were gone.
  await db.orm.update(db.tables.message).set({ bootId: 'dead' }).where(eq(db.tables.message.state, 'open'));
  expect(await app.app.conversations.settleDead()).toBe(1);
  const [, cut] = (await conversation(app, ada, conversationId)).messages;
  expect(cut).toMatchObject({ state: 'failed', error: { code: 'interrupted', detail: expect.stringMatching(/restarted/) } });
  expect(cut?.content.startsWith(told)).toBe(true);
});

test('what is still under way when a stop has lasted too long is kept as interrupted', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { fault: 'stall', tokens: 40, afterChunks: 6 } } });
  const { answerId, conversationId } = await ask(app, ada, { content: 'hello' });
  const told = listen(app, ada, answerId);
  await until(told, anyDelta);
  app.app.agents.interrupt();
  expect((await rest(told)).at(-1)?.event).toMatchObject({ type: 'error', code: 'interrupted' });
  await app.restart();
  const kept = await conversation(app, ada, conversationId);
  expect(kept.messages[1]).toMatchObject({ state: 'failed', error: { code: 'interrupted' } });
  app.provider.key(ada.secrets.openai ?? '', { text: 'Now.' }, 'openai');
  // Two starts at one moment would give the same ids.
  app.clock.advance(1);
  expect((await wholeOf(await post(app, ada, { conversationId: kept.id, regenerates: true }))).text).toBe('Now.');
});

test('whoever has signed out hears no more within a minute', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { fault: 'stall', tokens: 40, afterChunks: 6 } } });
  const { auth } = app.app;
  const session = await auth.signIn(ada.email, 'correct horse battery');
  const page: Person = { ...ada, token: (await auth.issueJwt(session)).token };
  const { answerId } = await ask(app, ada, { content: 'hello' });
  const told = listen(app, page, answerId);
  await until(told, anyDelta);
  await app.app.db.orm.delete(app.app.db.tables.session);
  app.clock.advance(30_000);
  expect((await rest(told)).filter(({ event }) => event.type !== 'delta')).toEqual([]);
  expect(app.app.agents.unheard()).toBe(1);
});

test('a conversation that is deleted while it is answered is gone, and so is its answer', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { fault: 'stall', tokens: 40, afterChunks: 6 } } });
  const { answerId, conversationId } = await ask(app, ada, { content: 'hello' });
  await until(listen(app, ada, answerId), anyDelta);
  await call(app, ada, 'conversations.remove', { id: conversationId });
  await app.app.agents.idle();
  await expect(conversation(app, ada, conversationId)).rejects.toMatchObject({ code: 'not_found' });
  expect(await app.app.db.orm.select().from(app.app.db.tables.message)).toEqual([]);
});

test('an answer without a word is an error, not an empty bubble', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: '' } } });
  expect((await say(app, ada, 'hello')).last).toMatchObject({ type: 'error', code: 'no_answer' });
});

test('an answer that cannot be kept at its end is as soon as it can be, and its conversation goes on', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'one two three', chunks: 3 } } });
  const gate = app.provider.gate(2);
  const { answerId, conversationId } = await ask(app, ada, { content: 'count' });
  await gate.reached;
  await app.app.db.commit([{ sql: 'alter table message rename to away', params: [] }]);
  gate.open();
  await app.app.agents.idle();
  const told = await rest(listen(app, ada, answerId));
  expect(told.at(-1)?.event).toMatchObject({ type: 'error', code: 'storage_unavailable' });
  // Still not at the next try.
  app.clock.advance(5_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await app.app.db.commit([{ sql: 'alter table away rename to message', params: [] }]);
  app.clock.advance(5_000);
  const answer = async () => (await conversation(app, ada, conversationId)).messages[1];
  await expect.poll(answer).toMatchObject({ state: 'done', content: 'one two three', outputTokens: expect.any(Number) });
  expect((await say(app, ada, { conversationId: conversationId ?? '', regenerates: true })).last).toMatchObject({ type: 'done' });
  expect(await app.requests()).toHaveLength(2);
});

test('who listens again just before an unheard answer would have ended has the whole time anew', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'one two three', chunks: 3 } } });
  await call(app, ada, 'conversations.setKeeping', { keep: false });
  const gate = app.provider.gate(2);
  const { answerId } = await ask(app, ada, { content: 'count' });
  const told = listen(app, ada, answerId);
  await until(told, anyDelta);
  app.clock.advance(29_000);
  await told.return(undefined);
  while (app.app.agents.listeners() > 0) await new Promise(setImmediate);
  app.clock.advance(2_000);
  gate.open();
  await app.app.agents.idle();
  expect((await rest(listen(app, ada, answerId))).at(-1)?.event).toMatchObject({ type: 'done', stopped: false });
});
