import { expect, test } from 'vitest';
import { completeSentences } from './sentences.ts';

/** What is said while a text comes in pieces of that length. */
function saidOf(text: string, step: number): string[] {
  const all: string[] = [];
  let until = 0;
  for (let end = step; ; end += step) {
    const isOver = end >= text.length;
    const found = completeSentences(text.slice(0, end), until, isOver);
    all.push(...found.said);
    until = found.until;
    if (isOver) return all;
  }
}

test('an answer is said sentence by sentence, without the signs of Markdown, and without code', () => {
  const text = `## Steps

First **measure**. Then read [the guide](https://example.com/guide)! Is \`that\` all?

- one point
- another *point*

\`\`\`ts
const a = 1. + 2;
// not said.
\`\`\`

At the end: done`;
  const expected = ['Steps', 'First measure.', 'Then read the guide!', 'Is that all?', 'one point', 'another point', 'At the end:', 'done'];
  for (const step of [1, 7, 1_000]) expect(saidOf(text, step), `in pieces of ${step}`).toEqual(expected);
});

test('nothing is said twice, and no piece of a word', () => {
  expect(completeSentences('One. Two wor', 0, false)).toEqual({ said: ['One.'], until: 5 });
  expect(completeSentences('One. Two words. ', 5, false)).toEqual({ said: ['Two words.'], until: 16 });
  expect(completeSentences('One.', 0, false)).toEqual({ said: [], until: 0 });
  expect(completeSentences('', 0, true)).toEqual({ said: [], until: 0 });
});

test('what a model repeats without an end costs no more than it is long', () => {
  const [n, endless] = [100_000, [] as string[]];
  for (const [name, text] of Object.entries({
    'lines of a blank': `a${'\n '.repeat(n / 2)}b`,
    underscores: `a${'_'.repeat(n)}a`,
    digits: `a\n${'1'.repeat(n)}`,
    brackets: `${'['.repeat(n / 2)}](${'('.repeat(n / 2)}`,
    quotes: `.${'"'.repeat(n)}`,
  })) {
    const { user: before } = process.cpuUsage();
    for (const isOver of [false, true]) completeSentences(text, 0, isOver);
    if (process.cpuUsage().user - before > 1_000_000) endless.push(name);
  }
  expect(endless).toEqual([]);
  expect(completeSentences('A __bold__ snake_case, _slanted_ or __.', 0, true).said).toEqual(['A bold snake_case, slanted or .']);
});
