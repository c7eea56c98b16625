import { expect, test } from 'vitest';
import { highlighted } from './highlight.ts';

test('code is coloured; what is no language, or would take too long, is not', () => {
  expect(highlighted('const a = 1;', 'ts')).toContain('hljs-keyword');
  expect(highlighted('const a = 1;', 'klingon')).toBeNull();
  expect(highlighted('[a](https://example.com) and [b](c)\n'.repeat(100), 'markdown')).toContain('hljs-link');
});

test('what a model repeats without an end costs no more time in any language than one waits', () => {
  const dear: string[] = [];
  for (const language of ['bash', 'java', 'javascript', 'markdown', 'python', 'typescript', 'xml', 'yaml'])
    for (const unit of ['a', '$', '_', '\n', '\n ', '<a>', '[', '[a](', '[a](\n', '(', '"', '\\', '#']) {
      const { user: before } = process.cpuUsage();
      highlighted(unit.repeat(30_000 / unit.length), language);
      if (process.cpuUsage().user - before > 2_000_000) dear.push(`${language} ${JSON.stringify(unit)}`);
    }
  expect(dear).toEqual([]);
});
