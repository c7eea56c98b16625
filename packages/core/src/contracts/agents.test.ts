import { expect, test } from 'vitest';
import { AgentDefinition, AgentSlug, AnswerEvent, Ask, Attachment, Question, Title } from './agents.ts';
import { maxAttachmentBytes, maxContent } from './bounds.ts';

const id = '9d0c2c5e-8f7b-4a39-9a67-5f3b2f1d9c22';
const fieldsOf = (value: unknown): string[] => {
  const parsed = Ask.safeParse({ agent: 'general', ...(value as object) });
  return parsed.success ? [] : parsed.error.issues.map(({ path }) => path.join('.'));
};

test.each([
  ['a question', { content: 'hello' }],
  ['one of the greatest length', { content: 'ä'.repeat(maxContent) }],
  ['one in a conversation', { content: 'hello', conversationId: id, provider: 'openai', model: 'ft:gpt-4o:me::a1' }],
  ['one in other words', { content: 'hello', conversationId: id, replaces: id }],
  ['the last once more', { conversationId: id, regenerates: true }],
  ['one with a history', { content: 'hello', history: [{ role: 'user', content: 'a', attachments: [{ name: 'a', text: 'b' }] }] }],
  ['files as large as may be', { content: 'x', attachments: [{ name: 'a', text: '€'.repeat(Math.floor(maxAttachmentBytes / 3)) }] }],
  ['files of four-byte letters', { content: 'x', attachments: [{ name: 'a', text: '🎉'.repeat(maxAttachmentBytes / 4) }] }],
])('%s can be asked', (_what, ask) => {
  expect(fieldsOf(ask)).toEqual([]);
});

test.each([
  ['nothing', {}, 'content'],
  ['white space', { content: ' \n' }, 'content'],
  ['NUL', { content: 'a\0' }, 'content'],
  ['too much', { content: 'x'.repeat(maxContent + 1) }, 'content'],
  [
    'a byte too much of files',
    {
      content: 'x',
      attachments: [
        { name: 'a', text: '🎉'.repeat(maxAttachmentBytes / 4) },
        { name: 'b', text: 'x' },
      ],
    },
    'attachments',
  ],
  ['an unknown field', { content: 'x', temperature: 1 }, ''],
  ['a model with a space', { content: 'x', model: 'a b' }, 'model'],
  ['a history and a conversation', { content: 'x', conversationId: id, history: [] }, 'history'],
  ['a history of a system', { content: 'x', history: [{ role: 'system', content: 'a' }] }, 'history.0.role'],
  ['other words for nothing', { content: 'x', replaces: id }, 'replaces'],
  ['once more, but other', { content: 'x', conversationId: id, regenerates: true }, 'content'],
  ['once more, falsely', { content: 'x', conversationId: id, regenerates: false }, 'regenerates'],
])('%s cannot be asked', (_what, ask, field) => {
  expect(fieldsOf(ask)).toEqual([field]);
});

test('over REST the agent stands in the path', () => {
  expect(Question.safeParse({ content: 'x' }).success).toBe(true);
  expect(Question.safeParse({ agent: 'general', content: 'x' }).success).toBe(false);
});

test.each(['', 'a"b', '<b>', 'a\nb', 'x'.repeat(201)])('a file cannot be called %j', (name) => {
  expect(Attachment.safeParse({ name, text: '' }).success).toBe(false);
});

test('slugs, titles and definitions keep to what they say', () => {
  expect(['general', 'seo_writer', 'a1'].filter((slug) => !AgentSlug.safeParse(slug).success)).toEqual([]);
  expect(['', 'a', 'A1', '1a', 'a-b', '__proto__', 'x'.repeat(33)].filter((slug) => AgentSlug.safeParse(slug).success)).toEqual([]);
  expect(Title.parse('  A title ')).toBe('A title');
  expect(['', '  ', 'a\nb', 'x'.repeat(121)].filter((title) => Title.safeParse(title).success)).toEqual([]);
  const whole = {
    name: 'A',
    description: 'b',
    prompt: 'c',
    starters: [],
    models: { openai: 'x', anthropic: 'y' },
    temperature: 2,
    inAllPlans: true,
  };
  expect(AgentDefinition.safeParse(whole).success).toBe(true);
  for (const wrong of [{ prompt: '' }, { temperature: 2.1 }, { models: { openai: 'x' } }, { prompt: 'x'.repeat(16_001) }, { more: 1 }])
    expect(AgentDefinition.safeParse({ ...whole, ...wrong }).success, JSON.stringify(wrong).slice(0, 40)).toBe(false);
});

test('what is not in an event cannot leak with it', () => {
  const told = { type: 'delta', text: 'a', secret: 'b' };
  expect(AnswerEvent.parse(told)).toEqual({ type: 'delta', text: 'a' });
});
