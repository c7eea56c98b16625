import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { conversation, say } from '../test/chat.ts';

test.each(['openai', 'anthropic'] as const)('an answer of %s is told as it comes, kept, and counted once on the own key', async (id) => {
  await using app = await testApp();
  const ada = await app.person({ keys: { [id]: { text: 'Good morning, Ada. What shall we build?' } } });
  const answer = await say(app, ada, 'hello');
  expect(answer.text).toBe('Good morning, Ada. What shall we build?');
  expect(answer.events.length).toBeGreaterThan(4);
  expect(answer.start).toMatchObject({ agent: 'general', provider: id, keySource: 'user', fallbackReason: null, droppedTurns: 0 });
  expect(answer.events.slice(-2)).toEqual([
    {
      type: 'usage',
      inputTokens: expect.any(Number),
      outputTokens: 10,
      estimatedCostUsd: expect.any(Number),
      requestId: expect.any(String),
    },
    { type: 'done', stopped: false, cut: false },
  ]);
  const kept = await conversation(app, ada, answer.start.conversationId);
  expect(kept).toMatchObject({ title: 'hello', agent: 'general', provider: id, model: null, answerId: null, hidden: 0 });
  expect(kept.messages).toMatchObject([
    { role: 'user', content: 'hello', state: 'done' },
    { role: 'assistant', content: answer.text, state: 'done', keySource: 'user', outputTokens: 10, error: null },
  ]);
  expect(await app.requests()).toMatchObject([
    { provider: id, source: 'user', state: 'done', status: 200, userId: ada.id, outputTokens: 10 },
  ]);
});
