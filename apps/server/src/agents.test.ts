import { type AnswerEvent, providerIds } from '@synthstack/core';
import { expect, test } from 'vitest';
import { type TestApp, testApp } from '../test/app.ts';
import { all, ask, call, conversation, listen, post, say, summed, wholeOf } from '../test/chat.ts';

interface Sent {
  model: string;
  system?: string;
  messages: { role: string; content: string }[];
  temperature?: number;
}

/** What the agents sent to the provider, oldest first; checks of keys are no streams. */
const sentTo = (app: TestApp): Sent[] =>
  app.provider.requests.filter(({ body }) => body.includes('"stream":true')).map(({ body }) => JSON.parse(body.toString()) as Sent);

const codeOf = async (res: Response): Promise<string> => ((await res.json()) as { code: string }).code;

test.each(providerIds)('an answer of %s is told as it comes, kept, and counted once on the own key', async (id) => {
  await using app = await testApp();
  const ada = await app.person({ keys: { [id]: { text: 'Good morning, Ada. What shall we build?' } } });
  const answer = await say(app, ada, 'hello');
  expect(answer.text).toBe('Good morning, Ada. What shall we build?');
  expect(answer.events.length).toBeGreaterThan(4);
  expect(answer.start).toMatchObject({ agent: 'general', provider: id, keySource: 'user', fallbackReason: null, droppedTurns: 0 });
  const [usage, done] = answer.events.slice(-2);
  const [row, ...more] = await app.requests();
  expect(more).toEqual([]);
  expect(row).toMatchObject({ provider: id, source: 'user', state: 'done', status: 200, userId: ada.id, outputTokens: 10 });
  expect(usage).toMatchObject({
    type: 'usage',
    inputTokens: row?.inputTokens,
    outputTokens: 10,
    requestId: expect.stringMatching(/^req_/),
  });
  expect(done).toEqual({ type: 'done', stopped: false, cut: false });
  const kept = await conversation(app, ada, answer.start.conversationId);
  expect(kept).toMatchObject({ title: 'hello', agent: 'general', provider: id, model: null, answerId: null, hidden: 0 });
  expect(kept.messages).toMatchObject([
    { id: answer.start.userMessageId, role: 'user', content: 'hello', state: 'done' },
    {
      id: answer.start.messageId,
      role: 'assistant',
      content: answer.text,
      state: 'done',
      keySource: 'user',
      outputTokens: 10,
      error: null,
    },
  ]);
});

test('a page asks with one call and listens with another', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'Yes.' } } });
  const asked = await ask(app, ada, { content: 'Is it so?' });
  const answer = summed((await all(listen(app, ada, asked.answerId))).map(({ event }) => event));
  expect(answer).toMatchObject({ text: 'Yes.', start: { conversationId: asked.conversationId, messageId: asked.messageId } });
});

test('a conversation goes on with what was said, and may change agent, provider and model midway', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'From OpenAI.' }, anthropic: { text: 'From Anthropic.' } } });
  const first = await say(app, ada, 'one');
  const conversationId = first.start.conversationId ?? '';
  const second = await say(app, ada, { conversationId, content: 'two', provider: 'anthropic', model: 'claude-opus-5' }, 'developer');
  // What was chosen stays, until something else is.
  const third = await say(app, ada, { conversationId, content: 'three' }, 'developer');
  const fourth = await say(app, ada, { conversationId, content: 'four', model: 'gpt-4o' }, 'marketer');
  expect([second, third, fourth].map(({ start }) => [start.agent, start.provider, start.model])).toEqual([
    ['developer', 'anthropic', 'claude-opus-5'],
    ['developer', 'anthropic', 'claude-opus-5'],
    ['marketer', 'openai', 'gpt-4o'],
  ]);
  const [, toAnthropic, , last] = sentTo(app);
  expect(toAnthropic?.messages).toEqual([
    { role: 'user', content: 'one' },
    { role: 'assistant', content: 'From OpenAI.' },
    { role: 'user', content: 'two' },
  ]);
  expect(toAnthropic?.system).toMatch(/^You are the Software Developer.*Earlier answers here are from General Assistant/s);
  expect(last?.messages.map(({ role }) => role).join(' ')).toBe('system user assistant user assistant user assistant user');
  expect((await conversation(app, ada, conversationId)).messages).toHaveLength(8);
});

test.each(providerIds)('%s sees the key of whoever asks, and none of what the SDK was set up with', async (id) => {
  await using app = await testApp();
  const ada = await app.person({ keys: { [id]: 'good' } });
  await say(app, ada, 'hello');
  const seen = app.provider.requests.at(-1);
  expect(seen?.key).toBe(ada.secrets[id]);
  const headers = JSON.stringify(seen?.rawHeaders);
  for (const other of ['"none"', 'Bearer none', 'gateway.invalid', ada.token, 'openai-organization', 'openai-project'])
    expect(headers).not.toContain(other);
});

test('a temperature goes to models that take it, and to no other', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  await say(app, ada, 'hello', 'marketer');
  await say(app, ada, { content: 'hello', model: 'gpt-5' }, 'marketer');
  await say(app, ada, { content: 'hello', provider: 'anthropic' }, 'marketer');
  expect(sentTo(app).map(({ model, temperature }) => [model, temperature])).toEqual([
    ['gpt-4.1', 0.8],
    ['gpt-5', undefined],
    ['claude-sonnet-4-6', undefined],
  ]);
});

test('without a wish the first own key that works answers, else the platform, and the answer says whose', async () => {
  await using app = await testApp({ platform: { openai: 'good', anthropic: 'good' } });
  const ada = await app.person({ keys: { anthropic: 'good' } });
  const eve = await app.person({ tier: 'community' });
  const bob = await app.person({ keys: { openai: 'revoked', anthropic: 'good' } });
  const [own, platform, fellBack, next] = [
    await say(app, ada, 'a'),
    await say(app, eve, 'b'),
    await say(app, bob, 'c'),
    await say(app, bob, 'd'),
  ];
  expect([own, platform, fellBack, next].map(({ start }) => [start.provider, start.keySource, start.fallbackReason])).toEqual([
    ['anthropic', 'user', null],
    ['openai', 'platform', null],
    ['openai', 'platform', 'bad_key'],
    ['anthropic', 'user', null],
  ]);
  expect((await app.requests()).map(({ source }) => source)).toEqual(['user', 'platform', 'platform', 'user']);
});

test('where nothing can answer, the question is refused with what to do, and nothing is kept', async () => {
  await using app = await testApp();
  const ada = await app.person();
  const refused = await post(app, ada, 'hello');
  expect([refused.status, refused.headers.get('content-type')]).toEqual([403, 'application/problem+json']);
  expect(await codeOf(refused)).toBe('no_key');
  expect(await call(app, ada, 'conversations.list', {})).toEqual({ conversations: [], nextCursor: null });
});

test('an operator who offers few models on the platform key is obeyed', async () => {
  await using app = await testApp({ platform: { openai: 'good' }, env: { PLATFORM_MODELS_COMMUNITY: 'gpt-4o-mini' } });
  const answer = await say(app, await app.person({ tier: 'community' }), 'hello');
  expect(answer).toMatchObject({ start: { model: 'gpt-4o-mini' }, last: { type: 'done' } });
});

test('community and subscriber have the General Assistant; the others are shown, and refused with what would bring them', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  for (const tier of ['community', 'subscriber', 'premium', 'lifetime'] as const) {
    const who = await app.person({ tier });
    const isFull = tier === 'premium' || tier === 'lifetime';
    const { agents } = await call<{ agents: { slug: string; available: boolean }[] }>(app, who, 'agents.list');
    expect(agents.map(({ slug }) => slug)).toEqual(['general', 'researcher', 'marketer', 'developer', 'seo_writer', 'designer']);
    expect(agents.filter(({ available }) => available)).toHaveLength(isFull ? 6 : 1);
    const res = await post(app, who, 'hello', 'designer');
    expect(res.status).toBe(isFull ? 200 : 403);
    const body = await res.text();
    if (!isFull)
      expect(JSON.parse(body)).toMatchObject({ code: 'plan_required', detail: expect.stringMatching(/Designer.*Premium.*hierarchy/s) });
  }
  expect(await codeOf(await post(app, await app.person(), 'hello', 'nobody'))).toBe('not_found');
});

test('questions that cannot be are refused by field, before anything is asked', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const conversationId = (await say(app, ada, 'hello')).start.conversationId ?? '';
  const wrong: [Record<string, unknown>, string][] = [
    [{}, 'content'],
    [{ content: '  ' }, 'content'],
    [{ content: 'x'.repeat(100_001) }, 'content'],
    [{ content: 'x', model: 'two words' }, 'model'],
    [{ content: 'x', model: 'unheard-of' }, 'provider'],
    [{ content: 'x', regenerates: true, conversationId }, 'content'],
    [{ regenerates: true }, 'regenerates'],
    [{ content: 'x', replaces: conversationId }, 'replaces'],
    [{ content: 'x', conversationId, history: [] }, 'history'],
    [{ content: 'x', attachments: [{ name: 'a"b', text: '' }] }, 'attachments.0.name'],
    [{ content: 'x', attachments: [{ name: 'a', text: 'ä'.repeat(100_001) }] }, 'attachments'],
    [{ content: 'x', attachments: Array.from({ length: 6 }, () => ({ name: 'a', text: '' })) }, 'attachments'],
    [{ content: 'x', agent: 'general' }, 'agent'],
  ];
  for (const [question, field] of wrong) {
    const res = await app.fetch(ada, '/api/v1/agents/general/messages', { json: question });
    const body = (await res.json()) as { code: string; errors?: Record<string, string[]> };
    expect([res.status, body.code, Object.keys(body.errors ?? {})], JSON.stringify(question).slice(0, 100)).toEqual([
      400,
      'invalid_input',
      [field],
    ]);
  }
  expect(await app.requests()).toHaveLength(1);
});

test('files go along with a question, named, and again when the conversation goes on', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const attachments = [{ name: 'notes.md', text: '# Plan\nä'.repeat(1_000) }];
  const { start } = await say(app, ada, { content: 'Read this.', attachments });
  await say(app, ada, { conversationId: start.conversationId ?? '', content: 'And now?' });
  const file = `Read this.\n\n<file name="notes.md">\n${attachments[0]?.text}\n</file>`;
  expect(sentTo(app).map(({ messages }) => messages[1]?.content)).toEqual([file, file]);
  const [shown] = (await conversation(app, ada, start.conversationId)).messages;
  expect(shown).toMatchObject({ content: 'Read this.', attachments: [{ name: 'notes.md', size: 9_000 }] });
});

test('the General Assistant hands over: the line is taken out, however it is cut, and said as an event', async () => {
  await using app = await testApp();
  const text = 'That is one for our developer.\n\n<handover to="developer"/>\n';
  for (const chunks of [1, 3, 100]) {
    const ada = await app.person({ keys: { anthropic: { text, chunks } } });
    const answer = await say(app, ada, 'Can you write code?');
    expect(answer.text).toBe('That is one for our developer.');
    expect(answer.events.filter(({ type }) => type === 'handover')).toEqual([{ type: 'handover', agent: 'developer' }]);
    const kept = await conversation(app, ada, answer.start.conversationId);
    expect(kept.messages[1]).toMatchObject({ content: 'That is one for our developer.', handover: 'developer' });
    const next = await say(app, ada, { conversationId: kept.id, content: 'Go on.' }, 'developer');
    expect(next.start.agent).toBe('developer');
  }
  const [toGeneral] = sentTo(app);
  expect(toGeneral?.system).toContain('- `developer`: Software Developer.');
  expect(sentTo(app)[1]?.system).not.toContain('<handover');
});

test('a colleague that there is not is not proposed, and one that the plan lacks is only told of', async () => {
  await using app = await testApp({ platform: { openai: { text: 'Ask the lawyer.\n<handover to="lawyer"/>' } } });
  const answer = await say(app, await app.person({ tier: 'community' }), 'hello');
  expect(answer.text).toBe('Ask the lawyer.');
  expect(answer.events.map(({ type }) => type)).not.toContain('handover');
  expect(sentTo(app)[0]?.messages[0]?.content).toMatch(/not part of this person's plan/);
  expect(sentTo(app)[0]?.messages[0]?.content).not.toContain('<handover');
});

test('only the General Assistant hands over: what looks like it in the words of another is text', async () => {
  await using app = await testApp();
  const text = 'The line is:\n<handover to="designer"/>';
  const ada = await app.person({ keys: { openai: { text, chunks: 9 } } });
  const said = await say(app, ada, 'How does one hand over?', 'developer');
  expect(said.text).toBe(text);
  expect(said.events.map(({ type }) => type)).not.toContain('handover');
  expect((await conversation(app, ada, said.start.conversationId)).messages[1]).toMatchObject({ content: text, handover: null });
});

test('parallel chats of several people do not mix, and each is one row', async () => {
  await using app = await testApp();
  const people = await Promise.all([1, 2, 3].map(() => app.person({ keys: { openai: 'good', anthropic: 'good' } })));
  const chats = people.flatMap((who, p) =>
    [0, 1, 2, 3].map((c) => ({
      who,
      text: `answer ${p}-${c} `.repeat(20).trim(),
      provider: c % 2 ? ('openai' as const) : ('anthropic' as const),
    })),
  );
  const told = await Promise.all(chats.map(({ who, text, provider }) => say(app, who, { provider, content: `/say chunks=7\n${text}` })));
  expect(told.map(({ text }) => text)).toEqual(chats.map(({ text }) => text));
  expect(new Set(told.map(({ start }) => start.conversationId)).size).toBe(12);
  for (const [i, { who, text }] of chats.entries()) {
    const kept = await conversation(app, who, told[i]?.start.conversationId ?? '');
    expect(kept.messages.map(({ content }) => content)).toEqual([`/say chunks=7\n${text}`, text]);
  }
  const rows = await app.requests();
  expect(rows).toHaveLength(12);
  expect(new Set(told.map(({ events }) => events.find((one) => one.type === 'usage')?.requestId)).size).toBe(12);
});

test('five answers of a person may be under way, and one in a conversation', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'good' } });
  const gates = [1, 2, 3, 4, 5].map(() => app.provider.gate('head'));
  const first = await ask(app, ada, { content: 'one' });
  await expect(ask(app, ada, { content: 'again', conversationId: first.conversationId ?? '' })).rejects.toMatchObject({ code: 'conflict' });
  for (const content of ['two', 'three', 'four', 'five']) await ask(app, ada, { content });
  await expect(ask(app, ada, { content: 'six' })).rejects.toMatchObject({ code: 'limit_reached' });
  expect((await conversation(app, ada, first.conversationId)).answerId).toBe(first.answerId);
  for (const gate of gates) gate.open();
  await app.app.agents.idle();
  expect((await ask(app, ada, { content: 'six' })).conversationId).not.toBeNull();
});

test('sixty questions a minute are written down, also where none can be answered', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const ada = await app.person({ tier: 'community' });
  const last: string[] = [];
  for (let i = 0; i < 61; i += 1) {
    const res = await post(app, ada, `${i}`);
    last.push(res.status === 200 ? ((await wholeOf(res)).last.type as string) : await codeOf(res));
  }
  expect(last.filter((one) => one === 'done')).toHaveLength(10);
  expect(last.at(-1)).toBe('limit_reached');
  expect(await app.app.db.orm.select().from(app.app.db.tables.conversation)).toHaveLength(60);
  app.clock.advance(60_000);
  expect((await say(app, ada, 'again')).last.type).toBe('done');
});

test('an answer that the model had to break off at its limit says so', async () => {
  await using app = await testApp({ platform: { anthropic: { tokens: 200 } }, env: { PLATFORM_MAX_OUTPUT_PREMIUM: '100' } });
  const ada = await app.person();
  const answer = await say(app, ada, 'hello');
  expect(answer.last).toEqual({ type: 'done', stopped: false, cut: true } satisfies AnswerEvent);
  expect((await conversation(app, ada, answer.start.conversationId)).messages[1]).toMatchObject({ isCut: true, state: 'done' });
});

test('the gateway counts and logs an agent as it does any client, and no line holds what was said', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: { text: 'The answer is marzipan.' } } });
  await say(app, ada, 'Which sweet? Say marzipan.');
  const lines = app.lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'request');
  expect(lines).toMatchObject([{ provider: 'openai', route: '/v1/chat/completions', status: 200, keySource: 'user', streamed: true }]);
  expect(app.lines.join('')).not.toContain('marzipan');
  const metrics = await (await app.fetch(null, '/metrics')).text();
  expect(metrics).toMatch(/^byok_\w*requests_total\{[^}]*provider="openai"[^}]*\} 1$/m);
});
