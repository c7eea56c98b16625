import { expect, test } from 'vitest';
import { openFence, settledLength, withoutHalfMark } from './blocks.ts';
import { blockStarts, toHtml } from './markdown.ts';

/** Where what comes next may change what stood before. */
const texts = {
  paragraphs: 'One line\nand its next.\n\nAnother.\n\n\nA third, **bold\nover lines**.\n',
  'a heading below its text': 'Title\n=====\n\nText\n---\n\nMore\n\n---\n\nEnd\n',
  'lists, loose and tight': '- a\n- b\n\n- c\n\n  more of c\n\n      code of c\n\nAfter\n\n1. one\n\n2. two\n10. ten\n\n* other\n* list\n',
  'nested lists': '- a\n  - b\n    - c\n\n      of c\n- d\n\ntext\n    not code\n\n    code\n\n    code on\n\nend\n',
  'a table': 'Before\n\na | b\n- | -\n1 | 2\n3 | 4\n\nAfter\nx | y\n--|--\n5 | 6\n',
  fences: '```ts\nconst a = `x`;\n\n```` \n\n```\ntext\n~~~\n```\n~~~\n\n- x\n  ```\n  in a list\n\n  ```\n- y\n',
  quotes: '> a\nlazy\n> b\n\n> c\n>\n> - d\n>   e\n\nend\n',
  'rules and marks': 'a\n* * *\nb\n\n**\n\n+ c\n\n1) d\n\n2) e\n\n# f\n#g\n\n***\n',
};

test.each(Object.entries(texts))('wherever %s are cut, what is settled stays as it is', (_name, text) => {
  const whole = toHtml(text, {});
  for (let cut = 1; cut <= text.length; cut += 1) {
    const settled = settledLength(text.slice(0, cut), blockStarts);
    expect(toHtml(text.slice(0, settled), {}) + toHtml(text.slice(settled), {}), JSON.stringify(text.slice(0, cut))).toBe(whole);
  }
});

test('all but the last block is settled, so a long answer costs no more than a short one', () => {
  const text = 'Words of a paragraph.\n\n- a\n- list\n\n'.repeat(200);
  const rest = text.length - settledLength(text, blockStarts);
  expect(rest).toBeLessThan(20);
});

test('a fence is open until its own mark ends it', () => {
  expect(openFence('```ts\nconst a = 1;\n')).toEqual({ info: 'ts', code: 'const a = 1;\n' });
  expect(openFence('~~~\n```\nx')).toEqual({ info: '', code: '```\nx' });
  expect(openFence('````md\n```\nx\n```\n')).toMatchObject({ code: '```\nx\n```\n' });
  expect(openFence('```ts\nconst a = 1;\n``')).toMatchObject({ code: 'const a = 1;\n' });
  for (const text of ['```ts\na\n```', '```ts\na\n```\nb', '```ts', 'text\n```ts\na\n', '``` a`b\n'])
    expect(openFence(text), text).toBeNull();
});

test('the beginning of something is not shown as what it is not', () => {
  for (const half of ['-', '--', '*', '**', '1', '12.', '#', '##', '`', '``', '|', '>', '='])
    expect(withoutHalfMark(`Text\n${half}`)).toBe('Text\n');
  for (const text of ['Text\n- a', 'Text 1', 'A # b', 'Text\n2 a']) expect(withoutHalfMark(text)).toBe(text);
});

test('a line of nothing but white space costs no more than it is long', () => {
  const { user: before } = process.cpuUsage();
  expect(withoutHalfMark(`${'\t'.repeat(100_000)}b`)).toHaveLength(100_001);
  expect(withoutHalfMark(`a\n${'\t'.repeat(100_000)}`)).toBe('a\n');
  expect(process.cpuUsage().user - before).toBeLessThan(1_000_000);
});
