import { expect, test } from 'vitest';
import { cpuMs } from '../test/cpu.ts';
import { createHandover } from './agents-handover.ts';

function read(text: string, size: number) {
  const handover = createHandover();
  let shown = '';
  for (let i = 0; i < text.length; i += size) shown += handover.push(text.slice(i, i + size));
  const { text: last, to } = handover.finish();
  return { text: shown + last, to };
}

const cases: readonly [what: string, text: string, shown: string, to: string | null][] = [
  ['a line at the end', 'Ask her.\n\n<handover to="developer"/>\n', 'Ask her.', 'developer'],
  ['nothing else', '<handover to="seo_writer" />', '', 'seo_writer'],
  ['without its slash', 'Ask.\n<handover to="designer">', 'Ask.', 'designer'],
  ['quoted in the middle', 'Write <handover to="x"/> last.\n', 'Write <handover to="x"/> last.', null],
  ['twice', 'a <handover to="one_1"/>\n<handover to="two_2"/>', 'a <handover to="one_1"/>', 'two_2'],
  ['cut off', 'Ask her.\n<handover to="dev', 'Ask her.', null],
  ['no slug', 'Ask.\n<handover to="A B"/>', 'Ask.', null],
  ['other angle brackets', 'if a < b then <b>c</b> <', 'if a < b then <b>c</b> <', null],
  ['a long line that begins alike', `<handover ${'x'.repeat(100)}`, `<handover ${'x'.repeat(100)}`, null],
  ['spaces and line ends', 'a \n\n b  \n', 'a \n\n b', null],
  ['nothing', '', '', null],
];

test.each(cases)('%s, in pieces of any size', (_what, text, shown, to) => {
  for (let size = 1; size <= text.length + 1; size += 1) expect(read(text, size), `in pieces of ${size}`).toEqual({ text: shown, to });
});

test('text is shown as it comes: only what may become the line waits', () => {
  const handover = createHandover();
  expect(['Hello', ' there', '.\n', 'Go', ' <ha', 'nd', '>'].map((piece) => handover.push(piece))).toEqual([
    'Hello',
    ' there',
    '.',
    '\nGo',
    '',
    '',
    ' <hand>',
  ]);
});

test('a megabyte of white space or of brackets costs no more than it is long', () => {
  for (const piece of ['    ', '<<<<', '<han', '\n\n\n\n']) {
    const handover = createHandover();
    const before = cpuMs();
    for (let i = 0; i < 250_000; i += 1) handover.push(piece);
    expect(cpuMs() - before).toBeLessThan(5_000);
  }
});
