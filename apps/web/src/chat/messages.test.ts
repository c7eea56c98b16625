import { type AnswerEvent, Ask, type Attachment } from '@synthstack/core';
import { expect, test } from 'vitest';
import { apply, fail, historyOf, openAnswer, question, totalsOf } from './messages.ts';

const start: AnswerEvent = {
  type: 'start',
  ...{ conversationId: null, messageId: 'm', userMessageId: null, agent: 'developer' },
  ...{ provider: 'openai', model: 'gpt-4.1', keySource: 'platform', fallbackReason: 'bad_key', droppedTurns: 2 },
};

test('an answer becomes what its events say, also when they are told from the beginning again', () => {
  const answer = openAnswer('general');
  for (const round of [1, 2]) {
    apply(answer, start);
    apply(answer, { type: 'delta', text: 'Hello' });
    apply(answer, { type: 'delta', text: ' there' });
    expect(answer.content, `round ${round}`).toBe('Hello there');
  }
  apply(answer, { type: 'handover', agent: 'designer' });
  apply(answer, { type: 'usage', inputTokens: 10, outputTokens: null, estimatedCostUsd: null, requestId: 'r' });
  expect(answer).toMatchObject({
    agent: 'developer',
    state: 'open',
    keySource: 'platform',
    fallbackReason: 'bad_key',
    droppedTurns: 2,
    handover: 'designer',
  });
  apply(answer, { type: 'done', stopped: true, cut: false });
  expect(answer).toMatchObject({ state: 'stopped', error: null, inputTokens: 10, outputTokens: null });
});

test('what was said before an error stays', () => {
  const answer = openAnswer('general');
  apply(answer, start);
  apply(answer, { type: 'delta', text: 'So far' });
  apply(answer, { type: 'error', code: 'provider_unreachable', detail: 'The connection broke off.' });
  expect(answer).toMatchObject({ state: 'failed', content: 'So far', error: { code: 'provider_unreachable' } });
});

test('a conversation costs what its answers cost; what is unknown is not zero', () => {
  const known = {
    ...openAnswer('general'),
    state: 'done',
    keySource: 'user',
    inputTokens: 10,
    outputTokens: 5,
    estimatedCostUsd: 0.25,
  } as const;
  const unpriced = { ...known, estimatedCostUsd: null };
  const limited = { ...openAnswer('general'), state: 'failed', keySource: 'platform' } as const;
  const refused = openAnswer('general');
  fail(refused, 'no_key', 'No key.');
  const files = [{ name: 'a', text: 'ä' }];
  expect(totalsOf([question('general', 'Hello', files), known, unpriced, limited, refused, openAnswer('general')])).toEqual({
    tokens: 30,
    costUsd: 0.25,
    unknown: 1,
  });
  expect(question('general', 'Hello', files).attachments).toEqual([{ name: 'a', size: 2 }]);
});

test('what goes along with a question is the newest that the server takes, from a question on', () => {
  const turn = (role: 'user' | 'assistant', content: string, files: Attachment[] = []) =>
    role === 'user' ? question('general', content, files) : { ...openAnswer('general'), content };
  const rounds = (count: number, content: string, files: Attachment[] = []) =>
    Array.from({ length: count }, (_, n) => [turn('user', `${n} ${content}`, files), turn('assistant', `${n}`)]).flat();
  expect(historyOf(rounds(2, 'a'))).toEqual([
    { role: 'user', content: '0 a' },
    { role: 'assistant', content: '0' },
    { role: 'user', content: '1 a' },
    { role: 'assistant', content: '1' },
  ]);
  // An answer that broke off before its first word says nothing.
  expect(historyOf([turn('user', 'a'), turn('assistant', '')])).toEqual([{ role: 'user', content: 'a' }]);
  const file = { name: 'a.txt', text: 'x\n'.repeat(99_000) };
  for (const past of [
    rounds(150, 'a'),
    rounds(20, 'y'.repeat(99_000)),
    rounds(20, 'ü'.repeat(99_000)),
    rounds(20, 'z', [file]),
    [...rounds(150, 'a'), turn('user', 'b')],
  ]) {
    const history = historyOf(past);
    expect(history.length).toBeGreaterThan(2);
    expect(history.at(0)?.role).toBe('user');
    expect(history.at(-1)?.content).toBe(past.at(-1)?.content);
    expect(Ask.safeParse({ agent: 'general', content: 'more', history }).error).toBeUndefined();
    expect(Buffer.byteLength(JSON.stringify(history))).toBeLessThan(1_048_576);
  }
});
