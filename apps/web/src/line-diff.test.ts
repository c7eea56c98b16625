import { expect, test } from 'vitest';
import { lineDiff } from './line-diff.ts';

const told = (before: string, after: string) =>
  lineDiff(before, after).map(({ kind, lines }) => `${{ same: ' ', gone: '-', new: '+' }[kind]}${lines.join('|')}`);

test.each([
  ['a\nb\nc', 'a\nb\nc', [' a|b|c']],
  ['a\nb\nc', 'a\nx\nc', [' a', '-b', '+x', ' c']],
  ['a\nb\nc\nd', 'b\nc\ne\nd', ['-a', ' b|c', '+e', ' d']],
  ['', 'a', ['+a']],
  ['a', '', ['-a']],
  ['', '', []],
  ['a\n\nb', 'a\nb', [' a', '-', ' b']],
  // The same line at both ends is counted once.
  ['a', 'a\na', [' a', '+a']],
])('%j against %j', (before, after, expected) => {
  expect(told(before, after)).toEqual(expected);
});

test('what goes and what stays is the text before, what stays and what comes the text after', () => {
  let seed = 7;
  const random = (most: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % most;
  };
  const text = () => Array.from({ length: random(12) + 1 }, () => 'abcd'[random(4)]).join('\n');
  for (let i = 0; i < 300; i += 1) {
    const [before, after] = [text(), text()];
    const of = (...kinds: string[]) =>
      lineDiff(before, after)
        .filter(({ kind }) => kinds.includes(kind))
        .flatMap(({ lines }) => lines)
        .join('\n');
    expect([of('same', 'gone'), of('same', 'new')]).toEqual([before, after]);
  }
});

test('texts that have nothing in common and thousands of lines are told at once', () => {
  const lines = (name: string) => Array.from({ length: 8_000 }, (_, i) => `${name}${i}`).join('\n');
  expect(lineDiff(lines('a'), lines('b')).map(({ kind, lines: { length } }) => [kind, length])).toEqual([
    ['gone', 8_000],
    ['new', 8_000],
  ]);
});
