import { expect, test } from 'vitest';
import { exposedValue, parseExposition } from './exposition.ts';

const family = '# HELP x_total What it is.\n# TYPE x_total counter\n';

test('series of every type are read, with labels as they were meant', () => {
  const text = `${family}x_total{a="b\\"c\\\\d\\ne",f=""} 1.5e-7\n\n# HELP y Help\n# TYPE y histogram\ny_bucket{le="0.1"} 1\ny_bucket{le="+Inf"} 2\ny_sum 0.3\ny_count 2\n`;
  const families = parseExposition(text);
  expect(families.get('x_total')).toEqual({
    type: 'counter',
    help: 'What it is.',
    samples: [{ name: 'x_total', labels: { a: 'b"c\\d\ne', f: '' }, value: 1.5e-7 }],
  });
  expect(exposedValue(families, 'y_bucket', { le: '+Inf' })).toBe(2);
  expect(exposedValue(families, 'y_count')).toBe(2);
});

test.each([
  ['no end of line', `${family}x_total 1`],
  ['no value', `${family}x_total\n`],
  ['no number', `${family}x_total one\n`],
  ['NaN', `${family}x_total Nan\n`],
  ['a quote that is not escaped', `${family}x_total{a="b"c"} 1\n`],
  ['a label without quotes', `${family}x_total{a=b} 1\n`],
  ['a label twice', `${family}x_total{a="b",a="c"} 1\n`],
  ['a name that is none', `${family}x-total 1\n`],
  ['another name', `${family}y_total 1\n`],
  ['no type', '# HELP x_total What it is.\nx_total 1\n'],
  ['a type that is none', '# HELP x_total What it is.\n# TYPE x_total number\nx_total 1\n'],
  ['a series twice', `${family}x_total{a="b"} 1\nx_total{a="b"} 2\n`],
  ['a family twice', `${family}x_total 1\n${family}`],
  ['a counter below zero', `${family}x_total -1\n`],
  ['buckets that fall', '# HELP y Help\n# TYPE y histogram\ny_bucket{le="0.1"} 3\ny_bucket{le="+Inf"} 2\ny_sum 0.3\ny_count 2\n'],
  ['a histogram without its end', '# HELP y Help\n# TYPE y histogram\ny_bucket{le="0.1"} 1\ny_sum 0.3\ny_count 1\n'],
])('%s is refused', (_, text) => {
  expect(() => parseExposition(text)).toThrow();
});
